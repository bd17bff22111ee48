//! Open directories, kept for the next file in them.
//!
//! A tree of 100,000 files has far fewer directories; opening the way to each file anew costs more than the file. Only
//! a bounded number stays open, the least recently used goes first.

use std::os::fd::OwnedFd;
use std::sync::Arc;

/// How many directories stay open for one root; well below the usual limit of 1,024 descriptors a process.
const MOST: usize = 64;

/// Directories by path below the root, the most recently used last.
#[derive(Debug, Default)]
pub(super) struct Parents {
    open: Vec<(Vec<u8>, Arc<OwnedFd>)>,
}

impl Parents {
    /// The open directory closest to `path`: itself or one above it, with the length of its path.
    ///
    /// A linear search: sixty comparisons of short paths are less than one system call.
    pub(super) fn closest(&mut self, path: &[u8]) -> Option<(usize, Arc<OwnedFd>)> {
        let (at, length) = self
            .open
            .iter()
            .enumerate()
            .filter(|(_, (open, _))| is_at_or_below(path, open))
            .map(|(at, (open, _))| (at, open.len()))
            .max_by_key(|&(_, length)| length)?;
        self.open[at..].rotate_left(1);
        let (_, dir) = self.open.last()?;
        Some((length, Arc::clone(dir)))
    }

    /// Keeps a directory.
    pub(super) fn keep(&mut self, path: &[u8], dir: &Arc<OwnedFd>) {
        if self.open.iter().any(|(open, _)| open == path) {
            return;
        }
        if self.open.len() == MOST {
            self.open.remove(0);
        }
        self.open.push((path.to_vec(), Arc::clone(dir)));
    }

    /// Forgets `path` and everything below, because it is going to be removed or replaced.
    pub(super) fn forget(&mut self, path: &[u8]) {
        self.open.retain(|(open, _)| !is_at_or_below(open, path));
    }
}

/// Whether `path` is `top` or lies below it.
fn is_at_or_below(path: &[u8], top: &[u8]) -> bool {
    path.strip_prefix(top)
        .is_some_and(|rest| top.is_empty() || rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir() -> Arc<OwnedFd> {
        Arc::new(std::fs::File::open("/").unwrap().into())
    }

    #[test]
    fn finds_the_closest_directory_above() {
        let mut parents = Parents::default();
        parents.keep(b"a", &dir());
        parents.keep(b"a/b", &dir());
        assert_eq!(parents.closest(b"a/b/c/d").unwrap().0, 3);
        assert_eq!(parents.closest(b"a/bc").unwrap().0, 1);
        assert!(parents.closest(b"ab").is_none());
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut parents = Parents::default();
        let dir = dir();
        for n in 0..MOST {
            parents.keep(n.to_string().as_bytes(), &dir);
        }
        parents.closest(b"0").unwrap();
        parents.keep(b"new", &dir);
        assert!(parents.closest(b"0").is_some());
        assert!(parents.closest(b"1").is_none());
        assert_eq!(parents.open.len(), MOST);
    }

    #[test]
    fn forgets_what_lies_below() {
        let mut parents = Parents::default();
        for path in [&b"a"[..], b"a/b", b"ab"] {
            parents.keep(path, &dir());
        }
        parents.forget(b"a");
        assert!(parents.closest(b"a/b").is_none());
        assert!(parents.closest(b"ab").is_some());
    }
}
