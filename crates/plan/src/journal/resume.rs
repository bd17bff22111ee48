//! What a journal says about where to go on.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use renkei_types::tree_hash::{Cv, TreeHasher};

use super::finished::{FinishedIndex, PathKey};
use super::{FileIdentity, FileSeq, FinishedEntry, SourceIndex, UnixMillis};
use crate::Runs;

/// A file that was begun and not finished.
#[derive(Clone, Debug)]
pub struct UnfinishedFile {
    /// Its number; records go on under it until it is finished or abandoned.
    pub seq: FileSeq,
    /// The source it comes from.
    pub source: SourceIndex,
    /// Its path below the source.
    pub path: Vec<u8>,
    /// The source as it was. If it is no longer so, the file is to be abandoned and begun anew.
    pub identity: FileIdentity,
    /// The name of its temporary file; empty where it is written in place.
    pub temp: Vec<u8>,
    /// Its path at the target.
    pub target: Vec<u8>,
    /// Pieces that are believed.
    pub durable: Runs,
    /// Pieces that were acknowledged and have to be read back and compared with these values.
    pub in_doubt: BTreeMap<u64, Cv>,
    /// The values of the durable pieces; without some of them where durable pieces were [lost](super::Record::Lost).
    /// Those in doubt are to be added when they were compared.
    pub tree: TreeHasher,
}

/// Where to go on.
pub struct Resume {
    pub(super) landed: BTreeMap<SourceIndex, Vec<u8>>,
    pub(super) unfinished: HashMap<(SourceIndex, Vec<u8>), UnfinishedFile>,
    pub(super) finished: FinishedIndex,
    pub(super) finished_bytes: u64,
    pub(super) asides: BTreeMap<FileSeq, Aside>,
    pub(super) next_seq: FileSeq,
    pub(super) last: UnixMillis,
    pub(super) aged: bool,
    pub(super) complete: bool,
}

/// An old file that was to be moved aside, and of which it is not known how far that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// The place that it had.
    pub target: Vec<u8>,
    /// The name that it has meanwhile, in the same directory.
    pub aside: Vec<u8>,
    /// Whether the new file is known to stand in its place, so that the old one is only to be removed.
    pub replaced: bool,
}

impl fmt::Debug for Resume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resume")
            .field("landed", &self.landed)
            .field("unfinished", &self.unfinished)
            .field("finished", &self.finished.len())
            .field("asides", &self.asides)
            .field("next_seq", &self.next_seq)
            .field("complete", &self.complete)
            .finish_non_exhaustive()
    }
}

impl Resume {
    /// Where a source landed.
    #[must_use]
    pub fn landed(&self, source: SourceIndex) -> Option<&[u8]> {
        self.landed.get(&source).map(Vec::as_slice)
    }

    /// Takes out the file of this path, if it was begun and not finished.
    pub fn take_unfinished(&mut self, source: SourceIndex, path: &[u8]) -> Option<UnfinishedFile> {
        self.unfinished.remove(&(source, path.to_vec()))
    }

    /// The files that were begun and not finished, as far as they were not taken out, in no order. What is left when all
    /// sources were scanned has vanished there; its temporary files are to be removed.
    pub fn unfinished(&self) -> impl ExactSizeIterator<Item = &UnfinishedFile> {
        self.unfinished.values()
    }

    /// Where the records of this path may stand, if it was finished. The caller compares the path.
    #[must_use]
    pub fn finished(&self, source: SourceIndex, path: &[u8]) -> Option<FinishedEntry> {
        self.finished.get(PathKey::of(source, path))
    }

    /// How many files are finished.
    #[must_use]
    pub const fn finished_files(&self) -> u64 {
        self.finished.len()
    }

    /// Bytes of finished files, and of the pieces of others that were acknowledged; for showing. A file that was finished
    /// and begun anew since counts with both.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let pieces: u64 = self.unfinished.values().map(UnfinishedFile::bytes).sum();
        self.finished_bytes.saturating_add(pieces)
    }

    /// Old files whose move aside was not completed, by the file that takes their place.
    pub fn asides(&self) -> impl ExactSizeIterator<Item = (FileSeq, &Aside)> {
        self.asides.iter().map(|(seq, aside)| (*seq, aside))
    }

    /// The first number that no file had.
    #[must_use]
    pub const fn next_seq(&self) -> FileSeq {
        self.next_seq
    }

    /// When the target last answered.
    #[must_use]
    pub const fn last_answer(&self) -> UnixMillis {
        self.last
    }

    /// Whether something is believed by its age alone because the target could not be asked to sync; to be told.
    #[must_use]
    pub const fn believed_by_age(&self) -> bool {
        self.aged
    }

    /// Whether the transfer was completed, so that nothing is to be resumed.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.complete
    }
}

impl UnfinishedFile {
    /// Bytes that were acknowledged, durable or in doubt.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let pieces = self.durable.len().saturating_add(self.in_doubt.len() as u64);
        pieces.saturating_mul(crate::PIECE).min(self.identity.size)
    }
}
