//! What the servers of all connections share: files in the plan's folder.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};

const COUNTS: &str = "counts";
const STRUCK: &str = "struck";
pub(super) const UNSYNCED: &str = "unsynced";

/// Servers may run as other users than the test.
pub(super) fn open_to_all(folder: &Path) -> Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o777))
        .with_context(|| format!("cannot open `{}` to all", folder.display()))
}

/// Forgets everything.
pub(super) fn reset(folder: &Path) -> Result<()> {
    [COUNTS, STRUCK, UNSYNCED]
        .into_iter()
        .try_for_each(|name| remove(folder, name))
}

/// Forgets what was written and not synced.
pub(super) fn reset_unsynced(folder: &Path) -> Result<()> {
    remove(folder, UNSYNCED)
}

fn remove(folder: &Path, name: &str) -> Result<()> {
    let path = folder.join(name);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{}`", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Adds `more` to the count of this number; gives what it was before.
pub(super) fn add(folder: &Path, number: usize, more: u64) -> io::Result<u64> {
    let file = all_may_write().read(true).write(true).open(folder.join(COUNTS))?;
    // Unlocked when closed.
    flock(&file, FlockOperation::LockExclusive)?;
    let mut bytes = [0; 8];
    let offset = number as u64 * 8;
    let before = match file.read_exact_at(&mut bytes, offset) {
        Ok(()) => u64::from_be_bytes(bytes),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => 0,
        Err(error) => return Err(error),
    };
    file.write_all_at(&(before + more).to_be_bytes(), offset)?;
    Ok(before)
}

/// Notes that a fault has struck.
pub(super) fn strike(folder: &Path) -> io::Result<()> {
    append(folder, STRUCK)?.write_all(b"!")
}

/// How often one has.
pub(super) fn struck(folder: &Path) -> usize {
    fs::read(folder.join(STRUCK)).map_or(0, |marks| marks.len())
}

/// A file at whose end every write lands whole.
pub(super) fn append(folder: &Path, name: &str) -> io::Result<File> {
    all_may_write().append(true).open(folder.join(name))
}

fn all_may_write() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o666);
    options
}
