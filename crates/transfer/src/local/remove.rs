//! Removing at the target, for `--delete` and for what a broken run left.
//!
//! One name at a time; symbolic links are removed, never followed. Whoever removes a tree walks it, so that each name
//! that stays is told.

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::error::{FileError, Operation};
use super::root::Root;

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
}
