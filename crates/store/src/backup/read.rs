//! A backup becomes a database: it is read twice, first to see that it is whole.

use std::io::{BufRead, BufReader, Read, Seek};

use jiff::Timestamp;
use renkei_types::event::{Doer, Event};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use uuid::Uuid;

use super::{BackupError, EndLine, FORMAT, Header, LONGEST_LINE, Summary, TableLine, Terms, VERSION};
use crate::batch::Batch;
use crate::migration::{self, NoWay, Standing};
use crate::open::{DatabaseUrl, Identity};
use crate::sql::{Cell, Loading, Table, Type, tables};

/// A database that was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What it was restored from.
    pub from: Summary,
    /// Who it is now.
    pub identity: Identity,
}

/// Whether a backup is whole, and what it holds.
pub fn check(from: impl Read) -> Result<Summary, BackupError> {
    let mut lines = Lines::new(from);
    let header = lines.header()?;
    loop {
        if let Line::End(rows) = lines.next()? {
            let bytes = lines.bytes;
            return Ok(Summary { header, rows, bytes });
        }
    }
}

/// Puts a backup into a database, all of it or nothing, and brings it to the schema that this version knows. It begins a new run in an
/// epoch that is greater than the backup's and the database's own.
///
/// No hub may have the database open.
pub async fn restore(
    url: &DatabaseUrl,
    from: &mut (impl Read + Seek),
    terms: &Terms<'_>,
) -> Result<Restored, BackupError> {
    let whole = check(&mut *from)?;
    let Terms { target, now, list } = *terms;
    let standing = Standing {
        schema: whole.header.schema,
        finalised: whole.header.schema,
    };
    let later = migration::forward(list, standing).map_err(newer)?;
    let known = tables(list, standing.schema).await?;
    from.rewind().map_err(BackupError::Read)?;
    let mut loading = Loading::begin(url).await?;
    let outcome = async {
        let before = loading.empty(target, list).await?;
        let identity = Identity {
            schema: standing.schema,
            epoch: whole.header.epoch.max(before).saturating_add(1),
            run: Uuid::now_v7(),
        };
        loading.make(list, identity, whole.header.events).await?;
        fill(&mut loading, &known, from, &whole).await?;
        loading.forward(&later).await?;
        let schema = migration::last(list);
        let identity = Identity { schema, ..identity };
        loading.append(&told(&whole.header, identity, now), schema).await?;
        Ok(identity)
    };
    let identity = match outcome.await {
        Ok(identity) => identity,
        Err(error) => {
            loading.give_up().await;
            return Err(error);
        }
    };
    loading.end().await?;
    let from = whole;
    Ok(Restored { from, identity })
}

/// Of a backup it is the schema that is too new, not a database's.
fn newer(error: NoWay) -> BackupError {
    match error {
        NoWay::Newer { found, known } => BackupError::Schema { found, known },
        other => other.into(),
    }
}

/// What the audit tells of it, so that the chain shows where the past was left.
fn told(from: &Header, to: Identity, now: Timestamp) -> Batch {
    let mut batch = Batch::new();
    batch.append(Event {
        id: 0,
        at: now,
        by: Doer::default(),
        action: "hub:restore".to_owned(),
        noun: "hub".to_owned(),
        object: to.run,
        object_name: format!("epoch {}", to.epoch),
        project: None,
        organization: None,
        before: Some(serde_json::json!({"schema": from.schema, "epoch": from.epoch, "run": from.run})),
        after: Some(serde_json::json!({"schema": to.schema, "epoch": to.epoch, "run": to.run})),
    });
    batch
}

async fn fill(
    loading: &mut Loading,
    known: &[Table],
    from: &mut impl Read,
    whole: &Summary,
) -> Result<(), BackupError> {
    let mut lines = Lines::new(from);
    let mut table: Option<&Table> = None;
    lines.header()?;
    let read = loop {
        match lines.next()? {
            Line::Table(line) => {
                loading.flush().await?;
                table = Some(find(known, &line).map_err(|fault| lines.damaged(fault))?);
            }
            Line::Row(row) => {
                let Some(table) = table else {
                    return Err(lines.damaged("a row before any table"));
                };
                let row = cells(table, row).map_err(|fault| lines.damaged(fault))?;
                loading.row(table, row).await?;
            }
            Line::End(rows) => break rows,
        }
    };
    loading.flush().await?;
    // Whoever changes the file while it is restored is noticed.
    match (read, lines.bytes) == (whole.rows, whole.bytes) {
        true => Ok(()),
        false => Err(lines.damaged("it has changed meanwhile")),
    }
}

