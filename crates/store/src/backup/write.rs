//! A database becomes a backup.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;

use super::{BackupError, EndLine, Header, Summary, TableLine};
use crate::migration::{self, Migration};
use crate::open::DatabaseUrl;
use crate::sql::{Cell, Snapshot, Table};

/// Writes everything that the database holds at one moment. Hubs go on working meanwhile.
///
/// `to` has the whole backup when this has succeeded, and is of no use otherwise.
pub async fn write(url: &DatabaseUrl, to: &mut (dyn Write + Send), now: Timestamp) -> Result<Summary, BackupError> {
    write_with(url, to, now, migration::ALL).await
}

/// As [`write`] with schemas of one's own.
pub async fn write_with(
    url: &DatabaseUrl,
    to: &mut (dyn Write + Send),
    now: Timestamp,
    list: &[Migration],
) -> Result<Summary, BackupError> {
    let mut snapshot = Snapshot::begin(url, list).await?;
    let (identity, events) = snapshot.standing();
    let header = Header::new(identity, events, now);
    let mut lines = Lines::new(to);
    lines.line(&header)?;
    let mut rows = 0;
    for table in snapshot.tables().to_vec() {
        lines.line(&TableLine::of(&table))?;
        rows += snapshot.each(&table, |row| lines.line(&row)).await?;
    }
    let bytes = lines.end(rows)?;
    Ok(Summary { header, rows, bytes })
}

impl TableLine {
    pub(super) fn of(table: &Table) -> Self {
        Self {
            table: table.name.clone(),
            columns: table.columns.iter().map(|column| column.name.clone()).collect(),
        }
    }
}

/// Counts and hashes what goes out.
struct Lines<'a> {
    to: &'a mut (dyn Write + Send),
    hasher: blake3::Hasher,
    bytes: u64,
    line: Vec<u8>,
}

impl<'a> Lines<'a> {
    fn new(to: &'a mut (dyn Write + Send)) -> Self {
        Self {
            to,
            hasher: blake3::Hasher::new(),
            bytes: 0,
            line: Vec::new(),
        }
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), BackupError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, value).map_err(|error| BackupError::Write(error.into()))?;
        self.line.push(b'\n');
        self.hasher.update(&self.line);
        self.bytes += self.line.len() as u64;
        self.to.write_all(&self.line).map_err(BackupError::Write)
    }

    fn end(mut self, rows: u64) -> Result<u64, BackupError> {
        let blake3 = self.hasher.finalize().to_hex().to_string();
        self.line(&EndLine { rows, blake3 })?;
        let flushed: io::Result<()> = self.to.flush();
        flushed.map_err(BackupError::Write)?;
        Ok(self.bytes)
    }
}

impl Serialize for Cell {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Id(id) => id.serialize(serializer),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
            Self::Bytes(bytes) => bytes.as_deref().map(hex).serialize(serializer),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
