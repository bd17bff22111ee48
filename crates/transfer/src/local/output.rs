//! Writing one file at the target.
//!
//! A file is written beside its final name, under a short temporary name that only its owner can read, and takes the
//! final name when it is whole. Three exceptions, told by [`Manner`]: in place because it was asked for, in place because
//! the directory may not be written, and a device or FIFO that is written through.
//!
//! No space is reserved ahead: it would fill holes, and some file systems do it by writing zeros. Dropping an
//! [`Output`] leaves the temporary file for a later resume.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::error::{FileError, Operation};
use super::meta::{Attributes, Kind, Meta, Special, Time};
use super::root::{Root, check_name};
use super::source::{file_meta, read};
use super::sys;

/// `IOV_MAX` of Linux and the BSDs: more slices in one call are refused.
const MOST_SLICES: usize = 1024;

/// Only the owner may read a file that is not whole.
pub(super) const UNFINISHED: Mode = Mode::from_bits_retain(0o600);

/// How a file comes to its final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Beside it and renamed.
    Temporary,
    /// Straight into it; a break leaves a half file.
    InPlace,
    /// Straight into it although that was not asked for, because its directory may not be written.
    DirectoryReadOnly,
    /// Through a device or FIFO, in order.
    Stream,
}

/// What happens to a file that stands under the final name already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced in one step.
    #[default]
    Replace,
    /// It stays, and finishing fails.
    Keep,
}

/// What the file becomes in the end.
#[derive(Clone, Copy, Debug)]
pub struct Finish {
    /// Its length; a device has none and ignores it.
    pub length: u64,
    /// Its permissions and times.
    pub attributes: Attributes,
    /// What happens to one that is there; in place it is written already.
    pub existing: Existing,
}

/// A finished file as it stands at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Bytes.
    pub size: u64,
    /// Last change as the file system keeps it.
    pub mtime: Time,
}

/// A file being written. Any number of threads may write at the same time.
#[derive(Debug)]
pub struct Output {
    file: OwnedFd,
    path: Vec<u8>,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Temporary(Temporary),
    InPlace(Manner),
    Stream(Special, Mutex<u64>),
}

#[derive(Debug)]
struct Temporary {
    dir: Arc<OwnedFd>,
    temp: Vec<u8>,
    name: Vec<u8>,
}

impl Root {
    /// Begins a new file that is going to be `rel`, under the name `temp` in the same directory.
    ///
    /// Where the directory may not be written but the file may, it is opened in place; [`Output::manner`] tells.
    ///
    /// # Errors
    /// A directory stands at `rel`, something stands at `temp`, a name is none, or the system refuses.
    pub fn create(&self, rel: &[u8], temp: &[u8]) -> Result<Output, FileError> {
        // Before the first byte is sent, not when a large file is to be renamed.
        if let Some(meta) = self.find(rel)?
            && meta.kind == Kind::Dir
        {
            return Err(FileError::NotAFile {
                path: self.path_of(rel),
                found: meta.kind.name(),
            });
        }
        self.create_unlooked(rel, temp)
    }

    /// [`Root::create`] without looking what stands there: renaming over a directory fails anyway.
    pub(super) fn create_unlooked(&self, rel: &[u8], temp: &[u8]) -> Result<Output, FileError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        match self.open_temp(rel, temp, flags) {
            Err(error) if is_refused(&error) => self.open_existing(rel, Manner::DirectoryReadOnly).map_err(|_| error),
            result => result,
        }
    }

    /// Goes on with the temporary file that an earlier run left for `rel`.
    ///
    /// # Errors
    /// It is not there, is not a regular file, or the system refuses.
    pub fn resume(&self, rel: &[u8], temp: &[u8]) -> Result<Output, FileError> {
        let output = self.open_temp(rel, temp, OFlags::RDWR | OFlags::NONBLOCK)?;
        file_meta(&output.file, &output.path)?;
        Ok(output)
    }

    /// Opens `rel` to be written in place; it is made where it is not there.
    ///
    /// What stands in it stays until it is written over or cut off by [`Output::finish`]: to leave holes in a file that
    /// had content, call [`Output::set_len`] with zero first.
    ///
    /// # Errors
    /// It is not a regular file, or the system refuses.
    pub fn open_in_place(&self, rel: &[u8]) -> Result<Output, FileError> {
        match self.open_existing(rel, Manner::InPlace) {
            Err(error) if error.is_missing() => {}
            result => return result,
        }
        let place = self.place(rel)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(place.dir(), place.name, flags, UNFINISHED)
            .map_err(|error| self.fail(rel, Operation::Create, error))?;
        Ok(Output {
            file,
            path: self.path_of(rel),
            way: Way::InPlace(Manner::InPlace),
        })
    }

    fn open_temp(&self, rel: &[u8], temp: &[u8], flags: OFlags) -> Result<Output, FileError> {
        let place = self.place(rel)?;
        let path = self.path_of(rel);
        check_name(temp).map_err(|source| FileError::Name {
            path: temp.to_vec(),
            source,
        })?;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let operation = if flags.contains(OFlags::CREATE) {
            Operation::Create
        } else {
            Operation::Open
        };
        let file = rustix::fs::openat(place.dir(), temp, flags, UNFINISHED)
            .map_err(|error| FileError::io(&path, operation, error))?;
        Ok(Output {
            file,
            path,
            way: Way::Temporary(Temporary {
                name: place.name.to_vec(),
                dir: place.dir,
                temp: temp.to_vec(),
            }),
        })
    }

    fn open_existing(&self, rel: &[u8], manner: Manner) -> Result<Output, FileError> {
        let place = self.place(rel)?;
        let path = self.path_of(rel);
        let open = |access| {
            let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            rustix::fs::openat(place.dir(), place.name, flags, Mode::empty())
        };
        let file = match open(OFlags::RDWR) {
            // Writing may be allowed where reading is not.
            Err(Errno::ACCESS) => open(OFlags::WRONLY),
            result => result,
        };
        let file = file.map_err(|error| match error {
            Errno::LOOP => FileError::ThroughLink { path: path.clone() },
            _ => FileError::io(&path, Operation::Open, error),
        })?;
        file_meta(&file, &path)?;
        Ok(Output {
            file,
            path,
            way: Way::InPlace(manner),
        })
    }
}

