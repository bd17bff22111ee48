//! `renkei cp --resume`, `--resume-list` and `--resume-drop`.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use renkei_transfer::Request;
use renkei_transfer::journal::{self, JournalError, TransferId};
use renkei_types::printable::Printable;

use super::copy;
use crate::arguments::{Renkei, mscp::Mscp};
use crate::printer::{Output, Task};
use crate::settings::{Program, Recall, RecallError, Settings, StoredCopy, UsageError};
use crate::{exit, session};

/// Why an interrupted copy cannot be taken up.
#[derive(Debug, thiserror::Error)]
enum StoredError {
    /// No journal has such a name.
    #[error("`{id}` names no interrupted copy\nhint: `renkei cp --resume-list` shows what there is")]
    Id {
        /// As typed.
        id: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error>,
    },
    /// The journal itself.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What it remembers of the command.
    #[error(transparent)]
    Recall(#[from] RecallError),
    /// The directory in which the copy was begun.
    #[error("cannot go to `{}`, where the copy was begun", .0.display())]
    Directory(PathBuf, #[source] io::Error),
    /// The command does not make sense any more, such as a list of names that has gone.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The journal remembers something that is no copy.
    #[error("the journal `{0}` does not belong to a copy")]
    NoCopy(String),
}

/// Goes on with an interrupted copy, with its own options and the display of this command.
pub fn resume(stored: &StoredCopy, output: Output) -> u8 {
    match request(stored) {
        Ok(request) => copy::run(request, output),
        Err(error) => output.failure(&error, exit::USAGE),
    }
}

/// Shows the interrupted copies.
pub fn list(journals: &Path, output: Output) -> u8 {
    let listed = match journal::list(journals) {
        Ok(listed) => listed,
        Err(error) => return output.failure(&error, exit::FAILED),
    };
    match output.journals(&listed) {
        Ok(()) => exit::COMPLETE,
        Err(error) => output.failure(&error, exit::FAILED),
    }
}

/// Forgets an interrupted copy and removes what it left at the target.
pub fn drop(stored: &StoredCopy, output: Output) -> u8 {
    let request = match request(stored) {
        Ok(request) => request,
        Err(StoredError::Journal(JournalError::Damaged { path, .. })) => return discard(stored, &path, output),
        Err(error) => return output.failure(&error, exit::USAGE),
    };
    let id = match id(stored) {
        Ok(id) => id,
        Err(error) => return output.failure(&error, exit::USAGE),
    };
    session::run(output, Task::Drop, |prompt, observer, stop| {
        renkei_transfer::resume_drop(id, request, prompt, observer, stop)
    })
}

/// A journal that cannot be read does not tell what is left where.
fn discard(stored: &StoredCopy, path: &Path, output: Output) -> u8 {
    let discarded = id(stored).and_then(|id| journal::discard(&stored.journals, &id).map_err(StoredError::from));
    match discarded {
        Ok(()) => {
            let path = Printable(path.as_os_str().as_bytes());
            let told =
                format!("{path} was damaged and is removed; files that begin with `.rk-` may be left at the target");
            output.error(&told, exit::FAILED);
            exit::FAILED
        }
        Err(error) => output.failure(&error, exit::FAILED),
    }
}

fn id(stored: &StoredCopy) -> Result<TransferId, StoredError> {
    stored.id.parse().map_err(|source| StoredError::Id {
        id: stored.id.clone(),
        source: Box::new(source),
    })
}

/// Understands the command of an interrupted copy anew, in the directory in which it was typed.
fn request(stored: &StoredCopy) -> Result<Request, StoredError> {
    let id = id(stored)?;
    let loaded = journal::load(&stored.journals, &id)?;
    let recall = Recall::from_bytes(&loaded.header.request)?;
    let directory = recall.directory();
    std::env::set_current_dir(&directory).map_err(|source| StoredError::Directory(directory, source))?;
    let words = recall.command_line();
    let settings = match recall.program() {
        Program::Renkei => Settings::of_renkei(Renkei::try_parse_from(words).map_err(RecallError::Words)?, &recall)?,
        Program::Mscp => Settings::of_mscp(Mscp::try_parse_from(words).map_err(RecallError::Words)?, &recall)?,
    };
    match settings {
        Settings::Copy { request, .. } => Ok(Request {
            journals: Some(stored.journals.clone()),
            ..*request
        }),
        _ => Err(StoredError::NoCopy(stored.id.clone())),
    }
}
