//! The local end of a copy: files, directories and links of this machine.
//!
//! Everything here blocks and is meant for `spawn_blocking`; nothing knows of SSH, of the plan or of the journal. Names
//! are bytes. Whatever is written goes through a [`root::Root`], so that a server that lies about names and links can
//! not make us write anywhere else.
//!
//! Deliberately not kept: owner, ACLs, extended attributes.

pub mod batch;
pub mod error;
pub mod expand;
pub mod list;
pub mod meta;
pub mod named;
pub mod output;
pub mod remove;
pub mod root;
pub mod source;
pub mod tree;

mod parents;
mod sys;
#[cfg(test)]
mod tests;
