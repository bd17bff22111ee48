//! The names in a directory, a batch at a time.
//!
//! A directory may have millions of names: they come as the system gives them, unsorted, and are never held all at once.

use rustix::fs::{Dir, Mode, OFlags};

use super::error::{FileError, Operation};
use super::meta::{Kind, Meta};
use super::root::Root;
use super::sys;

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, any bytes but `/` and NUL.
    pub name: Vec<u8>,
    /// What it is where the directory tells; else ask [`Listing::stat`]. A link is told as such, also by a root that
    /// follows links.
    pub kind: Option<Kind>,
}

/// A directory being read.
#[derive(Debug)]
pub struct Listing<'a> {
    dir: Dir,
    root: &'a Root,
    rel: Vec<u8>,
}

impl Root {
    /// Begins to read the directory `rel`; the empty path is the root itself.
    ///
    /// # Errors
    /// It is no directory, or a link where links are not followed, or may not be read.
    pub fn list(&self, rel: &[u8]) -> Result<Listing<'_>, FileError> {
        let dir = self.dir_at(rel)?;
        // The handle may be one that can only be searched, so the directory is opened once more.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(sys::fd(&dir), ".", flags, Mode::empty())
            .and_then(Dir::new)
            .map_err(|error| self.fail(rel, Operation::List, error))?;
        Ok(Listing {
            dir,
            root: self,
            rel: rel.to_vec(),
        })
    }
}

impl Listing<'_> {
    /// Up to `most` further names without `.` and `..`; empty at the end.
    ///
    /// # Errors
    /// The directory can not be read further.
    pub fn next_batch(&mut self, most: usize) -> Result<Vec<Entry>, FileError> {
        let mut batch = Vec::new();
        while batch.len() < most {
            let entry = match self.dir.read() {
                None => break,
                Some(Ok(entry)) => entry,
                Some(Err(error)) => {
                    return Err(self.root.fail(&self.rel, Operation::List, error));
                }
            };
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                batch.push(Entry {
                    name: name.to_vec(),
                    kind: Kind::from_entry(entry.file_type()),
                });
            }
        }
        Ok(batch)
    }

    /// Attributes of one name in it; as [`Root::stat`], without finding the directory again.
    ///
    /// # Errors
    /// It is gone, or the system refuses.
    pub fn stat(&self, name: &[u8]) -> Result<Meta, FileError> {
        let stat = self
            .dir
            .fd()
            .and_then(|dir| rustix::fs::statat(dir, name, self.root.at_flags()));
        stat.map(|stat| Meta::from_stat(&stat)).map_err(|error| {
            let mut rel = self.rel.clone();
            if !rel.is_empty() {
                rel.push(b'/');
            }
            rel.extend_from_slice(name);
            self.root.fail(&rel, Operation::Stat, error)
        })
    }
}
