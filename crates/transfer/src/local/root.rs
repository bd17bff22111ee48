//! A directory below which everything happens.
//!
//! Names at the target come from a server that is not trusted, or from a tree that someone changes meanwhile. A [`Root`]
//! takes paths below one directory, refuses names that no directory has, and follows no symbolic link on the way: a
//! link that was copied a moment ago can not be used to write elsewhere. The user's own path to the root is followed as
//! any program would.
//!
//! It only finds places; what is done there stands in the modules beside this one.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::error::{BadName, FileError, Operation};
use super::meta::{Kind, Meta};
use super::parents::Parents;
use super::sys::{self, Resolver};

/// Longest path handed to one system call; Linux takes 4,095 bytes.
const LONGEST: usize = 4000;

/// Whether symbolic links below a root are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Never: every target, and sources without `--follow`.
    Refuse,
    /// Always: sources with `--follow`, and a source that was named by the user.
    Follow,
}

/// A directory, and the way to the names below it.
#[derive(Debug)]
pub struct Root {
    dir: Arc<OwnedFd>,
    path: Vec<u8>,
    links: Links,
    resolver: Resolver,
    parents: Mutex<Parents>,
}

/// A name in an open directory.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) dir: Arc<OwnedFd>,
    pub(super) name: &'a [u8],
}

impl Place<'_> {
    pub(super) fn dir(&self) -> BorrowedFd<'_> {
        sys::fd(&self.dir)
    }
}

/// Checks that `name` is one name inside a directory.
///
/// # Errors
/// It is empty, `.` or `..`, or has a `/` or NUL in it. Any other bytes are a name, also line ends and what is not UTF-8.
pub fn check_name(name: &[u8]) -> Result<(), BadName> {
    match name {
        b"" => Err(BadName::Empty),
        b"." | b".." => Err(BadName::Dots),
        _ if name.contains(&b'/') => Err(BadName::Slash),
        _ if name.contains(&0) => Err(BadName::Nul),
        _ => Ok(()),
    }
}

impl Root {
    /// Opens the directory `path` (bytes, relative to the working directory; links in it are followed).
    ///
    /// # Errors
    /// It is not there, is not a directory or may not be searched.
    pub fn open(path: &[u8], links: Links) -> Result<Self, FileError> {
        let dir = rustix::fs::open(path, sys::SEARCH, Mode::empty())
            .map_err(|error| FileError::io(path, Operation::Open, error))?;
        Ok(Self {
            resolver: Resolver::probe(sys::fd(&dir)),
            dir: Arc::new(dir),
            path: path.to_vec(),
            links,
            parents: Mutex::default(),
        })
    }

    /// As on a kernel without `openat2`.
    #[cfg(test)]
    pub(super) fn walking(mut self) -> Self {
        self.resolver = Resolver::Walk;
        self
    }

    /// Whether links below are followed.
    #[must_use]
    pub fn links(&self) -> Links {
        self.links
    }

    /// The whole path of `rel`, for messages.
    #[must_use]
    pub fn path_of(&self, rel: &[u8]) -> Vec<u8> {
        let mut path = self.path.clone();
        if !rel.is_empty() {
            if !path.ends_with(b"/") {
                path.push(b'/');
            }
            path.extend_from_slice(rel);
        }
        path
    }

    /// Attributes of what stands at `rel`; the empty path is the root itself. A link is not followed, unless the root
    /// follows links.
    ///
    /// # Errors
    /// The path has a name that is none, leads through a link or a file, or the system refuses.
    pub fn stat(&self, rel: &[u8]) -> Result<Meta, FileError> {
        let fail = |error| self.fail(rel, Operation::Stat, error);
        if rel.is_empty() {
            let stat = rustix::fs::fstat(sys::fd(&self.dir)).map_err(fail)?;
            return Ok(Meta::from_stat(&stat));
        }
        let place = self.place(rel)?;
        let stat = rustix::fs::statat(place.dir(), place.name, self.at_flags()).map_err(fail)?;
        Ok(Meta::from_stat(&stat))
    }

