//! What stands at the target so far, for verification and the manifest: a list on disk.
//!
//! A copy of millions of files cannot keep their names in memory, so they go into a temporary file that has no name: it
//! takes no memory, and the system removes it however the program ends. It is written once and then read once, front to
//! back, by the same process; so it has no version and no checks.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use renkei_types::tree_hash::Root as Hash;

/// Read and written at once.
const BUFFER: usize = 256 << 10;

const UNREAD_FILE: u8 = 0;
const FILE: u8 = 1;
const DIRECTORY: u8 = 2;
const LINK: u8 = 3;

/// Something that stands at the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which source it belongs to.
    pub source: u32,
    /// Its path below that; empty for the source itself.
    pub below: Vec<u8>,
    pub what: What,
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    File {
        size: u64,
        /// The hash of what was read at the source; none if this copy had no reason to read it.
        root: Option<Hash>,
    },
    Directory,
    Link {
        /// What it points at.
        text: Vec<u8>,
    },
}

/// How much a spool holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub files: u64,
    /// Of all files.
    pub bytes: u64,
    /// Of the files that were not read.
    pub unread_bytes: u64,
}

impl Totals {
    /// Counts one more file.
    pub fn add(&mut self, size: u64, root: Option<&Hash>) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(size);
        if root.is_none() {
            self.unread_bytes = self.unread_bytes.saturating_add(size);
        }
    }
}

/// The list while it grows.
#[derive(Debug)]
pub struct Spool {
    out: BufWriter<File>,
    totals: Totals,
}

impl Spool {
    /// An empty one.
    ///
    /// # Errors
    /// No directory for temporary files can be written.
    pub fn create() -> io::Result<Self> {
        Ok(Self {
            out: BufWriter::with_capacity(BUFFER, nameless()?),
            totals: Totals::default(),
        })
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// The disk is full or the like.
    pub fn add(&mut self, entry: &Entry) -> io::Result<()> {
        let tag = match &entry.what {
            What::File { root: None, .. } => UNREAD_FILE,
            What::File { root: Some(_), .. } => FILE,
            What::Directory => DIRECTORY,
            What::Link { .. } => LINK,
        };
        self.out.write_all(&[tag])?;
        self.out.write_all(&entry.source.to_le_bytes())?;
        self.bytes(&entry.below)?;
        match &entry.what {
            What::File { size, root } => {
                self.totals.add(*size, root.as_ref());
                self.out.write_all(&size.to_le_bytes())?;
                match root {
                    Some(root) => self.out.write_all(&root.0),
                    None => Ok(()),
                }
            }
            What::Directory => Ok(()),
            What::Link { text } => self.bytes(text),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let len = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.out.write_all(&len.to_le_bytes())?;
        self.out.write_all(bytes)
    }

    /// What was added.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Ends the writing; the entries come in the order in which they were added.
    ///
    /// # Errors
    /// The disk is full or the like.
    pub fn read(self) -> io::Result<SpoolReader> {
        let mut file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(SpoolReader {
            input: BufReader::with_capacity(BUFFER, file),
        })
    }
}

/// The list while it is read; ends after an error.
#[derive(Debug)]
pub struct SpoolReader {
    input: BufReader<File>,
}

impl SpoolReader {
    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; u32::from_le_bytes(self.array()?) as usize];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn entry(&mut self, tag: u8) -> io::Result<Entry> {
        let source = u32::from_le_bytes(self.array()?);
        let below = self.bytes()?;
        let what = match tag {
            UNREAD_FILE => What::File {
                size: u64::from_le_bytes(self.array()?),
                root: None,
            },
            FILE => What::File {
                size: u64::from_le_bytes(self.array()?),
                root: Some(Hash(self.array()?)),
            },
            DIRECTORY => What::Directory,
            LINK => What::Link { text: self.bytes()? },
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        Ok(Entry { source, below, what })
    }
}

impl Iterator for SpoolReader {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut tag = [0];
        match self.input.read(&mut tag) {
            Ok(0) => None,
            Ok(_) => Some(self.entry(tag[0])),
            Err(error) => Some(Err(error)),
        }
    }
}

/// A file for reading and writing that has no name any more.
fn nameless() -> io::Result<File> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let name = format!("renkei-{:016x}", u64::from_le_bytes(random));
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for dir in temporary_dirs() {
        let path = dir.join(&name);
        match make(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn make(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// `/tmp` is the last choice: it is often memory, and what is kept here is kept because memory is dear.
fn temporary_dirs() -> impl Iterator<Item = PathBuf> {
    let chosen = std::env::var_os("TMPDIR").map(PathBuf::from);
    chosen.into_iter().chain(["/var/tmp".into(), "/tmp".into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_comes_back_in_order() {
        let entry = |below: &[u8], what| Entry {
            source: 7,
            below: below.to_vec(),
            what,
        };
        let file = |size, root| What::File { size, root };
        let entries = [
            entry(b"", What::Directory),
            entry(b"a\n\xff", file(0, Some(Hash([3; 32])))),
            entry(b"skipped", file(u64::MAX, None)),
            entry(b"l", What::Link { text: b"../x".to_vec() }),
        ];
        let mut spool = Spool::create().unwrap();
        entries.iter().for_each(|entry| spool.add(entry).unwrap());
        let totals = spool.totals();
        assert_eq!(totals.files, 2);
        assert_eq!((totals.bytes, totals.unread_bytes), (u64::MAX, u64::MAX));
        let back: Vec<Entry> = spool.read().unwrap().map(Result::unwrap).collect();
        assert_eq!(back, entries);
    }
}
