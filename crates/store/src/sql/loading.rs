//! A database that is being filled from a backup, in one transaction: whatever ends it too early leaves nothing of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnection, SqliteLockingMode};

use super::group::{self, Failed};
use super::open::{Own, Way, make_private, sqlite};
use super::table::{Cell, Table};
use super::{Dialect, Sql, schema, writer};
use crate::backup::{BackupError, Target};
use crate::batch::{Batch, NewEvent};
use crate::migration::{self, Migration};
use crate::open::{DatabaseUrl, Identity, OpenError};

/// Rows in one statement, and their bytes: whichever is reached first.
const ROWS: usize = 64;
const WEIGHT: usize = 1 << 20;
/// How long to wait for whoever has an SQLite file open: it may be a program that ends just now.
const BUSY: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Loading {
    own: Own,
    /// A file that was not there before.
    made: Option<PathBuf>,
    waiting: Option<Waiting>,
}

/// Rows that are not yet written.
struct Waiting {
    table: Table,
    rows: Vec<Vec<Cell>>,
    weight: usize,
}

impl Loading {
    /// Nobody else may have the database open.
    pub async fn begin(url: &DatabaseUrl) -> Result<Self, BackupError> {
        let (own, made) = match url {
            DatabaseUrl::Sqlite(path) => {
                let made = (!path.exists()).then(|| path.clone());
                make_private(path)?;
                (alone(path).await, made)
            }
            DatabaseUrl::Postgres(_) => {
                let opened = Way::to(url)?.connect().await;
                (opened.map_err(|error| OpenError::Database(error.into()).into()), None)
            }
        };
        let own = match own {
            Ok(own) => own,
            Err(error) => {
                if let Some(made) = &made {
                    remove(made);
                }
                return Err(error);
            }
        };
        let waiting = None;
        let mut loading = Self { own, made, waiting };
        match loading.begin_alone().await {
            Ok(()) => Ok(loading),
            Err(error) => {
                loading.give_up().await;
                Err(error)
            }
        }
    }

    async fn begin_alone(&mut self) -> Result<(), BackupError> {
        let mut link = self.own.link();
        match schema::begin_to_fill(&mut link).await {
            Err(error) if writer::is_busy(&error) => return Err(BackupError::InUse { connections: None }),
            begun => begun?,
        }
        if link.dialect() == Dialect::Postgres {
            let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND application_name = 'renkei' AND pid <> pg_backend_pid()";
            let rows = link.rows(link.sql(others)).await?;
            let connections = rows.first().ok_or(sqlx::Error::RowNotFound)?.count(0)?;
            if connections > 0 {
                let connections = Some(connections);
                return Err(BackupError::InUse { connections });
            }
        }
        Ok(())
    }

    /// Sees that there is nothing, or takes away what there is; gives the epoch that was.
    pub async fn empty(&mut self, target: Target, list: &[Migration]) -> Result<u32, BackupError> {
        let mut link = self.own.link();
        let Some((standing, identity, events)) = schema::standing_of_any(&mut link).await? else {
            return Ok(0);
        };
        if standing.schema > 0 && target == Target::Empty {
            let epoch = identity.epoch;
            return Err(BackupError::Occupied { events, epoch });
        }
        migration::forward(list, standing)?;
        schema::clear(&mut link, list, standing).await?;
        Ok(identity.epoch)
    }

    /// Makes the tables of `identity.schema`.
    pub async fn make(&mut self, list: &[Migration], identity: Identity, events: u64) -> Result<(), BackupError> {
        Ok(schema::make(&mut self.own.link(), list, identity, events).await?)
    }

    /// One more row, which is written at the next [`Loading::flush`] at the latest.
    pub async fn row(&mut self, table: &Table, row: Vec<Cell>) -> Result<(), BackupError> {
        let waiting = self.waiting.get_or_insert_with(|| Waiting {
            table: table.clone(),
            rows: Vec::new(),
            weight: 0,
        });
        waiting.weight += row.iter().map(Cell::weight).sum::<usize>();
        waiting.rows.push(row);
        if waiting.rows.len() >= ROWS || waiting.weight >= WEIGHT {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes what waits. Must be called between two tables.
    pub async fn flush(&mut self) -> Result<(), BackupError> {
        let Some(Waiting { table, rows, .. }) = self.waiting.take() else {
            return Ok(());
        };
        let mut link = self.own.link();
        let sql = insert(link.sql("INSERT INTO "), &table, rows);
        link.execute(sql).await?;
        Ok(())
    }

    /// Brings what was loaded to a later schema.
    pub async fn forward(&mut self, steps: &[Migration]) -> Result<(), BackupError> {
        for step in steps {
            schema::apply(&mut self.own.link(), step.up, step.schema).await?;
        }
        Ok(())
    }

    /// Tells what happened.
    pub async fn append(&mut self, batch: &Batch, schema: u32) -> Result<(), BackupError> {
        let events: Vec<&NewEvent> = batch.events.iter().collect();
        let written = group::write_events(&mut self.own.link(), &events, schema).await;
        written.map_err(|failed| match failed {
            Failed::Database(error) => error.into(),
            other => BackupError::Database(format!("{other:?}").into()),
        })
    }

    /// Makes it so.
    pub async fn end(mut self) -> Result<(), BackupError> {
        if let Err(error) = self.own.link().commit().await {
            self.give_up().await;
            return Err(error.into());
        }
        // It is done. A connection that does not end in order ends all the same.
        let _ = self.own.close().await;
        Ok(())
    }

    /// Leaves everything as it was.
    pub async fn give_up(mut self) {
        // The end of the connection is the end of its transaction.
        let _ = self.own.link().roll_back().await;
        let _ = self.own.close().await;
        if let Some(made) = &self.made {
            remove(made);
        }
    }
}

/// A connection beside which there is no other (pragma `locking_mode`).
async fn alone(path: &Path) -> Result<Own, BackupError> {
    let options = sqlite(path)
        .busy_timeout(BUSY)
        .locking_mode(SqliteLockingMode::Exclusive)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
    match SqliteConnection::connect_with(&options).await {
        Ok(connection) => Ok(Own::Sqlite(connection)),
        Err(error) if writer::is_busy(&error) => Err(BackupError::InUse { connections: None }),
        Err(error) => Err(OpenError::Database(error.into()).into()),
    }
}

/// An SQLite file of ours that holds nothing, with those beside it.
fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        // What is not there need not go.
        let _ = std::fs::remove_file(name);
    }
}

fn insert(mut sql: Sql, table: &Table, rows: Vec<Vec<Cell>>) -> Sql {
    sql.name(&table.name).push(" (");
    for (place, column) in table.columns.iter().enumerate() {
        sql.push(if place == 0 { "" } else { ", " }).name(&column.name);
    }
    sql.push(") VALUES ");
    for (place, row) in rows.into_iter().enumerate() {
        sql.push(if place == 0 { "(" } else { ", (" });
        for (place, cell) in row.into_iter().enumerate() {
            sql.push(if place == 0 { "" } else { ", " }).value(cell.into());
        }
        sql.push(")");
    }
    sql
}
