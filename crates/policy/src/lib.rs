//! Who may do what, and how callers prove who they are.
//!
//! Pure functions of facts and a `now` that is passed in: no I/O, no clock, no SQL, no HTTP. Whoever asks loads the facts
//! and acts on the answer. The only thing taken from outside is randomness, for new secrets and salts.
//!
//! Every door (API, portal, S3, WebDAV, SFTP, transfers) goes the same way: [`Actor::verify`] says who shows a credential,
//! [`Caller::actor`] whether they may do anything at all, [`may`] whether they may do this, and lists are cut down to what
//! [`reach`] names.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod actor;
pub mod denied;
pub mod issue;
pub mod jwt;
pub mod limit;
mod may;
pub mod password;
pub mod reach;
pub mod resource;
pub mod seal;
pub mod secret;

pub use actor::{Actor, Caller};
pub use denied::Denied;
pub use may::may;
pub use resource::Resource;
pub use seal::MasterKey;
