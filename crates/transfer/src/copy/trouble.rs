//! Why a step did not work, and whose matter that is: the file's, or the connection's.

use renkei_ssh::sftp::{SftpError, StatusCode};
use renkei_types::printable::Printable;

use crate::local::error::FileError;

/// A step that failed.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// At a server.
    #[error("cannot {operation} `{}` at the far side", Printable(.path))]
    Far {
        /// What was tried: `open`, `write`, `rename`.
        operation: &'static str,
        /// On which path.
        path: Vec<u8>,
        /// The server's answer, or the loss of the connection.
        #[source]
        source: SftpError,
    },
    /// On this machine.
    #[error(transparent)]
    Near(#[from] FileError),
    /// The source is not what it was when it was looked at.
    #[error("`{}` changed while it was copied; copy it again", Printable(.path))]
    Changed {
        /// Its path.
        path: Vec<u8>,
    },
    /// A server answered what it must not.
    #[error("the server sent {what}; refused")]
    Hostile {
        /// What it was, ready to print.
        what: String,
    },
    /// Anything else that concerns one path.
    #[error("`{}`: {reason}", Printable(.path))]
    Other {
        /// The path.
        path: Vec<u8>,
        /// The reason, ready to print.
        reason: String,
    },
    /// The transfer ends: interrupted, or no connection works any more.
    #[error("the transfer was ended")]
    Ended,
}

impl Trouble {
    /// Wraps an answer of the server.
    pub fn far(operation: &'static str, path: &[u8]) -> impl FnOnce(SftpError) -> Self {
        let path = path.to_vec();
        move |source| Self::Far {
            operation,
            path,
            source,
        }
    }

    /// Whether the file is not to blame: another connection may do the step.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Far { source, .. } => source.is_transient(),
            Self::Ended => true,
            _ => false,
        }
    }

    /// Whether there is nothing under the path.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Far { source, .. } => source.code() == Some(StatusCode::NoSuchFile),
            Self::Near(error) => error.is_missing(),
            _ => false,
        }
    }

    /// The reason with its causes, for a person.
    pub fn reason(&self) -> String {
        chain(self)
    }
}

/// An error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // A transparent error repeats its source.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