/// Whether making a name in the directory was refused, which says nothing about the file itself.
fn is_refused(error: &FileError) -> bool {
    matches!(error, FileError::Io { source, .. }
        if matches!(Errno::from_io_error(source), Some(Errno::ACCESS | Errno::PERM)))
}

/// Opens a device or FIFO that the user named, to be written through. A FIFO waits for its reader, as with any program.
///
/// # Errors
/// It is none, or may not be written.
pub fn open_stream(path: &[u8]) -> Result<Output, FileError> {
    let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fail = |error| FileError::io(path, Operation::Open, error);
    let file = loop {
        match rustix::fs::open(path, flags, Mode::empty()) {
            Err(Errno::INTR) => {}
            result => break result.map_err(fail)?,
        }
    };
    let stat = rustix::fs::fstat(sys::fd(&file)).map_err(fail)?;
    let special = match Meta::from_stat(&stat).kind {
        Kind::Other(special) => special,
        kind => {
            return Err(FileError::NotASpecial {
                path: path.to_vec(),
                found: kind.name(),
            });
        }
    };
    Ok(Output {
        file,
        path: path.to_vec(),
        way: Way::Stream(special, Mutex::new(0)),
    })
}

impl Output {
    /// How it comes to its final name.
    #[must_use]
    pub fn manner(&self) -> Manner {
        match &self.way {
            Way::Temporary(_) => Manner::Temporary,
            Way::InPlace(manner) => *manner,
            Way::Stream(..) => Manner::Stream,
        }
    }

    /// Its attributes as it stands.
    ///
    /// # Errors
    /// The system refuses.
    pub fn meta(&self) -> Result<Meta, FileError> {
        rustix::fs::fstat(sys::fd(&self.file))
            .map(|stat| Meta::from_stat(&stat))
            .map_err(|error| self.fail(Operation::Stat, error))
    }

