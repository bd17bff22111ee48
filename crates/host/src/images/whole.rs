//! Files that are there whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use renkei_types::tree_hash::RootHasher;
use uuid::Uuid;

use super::{Digest, ImagesError};

/// What is not whole yet begins so.
const NEW: &str = ".new-";
/// Held shared by those that write in the folder, and alone by the one that sweeps it.
const LOCK: &str = ".lock";
/// Bytes that are read at once.
const BLOCK: usize = 1024 * 1024;

/// Removes what a crash has left in a folder; nothing while somebody writes there.
pub(super) fn sweep(folder: &Path) -> Result<(), ImagesError> {
    let lock = lock_file(folder)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(source)) => return Err(ImagesError::file("lock", folder.join(LOCK))(source)),
    }
    for entry in fs::read_dir(folder).map_err(ImagesError::file("read", folder))? {
        let entry = entry.map_err(ImagesError::file("read", folder))?;
        if is_ours(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path()).map_err(ImagesError::file("remove", entry.path()))?;
        }
    }
    Ok(())
}

/// Copies a file into a folder under its digest.
pub(super) fn copy_in(mut source: &File, from: &Path, folder: &Path) -> Result<Digest, ImagesError> {
    let draft = Draft::begin(folder, 0o444)?;
    let mut hasher = RootHasher::new();
    let mut block = vec![0; BLOCK];
    loop {
        let length = match source.read(&mut block) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ImagesError::file("read", from)(error)),
        };
        hasher.update(&block[..length]);
        draft.write(&block[..length])?;
    }
    let digest = hasher.finish();
    let path = folder.join(digest.to_string());
    // Another length means that the disk has lost something of it: then it is put there anew.
    if path
        .metadata()
        .is_ok_and(|there| there.is_file() && there.len() == hasher.len())
    {
        return Ok(digest);
    }
    draft.finish(&path)?;
    Ok(digest)
}

/// Puts a text in place of a file.
pub(super) fn put(path: &Path, text: &[u8]) -> Result<(), ImagesError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let draft = Draft::begin(folder, 0o644)?;
    draft.write(text)?;
    draft.finish(path)
}

/// A file that is not whole yet; it goes when this is dropped.
struct Draft {
    file: File,
    path: PathBuf,
    _lock: File,
}

impl Draft {
    fn begin(folder: &Path, mode: u32) -> Result<Self, ImagesError> {
        let lock = lock_file(folder)?;
        lock.lock_shared()
            .map_err(ImagesError::file("lock", folder.join(LOCK)))?;
        let path = folder.join(format!("{NEW}{}", Uuid::now_v7().simple()));
        let file = File::create_new(&path).map_err(ImagesError::file("make", &path))?;
        let draft = Self {
            file,
            path,
            _lock: lock,
        };
        // Set, and not asked for when it is made, because the mask of the process would take from that.
        let set = draft.file.set_permissions(Permissions::from_mode(mode));
        set.map_err(ImagesError::file("make", &draft.path))?;
        Ok(draft)
    }

    fn write(&self, bytes: &[u8]) -> Result<(), ImagesError> {
        (&self.file)
            .write_all(bytes)
            .map_err(ImagesError::file("write", &self.path))
    }

    fn finish(self, path: &Path) -> Result<(), ImagesError> {
        self.file.sync_all().map_err(ImagesError::file("sync", &self.path))?;
        fs::rename(&self.path, path).map_err(ImagesError::file("write", path))?;
        // The rename itself has to reach the disk.
        let folder = path.parent().unwrap_or(Path::new("."));
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(ImagesError::file("sync", folder))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After the rename there is nothing under this name.
        let _gone = fs::remove_file(&self.path);
    }
}

fn lock_file(folder: &Path) -> Result<File, ImagesError> {
    let path = folder.join(LOCK);
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    opened.map_err(ImagesError::file("open", path))
}

/// Whether a name is one of a [`Draft`].
fn is_ours(name: &str) -> bool {
    name.strip_prefix(NEW).is_some_and(|rest| Uuid::try_parse(rest).is_ok())
}
