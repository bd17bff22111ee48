//! Sizes, names and hashes that every layer of Renkei shares.
//!
//! The nouns of the control plane (feature `api`) are here too: what the hub's API, the store, the agents and the command line
//! call the same thing, each in a file of its own.
//!
//! Plain values and pure functions. No I/O, no async, no wire protocol: whatever talks to a network, a file or a
//! database lives above this crate.

pub mod printable;
pub mod size;
pub mod tree_hash;

mod hex;

#[cfg(feature = "api")]
pub mod acl;
#[cfg(feature = "api")]
pub mod action;
#[cfg(feature = "api")]
pub mod agent;
#[cfg(feature = "api")]
pub mod change;
#[cfg(feature = "api")]
pub mod dnat;
#[cfg(feature = "api")]
pub mod event;
#[cfg(feature = "api")]
pub mod freeze;
#[cfg(feature = "api")]
pub mod global_ip;
#[cfg(feature = "api")]
pub mod host;
#[cfg(feature = "api")]
pub mod id;
#[cfg(feature = "api")]
pub mod image;
#[cfg(feature = "api")]
pub mod join;
#[cfg(feature = "api")]
pub mod lease;
#[cfg(feature = "api")]
pub mod member;
#[cfg(feature = "api")]
pub mod name;
#[cfg(feature = "api")]
pub mod name_range;
#[cfg(feature = "api")]
pub mod network;
#[cfg(feature = "api")]
pub mod operation;
#[cfg(feature = "api")]
pub mod organization;
#[cfg(feature = "api")]
pub mod page;
#[cfg(feature = "api")]
pub mod preset;
#[cfg(feature = "api")]
pub mod problem;
#[cfg(feature = "api")]
pub mod project;
#[cfg(feature = "api")]
pub mod quota;
#[cfg(feature = "api")]
pub mod reach;
#[cfg(feature = "api")]
pub mod recovery;
#[cfg(feature = "api")]
pub mod role;
#[cfg(feature = "api")]
pub mod segment;
#[cfg(feature = "api")]
pub mod site;
#[cfg(feature = "api")]
pub mod stream;
#[cfg(feature = "api")]
pub mod template;
#[cfg(feature = "api")]
pub mod token;
#[cfg(feature = "api")]
pub mod user;
#[cfg(feature = "api")]
pub mod vm;
