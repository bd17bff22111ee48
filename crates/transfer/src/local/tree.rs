//! Directories, symbolic links and hard links at the target.

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::error::{FileError, Operation};
use super::meta::{Attributes, Kind, Meta, Permissions, Times, mode_of};
use super::root::{Place, Root, check_name};
use super::sys;

/// A directory is its owner's alone until everything in it is done.
const UNFINISHED_DIR: u32 = 0o700;

/// Whether a directory had to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It is new, with mode 0700.
    New,
    /// It was there.
    Existed,
}

/// A symbolic link to make.
#[derive(Clone, Copy, Debug)]
pub struct NewLink<'a> {
    /// Its path below the root.
    pub rel: &'a [u8],
    /// Its text; any bytes, never looked at.
    pub target: &'a [u8],
    /// A free name in the same directory, used where something stands at `rel`.
    pub temp: &'a [u8],
    /// Its times; none: as they come.
    pub times: Option<Times>,
}

/// A hard link to make.
#[derive(Clone, Copy, Debug)]
pub struct NewHardLink<'a> {
    /// Its path below the root.
    pub rel: &'a [u8],
    /// The path of the file that is there already.
    pub existing: &'a [u8],
    /// A free name in the same directory, used where something stands at `rel`.
    pub temp: &'a [u8],
}

impl Root {
    /// Makes the directory `rel`, unless it is there. One that its owner may not write in, and that is ours, may be
    /// written afterwards; it gets its final permissions by [`Root::finish_dir`]. The empty path is the root itself.
    ///
    /// # Errors
    /// Something else stands there, a link also if it points to a directory; or the system refuses.
    pub fn make_dir(&self, rel: &[u8]) -> Result<Made, FileError> {
        if rel.is_empty() {
            self.open_up(rel)?;
            return Ok(Made::Existed);
        }
        let place = self.place(rel)?;
        let mode = mode_of(UNFINISHED_DIR);
        match rustix::fs::mkdirat(place.dir(), place.name, mode) {
            Ok(()) => Ok(Made::New),
            Err(Errno::EXIST) => {
                self.open_up(rel)?;
                Ok(Made::Existed)
            }
            Err(error) => Err(self.fail(rel, Operation::MakeDir, error)),
        }
    }

    /// Sees that an existing directory is one and that its owner may work in it.
    fn open_up(&self, rel: &[u8]) -> Result<(), FileError> {
        let meta = self.dir_meta(rel)?;
        let wanted = meta.mode | UNFINISHED_DIR;
        if wanted == meta.mode || !sys::is_ours(meta.owner) {
            return Ok(());
        }
        self.chmod_dir(rel, mode_of(wanted))
    }

    /// Gives a directory its permissions and times, after everything in it is done. The empty path is the root itself.
    ///
    /// # Errors
    /// It is no directory, or the system refuses.
    pub fn finish_dir(&self, rel: &[u8], attributes: &Attributes) -> Result<(), FileError> {
        if let Some(times) = attributes.times {
            let dir = self.dir_at(rel)?;
            // By its own name, because a handle that can only be searched takes no times.
            rustix::fs::utimensat(sys::fd(&dir), ".", &times.timestamps(), AtFlags::empty())
                .map_err(|error| self.fail(rel, Operation::SetTimes, error))?;
        }
        let current = match attributes.permissions {
            Permissions::Nine(_) => self.dir_meta(rel)?.mode,
            Permissions::Twelve(_) => 0,
        };
        self.chmod_dir(rel, attributes.permissions.for_dir(current))
    }

    fn chmod_dir(&self, rel: &[u8], mode: Mode) -> Result<(), FileError> {
        let fail = |error| self.fail(rel, Operation::Chmod, error);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let place = match rel {
            b"" => Place {
                dir: self.dir_at(b"")?,
                name: b".",
            },
            _ => self.place(rel)?,
        };
        match rustix::fs::openat(place.dir(), place.name, flags, Mode::empty()) {
            Ok(dir) => rustix::fs::fchmod(sys::fd(&dir), mode).map_err(fail),
            // Ours, but not readable for us: by its name, which was a directory a moment ago. What we make ourselves
            // never turns a directory into a link.
            Err(Errno::ACCESS) => {
                self.dir_meta(rel)?;
                rustix::fs::chmodat(place.dir(), place.name, mode, AtFlags::empty()).map_err(fail)
            }
            Err(error) => Err(fail(error)),
        }
    }

    fn dir_meta(&self, rel: &[u8]) -> Result<Meta, FileError> {
        let meta = self.stat(rel)?;
        match meta.kind {
            Kind::Dir => Ok(meta),
            Kind::Link => Err(FileError::ThroughLink {
                path: self.path_of(rel),
            }),
            kind => Err(FileError::NotADirectory {
                path: self.path_of(rel),
                found: kind.name(),
            }),
        }
    }

    /// Makes a symbolic link. A file or link that stands there is replaced in one step.
    ///
    /// # Errors
    /// A directory stands there, or the system refuses.
    pub fn make_link(&self, link: &NewLink<'_>) -> Result<(), FileError> {
        let place = self.place(link.rel)?;
        let make = |name: &[u8]| rustix::fs::symlinkat(link.target, place.dir(), name);
        put(&place, link.temp, make).map_err(|error| self.fail(link.rel, Operation::Link, error))?;
        let Some(times) = link.times else {
            return Ok(());
        };
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        match rustix::fs::utimensat(place.dir(), place.name, &times.timestamps(), flags) {
            // A link's time is a nicety that some file systems do not have.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(self.fail(link.rel, Operation::SetTimes, error)),
        }
    }

    /// Makes a second name for a file. A file or link that stands there is replaced in one step.
    ///
    /// # Errors
    /// A directory stands there, or the system refuses; [`FileError::is_link_refused`] tells when a copy must do.
    pub fn make_hard_link(&self, link: &NewHardLink<'_>) -> Result<(), FileError> {
        let place = self.place(link.rel)?;
        let existing = self.place(link.existing)?;
        let make = |name: &[u8]| {
            let flags = AtFlags::empty();
            rustix::fs::linkat(existing.dir(), existing.name, place.dir(), name, flags)
        };
        put(&place, link.temp, make).map_err(|error| self.fail(link.rel, Operation::HardLink, error))
    }
}

/// Makes a name, where it is taken by way of `temp`.
fn put(place: &Place<'_>, temp: &[u8], make: impl Fn(&[u8]) -> Result<(), Errno>) -> Result<(), Errno> {
    match make(place.name) {
        Err(Errno::EXIST) => {}
        result => return result,
    }
    check_name(temp).map_err(|_| Errno::INVAL)?;
    make(temp)?;
    let renamed = rustix::fs::renameat(place.dir(), temp, place.dir(), place.name);
    // Renaming a hard link over another name of the same file does nothing and leaves both (POSIX, rename).
    match rustix::fs::unlinkat(place.dir(), temp, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => renamed,
        Err(error) => renamed.and(Err(error)),
    }
}
