//! Manifests: names, sizes and hashes of what was copied, as text.
//!
//! ```text
//! renkei-manifest 1
//! af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262  0  empty.txt
//! dir  results
//! link  latest<TAB>results/2024
//! end  3  <hash of all bytes before this line>
//! ```
//!
//! Hashes are BLAKE3 as `b3sum` prints it. Names are in the form of [`Printable`], so that any name stands on one line.
//! The order means nothing. The last line tells a whole manifest from one that was cut off or edited.
//!
//! Writing and parsing only; who compares the files is elsewhere. Both stream, so that millions of lines take no memory.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, Read as _, Write as _};
use std::path::Path;
use std::str;

use renkei_types::printable::{Printable, unescape};
use renkei_types::tree_hash::{Root, RootHasher};
use thiserror::Error;

use crate::whole_file::WholeFile;

const FIRST: &str = "renkei-manifest ";
const VERSION: u32 = 1;
/// Four times the longest path that Linux takes, escaped, twice; whatever is longer is not ours.
const LONGEST_LINE: u64 = 1 << 16;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A regular file.
    File {
        /// Relative to the target.
        path: Cow<'a, [u8]>,
        /// Bytes.
        size: u64,
        /// Of its content.
        root: Root,
    },
    /// A directory.
    Directory {
        /// Relative to the target.
        path: Cow<'a, [u8]>,
    },
    /// A symbolic link.
    Link {
        /// Relative to the target.
        path: Cow<'a, [u8]>,
        /// What it points at.
        to: Cow<'a, [u8]>,
    },
}

impl Entry<'_> {
    /// The name of the file, directory or link, relative to the target.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        match self {
            Self::File { path, .. } | Self::Directory { path } | Self::Link { path, .. } => path,
        }
    }
}

/// The line without its end.
impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, size, root } => write!(f, "{root}  {size}  {}", Printable(path)),
            Self::Directory { path } => write!(f, "dir  {}", Printable(path)),
            Self::Link { path, to } => write!(f, "link  {}\t{}", Printable(path), Printable(to)),
        }
    }
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The first line is another one.
    #[error("this is not a manifest: it does not begin with \"renkei-manifest\"")]
    NotAManifest,
    /// A later program wrote it.
    #[error("the manifest has version {0}, this program reads version {VERSION}")]
    NewerVersion(u32),
    /// None of the known forms.
    #[error("not of the form \"HASH  SIZE  PATH\"")]
    Form,
    /// The name leads out of the target or is none.
    #[error("the path is empty, absolute, or has an empty, `.` or `..` part")]
    Path,
    /// The count or the hash in the last line does not fit the lines before.
    #[error("the lines before were changed after the manifest was written")]
    Changed,
    /// Something follows the last line.
    #[error("there is something after the last line")]
    AfterEnd,
    /// There is no last line.
    #[error("the manifest is cut off: its last line is missing")]
    CutOff,
}

/// A manifest that cannot be read or written.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// The text is wrong.
    #[error("line {line}: {fault}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// How.
        fault: Fault,
    },
    /// The system refused.
    #[error("cannot {action} the manifest")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl ManifestError {
    fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { action, cause }
    }

    /// Whether the same may succeed later without anything being changed here.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        matches!(self, Self::Io { cause, .. } if kinds.contains(&cause.kind()))
    }
}

/// Writes a manifest line by line; it appears under its name when it is [finished](Self::finish).
#[derive(Debug)]
pub struct ManifestWriter {
    file: WholeFile,
    hasher: RootHasher,
    count: u64,
}

impl ManifestWriter {
    /// Begins a manifest that will appear at `path`.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn create(path: &Path) -> Result<Self, ManifestError> {
        let mut writer = Self {
            file: WholeFile::create(path, 0o666).map_err(ManifestError::io("make"))?,
            hasher: RootHasher::new(),
            count: 0,
        };
        writer.line(&format!("{FIRST}{VERSION}\n"))?;
        Ok(writer)
    }

    /// Where it will appear.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Adds a line.
    ///
    /// # Errors
    /// The disk is full or the like.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), ManifestError> {
        self.count += 1;
        self.line(&format!("{entry}\n"))
    }

    /// Writes the last line, makes the file durable and gives it its name.
    ///
    /// # Errors
    /// The disk is full or the like; what stood there before stays.
    pub fn finish(mut self) -> Result<(), ManifestError> {
        let end = format!("end  {}  {}\n", self.count, self.hasher.finish());
        self.line(&end)?;
        self.file.commit().map_err(ManifestError::io("write"))
    }

    fn line(&mut self, line: &str) -> Result<(), ManifestError> {
        self.hasher.update(line.as_bytes());
        self.file.write_all(line.as_bytes()).map_err(ManifestError::io("write"))
    }
}

