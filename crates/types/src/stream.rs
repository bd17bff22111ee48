//! Streams: for each console or log that a hub wants it asks for one more connection, which the agent dials, so that bulk never stands
//! in the way of control.
//!
//! The hub says [`FromHub::Stream`](crate::agent::FromHub::Stream) on the connection that it has. The agent opens a WebSocket at
//! `/agent/v1/stream/{id}` of the hub that waits, under the same TLS, and says an [`Answer`] as text. What follows are binary frames,
//! bytes in both directions, until either end closes with a code of [`ended`] and a reason for people.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::id::{StreamId, VmId};

/// The first version of the protocol whose agents know streams.
pub const SINCE: u16 = 2;
/// For how long a stream that was asked for is waited for; then its id is worth nothing.
pub const PATIENCE: SignedDuration = SignedDuration::from_secs(15);
/// The largest frame, bytes.
pub const LARGEST_FRAME: usize = 64 * 1024;
/// The most bytes that are put into a frame.
pub const AT_ONCE: usize = 16 * 1024;

/// How the hub or the agent ends a stream: the codes of RFC 6455, section 7.4.1, and one of the registry that it made.
pub mod ended {
    /// In order: there is nothing more to come.
    pub const IN_ORDER: u16 = 1000;
    /// One end stops.
    pub const AWAY: u16 = 1001;
    /// Whoever looks on may not any more.
    pub const NOT_ALLOWED: u16 = 1008;
    /// The connection behind it broke.
    pub const BROKEN: u16 = 1011;
    /// Whoever looks on does not take what comes, or there is no room: try again.
    pub const LATER: u16 = 1013;
}

/// A stream that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Which; random, and used once.
    pub id: StreamId,
    /// Of what.
    pub of: Of,
    /// Whether the hub that says this is the one that waits: then the agent first goes where it has found it.
    pub here: bool,
    /// Where the hub is that waits, `https://HOST:PORT`, the best address first.
    pub at: Vec<String>,
}

/// Of what a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Of {
    /// The serial console of a machine: what it said last, then what it says, and back what is typed.
    Console(VmId),
    /// What a machine said last on its console; then the stream ends.
    Log(VmId),
}

/// What an agent says first on a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// It is open.
    Open,
    /// It is not, and nothing follows.
    Refused {
        /// Why, for people.
        why: String,
        /// Whether a retry may help.
        again: bool,
    },
}

impl Of {
    /// The machine.
    pub fn vm(self) -> VmId {
        match self {
            Self::Console(vm) | Self::Log(vm) => vm,
        }
    }
}