    /// Writes all of `parts`, one after the other, from `offset` on. The slices are used up.
    ///
    /// # Errors
    /// Writing fails, or a device or FIFO is not written in order.
    pub fn write_at(&self, offset: u64, parts: &mut [IoSlice<'_>]) -> Result<(), FileError> {
        let Way::Stream(special, next) = &self.way else {
            let write = |parts: &[IoSlice<'_>], at| rustix::io::pwritev(sys::fd(&self.file), parts, at);
            return self.write_all(offset, parts, write).map(|_| ());
        };
        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
        if *next != offset {
            return Err(FileError::OutOfOrder {
                path: self.path.clone(),
                special: *special,
            });
        }
        let write = |parts: &[IoSlice<'_>], _| rustix::io::writev(sys::fd(&self.file), parts);
        *next = self.write_all(offset, parts, write)?;
        Ok(())
    }

    /// The end of what was written.
    fn write_all(
        &self,
        mut at: u64,
        mut parts: &mut [IoSlice<'_>],
        write: impl Fn(&[IoSlice<'_>], u64) -> Result<usize, Errno>,
    ) -> Result<u64, FileError> {
        // Empty slices at the front would look like a write of nothing.
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            let some = &parts[..parts.len().min(MOST_SLICES)];
            match write(some, at) {
                Ok(0) => {
                    let error = io::Error::from(io::ErrorKind::WriteZero);
                    return Err(self.fail(Operation::Write, error));
                }
                Ok(written) => {
                    at += written as u64;
                    IoSlice::advance_slices(&mut parts, written);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(self.fail(Operation::Write, error)),
            }
        }
        Ok(at)
    }

    /// Reads back `length` bytes from `offset` on; fewer only at the end of the file.
    ///
    /// # Errors
    /// Reading fails; a device, a FIFO, or a file that may be written but not read in place.
    pub fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, FileError> {
        read(&self.file, offset, length).map_err(|error| self.fail(Operation::Read, error))
    }

    /// Sets the length; what is added is a hole.
    ///
    /// # Errors
    /// The system refuses; a device or FIFO.
    pub fn set_len(&self, length: u64) -> Result<(), FileError> {
        retry(|| rustix::fs::ftruncate(sys::fd(&self.file), length))
            .map_err(|error| self.fail(Operation::Resize, error))
    }

    /// Waits until what was written is on stable storage.
    ///
    /// # Errors
    /// It could not be brought there; what was written since the last sync may be lost.
    pub fn sync(&self) -> Result<(), FileError> {
        match retry(|| rustix::fs::fsync(sys::fd(&self.file))) {
            // A FIFO or terminal has no storage.
            Err(Errno::INVAL) if matches!(self.way, Way::Stream(..)) => Ok(()),
            result => result.map_err(|error| self.fail(Operation::Sync, error)),
        }
    }

    /// Gives the whole file its length, attributes and name, in this order. If it fails the temporary file is removed and
    /// the final name is as it was.
    ///
    /// # Errors
    /// One of the steps is refused, or closing tells that the disk is full.
    pub fn finish(self, finish: &Finish) -> Result<Stored, FileError> {
        match self.complete(finish) {
            Ok(stored) => self.publish(finish.existing).map(|()| stored),
            Err(error) => {
                self.discard();
                Err(error)
            }
        }
    }

    /// Ends without a file: the temporary one is removed. In place, what was written stays.
    pub fn discard(self) {
        if let Way::Temporary(temporary) = &self.way {
            temporary.remove();
        }
    }

    fn complete(&self, finish: &Finish) -> Result<Stored, FileError> {
        if let Way::Stream(_, written) = &self.way {
            let size = *written.lock().unwrap_or_else(PoisonError::into_inner);
            let mtime = self.meta()?.mtime;
            return Ok(Stored { size, mtime });
        }
        let mut meta = self.meta()?;
        let resized = meta.size != finish.length;
        if resized {
            self.set_len(finish.length)?;
        }
        self.set_attributes(&finish.attributes, &meta)?;
        if resized || finish.attributes.times.is_some() {
            meta = self.meta()?;
        }
        Ok(Stored {
            size: meta.size,
            mtime: meta.mtime,
        })
    }

    fn set_attributes(&self, attributes: &Attributes, before: &Meta) -> Result<(), FileError> {
        // Somebody else's file that we may write keeps its attributes, as with scp.
        let allowed = |result: Result<(), Errno>| match result {
            Err(Errno::PERM) if !sys::is_ours(before.owner) => Ok(()),
            result => result,
        };
        let mode = attributes.permissions.for_file();
        allowed(rustix::fs::fchmod(sys::fd(&self.file), mode)).map_err(|error| self.fail(Operation::Chmod, error))?;
        if let Some(times) = attributes.times {
            allowed(rustix::fs::futimens(sys::fd(&self.file), &times.timestamps()))
                .map_err(|error| self.fail(Operation::SetTimes, error))?;
        }
        Ok(())
    }

    fn publish(self, existing: Existing) -> Result<(), FileError> {
        let Self { file, path, way } = self;
        let closed = sys::close(file).map_err(|error| FileError::io(&path, Operation::Close, error));
        let Way::Temporary(temporary) = way else {
            return closed;
        };
        let named = closed.and_then(|()| {
            temporary
                .rename(existing)
                .map_err(|error| FileError::io(&path, Operation::Rename, error))
        });
        if named.is_err() {
            temporary.remove();
        }
        named
    }

    fn fail(&self, operation: Operation, error: impl Into<io::Error>) -> FileError {
        FileError::io(&self.path, operation, error)
    }
}

impl Temporary {
    fn rename(&self, existing: Existing) -> Result<(), Errno> {
        let dir = sys::fd(&self.dir);
        match existing {
            Existing::Replace => rustix::fs::renameat(dir, &self.temp, dir, &self.name),
            Existing::Keep => sys::rename_new((dir, &self.temp), (dir, &self.name)),
        }
    }

    /// Without an error: it is called when there is one already, or nobody asks any more.
    fn remove(&self) {
        if let Err(error) = rustix::fs::unlinkat(sys::fd(&self.dir), &self.temp, AtFlags::empty()) {
            log::debug!("a temporary file stays behind: {error}");
        }
    }
}

fn retry(mut call: impl FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