    /// [`Root::stat`], with none for what is not there.
    ///
    /// # Errors
    /// As [`Root::stat`], except that nothing stands there.
    pub fn find(&self, rel: &[u8]) -> Result<Option<Meta>, FileError> {
        match self.stat(rel) {
            Ok(meta) => Ok(Some(meta)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where the link at `rel` points, bytes as they stand in it.
    ///
    /// # Errors
    /// As [`Root::stat`], or it is not a link.
    pub fn read_link(&self, rel: &[u8]) -> Result<Vec<u8>, FileError> {
        let place = self.place(rel)?;
        rustix::fs::readlinkat(place.dir(), place.name, Vec::new())
            .map(std::ffi::CString::into_bytes)
            .map_err(|error| self.fail(rel, Operation::ReadLink, error))
    }

    pub(super) fn at_flags(&self) -> AtFlags {
        match self.links {
            Links::Refuse => AtFlags::SYMLINK_NOFOLLOW,
            Links::Follow => AtFlags::empty(),
        }
    }

    pub(super) fn open_flags(&self) -> OFlags {
        match self.links {
            Links::Refuse => OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Links::Follow => OFlags::CLOEXEC,
        }
    }

    /// Splits `rel` into the open directory above and the last name.
    pub(super) fn place<'a>(&self, rel: &'a [u8]) -> Result<Place<'a>, FileError> {
        let (above, name) = split(rel);
        self.check(rel, name)?;
        Ok(Place {
            dir: self.dir_at(above)?,
            name,
        })
    }

    /// The open directory at `rel`.
    pub(super) fn dir_at(&self, rel: &[u8]) -> Result<Arc<OwnedFd>, FileError> {
        if rel.is_empty() {
            return Ok(Arc::clone(&self.dir));
        }
        let closest = self.parents().closest(rel);
        let (known, from) = match closest {
            Some((length, dir)) if length == rel.len() => return Ok(dir),
            Some((length, dir)) => (length + 1, dir),
            None => (0, Arc::clone(&self.dir)),
        };
        let missing = &rel[known..];
        for name in missing.split(|&byte| byte == b'/') {
            self.check(rel, name)?;
        }
        let dir = self
            .open_dir(&from, missing)
            .map(Arc::new)
            .map_err(|error| self.explain(rel, error))?;
        self.parents().keep(rel, &dir);
        Ok(dir)
    }

    /// Forgets open directories at and below `rel`, before it is removed.
    pub(super) fn forget(&self, rel: &[u8]) {
        self.parents().forget(rel);
    }

    /// The error of an operation at `rel`.
    pub(super) fn fail(&self, rel: &[u8], operation: Operation, error: impl Into<std::io::Error>) -> FileError {
        FileError::io(&self.path_of(rel), operation, error)
    }

    fn parents(&self) -> std::sync::MutexGuard<'_, Parents> {
        // Parents are whole after every statement, so a panic elsewhere leaves nothing to fear.
        self.parents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, rel: &[u8], name: &[u8]) -> Result<(), FileError> {
        check_name(name).map_err(|source| FileError::Name {
            path: self.path_of(rel),
            source,
        })
    }

    fn open_dir(&self, from: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
        let from = sys::fd(from);
        if self.links == Links::Follow && path.len() <= LONGEST {
            return rustix::fs::openat(from, path, sys::SEARCH, Mode::empty());
        }
        let is_deep = path.contains(&b'/');
        if self.resolver == Resolver::Kernel && is_deep && path.len() <= LONGEST {
            match sys::open_beneath(from, path) {
                // The tree was renamed while the kernel looked.
                Err(Errno::AGAIN) => {}
                result => return result,
            }
        }
        let mut names = path.split(|&byte| byte == b'/');
        let first = names.next().unwrap_or_default();
        names.try_fold(self.open_step(from, first)?, |dir, name| {
            self.open_step(sys::fd(&dir), name)
        })
    }

    fn open_step(&self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
        match self.links {
            Links::Refuse => sys::open_name(dir, name),
            Links::Follow => rustix::fs::openat(dir, name, sys::SEARCH, Mode::empty()),
        }
    }

    /// Says which name on the way to the directory `rel` is no directory; the system tells only that one is not.
    fn explain(&self, rel: &[u8], error: Errno) -> FileError {
        if self.links == Links::Refuse && matches!(error, Errno::LOOP | Errno::NOTDIR) {
            let ends = rel.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            let ends = ends.map(|(at, _)| at).chain([rel.len()]);
            for end in ends {
                let path = &rel[..end];
                match self.stat(path).map(|meta| meta.kind) {
                    Ok(Kind::Dir) => {}
                    Ok(Kind::Link) => {
                        return FileError::ThroughLink {
                            path: self.path_of(path),
                        };
                    }
                    Ok(kind) => {
                        return FileError::NotADirectory {
                            path: self.path_of(path),
                            found: kind.name(),
                        };
                    }
                    Err(_) => break,
                }
            }
        }
        self.fail(rel, Operation::Open, error)
    }
}

/// The path above, and the last name.
fn split(rel: &[u8]) -> (&[u8], &[u8]) {
    match rel.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&rel[..at], &rel[at + 1..]),
        None => (b"", rel),
    }
}
