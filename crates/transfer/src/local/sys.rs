//! Calls that not every system or kernel has, each with a portable way of doing the same.
//!
//! The only module of the crate that knows which system it runs on. A kernel may be older than the headers (CentOS 7's
//! 3.10 has no `openat2`), a file system may lack what its kernel has, and a container may forbid what both have; so
//! every call also falls back at run time.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

/// How directories are opened that serve only to reach the names in them.
#[cfg(target_os = "linux")]
pub(super) const SEARCH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// How directories are opened that serve only to reach the names in them.
#[cfg(not(target_os = "linux"))]
pub(super) const SEARCH: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Who makes sure that a path has no symbolic link in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolver {
    /// One `openat2` for the whole path.
    Kernel,
    /// One `openat` for each name.
    Walk,
}

impl Resolver {
    /// What works here, tried out on `dir`.
    pub(super) fn probe(dir: BorrowedFd<'_>) -> Self {
        match open_beneath(dir, b".") {
            Ok(_) => Self::Kernel,
            // ENOSYS: before Linux 5.6. EPERM: a seccomp filter that does not know the call.
            Err(_) => Self::Walk,
        }
    }
}

/// Opens the directory `path` below `dir`, through no symbolic link.
#[cfg(target_os = "linux")]
pub(super) fn open_beneath(dir: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    use rustix::fs::ResolveFlags;

    rustix::fs::openat2(
        dir,
        path,
        SEARCH,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS,
    )
}

/// Opens the directory `path` below `dir`, through no symbolic link.
#[cfg(not(target_os = "linux"))]
pub(super) fn open_beneath(_dir: BorrowedFd<'_>, _path: &[u8]) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

/// Opens the directory of one name in `dir`, unless the name is a symbolic link.
pub(super) fn open_name(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(dir, name, SEARCH | OFlags::NOFOLLOW, Mode::empty())
}

/// Renames within one file system; fails with `EEXIST` where the new name stands already.
pub(super) fn rename_new(from: (BorrowedFd<'_>, &[u8]), to: (BorrowedFd<'_>, &[u8])) -> Result<(), Errno> {
    #[cfg(target_os = "linux")]
    match rustix::fs::renameat_with(from.0, from.1, to.0, to.1, rustix::fs::RenameFlags::NOREPLACE) {
        // The file system does not know the flag, or the kernel (before 3.15) the call.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
        result => return result,
    }
    link_new(from, to)
}

/// [`rename_new`] by a hard link, which never replaces, or where there are none by looking first.
pub(super) fn link_new(from: (BorrowedFd<'_>, &[u8]), to: (BorrowedFd<'_>, &[u8])) -> Result<(), Errno> {
    match rustix::fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty()) {
        Ok(()) => rustix::fs::unlinkat(from.0, from.1, AtFlags::empty()),
        Err(Errno::EXIST) => Err(Errno::EXIST),
        Err(_) => match rustix::fs::statat(to.0, to.1, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => rustix::fs::renameat(from.0, from.1, to.0, to.1),
            Err(error) => Err(error),
        },
    }
}

/// The first run of data at or after `from` in a file of `size` bytes; none if the rest is a hole.
///
/// Where holes can not be told, all is data.
pub(super) fn next_data(file: BorrowedFd<'_>, from: u64, size: u64) -> Result<Option<Range<u64>>, Errno> {
    if from >= size {
        return Ok(None);
    }
    #[cfg(any(target_os = "linux", target_os = "freebsd"))]
    {
        use rustix::fs::SeekFrom;

        let start = match rustix::fs::seek(file, SeekFrom::Data(from)) {
            Ok(start) => start,
            // Nothing but a hole up to the end, or the file became shorter.
            Err(Errno::NXIO) => return Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Some(from..size)),
            Err(error) => return Err(error),
        };
        if start >= size {
            return Ok(None);
        }
        let end = match rustix::fs::seek(file, SeekFrom::Hole(start)) {
            Ok(end) => end.clamp(start, size),
            Err(Errno::NXIO) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(start..end))
    }
    #[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
    {
        let _ = file;
        Ok(Some(from..size))
    }
}

/// Says that the file will be read from front to back, so that the kernel reads further ahead.
pub(super) fn advise_sequential(file: BorrowedFd<'_>) {
    #[cfg(target_os = "linux")]
    // Advice: if it is refused, reading is only slower.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Sequential);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// Closes and tells what `close` said; NFS reports a full disk or quota only here.
#[allow(unsafe_code, reason = "the safe wrapper swallows the error of close")]
pub(super) fn close(file: OwnedFd) -> io::Result<()> {
    let raw = file.into_raw_fd();
    // SAFETY: `raw` was owned by `file`, which is gone, so nothing else uses or closes it.
    match unsafe { rustix::io::try_close(raw) } {
        // Linux has let go of the descriptor all the same.
        Ok(()) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether this process may change the attributes of a file of that owner.
pub(super) fn is_ours(owner: u32) -> bool {
    let me = rustix::process::geteuid();
    me.is_root() || me.as_raw() == owner
}

/// Keeps the borrow of a descriptor short to write.
pub(super) fn fd(file: &OwnedFd) -> BorrowedFd<'_> {
    file.as_fd()
}
