//! A file of this machine that appears under its name at once and whole, or not at all.
//!
//! For the small files that Renkei keeps for itself and for its user: checkpoints, manifests. What is copied goes
//! another way.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Being written under a name beside the final one; removed again if it is dropped.
#[derive(Debug)]
pub struct WholeFile {
    out: BufWriter<File>,
    temp: PathBuf,
    path: PathBuf,
}

impl WholeFile {
    /// Begins a file that will appear at `path`, with these permission bits less the umask.
    pub fn create(path: &Path, mode: u32) -> io::Result<Self> {
        let temp = beside(path);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode);
        Ok(Self {
            out: BufWriter::new(options.open(&temp)?),
            temp,
            path: path.to_owned(),
        })
    }

    /// Where it will appear.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it durable and gives it its name, in place of what stood there.
    pub fn commit(mut self) -> io::Result<()> {
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        fs::rename(&self.temp, &self.path)?;
        // From here on there is nothing under the temporary name.
        self.temp.clear();
        sync_parent(&self.path)
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.temp.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.temp);
        }
    }
}

/// Copies a file, readable for its owner only.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut whole = WholeFile::create(to, 0o600)?;
    io::copy(&mut File::open(from)?, &mut whole)?;
    whole.commit()
}

/// Makes a new name in the directory of `path` survive a loss of power.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// A name in the same directory that no other process uses.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let mut temp = OsString::from(".");
    // A long name leaves room for the ending within the 255 bytes that file systems allow.
    temp.push(OsStr::from_bytes(&name[..name.len().min(200)]));
    temp.push(format!(".{}", std::process::id()));
    path.with_file_name(temp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_file_leaves_the_old_one_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n".repeat(255));
        fs::write(&path, "old").unwrap();
        let mut new = WholeFile::create(&path, 0o644).unwrap();
        new.write_all(b"half").unwrap();
        drop(new);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let mut new = WholeFile::create(&path, 0o644).unwrap();
        new.write_all(b"whole").unwrap();
        new.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
