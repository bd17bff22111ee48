//! SFTP version 3: a codec without I/O and a pipelined client.
//!
//! [`packet`] turns requests and answers into bytes and back; [`Sftp`] keeps any number of requests in flight over one
//! [`ByteChannel`](crate::channel::ByteChannel). Names are bytes everywhere. The server is not trusted: whatever it
//! sends costs bounded memory and ends in an error at worst.
//!
//! Not here: splitting files into requests, bounds on what is in flight, retries, and any judgement of the names that a
//! server sends.

mod attrs;
mod buf;
mod client;
mod error;
mod extensions;
mod frame;
mod fuzz;
pub mod packet;
mod pending;
mod pump;
mod queue;
mod reply;
mod start;
#[cfg(test)]
mod tests;
mod wire;

pub use attrs::{Attrs, FileKind, Owner, Times};
pub use buf::{BufPool, WriteBuf};
pub use client::{CopyRange, Sftp};
pub use error::{LostReason, ProtocolError, SftpError, StatusCode};
pub use extensions::{Extensions, Limits, MAX_PACKET, StatVfs};
pub use fuzz::{fuzz_packet, fuzz_stream};
pub use packet::OpenFlags;
pub use reply::{Entry, Handle, Reply};
pub use wire::Malformed;
