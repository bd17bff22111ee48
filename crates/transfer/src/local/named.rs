//! What a path that the user typed stands for.
//!
//! Here, and only here, links at the target are followed: the user named them. A link named as target leads to its file,
//! and that file is replaced, not the link. Names inside trees are never looked at this way.

use rustix::fs::Stat;
use rustix::io::Errno;

use super::error::{FileError, Operation};
use super::meta::{Kind, Meta, Special};
use super::root::{Links, Root};

/// As many links in a row as Linux follows.
const MOST_LINKS: usize = 40;

/// What stands at a path, with the way to write there.
#[derive(Debug)]
pub enum Named {
    /// Nothing yet: `name` may be made in `root`.
    Missing {
        /// The directory above.
        root: Root,
        /// The name that is free.
        name: Vec<u8>,
    },
    /// A directory.
    Dir(Root),
    /// A file, where the links led to.
    File {
        /// The directory that it is in.
        root: Root,
        /// Its name there.
        name: Vec<u8>,
        /// Its attributes.
        meta: Meta,
    },
    /// A device, FIFO or socket, to be written through by [`open_stream`](super::output::open_stream).
    Special {
        /// Its path, where the links led to.
        path: Vec<u8>,
        /// What it is.
        special: Special,
    },
}

/// Finds what stands at `path`, relative to the working directory; the empty path is the working directory. Slashes at the
/// end are not looked at.
///
/// # Errors
/// The directory above is not there or may not be searched, or links go round in a circle.
pub fn find(path: &[u8], links: Links) -> Result<Named, FileError> {
    let mut current = trim(path).to_vec();
    for _ in 0..=MOST_LINKS {
        let (above, name) = split(&current);
        let stat = match rustix::fs::lstat(&current) {
            Ok(stat) => stat,
            Err(Errno::NOENT) if is_name(name) => {
                return Ok(Named::Missing {
                    root: Root::open(above, links)?,
                    name: name.to_vec(),
                });
            }
            Err(error) => return Err(FileError::io(path, Operation::Stat, error)),
        };
        match Meta::from_stat(&stat).kind {
            Kind::Link => {
                let target = rustix::fs::readlink(&current, Vec::new())
                    .map_err(|error| FileError::io(&current, Operation::ReadLink, error))?;
                current = join(above, trim(target.as_bytes()));
            }
            _ => return found(&current, &stat, links),
        }
    }
    Err(FileError::io(path, Operation::Open, Errno::LOOP))
}

fn found(path: &[u8], stat: &Stat, links: Links) -> Result<Named, FileError> {
    let meta = Meta::from_stat(stat);
    let (above, name) = split(path);
    Ok(match meta.kind {
        Kind::Dir => Named::Dir(Root::open(path, links)?),
        Kind::Other(special) => Named::Special {
            path: path.to_vec(),
            special,
        },
        Kind::File | Kind::Link => Named::File {
            root: Root::open(above, links)?,
            name: name.to_vec(),
            meta,
        },
    })
}

/// Without slashes at the end; the root stays, and nothing is the working directory.
fn trim(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| byte != b'/');
    match end {
        Some(end) => &path[..=end],
        None if path.is_empty() => b".",
        None => b"/",
    }
}

/// The directory above, and the last name.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(0) => (b"/", &path[1..]),
        Some(at) => (trim(&path[..at]), &path[at + 1..]),
        None => (b".", path),
    }
}

fn is_name(name: &[u8]) -> bool {
    super::root::check_name(name).is_ok()
}

fn join(above: &[u8], target: &[u8]) -> Vec<u8> {
    if target.starts_with(b"/") {
        return target.to_vec();
    }
    let mut path = above.to_vec();
    if !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(target);
    path
}
