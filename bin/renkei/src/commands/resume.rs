//! `renkei cp --resume`, `--resume-list` and `--resume-drop`.

use std::io;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use renkei_transfer::Request;
use renkei_transfer::journal::{self, JournalError};

use super::copy;
use crate::arguments::{Renkei, mscp::Mscp};
use crate::engine;
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
        Err(error) => return output.failure(&error, exit::USAGE),
    };
    session::run(output, Task::Drop, |prompt, observer, stop| {
        engine::resume_drop(stored.id.clone(), request, prompt, observer, stop)
    })
}

/// Understands the command of an interrupted copy anew, in the directory in which it was typed.
fn request(stored: &StoredCopy) -> Result<Request, StoredError> {
    let id = stored.id.parse().map_err(|source| StoredError::Id {
        id: stored.id.clone(),
        source: Box::new(source),
    })?;
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
