//! Finding the journal of a transfer, or beginning one.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use renkei_plan::journal::{Encoder, Header, Resume, TransferId};

use super::error::{Damage, JournalError, show};
use super::lock::Lock;
use super::read::{self, Failed, Replayed};
use super::writer::Journal;
use crate::whole_file;

/// A journal, locked for this run.
#[derive(Debug)]
pub struct Opened {
    /// To write to.
    pub journal: Journal,
    /// Its header: as it was stored, where there was one.
    pub header: Header,
    /// Where to go on; none for a new one.
    pub resume: Option<Resume>,
    /// What a person should know, such as that a damaged journal was set aside.
    pub note: Option<String>,
}

/// What to open.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions<'a> {
    /// Which transfer, and what to store if it is new.
    pub header: &'a Header,
    /// A checkpoint to go on from where there is no journal yet (mscp's `-R`). It is left as it is.
    pub checkpoint: Option<&'a Path>,
}

impl OpenOptions<'_> {
    /// Opens the transfer's journal in the state directory, which is made if it is not there.
    ///
    /// # Errors
    /// Another run is at work, the journal or checkpoint is of a later version or another transfer, the checkpoint is
    /// damaged, or the system refuses. A damaged journal is no error: it is set aside and a new one begun.
    pub fn open_in(&self, directory: &Path) -> Result<Opened, JournalError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(directory)
            .map_err(JournalError::io("make the directory", directory))?;
        let id = self.header.identity.id();
        self.open(path_in(directory, &id), id.to_string())
    }

    /// Opens a journal at a path that the user named.
    ///
    /// # Errors
    /// As [`Self::open_in`].
    pub fn open_at(&self, path: &Path) -> Result<Opened, JournalError> {
        self.open(path.to_owned(), show(path))
    }

    fn open(&self, path: PathBuf, name: String) -> Result<Opened, JournalError> {
        let lock = Lock::take(&path, &name)?;
        let mut note = None;
        let mut opened = open_for_append(&path).map_err(JournalError::io("open", &path))?;
        if opened.is_none()
            && let Some(checkpoint) = self.checkpoint
        {
            self.check(checkpoint)?;
            whole_file::copy(checkpoint, &path).map_err(JournalError::io("write", &path))?;
            opened = open_for_append(&path).map_err(JournalError::io("open", &path))?;
        }
        if let Some(mut file) = opened {
            match read::replay(&mut file) {
                Ok(found) if found.header.identity != self.header.identity => {
                    return Err(JournalError::Foreign { path });
                }
                Ok(found) if found.resume.is_complete() => remove(&path)?,
                Ok(found) => return resume((file, path, name), found, lock),
                // It was killed while it was being made: nothing was begun.
                Err(Failed::Damaged(Damage::NoHeader)) => remove(&path)?,
                Err(Failed::Damaged(damage)) => {
                    let aside = set_aside(&path)?;
                    note = Some(format!(
                        "the journal of an earlier run was damaged ({damage}) and is not used; it was set aside as {}",
                        show(&aside)
                    ));
                }
                Err(failed) => return Err(failed.at(&path)),
            }
        }
        let (file, encoder) = self.create(&path)?;
        Ok(Opened {
            journal: Journal::new(name, path, file, encoder, lock),
            header: self.header.clone(),
            resume: None,
            note,
        })
    }

    /// Refuses a checkpoint that cannot be resumed from, before it is taken over.
    fn check(&self, checkpoint: &Path) -> Result<(), JournalError> {
        let mut file = File::open(checkpoint).map_err(JournalError::io("open", checkpoint))?;
        let found = read::replay(&mut file).map_err(|failed| failed.at(checkpoint))?;
        if found.header.identity == self.header.identity {
            return Ok(());
        }
        let path = checkpoint.to_owned();
        Err(JournalError::Foreign { path })
    }

    fn create(&self, path: &Path) -> Result<(File, Encoder), JournalError> {
        let mut bytes = Vec::new();
        let encoder = Encoder::begin(self.header, &mut bytes).map_err(JournalError::TooLong)?;
        let mut options = fs::OpenOptions::new();
        options.read(true).append(true).create_new(true).mode(0o600);
        let mut file = options.open(path).map_err(JournalError::io("make", path))?;
        let written = file.write_all(&bytes).and_then(|()| file.sync_data());
        written.map_err(JournalError::io("write", path))?;
        whole_file::sync_parent(path).map_err(JournalError::io("sync the directory of", path))?;
        Ok((file, encoder))
    }
}

/// Opens a journal that must be there, as it is stored (`--resume-drop`).
///
/// # Errors
/// There is none, it is damaged, of a later version or in use, or the system refuses.
pub(super) fn open_existing(directory: &Path, id: &TransferId) -> Result<Opened, JournalError> {
    let path = path_in(directory, id);
    if !path.exists() {
        return Err(JournalError::NotFound(id.clone()));
    }
    let lock = Lock::take(&path, id.as_str())?;
    let opened = open_for_append(&path).map_err(JournalError::io("open", &path))?;
    let mut file = opened.ok_or_else(|| JournalError::NotFound(id.clone()))?;
    let found = read::replay(&mut file).map_err(|failed| failed.at(&path))?;
    resume((file, path, id.to_string()), found, lock)
}

fn resume((file, path, name): (File, PathBuf, String), found: Replayed, lock: Lock) -> Result<Opened, JournalError> {
    file.set_len(found.valid_len)
        .map_err(JournalError::io("cut the torn end off", &path))?;
    Ok(Opened {
        journal: Journal::new(name, path, file, found.encoder, lock),
        header: found.header,
        resume: Some(found.resume),
        note: None,
    })
}

/// Where the journal of a transfer is.
pub(super) fn path_in(directory: &Path, id: &TransferId) -> PathBuf {
    directory.join(format!("{id}.journal"))
}

fn open_for_append(path: &Path) -> io::Result<Option<File>> {
    match fs::OpenOptions::new().read(true).append(true).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> Result<(), JournalError> {
    fs::remove_file(path).map_err(JournalError::io("remove", path))
}

/// Renames to the first free `….damaged-N`; the lock keeps other runs from doing the same.
fn set_aside(path: &Path) -> Result<PathBuf, JournalError> {
    let mut number = 1_u64;
    loop {
        let aside = path.with_extension(format!("damaged-{number}"));
        if fs::symlink_metadata(&aside).is_err() {
            fs::rename(path, &aside).map_err(JournalError::io("set aside", path))?;
            return Ok(aside);
        }
        number += 1;
    }
}
