//! One run a transfer.
//!
//! The lock is a file of its own, so that the journal can be set aside or removed while it is held. It holds the number
//! of the process for the message to the second one; what counts is the lock, which the system takes back from a process
//! that is killed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::error::JournalError;

/// `--resume-list` holds a lock for a moment to see whether it is free; no run fails because of that.
const GLANCE: Duration = Duration::from_millis(200);

/// Held until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    /// Locked for as long as it is open.
    _file: File,
}

impl Lock {
    /// Takes the lock of the journal at `journal`, which is called `name` in messages.
    pub(super) fn take(journal: &Path, name: &str) -> Result<Self, JournalError> {
        let path = path_for(journal);
        let deadline = Instant::now() + GLANCE;
        loop {
            let mut file = open(&path).map_err(JournalError::io("open", &path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    thread::sleep(GLANCE / 20);
                    continue;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(JournalError::InUse {
                        name: name.to_owned(),
                        pid: read_pid(&mut file),
                    });
                }
                Err(TryLockError::Error(cause)) => return Err(JournalError::io("lock", &path)(cause)),
            }
            // The one before removes the file when it ends: then this is the lock of a file that no one else will find.
            if is_at(&file, &path) {
                write_pid(&mut file).map_err(JournalError::io("write", &path))?;
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Left over, it does no harm.
        let _ = fs::remove_file(&self.path);
    }
}

/// Which process holds the lock: none if it is free, `Some(None)` if its number cannot be read.
pub(super) fn holder(journal: &Path) -> Option<Option<u32>> {
    let mut file = File::open(path_for(journal)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(read_pid(&mut file)),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// `ID.lock` for `ID.journal`; `NAME.lock` for a journal of any other name.
fn path_for(journal: &Path) -> PathBuf {
    if journal.extension().is_some_and(|extension| extension == "journal") {
        return journal.with_extension("lock");
    }
    let mut name = journal.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path)
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all(std::process::id().to_string().as_bytes())
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
