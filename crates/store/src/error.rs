//! Why something could not be read or written, and whether a retry may help.

use uuid::Uuid;

/// The cause that a database gave.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The database does not answer, or not in time. Later it may.
    #[error("the database cannot be read now")]
    Unavailable(#[source] Cause),
    /// A row does not hold what this version of the program knows.
    #[error("row {id} of `{table}` cannot be understood")]
    Corrupt {
        /// Its table.
        table: &'static str,
        /// Its id, or its number.
        id: String,
        /// What is wrong.
        #[source]
        source: Cause,
    },
    /// A mistake of the program.
    #[error("`{table}` has no index `{index}` that can be used so")]
    NoSuchIndex {
        /// The table.
        table: &'static str,
        /// The index that was asked for.
        index: String,
    },
}

impl StateError {
    /// Whether the same question may be answered later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A row that the decision rests on has changed, or is gone. Nothing was written.
    #[error("row {id} of `{table}` has changed meanwhile")]
    Stale {
        /// Its table.
        table: &'static str,
        /// Its id.
        id: Uuid,
    },
    /// Another row has that key already. Nothing was written.
    #[error("`{table}` has a row with {index} `{key}` already")]
    Taken {
        /// The table.
        table: &'static str,
        /// The unique index, or `id`.
        index: &'static str,
        /// The key.
        key: String,
    },
    /// The batch can never be kept. Nothing was written.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// There is no room left on the database's disk. Nothing was written.
    #[error("the disk of the database is full")]
    Full,
    /// The database was brought to another schema since it was opened. Nothing was written.
    #[error("the database has schema {found} now, this program works with schema {known}")]
    Schema {
        /// The database's.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The database does not answer, or not in time.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The database does not answer, or not in time.
#[derive(Debug, thiserror::Error)]
#[error("the database cannot be written now{}", match .outcome { Outcome::NotDone => "", Outcome::Unknown => "; whether it was is not known" })]
pub struct Unavailable {
    /// Whether the batch may have been committed all the same.
    pub outcome: Outcome,
    /// What the database said.
    #[source]
    pub source: Cause,
}

/// What is known about a batch whose commit failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was written.
    NotDone,
    /// It may have been written: read before deciding again.
    Unknown,
}

/// Something that cannot be kept, whatever the database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A key has a NUL, which PostgreSQL refuses in texts.
    #[error("the {index} of row {id} of `{table}` has a NUL character")]
    Nul {
        /// The table.
        table: &'static str,
        /// The row.
        id: Uuid,
        /// The index.
        index: &'static str,
    },
    /// A key is longer than an index can hold.
    #[error(
        "the {index} of row {id} of `{table}` has {length} bytes, more than {}",
        crate::batch::LONGEST_KEY
    )]
    LongKey {
        /// The table.
        table: &'static str,
        /// The row.
        id: Uuid,
        /// The index.
        index: &'static str,
        /// Bytes.
        length: usize,
    },
    /// A row or event is too large.
    #[error("row {id} of `{table}` has {length} bytes, more than {}", crate::batch::LARGEST_BODY)]
    LargeBody {
        /// The table.
        table: &'static str,
        /// The row; for an event its object.
        id: Uuid,
        /// Bytes of JSON.
        length: usize,
    },
    /// Too much at once.
    #[error("a batch of {changes} changes is more than {}", crate::batch::LARGEST_BATCH)]
    LargeBatch {
        /// Changes and events.
        changes: usize,
    },
    /// The struct cannot be written as JSON.
    #[error("row {id} of `{table}` cannot be written as JSON: {reason}")]
    NoJson {
        /// The table.
        table: &'static str,
        /// The row.
        id: Uuid,
        /// What serde said.
        reason: String,
    },
}

/// What to do after a [`CommitError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Read again and decide again: at once is fine.
    Decide,
    /// The same batch may be committed later.
    Later,
    /// It may have happened: find out by reading, then decide again.
    Look,
    /// Never: the answer will be the same.
    Never,
}

impl CommitError {
    /// What to do about it.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Stale { .. } => Retry::Decide,
            Self::Taken { .. } | Self::Unfit(_) => Retry::Never,
            // Another program has to do the rest: the batch may be right all the same.
            Self::Full | Self::Schema { .. } => Retry::Later,
            Self::Unavailable(unavailable) => match unavailable.outcome {
                Outcome::NotDone => Retry::Later,
                Outcome::Unknown => Retry::Look,
            },
        }
    }

    /// Whether a retry may help.
    pub fn is_transient(&self) -> bool {
        self.retry() != Retry::Never
    }

    pub(crate) fn unavailable(outcome: Outcome, source: impl Into<Cause>) -> Self {
        let source = source.into();
        Self::Unavailable(Unavailable { outcome, source })
    }
}
