//! What can go wrong with one local file.

use std::fmt;
use std::io;

use renkei_types::printable::Printable;
use rustix::io::Errno;

use super::meta::Special;

/// What was being done when it failed; reads well after "cannot".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Opening a file or directory.
    Open,
    /// Reading content.
    Read,
    /// Reading attributes.
    Stat,
    /// Reading the names of a directory.
    List,
    /// Making a file.
    Create,
    /// Writing content.
    Write,
    /// Setting the length.
    Resize,
    /// Setting permissions.
    Chmod,
    /// Setting times.
    SetTimes,
    /// Bringing content to stable storage.
    Sync,
    /// Closing; network file systems report a full disk only here.
    Close,
    /// Giving the finished file its name.
    Rename,
    /// Making a directory.
    MakeDir,
    /// Making a symbolic link.
    Link,
    /// Making a hard link.
    HardLink,
    /// Reading where a symbolic link points.
    ReadLink,
    /// Removing.
    Remove,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Stat => "look at",
            Self::List => "list",
            Self::Create => "create",
            Self::Write => "write to",
            Self::Resize => "set the length of",
            Self::Chmod => "set the permissions of",
            Self::SetTimes => "set the times of",
            Self::Sync => "sync",
            Self::Close => "finish writing",
            Self::Rename => "give its final name to",
            Self::MakeDir => "make the directory",
            Self::Link => "make the link",
            Self::HardLink => "make the hard link",
            Self::ReadLink => "read the link",
            Self::Remove => "remove",
        })
    }
}

/// Why a name is not one name inside a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// It has no bytes.
    #[error("it is empty")]
    Empty,
    /// It is `.` or `..`.
    #[error("it stands for a directory, not for a name in one")]
    Dots,
    /// It has a `/`.
    #[error("it has a slash")]
    Slash,
    /// It has a NUL byte.
    #[error("it has a NUL byte")]
    Nul,
}

/// One local file, directory or link that could not be dealt with; the others go on.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("cannot {operation} `{}`", Printable(path))]
    Io {
        /// Path as far as it is known, bytes.
        path: Vec<u8>,
        /// What was being done.
        operation: Operation,
        /// What the system said.
        source: io::Error,
    },
    /// A name that no honest directory has.
    #[error("refused the name `{}`", Printable(path))]
    Name {
        /// The whole path that has the name in it.
        path: Vec<u8>,
        /// What is wrong with it.
        source: BadName,
    },
    /// A directory on the way is a symbolic link, and following it could lead outside.
    #[error("`{}` is a symbolic link and is not followed", Printable(path))]
    ThroughLink {
        /// The link, or the path that leads through it.
        path: Vec<u8>,
    },
    /// A regular file was expected.
    #[error("`{}` is a {found}, not a file", Printable(path))]
    NotAFile {
        /// Its path.
        path: Vec<u8>,
        /// What it is.
        found: &'static str,
    },
    /// A device or FIFO was expected.
    #[error("`{}` is a {found} now", Printable(path))]
    NotASpecial {
        /// Its path.
        path: Vec<u8>,
        /// What it is.
        found: &'static str,
    },
    /// A directory is wanted where something else stands.
    #[error("`{}` is a {found}, not a directory", Printable(path))]
    NotADirectory {
        /// Its path.
        path: Vec<u8>,
        /// What it is.
        found: &'static str,
    },
    /// The file was not the same before and after it was read, twice.
    #[error("`{}` changed while it was read", Printable(path))]
    Changed {
        /// Its path.
        path: Vec<u8>,
    },
    /// A device or FIFO takes bytes only in order.
    #[error("`{}` is a {} and can only be written in order", Printable(path), special.name())]
    OutOfOrder {
        /// Its path.
        path: Vec<u8>,
        /// What it is.
        special: Special,
    },
    /// A pattern that nothing matches.
    #[error("nothing matches `{}`", Printable(pattern))]
    NoMatch {
        /// The pattern as typed.
        pattern: Vec<u8>,
    },
    /// A pattern that is none.
    #[error("`{}` is not a valid pattern", Printable(pattern))]
    Pattern {
        /// The pattern as typed.
        pattern: Vec<u8>,
        /// What is wrong with it.
        source: crate::glob::PatternError,
    },
}

impl FileError {
    /// An [`FileError::Io`] from what rustix returned.
    pub(crate) fn io(path: &[u8], operation: Operation, source: impl Into<io::Error>) -> Self {
        Self::Io {
            path: path.to_vec(),
            operation,
            source: source.into(),
        }
    }

    /// Whether doing the same again may help without anyone doing something about it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Changed { .. } => true,
            _ => matches!(
                self.errno(),
                Some(
                    Errno::INTR
                        | Errno::AGAIN
                        | Errno::BUSY
                        | Errno::MFILE
                        | Errno::NFILE
                        | Errno::NOMEM
                        | Errno::STALE
                        | Errno::TIMEDOUT
                )
            ),
        }
    }

    /// Whether the thing is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self.errno(), Some(Errno::NOENT))
    }

    /// Whether this file system or this pair of places has no hard links, so that a copy must stand in for one.
    #[must_use]
    pub fn is_link_refused(&self) -> bool {
        matches!(
            self,
            Self::Io {
                operation: Operation::HardLink,
                ..
            }
        ) && matches!(
            self.errno(),
            Some(Errno::PERM | Errno::XDEV | Errno::MLINK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL)
        )
    }

    fn errno(&self) -> Option<Errno> {
        match self {
            Self::Io { source, .. } => Errno::from_io_error(source),
            _ => None,
        }
    }
}
