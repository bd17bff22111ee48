//! A backup: everything that a database holds, as one file of JSON lines that restores into either kind of database.
//!
//! The first line is a [`Header`]; then, for each table, a line with its name and columns and a line for each row; the last one has
//! the number of rows and the BLAKE3 hash of every byte before it. So a file that was cut short or changed is known for what it is
//! before any database is touched. Nothing is ever held in memory but a few rows.
//!
//! Files are the business of whoever calls: here are only bytes that go out and come in.

mod read;
mod write;

use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Cause;
use crate::migration::{Migration, NoWay};
use crate::open::{Identity, OpenError};

pub use read::{Restored, check, restore};
pub use write::{write, write_with};

/// What stands in every first line.
const FORMAT: &str = "renkei backup";
/// The form of the lines that is written here.
const VERSION: u32 = 1;
/// The longest line, bytes: a row has at most 1 MiB of JSON, and each byte of it may be written as six.
const LONGEST_LINE: u64 = 16 << 20;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Always the same words.
    format: String,
    /// The form of the lines.
    version: u32,
    /// The schema of the database.
    pub schema: u32,
    /// Its epoch.
    pub epoch: u32,
    /// Its run.
    pub run: Uuid,
    /// The number of its last event.
    pub events: u64,
    /// When the backup was begun.
    pub made: Timestamp,
}

/// A table's line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableLine {
    table: String,
    columns: Vec<String>,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndLine {
    rows: u64,
    blake3: String,
}

/// A whole backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What it says of itself.
    pub header: Header,
    /// Rows of all tables.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// Into what a backup is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Only into a database that holds nothing.
    Empty,
    /// Whatever the database holds is lost.
    Any,
}

/// Under which terms a backup is restored.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Into what.
    pub target: Target,
    /// When.
    pub now: Timestamp,
    /// The schemas that are known.
    pub list: &'a [Migration],
}

/// Why there is no backup, or why one cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database cannot be opened, or the schemas do not fit.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database does not answer, or not as it should. Nothing was changed.
    #[error("the database does not answer as it should")]
    Database(#[source] Cause),
    /// The backup cannot be written.
    #[error("cannot write the backup")]
    Write(#[source] io::Error),
    /// The backup cannot be read.
    #[error("cannot read the backup")]
    Read(#[source] io::Error),
    /// It is not a backup.
    #[error("this is not a backup of renkei")]
    Foreign,
    /// It was written by a later version.
    #[error(
        "the backup has form {found}, this version of renkei knows forms up to {VERSION}\n\
         hint: restore it with the version that has made it"
    )]
    Form {
        /// The backup's.
        found: u32,
    },
    /// It holds a schema of a later version.
    #[error(
        "the backup has schema {found}, this version of renkei knows schemas up to {known}\n\
         hint: restore it with the version that has made it"
    )]
    Schema {
        /// The backup's.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// It is not as it was written.
    #[error("the backup is damaged at line {line}: {fault}\nhint: take another one")]
    Damaged {
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        fault: String,
    },
    /// The database is not empty. Nothing was changed.
    #[error("the database is not empty: it has {events} events and is in epoch {epoch}")]
    Occupied {
        /// The number of its last event.
        events: u64,
        /// Its epoch.
        epoch: u32,
    },
    /// Others have the database open. Nothing was changed.
    #[error("the database is in use{}\nhint: stop all hubs first", .connections.map_or_else(String::new, |count| format!(" by {count} connections of renkei")))]
    InUse {
        /// How many connections, if the database tells.
        connections: Option<u64>,
    },
}

impl BackupError {
    /// Whether the same may work later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Open(error) => error.is_transient(),
            Self::Database(_) | Self::InUse { .. } => true,
            _ => false,
        }
    }
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<NoWay> for BackupError {
    fn from(error: NoWay) -> Self {
        Self::Open(error.into())
    }
}

impl Header {
    fn new(identity: Identity, events: u64, made: Timestamp) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            schema: identity.schema,
            epoch: identity.epoch,
            run: identity.run,
            events,
            made,
        }
    }
}
