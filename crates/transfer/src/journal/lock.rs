//! One run a transfer.
//!
//! The lock is a file of its own, so that the journal can be set aside or removed while it is held. It holds the number
//! of the process for the message to the second one; what counts is the lock, which the system takes back from a process
//! that is killed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

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
                Err(TryLockError::Error(cause)) if cause.kind() == io::ErrorKind::Unsupported => {
                    refuse_living(&mut file, name)?;
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

/// Instead of a lock where the file system has none, as Lustre mounted without `flock`: the process that wrote its number
/// must have ended. Two that start at the same moment are not told apart there.
fn refuse_living(file: &mut File, name: &str) -> Result<(), JournalError> {
    let pid = read_pid(file).filter(|pid| *pid != std::process::id());
    let number = pid.and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
    match number.map(test_kill_process) {
        None | Some(Err(Errno::SRCH)) => Ok(()),
        Some(_) => Err(JournalError::InUse {
            name: name.to_owned(),
            pid,
        }),
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
    file.rewind()?;
    file.write_all(std::process::id().to_string().as_bytes())
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_locks_a_process_that_has_ended_does_not_stand_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let with = |pid: &str| {
            let path = dir.path().join("lock");
            fs::write(&path, pid).unwrap();
            refuse_living(&mut File::open(&path).unwrap(), "name")
        };
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id();
        let living = with(&pid.to_string());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(matches!(living, Err(JournalError::InUse { pid: Some(found), .. }) if found == pid));
        for other in [
            pid.to_string(),
            std::process::id().to_string(),
            String::new(),
            "junk".to_owned(),
        ] {
            assert!(with(&other).is_ok(), "{other}");
        }
    }
}
