//! What can go wrong with a journal.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use renkei_plan::journal::{Inconsistent, ReadError, TooLong, TransferId};
use renkei_types::printable::Printable;
use thiserror::Error;

/// A journal that cannot be used, read or written.
#[derive(Debug, Error)]
pub enum JournalError {
    /// Another run of the same command is at work.
    #[error("{}", in_use(name, *pid))]
    InUse {
        /// The transfer's ID, or the path of a journal that the user named.
        name: String,
        /// The process that holds it, where it could be read.
        pid: Option<u32>,
    },
    /// There is no journal of this name.
    #[error("there is no journal {0}; `renkei cp --resume-list` shows those that are there")]
    NotFound(TransferId),
    /// A later version of the program wrote it.
    #[error(
        "{} was written by a later version of renkei (format {version}); use that one, or remove the file",
        show(path)
    )]
    NewerVersion {
        /// Its path.
        path: PathBuf,
        /// The version of its format.
        version: u16,
    },
    /// Its bytes are not what was written.
    #[error("{} cannot be used", show(path))]
    Damaged {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        #[source]
        cause: Damage,
    },
    /// It belongs to another transfer although its name is the same.
    #[error("{} belongs to another transfer", show(path))]
    Foreign {
        /// Its path.
        path: PathBuf,
    },
    /// An entry that does not fit; a fault of the caller.
    #[error("cannot write to the journal")]
    TooLong(#[source] TooLong),
    /// The operating system refused.
    #[error("cannot {action} {}", show(path))]
    Io {
        /// What was tried, as in "cannot … PATH".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// How a journal is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// A byte is wrong.
    #[error(transparent)]
    Bytes(#[from] ReadError),
    /// A record contradicts an earlier one.
    #[error("the record at byte {offset} contradicts an earlier one")]
    Meaning {
        /// Where it begins.
        offset: u64,
        /// How.
        #[source]
        cause: Inconsistent,
    },
    /// It ends within its header.
    #[error("it ends before its header is complete")]
    NoHeader,
}

impl JournalError {
    pub(super) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |cause| Self::Io {
            action,
            path: path.to_owned(),
            cause,
        }
    }

    /// Whether the same may succeed later without anything being changed here: the other run ends, space is freed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::InUse { .. } => true,
            Self::Io { cause, .. } => matches!(
                cause.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::Interrupted
            ),
            _ => false,
        }
    }
}

fn in_use(name: &str, pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("the same copy is already running as process {pid} (journal {name})"),
        None => format!("the same copy is already running (journal {name})"),
    }
}

pub(super) fn show(path: &Path) -> String {
    Printable(path.as_os_str().as_bytes()).to_string()
}
