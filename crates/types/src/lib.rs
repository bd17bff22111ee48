//! Sizes, names and hashes that every layer of Renkei shares.
//!
//! Plain values and pure functions. No I/O, no async, no wire protocol: whatever talks to a network, a file or a
//! database lives above this crate.

pub mod printable;
pub mod size;
pub mod tree_hash;

mod hex;
