//! What can go wrong in SFTP: the server says no, the server breaks the protocol, or the channel ends.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use renkei_types::printable::Printable;

use super::wire::Malformed;
use crate::channel::ChannelEnd;

/// Why an SFTP operation did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SftpError {
    /// The server answered with this status; only this request is concerned.
    #[error("{}", StatusText(.code, .message))]
    Status {
        /// Status code.
        code: StatusCode,
        /// The server's words as bytes (at most 1 KiB of them); `Display` escapes them.
        message: Bytes,
    },
    /// The server broke the protocol; the channel is closed.
    #[error("the SFTP server broke the protocol")]
    Protocol(#[source] ProtocolError),
    /// The channel is gone, and whether the request was carried out is not known.
    #[error("SFTP channel lost: {0}")]
    Lost(LostReason),
    /// The request was not sent because the server would not take a packet of this length.
    #[error("an SFTP request of {len} bytes is more than the {max} that the server takes")]
    RequestTooLarge {
        /// Length of the request in bytes.
        len: usize,
        /// Largest packet of the server in bytes.
        max: usize,
    },
    /// The request was not sent because too many are without their reply.
    #[error("too many SFTP requests are in flight")]
    TooManyInFlight,
}

impl SftpError {
    /// Whether the same operation may succeed on another try, perhaps on a new connection.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            SftpError::Lost(_) | SftpError::TooManyInFlight => true,
            SftpError::Status { code, .. } => {
                matches!(code, StatusCode::NoConnection | StatusCode::ConnectionLost)
            }
            SftpError::Protocol(_) | SftpError::RequestTooLarge { .. } => false,
        }
    }

    /// The status code, if the server answered with one.
    #[must_use]
    pub fn code(&self) -> Option<StatusCode> {
        match self {
            SftpError::Status { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the channel is unusable after this error.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, SftpError::Protocol(_) | SftpError::Lost(_))
    }

    pub(super) fn unsupported(extension: &[u8]) -> SftpError {
        SftpError::Status {
            code: StatusCode::OpUnsupported,
            message: format!("the server does not offer {}", Printable(extension)).into(),
        }
    }
}

/// Status codes of version 3 (draft-ietf-secsh-filexfer-02 section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusCode {
    /// Done.
    Ok,
    /// End of file or of a directory.
    Eof,
    /// The path does not exist.
    NoSuchFile,
    /// The user may not.
    PermissionDenied,
    /// Anything else, among them a full disk and an existing target; the message may say more.
    Failure,
    /// The server did not understand the packet.
    BadMessage,
    /// No connection (made up by clients).
    NoConnection,
    /// Connection lost (made up by clients).
    ConnectionLost,
    /// The server does not know the operation.
    OpUnsupported,
    /// A code that version 3 does not define.
    Other(u32),
}

impl StatusCode {
    /// The code for this number.
    #[must_use]
    pub fn from_u32(code: u32) -> StatusCode {
        match code {
            0 => StatusCode::Ok,
            1 => StatusCode::Eof,
            2 => StatusCode::NoSuchFile,
            3 => StatusCode::PermissionDenied,
            4 => StatusCode::Failure,
            5 => StatusCode::BadMessage,
            6 => StatusCode::NoConnection,
            7 => StatusCode::ConnectionLost,
            8 => StatusCode::OpUnsupported,
            other => StatusCode::Other(other),
        }
    }

    /// The number of this code.
    #[must_use]
    pub fn as_u32(self) -> u32 {
        match self {
            StatusCode::Ok => 0,
            StatusCode::Eof => 1,
            StatusCode::NoSuchFile => 2,
            StatusCode::PermissionDenied => 3,
            StatusCode::Failure => 4,
            StatusCode::BadMessage => 5,
            StatusCode::NoConnection => 6,
            StatusCode::ConnectionLost => 7,
            StatusCode::OpUnsupported => 8,
            StatusCode::Other(other) => other,
        }
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            StatusCode::Ok => "ok",
            StatusCode::Eof => "end of file",
            StatusCode::NoSuchFile => "no such file",
            StatusCode::PermissionDenied => "permission denied",
            StatusCode::Failure => "failure",
            StatusCode::BadMessage => "bad message",
            StatusCode::NoConnection => "no connection",
            StatusCode::ConnectionLost => "connection lost",
            StatusCode::OpUnsupported => "operation unsupported",
            StatusCode::Other(code) => return write!(f, "status {code}"),
        };
        f.write_str(text)
    }
}

