//! Whether two trees are the same, and the first difference if not.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// What must be the same, beside the names and the kinds of what they name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The bytes of files.
    Content,
    /// The nine permission bits of files and directories.
    Modes,
    /// The modification times of files and directories, in whole seconds.
    Times,
    /// Where symbolic links point.
    Links,
}

/// Compares two files or directories with all below them.
///
/// # Errors
/// Says the first difference in words, or what could not be read.
pub fn same_tree(one: &Path, two: &Path, what: &[What]) -> Result<(), String> {
    let left = metadata(one)?;
    let right = metadata(two)?;
    if kind(left.file_type()) != kind(right.file_type()) {
        let (left, right) = (kind(left.file_type()), kind(right.file_type()));
        return Err(format!("{one:?} is a {left}, {two:?} is a {right}"));
    }
    for what in what {
        compare(*what, (one, &left), (two, &right))?;
    }
    if !left.is_dir() {
        return Ok(());
    }
    let (names, other_names) = (names(one)?, names(two)?);
    if let Some(name) = names.symmetric_difference(&other_names).next() {
        return Err(format!(
            "{name:?} is only in {:?}",
            if names.contains(name) { one } else { two }
        ));
    }
    names
        .iter()
        .try_for_each(|name| same_tree(&one.join(name), &two.join(name), what))
}

fn compare(what: What, (one, left): (&Path, &Metadata), (two, right): (&Path, &Metadata)) -> Result<(), String> {
    match what {
        What::Content if left.is_file() => {
            if left.len() != right.len() {
                return Err(format!(
                    "content: {one:?} has {} bytes, {two:?} {}",
                    left.len(),
                    right.len()
                ));
            }
            match first_difference(one, two) {
                Ok(None) => Ok(()),
                Ok(Some(offset)) => Err(format!("content: {one:?} and {two:?} differ at byte {offset}")),
                Err(error) => Err(format!("cannot read {one:?} and {two:?}: {error}")),
            }
        }
        What::Modes if !left.is_symlink() => {
            let (left, right) = (left.mode() & 0o777, right.mode() & 0o777);
            if left == right {
                Ok(())
            } else {
                Err(format!("mode: {one:?} has {left:o}, {two:?} {right:o}"))
            }
        }
        What::Times if !left.is_symlink() => {
            let (left, right) = (left.mtime(), right.mtime());
            if left == right {
                Ok(())
            } else {
                Err(format!("time: {one:?} has {left}, {two:?} {right}"))
            }
        }
        What::Links if left.is_symlink() => {
            let read = |path| fs::read_link(path).map_err(|error| format!("cannot read link {path:?}: {error}"));
            let (left, right) = (read(one)?, read(two)?);
            if left == right {
                Ok(())
            } else {
                Err(format!("link: {one:?} points to {left:?}, {two:?} to {right:?}"))
            }
        }
        What::Content | What::Modes | What::Times | What::Links => Ok(()),
    }
}

fn first_difference(one: &Path, two: &Path) -> io::Result<Option<u64>> {
    let mut files = (File::open(one)?, File::open(two)?);
    let mut buffers = (vec![0; 1 << 18], vec![0; 1 << 18]);
    let mut offset = 0;
    loop {
        let length = fill(&mut files.0, &mut buffers.0)?;
        let other = fill(&mut files.1, &mut buffers.1)?;
        let (left, right) = (&buffers.0[..length], &buffers.1[..other]);
        if left != right {
            let same = left.iter().zip(right).take_while(|(left, right)| left == right).count();
            return Ok(Some(offset + same as u64));
        }
        if length == 0 {
            return Ok(None);
        }
        offset += length as u64;
    }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..])? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}

fn metadata(path: &Path) -> Result<Metadata, String> {
    fs::symlink_metadata(path).map_err(|error| format!("cannot look at {path:?}: {error}"))
}

fn names(path: &Path) -> Result<BTreeSet<OsString>, String> {
    let list = || {
        fs::read_dir(path)?
            .map(|entry| Ok(entry?.file_name()))
            .collect::<io::Result<_>>()
    };
    list().map_err(|error| format!("cannot list {path:?}: {error}"))
}

fn kind(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_file() => "file",
        kind if kind.is_dir() => "directory",
        kind if kind.is_symlink() => "link",
        kind if kind.is_fifo() => "FIFO",
        kind if kind.is_socket() => "socket",
        _ => "device",
    }
}
