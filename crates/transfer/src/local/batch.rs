//! Whole small files, many in one call.
//!
//! For a small file the way to a blocking thread and back costs more than the file, so a thread takes a batch. Each file
//! succeeds or fails for itself.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use rustix::io::Errno;

use super::error::{FileError, Operation};
use super::meta::{Attributes, Meta};
use super::output::{Existing, Finish, Manner, Output, Stored};
use super::root::Root;
use super::source::Source;

/// Largest file that is loaded whole, in bytes: one piece.
pub const LARGEST: u64 = 1 << 20;

/// A small file to load.
#[derive(Clone, Debug)]
pub struct SmallSource {
    /// The tree it is in.
    pub root: Arc<Root>,
    /// Its path below the root.
    pub rel: Vec<u8>,
}

/// A small file that was loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// All of its content.
    pub data: Vec<u8>,
    /// Its attributes when it was read; the size is that of `data`.
    pub meta: Meta,
}

/// A small file to store.
#[derive(Clone, Debug)]
pub struct SmallTarget {
    /// The tree it goes into.
    pub root: Arc<Root>,
    /// Its path below the root.
    pub rel: Vec<u8>,
    /// Its temporary name in the same directory; not used in place.
    pub temp: Vec<u8>,
    /// Its content, in order.
    pub data: Vec<Bytes>,
    /// Its permissions and times.
    pub attributes: Attributes,
    /// What happens to a file that stands there.
    pub existing: Existing,
}

/// A small file that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmallStored {
    /// The file as it stands.
    pub stored: Stored,
    /// How it came to its name.
    pub manner: Manner,
}

/// Loads each file; the results stand in the order of `files`.
///
/// A file that can not be read for a reason that may pass is read once more: it changed meanwhile, or its server had
/// put another in its place. One that changes again, or is larger than [`LARGEST`], fails as [`FileError::Changed`].
#[must_use]
pub fn load_batch(files: &[SmallSource]) -> Vec<Result<Loaded, FileError>> {
    files.iter().map(|file| load(&file.root, &file.rel)).collect()
}

/// Stores each file; the results stand in the order of `files`.
///
/// A file that fails leaves its final name as it was, and no temporary file.
#[must_use]
pub fn store_batch(files: &[SmallTarget]) -> Vec<Result<SmallStored, FileError>> {
    let create = |file: &SmallTarget| file.root.create_unlooked(&file.rel, &file.temp);
    files.iter().map(|file| store(file, create(file)?)).collect()
}

/// [`store_batch`] straight into the final names (`--in-place`): a file that fails may be left half written.
#[must_use]
pub fn store_batch_in_place(files: &[SmallTarget]) -> Vec<Result<SmallStored, FileError>> {
    let open = |file: &SmallTarget| file.root.open_in_place(&file.rel);
    files.iter().map(|file| store(file, open(file)?)).collect()
}

fn load(root: &Root, rel: &[u8]) -> Result<Loaded, FileError> {
    match load_once(root, rel) {
        Err(error) if error.is_transient() => load_once(root, rel),
        result => result,
    }
}

fn load_once(root: &Root, rel: &[u8]) -> Result<Loaded, FileError> {
    let source = root.open_source(rel)?;
    let meta = *source.meta();
    let changed = || FileError::Changed {
        path: root.path_of(rel),
    };
    if meta.size > LARGEST {
        return Err(changed());
    }
    if meta.size == 0 {
        return load_untold(&source).and_then(|loaded| loaded.ok_or_else(changed));
    }
    let size = usize::try_from(meta.size).map_err(|_| changed())?;
    let data = source.read(0, size)?;
    // If it grew, its size tells.
    source.check_unchanged()?;
    if data.len() != size {
        return Err(changed());
    }
    Ok(Loaded { data, meta })
}

/// A file that says it is empty: nearly always it is, but those of `/proc` and their kin only do not tell their size. None
/// if there is no end to it.
fn load_untold(source: &Source) -> Result<Option<Loaded>, FileError> {
    const STEP: usize = 4096;
    let mut data = Vec::new();
    loop {
        let more = source.read(data.len() as u64, STEP)?;
        let is_end = more.len() < STEP;
        data.extend_from_slice(&more);
        if data.len() as u64 > LARGEST {
            return Ok(None);
        }
        if is_end {
            source.check_unchanged()?;
            let size = data.len() as u64;
            let meta = Meta { size, ..*source.meta() };
            return Ok(Some(Loaded { data, meta }));
        }
    }
}

fn store(file: &SmallTarget, output: Output) -> Result<SmallStored, FileError> {
    let mut parts: Vec<_> = file.data.iter().map(|part| IoSlice::new(part)).collect();
    let manner = output.manner();
    if manner == Manner::DirectoryReadOnly && file.existing == Existing::Keep {
        return Err(file.root.fail(&file.rel, Operation::Create, Errno::EXIST));
    }
    if let Err(error) = output.write_at(0, &mut parts) {
        output.discard();
        return Err(error);
    }
    let stored = output.finish(&Finish {
        length: file.data.iter().map(|part| part.len() as u64).sum(),
        attributes: file.attributes,
        existing: file.existing,
    })?;
    Ok(SmallStored { stored, manner })
}