/// How a server broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A packet could not be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Text stands where a packet's length should; these are its first bytes. A `.bashrc` that prints something does this.
    #[error("text came where a packet was due, beginning with `{}`; does a login script print it?", Printable(.0))]
    Text([u8; 4]),
    /// A packet is longer than any that was asked for.
    #[error("a packet claims {0} bytes")]
    PacketTooLong(u32),
    /// A packet without even a type.
    #[error("a packet is empty")]
    PacketEmpty,
    /// The first packet is no VERSION.
    #[error("packet type {0} came where the server's version was due")]
    NotVersion(u8),
    /// The server speaks another version than 3.
    #[error("the server speaks SFTP version {0}, not 3")]
    Version(u32),
    /// A reply to a request that was not made or has had its reply.
    #[error("a reply came for request {0}, which is not in flight")]
    UnknownId(u32),
    /// A reply of a type that cannot answer its request.
    #[error("a reply of type {got} came where {wanted} was due")]
    UnexpectedType {
        /// Type that the request calls for.
        wanted: &'static str,
        /// Packet type received.
        got: u8,
    },
    /// More data than was asked for.
    #[error("{got} bytes came where {asked} were asked for")]
    TooMuchData {
        /// Bytes asked for.
        asked: u32,
        /// Bytes received.
        got: usize,
    },
    /// A reply with one name had none or more.
    #[error("{0} names came where one was due")]
    NameCount(usize),
    /// A handle longer than the 256 bytes that the protocol allows.
    #[error("a handle of {0} bytes came, more than the 256 that are allowed")]
    HandleTooLong(usize),
}

/// How a channel came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LostReason {
    /// It ended, as when the far side's sftp-server ended or the connection broke.
    Ended {
        /// How it ended.
        end: ChannelEnd,
        /// The end of what the far side wrote to its standard error; `Display` escapes it.
        stderr: Arc<str>,
    },
    /// It takes no more data, yet has not ended.
    SendFailed,
    /// The last owner of the client let it go.
    Dropped,
    /// The server is connected and did not begin the session in time.
    Silent,
    /// The session never began and counts as having carried out nothing; why is told by [`Sftp::ready`](super::Sftp::ready).
    NotBegun,
}

impl fmt::Display for LostReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LostReason::Ended { end, stderr } => {
                match end {
                    ChannelEnd::Open => f.write_str("no more data comes")?,
                    ChannelEnd::Refused => f.write_str("the server refused the SFTP subsystem")?,
                    ChannelEnd::Closed(None) => f.write_str("closed by the far side")?,
                    ChannelEnd::Closed(Some(exit)) => write!(f, "the far side's sftp-server ended with {exit}")?,
                    ChannelEnd::Lost => f.write_str("the connection broke")?,
                }
                if !stderr.is_empty() {
                    write!(f, " ({})", Printable(stderr.as_bytes()))?;
                }
                Ok(())
            }
            LostReason::SendFailed => f.write_str("it takes no more data"),
            LostReason::Dropped => f.write_str("it was let go"),
            LostReason::Silent => f.write_str("the server starts no SFTP"),
            LostReason::NotBegun => f.write_str("it did not begin"),
        }
    }
}

/// Code, then the server's words if they say more than the code.
struct StatusText<'a>(&'a StatusCode, &'a Bytes);

impl fmt::Display for StatusText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StatusText(code, message) = self;
        let code = code.to_string();
        if message.is_empty() || message.eq_ignore_ascii_case(code.as_bytes()) {
            return f.write_str(&code);
        }
        write!(f, "{code}: {}", Printable(message))
    }
}
