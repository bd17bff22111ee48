//! A host that crashes: what was written and not synced is lost, though its length is not.
//!
//! The servers write down each WRITE, fsync, RENAME and REMOVE in one file; [`lose`] replays it and puts zeros where no fsync
//! came after. A file is known by the path of the request: one that is written under two names, or renamed while it is open,
//! is not recognised as one.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::plan::{bytes, hex};
use super::shared::{UNSYNCED, append};

/// The record of one server.
#[derive(Debug)]
pub(super) struct Record(File);

impl Record {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        append(folder, UNSYNCED).map(Self)
    }

    pub(super) fn written(&mut self, path: &[u8], offset: u64, length: usize) -> io::Result<()> {
        self.line(&format!("w {} {offset} {length}\n", full(path)))
    }

    pub(super) fn synced(&mut self, path: &[u8]) -> io::Result<()> {
        self.line(&format!("s {}\n", full(path)))
    }

    pub(super) fn renamed(&mut self, from: &[u8], to: &[u8]) -> io::Result<()> {
        self.line(&format!("r {} {}\n", full(from), full(to)))
    }

    pub(super) fn removed(&mut self, path: &[u8]) -> io::Result<()> {
        self.line(&format!("d {}\n", full(path)))
    }

    /// One write(2), so that the lines of several servers do not mix.
    fn line(&mut self, line: &str) -> io::Result<()> {
        self.0.write_all(line.as_bytes())
    }
}

/// The path from the root in hexadecimal, since the test works in another directory than the server.
fn full(path: &[u8]) -> String {
    let path = OsStr::from_bytes(path);
    // It fails only for an empty path, which names no file.
    hex(std::path::absolute(path)
        .unwrap_or_else(|_| path.into())
        .as_os_str()
        .as_bytes())
}

/// Overwrites what was never synced by zeros; gives how many bytes that were.
pub(super) fn lose(folder: &Path) -> Result<u64> {
    let Ok(text) = std::fs::read_to_string(folder.join(UNSYNCED)) else {
        return Ok(0);
    };
    let mut lost = 0;
    for (path, ranges) in replay(&text).context("the record of writes is broken")? {
        let Ok(file) = OpenOptions::new().write(true).open(OsStr::from_bytes(&path)) else {
            continue;
        };
        let size = file.metadata()?.len();
        for (offset, length) in ranges {
            let length = length.min(size.saturating_sub(offset));
            file.write_all_at(&vec![0; length as usize], offset)?;
            lost += length;
        }
    }
    super::shared::reset_unsynced(folder)?;
    Ok(lost)
}

type Ranges = Vec<(u64, u64)>;

fn replay(text: &str) -> Option<HashMap<Vec<u8>, Ranges>> {
    let mut files: HashMap<Vec<u8>, Ranges> = HashMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["w", path, offset, length] => {
                let range = (offset.parse().ok()?, length.parse().ok()?);
                files.entry(bytes(path)?).or_default().push(range);
            }
            ["s" | "d", path] => {
                files.remove(&bytes(path)?);
            }
            ["r", from, to] => {
                let moved = files.remove(&bytes(from)?).unwrap_or_default();
                files.insert(bytes(to)?, moved);
            }
            _ => return None,
        }
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_sync_followed_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).into_os_string().into_encoded_bytes();
        let mut record = Record::open(folder.path()).unwrap();
        record.written(&path("old"), 0, 2).unwrap();
        record.synced(&path("old")).unwrap();
        record.written(&path("old"), 2, 2).unwrap();
        record.renamed(&path("old"), &path("new")).unwrap();
        record.written(&path("gone"), 0, 4).unwrap();
        record.removed(&path("gone")).unwrap();
        std::fs::write(folder.path().join("new"), b"abcdef").unwrap();
        std::fs::write(folder.path().join("gone"), b"abcdef").unwrap();
        assert_eq!(lose(folder.path()).unwrap(), 2);
        assert_eq!(std::fs::read(folder.path().join("new")).unwrap(), b"ab\0\0ef");
        assert_eq!(std::fs::read(folder.path().join("gone")).unwrap(), b"abcdef");
        assert_eq!(lose(folder.path()).unwrap(), 0, "a second crash loses nothing more");
    }
}
