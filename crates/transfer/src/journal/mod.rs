//! The journal as a file: where it is kept, who may write it, and how it is read back.
//!
//! The format and its meaning are in [`renkei_plan::journal`]; here are locks, reads and writes. A journal is
//! `ID.journal` in the state directory, beside it `ID.lock` while a run is at work. It is only ever appended to. What a
//! killed process has [flushed](Journal::flush) is there; what a machine that lost power has [synced](Journal::sync) is
//! there. One that ends early loses its tail; one with a changed byte is set aside as `ID.damaged-N` and never used.
//!
//! It does not know which files to copy and never touches source or target. Everything here blocks, but only on small
//! writes to the state directory.

mod error;
mod lock;
mod open;
mod read;
mod stored;
mod writer;

pub use error::{Damage, JournalError};
pub use open::{OpenOptions, Opened};
pub use read::FinishedFile;
pub use stored::{Listed, Loaded, State, discard, list, load, load_at, take};
pub use writer::Journal;

pub use renkei_plan::journal::TransferId;
