//! Replies: what may answer which request, and the future of one.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};

use super::attrs::Attrs;
use super::client::Client;
use super::error::{LostReason, ProtocolError, SftpError, StatusCode};
use super::extensions::{Limits, StatVfs};
use super::packet::{self, Answer, Name};
use super::wire::Malformed;

/// Longest handle, in bytes (draft-ietf-secsh-filexfer-02 section 6.2).
const MAX_HANDLE: usize = 256;

/// Longest part of a status message that is kept, in bytes.
const MAX_MESSAGE: usize = 1024;

/// An open file or directory at the server. Not closed when it is dropped: closing is a request that can fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle(pub(super) Bytes);

/// One entry of a directory.
///
/// The names are as the server sent them, `.` and `..` among them, and nothing keeps a server from sending others that are
/// no file names. They share the memory of their packet; copy what is kept for long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name within the directory.
    pub name: Bytes,
    /// A line like one of `ls -l`; of no fixed form.
    pub longname: Bytes,
    /// Attributes of the entry itself; a link is not followed.
    pub attrs: Attrs,
}

/// What may answer a request, besides a status that is an error.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    Status,
    Handle,
    Data { asked: u32 },
    Names,
    OneName,
    Attrs,
    StatVfs,
    Limits,
}

/// An answer that owns its parts.
#[derive(Debug)]
pub(super) enum Payload {
    Status { code: StatusCode, message: Bytes },
    Handle(Bytes),
    Data(Bytes),
    Names(Vec<Entry>),
    Attrs(Attrs),
    Extended(Bytes),
}

/// From this length on a part shares its packet's memory: the chunks of an SSH channel have at most 32 KiB, so at most
/// four times the length is kept alive. Shorter parts are copied.
const SHARED_FROM: usize = 8 * 1024;

impl Payload {
    /// Reads an answer packet.
    pub(super) fn decode(packet: &Bytes) -> Result<(u32, Payload), Malformed> {
        let (id, answer) = Answer::decode(packet)?;
        let payload = match answer {
            Answer::Status { code, message } => Payload::Status {
                code,
                message: match message.get(..MAX_MESSAGE) {
                    _ if code == StatusCode::Ok => Bytes::new(),
                    Some(head) => Bytes::copy_from_slice(head),
                    None => Bytes::copy_from_slice(message),
                },
            },
            Answer::Handle(handle) => Payload::Handle(Bytes::copy_from_slice(handle)),
            Answer::Data(data) if data.len() >= SHARED_FROM.max(packet.len() / 4) => {
                Payload::Data(packet.slice_ref(data))
            }
            Answer::Data(data) => Payload::Data(Bytes::copy_from_slice(data)),
            Answer::Name(names) => Payload::Names(entries(packet, &names)),
            Answer::Attrs(attrs) => Payload::Attrs(attrs),
            Answer::Extended(body) => Payload::Extended(Bytes::copy_from_slice(body)),
        };
        Ok((id, payload))
    }

    fn packet_type(&self) -> u8 {
        match self {
            Payload::Status { .. } => packet::STATUS,
            Payload::Handle(_) => packet::HANDLE,
            Payload::Data(_) => packet::DATA,
            Payload::Names(_) => packet::NAME,
            Payload::Attrs(_) => packet::ATTRS,
            Payload::Extended(_) => packet::EXTENDED_REPLY,
        }
    }

    fn unexpected(&self, wanted: &'static str) -> ProtocolError {
        ProtocolError::UnexpectedType {
            wanted,
            got: self.packet_type(),
        }
    }
}