fn find<'a>(known: &'a [Table], line: &TableLine) -> Result<&'a Table, String> {
    let found = known.iter().find(|table| table.name == line.table);
    let table = found.ok_or_else(|| format!("its schema has no table `{}`", line.table))?;
    match TableLine::of(table).columns == line.columns {
        true => Ok(table),
        false => Err(format!("the columns of `{}` are others", line.table)),
    }
}

fn cells(table: &Table, row: Vec<Json>) -> Result<Vec<Cell>, String> {
    if row.len() != table.columns.len() {
        return Err(format!(
            "a row of `{}` has {} values, not {}",
            table.name,
            row.len(),
            table.columns.len()
        ));
    }
    let columns = table.columns.iter().zip(row);
    columns
        .map(|(column, value)| {
            cell(column.kind, value).ok_or_else(|| format!("`{}` of `{}` is of another kind", column.name, table.name))
        })
        .collect()
}

fn cell(kind: Type, value: Json) -> Option<Cell> {
    Some(match kind {
        Type::Id => Cell::Id(serde_json::from_value(value).ok()?),
        Type::Number => Cell::Number(serde_json::from_value(value).ok()?),
        Type::Text => Cell::Text(serde_json::from_value(value).ok()?),
        Type::Bytes => {
            let text: Option<String> = serde_json::from_value(value).ok()?;
            Cell::Bytes(match text {
                Some(text) => Some(unhex(&text)?),
                None => None,
            })
        }
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [_, _] => u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok(),
            _ => None,
        })
        .collect()
}

/// A line after the first.
enum Line {
    Table(TableLine),
    Row(Vec<Json>),
    /// How many rows there were.
    End(u64),
}

/// Reads, counts and hashes lines.
struct Lines<R> {
    from: BufReader<R>,
    hasher: blake3::Hasher,
    number: u64,
    rows: u64,
    bytes: u64,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    fn new(from: R) -> Self {
        Self {
            from: BufReader::with_capacity(1 << 16, from),
            hasher: blake3::Hasher::new(),
            number: 0,
            rows: 0,
            bytes: 0,
            line: Vec::new(),
        }
    }

    fn header(&mut self) -> Result<Header, BackupError> {
        #[derive(serde::Deserialize)]
        struct Form {
            format: String,
            version: u32,
        }
        if !self.advance()? {
            return Err(BackupError::Foreign);
        }
        let form: Form = serde_json::from_slice(&self.line).map_err(|_| BackupError::Foreign)?;
        match form.version {
            _ if form.format != FORMAT => Err(BackupError::Foreign),
            VERSION => {
                let header = self.parse()?;
                self.hasher.update(&self.line);
                Ok(header)
            }
            found => Err(BackupError::Form { found }),
        }
    }

    fn next(&mut self) -> Result<Line, BackupError> {
        if !self.advance()? {
            return Err(self.damaged("it ends before its end"));
        }
        if self.line.first() == Some(&b'[') {
            let row = self.parse()?;
            self.hasher.update(&self.line);
            self.rows += 1;
            return Ok(Line::Row(row));
        }
        if self.line.starts_with(b"{\"table\"") {
            let table = self.parse()?;
            self.hasher.update(&self.line);
            return Ok(Line::Table(table));
        }
        let end: EndLine = self.parse()?;
        if end.blake3 != self.hasher.finalize().to_hex().as_str() {
            return Err(self.damaged("what is before it is not what was written"));
        }
        if end.rows != self.rows {
            return Err(self.damaged("rows are missing"));
        }
        match self.advance()? {
            true => Err(self.damaged("there is more after its end")),
            false => Ok(Line::End(end.rows)),
        }
    }

    /// Reads the next line with its end; false at the end of the file.
    fn advance(&mut self) -> Result<bool, BackupError> {
        self.line.clear();
        let mut bounded = (&mut self.from).take(LONGEST_LINE);
        let length = bounded.read_until(b'\n', &mut self.line).map_err(BackupError::Read)?;
        if length == 0 {
            return Ok(false);
        }
        self.number += 1;
        self.bytes += length as u64;
        match self.line.last() {
            Some(b'\n') => Ok(true),
            _ if self.number == 1 => Err(BackupError::Foreign),
            _ => Err(self.damaged("the line has no end")),
        }
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T, BackupError> {
        serde_json::from_slice(&self.line).map_err(|error| self.damaged(error.to_string()))
    }

    fn damaged(&self, fault: impl ToString) -> BackupError {
        BackupError::Damaged {
            line: self.number,
            fault: fault.to_string(),
        }
    }
}
