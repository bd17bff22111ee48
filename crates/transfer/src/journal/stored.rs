//! The journals that are there: listed, looked into, opened to be dropped.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use renkei_plan::journal::{Header, Identity, Resume, TransferId};
use renkei_types::printable::Printable;

use super::error::JournalError;
use super::open::{self, Opened, path_in};
use super::{lock, read};

/// A journal that was only read; another run may be writing it.
#[derive(Debug)]
pub struct Loaded {
    /// Which transfer.
    pub header: Header,
    /// How far it had come.
    pub resume: Resume,
}

/// What can be done with a journal.
#[derive(Debug)]
pub enum State {
    /// It can be resumed.
    Resumable,
    /// A run is at work.
    InUse {
        /// Its process, where it could be read.
        pid: Option<u32>,
    },
    /// It cannot be used.
    Unusable(JournalError),
}

/// One line of `--resume-list`.
#[derive(Debug)]
pub struct Listed {
    /// What `--resume` takes.
    pub id: TransferId,
    /// Sources and target as typed, safe to print; empty where the journal cannot be read.
    pub command: String,
    /// When it was begun, where that can be read.
    pub started: Option<SystemTime>,
    /// When it was last written.
    pub last_written: SystemTime,
    /// Files finished.
    pub files: u64,
    /// Bytes acknowledged.
    pub bytes: u64,
    /// What can be done with it.
    pub state: State,
}

/// Lists the journals of a directory, the latest first. Where there is no directory there are none.
///
/// # Errors
/// The directory cannot be read. A journal that cannot be read is listed as such.
pub fn list(directory: &Path) -> Result<Vec<Listed>, JournalError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(JournalError::io("read the directory", directory)(error)),
    };
    let mut listed = Vec::new();
    for entry in entries {
        let entry = entry.map_err(JournalError::io("read the directory", directory))?;
        let name = entry.file_name();
        let id = name
            .to_str()
            .and_then(|name| name.strip_suffix(".journal")?.parse().ok());
        // One that is removed meanwhile is not there any more.
        if let (Some(id), Ok(metadata)) = (id, entry.metadata()) {
            let last_written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            listed.push(look(entry.path(), id, last_written));
        }
    }
    listed.sort_by_key(|one| std::cmp::Reverse(one.last_written));
    Ok(listed)
}

fn look(path: PathBuf, id: TransferId, last_written: SystemTime) -> Listed {
    let mut listed = Listed {
        id,
        command: String::new(),
        started: None,
        last_written,
        files: 0,
        bytes: 0,
        state: match lock::holder(&path) {
            Some(pid) => State::InUse { pid },
            None => State::Resumable,
        },
    };
    match load_at(&path) {
        Ok(Loaded { header, resume }) => {
            listed.command = command(&header.identity);
            listed.started = Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(header.started.0));
            listed.files = resume.finished_files();
            listed.bytes = resume.bytes();
        }
        Err(error) => listed.state = State::Unusable(error),
    }
    listed
}

fn command(identity: &Identity) -> String {
    let words = identity.sources.iter().chain([&identity.target]);
    let words: Vec<String> = words.map(|word| Printable(word).to_string()).collect();
    words.join(" ")
}

/// Reads the journal of a transfer without taking it, so that its command can be built again (`--resume`).
///
/// # Errors
/// There is none, it is damaged or of a later version, or the system refuses.
pub fn load(directory: &Path, id: &TransferId) -> Result<Loaded, JournalError> {
    match load_at(&path_in(directory, id)) {
        Err(JournalError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
            Err(JournalError::NotFound(id.clone()))
        }
        loaded => loaded,
    }
}

/// Reads a journal or checkpoint at a path that the user named.
///
/// # Errors
/// It is damaged or of a later version, or the system refuses.
pub fn load_at(path: &Path) -> Result<Loaded, JournalError> {
    let mut file = File::open(path).map_err(JournalError::io("open", path))?;
    let found = read::replay(&mut file).map_err(|failed| failed.at(path))?;
    Ok(Loaded {
        header: found.header,
        resume: found.resume,
    })
}

/// Takes the journal of a transfer so that it can be [removed](super::Journal::remove), with what is left of it at the
/// target still known (`--resume-drop`).
///
/// # Errors
/// There is none, it is in use, damaged or of a later version, or the system refuses.
pub fn take(directory: &Path, id: &TransferId) -> Result<Opened, JournalError> {
    open::open_existing(directory, id)
}

/// Removes a journal that cannot be read, without a look into it.
///
/// # Errors
/// It is in use, there is none, or the system refuses.
pub fn discard(directory: &Path, id: &TransferId) -> Result<(), JournalError> {
    let path = path_in(directory, id);
    let _lock = lock::Lock::take(&path, id.as_str())?;
    fs::remove_file(&path).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => JournalError::NotFound(id.clone()),
        _ => JournalError::io("remove", &path)(cause),
    })
}