/// Reads a manifest line by line.
///
/// That it is whole is known only at its end: an iteration that ends without an error has seen the last line and that
/// nothing was changed. It ends with the first error.
#[derive(Debug)]
pub struct ManifestReader<R> {
    input: R,
    hasher: RootHasher,
    line: u64,
    count: u64,
    ended: bool,
}

impl<R: BufRead> ManifestReader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// It is no manifest, or of a later version.
    pub fn new(input: R) -> Result<Self, ManifestError> {
        let mut reader = Self {
            input,
            hasher: RootHasher::new(),
            line: 0,
            count: 0,
            ended: false,
        };
        let first = reader.read_line()?;
        let version = first
            .as_deref()
            .and_then(|line| str::from_utf8(line).ok()?.strip_prefix(FIRST));
        match version.map(str::parse::<u32>) {
            Some(Ok(VERSION)) => {}
            Some(Ok(later)) if later > VERSION => return Err(reader.fault(Fault::NewerVersion(later))),
            _ => return Err(reader.fault(Fault::NotAManifest)),
        }
        if let Some(line) = first {
            reader.hash(&line);
        }
        Ok(reader)
    }

    fn fault(&self, fault: Fault) -> ManifestError {
        ManifestError::Line { line: self.line, fault }
    }

    fn hash(&mut self, line: &[u8]) {
        self.hasher.update(line);
        self.hasher.update(b"\n");
    }

    /// The next line without its end; none at the end of the input.
    fn read_line(&mut self) -> Result<Option<Vec<u8>>, ManifestError> {
        self.line += 1;
        let mut line = Vec::new();
        let mut limited = (&mut self.input).take(LONGEST_LINE);
        limited
            .read_until(b'\n', &mut line)
            .map_err(ManifestError::io("read"))?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.pop() == Some(b'\n') {
            return Ok(Some(line));
        }
        let too_long = line.len() as u64 + 1 == LONGEST_LINE;
        Err(self.fault(match self.line {
            1 => Fault::NotAManifest,
            _ if too_long => Fault::Form,
            _ => Fault::CutOff,
        }))
    }

    fn next_entry(&mut self) -> Result<Option<Entry<'static>>, ManifestError> {
        let line = self.read_line()?.ok_or_else(|| self.fault(Fault::CutOff))?;
        if let Some(end) = line.strip_prefix(b"end  ") {
            let right = format!("{}  {}", self.count, self.hasher.finish());
            if end != right.as_bytes() {
                return Err(self.fault(Fault::Changed));
            }
            // Anything more is a fault, of whatever form it is.
            let mut more = [0];
            let read = self.input.read(&mut more).map_err(ManifestError::io("read"))?;
            self.line += 1;
            return if read == 0 {
                Ok(None)
            } else {
                Err(self.fault(Fault::AfterEnd))
            };
        }
        self.hash(&line);
        self.count += 1;
        parse(&line).map(Some).map_err(|fault| self.fault(fault))
    }
}

impl<R: BufRead> Iterator for ManifestReader<R> {
    type Item = Result<Entry<'static>, ManifestError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_entry();
        self.ended = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

/// Parses one line between the first and the last.
fn parse(line: &[u8]) -> Result<Entry<'static>, Fault> {
    let name = |escaped: &[u8]| unescape(escaped).ok_or(Fault::Form);
    if let Some(path) = line.strip_prefix(b"dir  ") {
        let path = within(name(path)?)?;
        return Ok(Entry::Directory { path });
    }
    if let Some(names) = line.strip_prefix(b"link  ") {
        let tab = names.iter().position(|&byte| byte == b'\t').ok_or(Fault::Form)?;
        let path = within(name(&names[..tab])?)?;
        let to = name(&names[tab + 1..])?.into();
        return Ok(Entry::Link { path, to });
    }
    let (root, rest) = line.split_at_checked(64).ok_or(Fault::Form)?;
    let root = str::from_utf8(root).ok().and_then(|root| root.parse().ok());
    let rest = rest.strip_prefix(b"  ").ok_or(Fault::Form)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (size, rest) = rest.split_at(digits);
    let size = str::from_utf8(size).ok().and_then(|size| size.parse().ok());
    let path = within(name(rest.strip_prefix(b"  ").ok_or(Fault::Form)?)?)?;
    Ok(Entry::File {
        path,
        size: size.ok_or(Fault::Form)?,
        root: root.ok_or(Fault::Form)?,
    })
}

/// A manifest may come from elsewhere: no name in it leads out of the target.
fn within(path: Vec<u8>) -> Result<Cow<'static, [u8]>, Fault> {
    let good = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && !part.contains(&0);
    if path.split(|&byte| byte == b'/').all(good) {
        Ok(path.into())
    } else {
        Err(Fault::Path)
    }
}
