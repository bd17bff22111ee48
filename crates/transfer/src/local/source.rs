//! Reading one file at the source.
//!
//! A file is opened only if it is a regular one when it is opened: a FIFO or device that took its place after the scan is
//! neither waited for nor read.

use std::ops::Range;
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::error::{FileError, Operation};
use super::meta::{Kind, Meta};
use super::root::{Links, Root};
use super::sys;

/// From this size on the kernel is told that a file is read from front to back.
const LARGE: u64 = 4 << 20;

/// Holes are looked for in data by blocks of this size, which is what file systems allocate.
const BLOCK: usize = 4096;

/// A regular file open for reading. Any number of threads may read at the same time.
#[derive(Debug)]
pub struct Source {
    file: OwnedFd,
    path: Vec<u8>,
    meta: Meta,
}

impl Root {
    /// Opens the file `rel` for reading.
    ///
    /// # Errors
    /// It is not a regular file, or a link where links are not followed, or may not be read.
    pub fn open_source(&self, rel: &[u8]) -> Result<Source, FileError> {
        let place = self.place(rel)?;
        // Without NONBLOCK the opening of a FIFO waits for a writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | self.open_flags();
        let file = rustix::fs::openat(place.dir(), place.name, flags, Mode::empty()).map_err(|error| {
            match (error, self.links()) {
                (Errno::LOOP, Links::Refuse) => FileError::ThroughLink {
                    path: self.path_of(rel),
                },
                _ => self.fail(rel, Operation::Open, error),
            }
        })?;
        let path = self.path_of(rel);
        let meta = file_meta(&file, &path)?;
        if meta.size >= LARGE {
            sys::advise_sequential(sys::fd(&file));
        }
        Ok(Source { file, path, meta })
    }
}

impl Source {
    /// Attributes at the moment it was opened.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Fills `buffer` from `offset` on and returns how many bytes there were; fewer only at the end of the file.
    ///
    /// # Errors
    /// Reading fails.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, FileError> {
        read_at(&self.file, offset, buffer).map_err(|error| FileError::io(&self.path, Operation::Read, error))
    }

    /// Reads `length` bytes from `offset` on; fewer only at the end of the file.
    ///
    /// # Errors
    /// Reading fails.
    pub fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, FileError> {
        read(&self.file, offset, length).map_err(|error| FileError::io(&self.path, Operation::Read, error))
    }

    /// Compares the file with what it was when it was opened.
    ///
    /// # Errors
    /// [`FileError::Changed`] if size or time of change are not the same any more.
    pub fn check_unchanged(&self) -> Result<(), FileError> {
        if self.meta.is_unchanged(&file_meta(&self.file, &self.path)?) {
            Ok(())
        } else {
            Err(FileError::Changed {
                path: self.path.clone(),
            })
        }
    }

    /// The runs of data between its holes, in order; the whole file where holes can not be told.
    pub fn extents(&self) -> Extents<'_> {
        Extents { source: self, from: 0 }
    }
}

/// Iterator over the runs of data of a file; ends after an error.
#[derive(Debug)]
pub struct Extents<'a> {
    source: &'a Source,
    from: u64,
}

impl Iterator for Extents<'_> {
    type Item = Result<Range<u64>, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let size = self.source.meta.size;
        match sys::next_data(sys::fd(&self.source.file), self.from, size) {
            Ok(run) => {
                self.from = run.as_ref().map_or(size, |run| run.end);
                run.map(Ok)
            }
            Err(error) => {
                self.from = size;
                Some(Err(FileError::io(&self.source.path, Operation::Read, error)))
            }
        }
    }
}

/// The parts of `data` that are not zeros, in whole blocks of 4 KiB counted from its start.
///
/// For a source that can not tell its holes, such as a file at an SFTP server: what is not written stays a hole.
pub fn nonzero_runs(data: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let is_hole = |at: usize| {
            let end = data.len().min(at + BLOCK);
            data[at..end].iter().all(|&byte| byte == 0)
        };
        while at < data.len() && is_hole(at) {
            at += BLOCK;
        }
        let start = at;
        while at < data.len() && !is_hole(at) {
            at += BLOCK;
        }
        (start < data.len()).then(|| start..at.min(data.len()))
    })
}

/// Attributes of an open file.
///
/// # Errors
/// It is not a regular file.
pub(super) fn file_meta(file: &OwnedFd, path: &[u8]) -> Result<Meta, FileError> {
    let stat = rustix::fs::fstat(sys::fd(file)).map_err(|error| FileError::io(path, Operation::Stat, error))?;
    let meta = Meta::from_stat(&stat);
    match meta.kind {
        Kind::File => Ok(meta),
        kind => Err(FileError::NotAFile {
            path: path.to_vec(),
            found: kind.name(),
        }),
    }
}

/// Reads until `buffer` is full or the file ends.
pub(super) fn read_at(file: &OwnedFd, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while done < buffer.len() {
        match rustix::io::pread(sys::fd(file), &mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// [`read_at`] into memory that is not zeroed first.
pub(super) fn read(file: &OwnedFd, offset: u64, length: usize) -> Result<Vec<u8>, Errno> {
    let mut data = Vec::with_capacity(length);
    while data.len() < length {
        let at = offset + data.len() as u64;
        match rustix::io::pread(sys::fd(file), spare_capacity(&mut data), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    // A vector may have more room than was asked for.
    data.truncate(length);
    Ok(data)
}