/// All strings of the names side by side in one allocation of their own if the packet is small, else within the packet.
fn entries(packet: &Bytes, names: &[Name<'_>]) -> Vec<Entry> {
    if packet.len() >= SHARED_FROM {
        return names
            .iter()
            .map(|name| Entry {
                name: packet.slice_ref(name.name),
                longname: packet.slice_ref(name.longname),
                attrs: name.attrs,
            })
            .collect();
    }
    let mut strings = BytesMut::with_capacity(packet.len());
    for name in names {
        strings.put_slice(name.name);
        strings.put_slice(name.longname);
    }
    let mut strings = strings.freeze();
    names
        .iter()
        .map(|name| Entry {
            name: strings.split_to(name.name.len()),
            longname: strings.split_to(name.longname.len()),
            attrs: name.attrs,
        })
        .collect()
}

impl Wanted {
    /// Whether `payload` may answer a request that wants this.
    pub(super) fn check(self, payload: &Payload) -> Result<(), ProtocolError> {
        let wanted = match (self, payload) {
            (Wanted::Status, Payload::Status { .. })
            | (Wanted::Names, Payload::Names(_))
            | (Wanted::Attrs, Payload::Attrs(_)) => {
                return Ok(());
            }
            (_, Payload::Status { code, .. }) if *code != StatusCode::Ok => return Ok(()),
            (Wanted::Handle, Payload::Handle(handle)) if handle.len() > MAX_HANDLE => {
                return Err(ProtocolError::HandleTooLong(handle.len()));
            }
            (Wanted::Handle, Payload::Handle(_)) => return Ok(()),
            (Wanted::Data { asked }, Payload::Data(data)) if data.len() > asked as usize => {
                return Err(ProtocolError::TooMuchData { asked, got: data.len() });
            }
            (Wanted::Data { .. }, Payload::Data(_)) => return Ok(()),
            (Wanted::OneName, Payload::Names(names)) if names.len() != 1 => {
                return Err(ProtocolError::NameCount(names.len()));
            }
            (Wanted::OneName, Payload::Names(_)) => return Ok(()),
            (Wanted::StatVfs, Payload::Extended(body)) => {
                return StatVfs::decode(body).map(drop).map_err(ProtocolError::from);
            }
            (Wanted::Limits, Payload::Extended(body)) => {
                return Limits::decode(body).map(drop).map_err(ProtocolError::from);
            }
            (Wanted::Status, _) => "status",
            (Wanted::Handle, _) => "handle",
            (Wanted::Data { .. }, _) => "data",
            (Wanted::Names | Wanted::OneName, _) => "name",
            (Wanted::Attrs, _) => "attributes",
            (Wanted::StatVfs | Wanted::Limits, _) => "extended reply",
        };
        Err(payload.unexpected(wanted))
    }
}

/// A request's reply to come.
///
/// The request was queued when the operation was called, not when this is first polled. Dropping it leaves the request as
/// it is; its reply is let go, and a handle that comes with it is closed.
#[must_use = "the request is made, but whether it succeeded is told by awaiting this"]
pub struct Reply<T> {
    state: ReplyState,
    convert: fn(Payload) -> Result<T, SftpError>,
}

enum ReplyState {
    InFlight { client: Arc<Client>, id: u32 },
    NotSent(SftpError),
    Done,
}

impl<T> Reply<T> {
    pub(super) fn new(
        client: &Arc<Client>,
        submitted: Result<u32, SftpError>,
        convert: fn(Payload) -> Result<T, SftpError>,
    ) -> Reply<T> {
        let state = match submitted {
            Ok(id) => ReplyState::InFlight {
                client: Arc::clone(client),
                id,
            },
            Err(error) => ReplyState::NotSent(error),
        };
        Reply { state, convert }
    }
}

impl<T> Future for Reply<T> {
    type Output = Result<T, SftpError>;

    /// # Errors
    /// The status that the server gave, or why there will be no reply. After it was ready once it says
    /// [`LostReason::Dropped`].
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let ReplyState::InFlight { client, id } = &self.state {
            let Poll::Ready(outcome) = client.pending.poll_reply(*id, cx) else {
                return Poll::Pending;
            };
            self.state = ReplyState::Done;
            return Poll::Ready(outcome.and_then(self.convert));
        }
        match std::mem::replace(&mut self.state, ReplyState::Done) {
            ReplyState::NotSent(error) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Err(SftpError::Lost(LostReason::Dropped))),
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let ReplyState::InFlight { client, id } = &self.state {
            client.pending.abandon(*id);
        }
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            ReplyState::InFlight { id, .. } => return write!(f, "Reply(request {id})"),
            ReplyState::NotSent(_) => "Reply(not sent)",
            ReplyState::Done => "Reply(done)",
        };
        f.write_str(state)
    }
}

/// The conversions of [`Reply`]. `Wanted::check` let only fitting payloads through; a status that is left is an error.
pub(super) mod convert {
    use super::{Attrs, Bytes, Entry, Handle, Payload, SftpError, StatVfs, StatusCode};

    fn refused(payload: Payload, wanted: &'static str) -> SftpError {
        match payload {
            Payload::Status { code, message } => SftpError::Status { code, message },
            other => SftpError::Protocol(other.unexpected(wanted)),
        }
    }

    pub(in super::super) fn done(payload: Payload) -> Result<(), SftpError> {
        match payload {
            Payload::Status {
                code: StatusCode::Ok, ..
            } => Ok(()),
            other => Err(refused(other, "status")),
        }
    }

    pub(in super::super) fn handle(payload: Payload) -> Result<Handle, SftpError> {
        match payload {
            Payload::Handle(handle) => Ok(Handle(handle)),
            other => Err(refused(other, "handle")),
        }
    }

    pub(in super::super) fn data(payload: Payload) -> Result<Bytes, SftpError> {
        match payload {
            Payload::Data(data) => Ok(data),
            Payload::Status {
                code: StatusCode::Eof, ..
            } => Ok(Bytes::new()),
            other => Err(refused(other, "data")),
        }
    }

    pub(in super::super) fn entries(payload: Payload) -> Result<Option<Vec<Entry>>, SftpError> {
        match payload {
            // OpenSSH's client takes an answer without names as the end too; else a server could keep us reading for ever.
            Payload::Names(entries) => Ok(Some(entries).filter(|entries| !entries.is_empty())),
            Payload::Status {
                code: StatusCode::Eof, ..
            } => Ok(None),
            other => Err(refused(other, "name")),
        }
    }

    pub(in super::super) fn path(payload: Payload) -> Result<Bytes, SftpError> {
        match payload {
            Payload::Names(entries) => {
                let name = entries.into_iter().next().map(|entry| entry.name);
                name.ok_or(SftpError::Protocol(super::ProtocolError::NameCount(0)))
            }
            other => Err(refused(other, "name")),
        }
    }

    pub(in super::super) fn attrs(payload: Payload) -> Result<Attrs, SftpError> {
        match payload {
            Payload::Attrs(attrs) => Ok(attrs),
            other => Err(refused(other, "attributes")),
        }
    }

    pub(in super::super) fn statvfs(payload: Payload) -> Result<StatVfs, SftpError> {
        match payload {
            Payload::Extended(body) => StatVfs::decode(&body).map_err(|error| SftpError::Protocol(error.into())),
            other => Err(refused(other, "extended reply")),
        }
    }
}
