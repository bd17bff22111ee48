//! SSH connections as `ssh` makes them, and SFTP over them.
//!
//! Two halves that meet only at a byte channel: [`Dialer`] resolves a destination the way `ssh` does (configuration,
//! known_hosts, login, jump hosts) and gives [`Connection`]s; [`sftp`] speaks SFTP version 3 over one channel of a
//! connection. This crate knows nothing of files on this machine, of plans or of progress.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod auth;
mod channel;
mod command;
mod config;
mod connection;
mod destination;
mod dial;
mod error;
mod handshake;
mod host_key;
mod jump;
pub mod known_hosts;
mod options;
mod pattern;
mod prompt;
mod session;
pub mod sftp;
mod socket;
mod tcp;
mod wire;

pub use channel::{ByteChannel, ByteReceiver, ByteSender, ChannelEnd, ChannelError, Exit};
pub use connection::Connection;
pub use destination::{Destination, DestinationError};
pub use dial::{Dialer, Identity, Logins};
pub use error::{ConnectError, ConnectErrorKind};
pub use options::{Family, Options};
pub use prompt::{Echo, Prompt, PromptError, Terminal};
