//! What to move next, as a pure state machine.
//!
//! No I/O, no clock, no randomness: the same inputs in the same order give the same outputs. The engine in
//! `renkei-transfer` asks it for jobs and tells it what came of them; tests run it in virtual time.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod chunk;
mod file;
pub mod journal;
mod lane;
mod overtake;
mod runs;
mod schedule;
pub mod tune;

pub use chunk::Chunks;
pub use lane::{LaneId, Time};
pub use overtake::Repeat;
pub use runs::Runs;
pub use schedule::{Outcome, Plan, Settings};

/// Bytes of the unit in which files are moved, acknowledged and hashed: 1 MiB.
pub const PIECE: u64 = 1 << 20;

/// Names a file for as long as the plan holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);

/// A piece of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Piece {
    /// Of which file.
    pub file: FileId,
    /// Its number: offset divided by [`PIECE`].
    pub index: u64,
    /// Where it begins.
    pub offset: u64,
    /// Its length in bytes; shorter than [`PIECE`] only at the end of the file.
    pub len: u64,
}

/// What a lane is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Copy these whole small files.
    Batch(Vec<FileId>),
    /// Make the temporary file of a large one.
    Open(FileId),
    /// Move one piece.
    Piece(Piece),
    /// All pieces are acknowledged: attributes, close, rename.
    Finish(FileId),
    /// The file failed: close it and take the temporary file away.
    Discard(FileId),
}
