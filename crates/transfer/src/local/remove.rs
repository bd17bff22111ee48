//! Removing at the target, for `--delete` and for what a broken run left.
//!
//! Symbolic links are removed, never followed. Memory grows with the number of directories that wait, not with the
//! number of files, and no more descriptors are open than a [`Root`] keeps.

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::error::{FileError, Operation};
use super::meta::Kind;
use super::root::Root;

/// Names read at a time.
const BATCH: usize = 1024;

/// What removing a tree came to.
#[derive(Debug, Default)]
pub struct Removed {
    /// Files, links and directories removed.
    pub entries: u64,
    /// What could not be removed; directories that are not empty only because of that are not told again.
    pub failures: Vec<FileError>,
}

enum Step {
    Empty(Vec<u8>),
    Leave(Vec<u8>),
}

impl Root {
    /// Removes the file, link or special file at `rel`; what is not there is removed.
    ///
    /// # Errors
    /// It is a directory, or the system refuses.
    pub fn remove_file(&self, rel: &[u8]) -> Result<(), FileError> {
        let place = self.place(rel)?;
        match rustix::fs::unlinkat(place.dir(), place.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.fail(rel, Operation::Remove, error)),
        }
    }

    /// Removes the empty directory at `rel`; what is not there is removed.
    ///
    /// # Errors
    /// It is not empty or no directory, or the system refuses.
    pub fn remove_dir(&self, rel: &[u8]) -> Result<(), FileError> {
        let place = self.place(rel)?;
        self.forget(rel);
        match rustix::fs::unlinkat(place.dir(), place.name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.fail(rel, Operation::Remove, error)),
        }
    }

    /// Removes what stands at `rel`, a directory with all that is in it. It goes on after a failure.
    #[must_use]
    pub fn remove_tree(&self, rel: &[u8]) -> Removed {
        let mut removed = Removed::default();
        match self.find(rel) {
            Ok(None) => return removed,
            Ok(Some(meta)) if meta.kind == Kind::Dir => {}
            Ok(Some(_)) => {
                removed.count(self.remove_file(rel));
                return removed;
            }
            Err(error) => {
                removed.failures.push(error);
                return removed;
            }
        }
        let mut steps = vec![Step::Empty(rel.to_vec())];
        while let Some(step) = steps.pop() {
            match step {
                Step::Empty(dir) => {
                    steps.push(Step::Leave(dir.clone()));
                    if let Err(error) = self.empty(&dir, &mut removed, &mut steps) {
                        removed.failures.push(error);
                    }
                }
                Step::Leave(dir) => match self.remove_dir(&dir) {
                    Err(error) if error.is_not_empty() && !removed.failures.is_empty() => {}
                    result => removed.count(result),
                },
            }
        }
        removed
    }

    /// Removes what is no directory in `dir`, and leaves the directories in it as further steps.
    fn empty(&self, dir: &[u8], removed: &mut Removed, steps: &mut Vec<Step>) -> Result<(), FileError> {
        let mut listing = self.list(dir)?;
        loop {
            let batch = listing.next_batch(BATCH)?;
            if batch.is_empty() {
                return Ok(());
            }
            for entry in batch {
                let kind = match entry.kind {
                    Some(kind) => kind,
                    None => listing.stat(&entry.name)?.kind,
                };
                let rel = [dir, b"/", &entry.name].concat();
                if kind == Kind::Dir {
                    steps.push(Step::Empty(rel));
                } else {
                    removed.count(self.remove_file(&rel));
                }
            }
        }
    }
}

impl Removed {
    fn count(&mut self, result: Result<(), FileError>) {
        match result {
            Ok(()) => self.entries += 1,
            Err(error) => self.failures.push(error),
        }
    }
}
