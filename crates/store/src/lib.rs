//! The database: what decisions are made from, and what people look at.
//!
//! Two halves over the same tables. [`State`](state::State) gives rows with their versions and takes a [`Batch`](batch::Batch),
//! all or nothing; it has three implementations (SQLite, PostgreSQL, memory) that one suite of tests holds to the same contract.
//! [`Read`](read::Read) lists. It knows nothing of what the nouns mean: who may do what and what follows from what is decided above.

pub mod audit;
pub mod backup;
pub mod batch;
pub mod error;
pub mod migration;
pub mod noun;
pub mod open;
pub mod read;
pub mod simulation;
pub mod state;

mod judge;
mod memory;
mod sql;

pub use batch::Batch;
pub use error::{CommitError, StateError};
pub use noun::{Noun, Stored};
pub use open::{DatabaseUrl, Store};
pub use read::{EventQuery, ListQuery, Read};
pub use state::State;
