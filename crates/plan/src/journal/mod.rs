//! The resume journal: what is written down while a copy runs, and what can be concluded from it after a break.
//!
//! A journal is a [`Header`] that names the transfer, followed by [`Record`]s that are only ever appended. [`Encoder`]
//! and [`Decoder`] turn them into bytes and back; [`Replay`] takes the records one by one and ends in a [`Resume`].
//!
//! # Bytes on disk
//!
//! ```text
//! prelude  magic 8 · version u16 · header length u32 · CRC32 of these
//! header   identity, request, … · CRC32, seeded by the prelude's
//! record   payload length u24 · kind u8 · check u16 of these four · payload · CRC32, seeded by the previous CRC32
//! ```
//!
//! All numbers are little-endian. As every CRC continues the one before it, records cannot be lost, doubled or moved
//! unseen, nor taken over from another journal. The length has a check of its own, so that a journal that ends early
//! (a crash while writing: *torn*, the rest is good) is told from one with a changed byte (*damaged*: none is trusted).
//!
//! # What a break means
//!
//! What the target has acknowledged may be lost when the far host crashes; only what it has synced is durable. The
//! records say which is which; see [`Replay`] for the rules.
//!
//! This module reads and writes no file, knows no clock, and does not decide what to do with an unfinished file.

mod field;
mod finished;
mod frame;
mod header;
mod record;
mod replay;
mod resume;

pub use finished::FinishedEntry;
pub use frame::{Decoded, Decoder, Encoder, Ending, Item, ReadError, RecordPlace, TooLong, decode_single};
pub use header::{End, Header, Identity, NotATransferId, TransferId, VERSION};
pub use record::{FileIdentity, Record, TargetPlace, join};
pub use replay::{Inconsistent, Replay};
pub use resume::{Aside, Resume, UnfinishedFile};

use std::fmt;

/// A file within one journal. It must not be used for another file, nor for a second attempt at the same one: an answer
/// to the first that is written down late would be taken for one to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileSeq(pub u64);

impl fmt::Display for FileSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Which of the command's sources, counted from 0. A source that is a glob counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceIndex(pub u32);

/// Milliseconds since 1970, not going backwards within one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

/// How acknowledged bytes become durable at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The target syncs when asked: `fsync@openssh.com`, or a local file system.
    Sync,
    /// It cannot be asked; what is older than [`SETTLE`] counts as durable.
    Age,
}

/// How long an acknowledged write may take to reach the far disk where nobody asks for it.
///
/// Linux writes dirty pages after 30 s (`dirty_expire_centisecs`) plus 5 s of wake-up; twice that is taken.
pub const SETTLE: UnixMillis = UnixMillis(60_000);
