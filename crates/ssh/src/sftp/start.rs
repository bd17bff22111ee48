//! The start of a session: versions, extensions, limits.

use bytes::{Bytes, BytesMut};

use super::error::{LostReason, ProtocolError, SftpError, StatusCode};
use super::extensions::{Extensions, Limits};
use super::frame::Deframer;
use super::packet::{self, Answer, Extended, Request, Version};
use super::pump::{GRACE, Sink, Source};

/// What was agreed on.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) extensions: Extensions,
    pub(super) limits: Limits,
    /// May hold bytes that came behind the last packet.
    pub(super) deframer: Deframer,
}

/// Agrees on version 3 and asks for the server's limits if they are not `known`.
///
/// The question goes out together with INIT, before it is known whether the server announces it: that spares a round
/// trip. A server answers packets in their order, and one that does not know an extension says so in a status
/// (draft-ietf-secsh-filexfer-02 section 8); what it says counts only if it was announced.
pub(super) async fn session(
    sink: &mut impl Sink,
    source: &mut impl Source,
    known: Option<Limits>,
) -> Result<Session, SftpError> {
    let mut deframer = Deframer::new();
    let mut out = BytesMut::new();
    packet::encode_init(&mut out);
    if known.is_none() {
        Request::Extended(Extended::Limits).encode(0, &mut out);
    }
    send(sink, source, out.freeze()).await?;
    let extensions = read_version(&recv(source, &mut deframer).await?).map_err(SftpError::Protocol)?;
    let told = match known {
        Some(known) => known,
        None => read_limits(&recv(source, &mut deframer).await?).map_err(SftpError::Protocol)?,
    };
    Ok(Session {
        extensions,
        limits: if extensions.limits { told } else { Limits::default() },
        deframer,
    })
}

/// Sends a packet of the session's start. If that fails, the receiving direction knows why.
async fn send(sink: &mut impl Sink, source: &mut impl Source, packet: Bytes) -> Result<(), SftpError> {
    if sink.send(packet).await.is_ok() {
        return Ok(());
    }
    let rest = async { while source.recv().await.is_some() {} };
    let reason = match tokio::time::timeout(GRACE, rest).await {
        Ok(()) => source.reason(),
        Err(_) => LostReason::SendFailed,
    };
    Err(SftpError::Lost(reason))
}

/// The next packet of the session's start.
async fn recv(source: &mut impl Source, deframer: &mut Deframer) -> Result<Bytes, SftpError> {
    loop {
        if let Some(packet) = deframer.next_packet().map_err(SftpError::Protocol)? {
            return Ok(packet);
        }
        match source.recv().await {
            Some(chunk) => deframer.push(chunk),
            None => return Err(SftpError::Lost(source.reason())),
        }
    }
}

fn read_version(packet: &[u8]) -> Result<Extensions, ProtocolError> {
    if let Some(&got) = packet.first().filter(|&&got| got != packet::VERSION_TYPE) {
        return Err(ProtocolError::NotVersion(got));
    }
    let said = Version::decode(packet)?;
    if said.version != packet::VERSION {
        return Err(ProtocolError::Version(said.version));
    }
    let mut extensions = Extensions::default();
    for (name, version) in said.extensions {
        extensions.announce(name, version);
    }
    Ok(extensions)
}

/// A server that refuses to tell its limits has the default ones.
fn read_limits(packet: &[u8]) -> Result<Limits, ProtocolError> {
    match Answer::decode(packet)? {
        (0, Answer::Extended(body)) => Ok(Limits::decode(body)?),
        (0, Answer::Status { code, .. }) if code != StatusCode::Ok => Ok(Limits::default()),
        (0, other) => Err(ProtocolError::UnexpectedType {
            wanted: "extended reply",
            got: other.packet_type(),
        }),
        (id, _) => Err(ProtocolError::UnknownId(id)),
    }
}
