//! The start of a session: versions, extensions, limits.
//!
//! Nobody waits for it before asking something else: the first requests go out behind INIT, and a server answers packets in
//! their order, so what was agreed on is known when the first of them is answered.

use super::error::ProtocolError;
use super::extensions::{Extensions, Limits};
use super::packet::{self, Version};

/// What was agreed on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Agreed {
    pub(super) extensions: Extensions,
    pub(super) limits: Limits,
}

/// What of it is known so far.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// Announced by VERSION, once that has come.
    pub(super) extensions: Option<Extensions>,
    /// Told by the server, or by an earlier session with it.
    pub(super) limits: Option<Limits>,
}

impl Start {
    /// All of it, once both answers have come. Limits count only if VERSION announced that they are told.
    pub(super) fn agreed(&self) -> Option<Agreed> {
        let (extensions, told) = (self.extensions?, self.limits?);
        let limits = if extensions.limits { told } else { Limits::default() };
        Some(Agreed { extensions, limits })
    }
}

/// Reads the first packet of a server.
pub(super) fn read_version(packet: &[u8]) -> Result<Extensions, ProtocolError> {
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
