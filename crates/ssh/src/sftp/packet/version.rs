//! The two packets that begin a session.

use bytes::{BufMut, BytesMut};

use super::{Frame, INIT_TYPE, VERSION, VERSION_TYPE};
use crate::sftp::wire::{Cursor, Malformed, put_string};

/// Appends the INIT packet that begins a session.
pub fn encode_init(out: &mut BytesMut) {
    out.put_u32(5);
    out.put_u8(INIT_TYPE);
    out.put_u32(VERSION);
}

/// Reads an INIT packet without its length field; gives the client's version.
///
/// # Errors
/// If it is another packet or cut off.
pub fn decode_init(packet: &[u8]) -> Result<u32, Malformed> {
    let mut c = Cursor::new(packet);
    match c.u8("type")? {
        INIT_TYPE => c.u32("version"),
        other => Err(Malformed::UnknownType(other)),
    }
}

/// A server's first packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version<'a> {
    /// The version that the server speaks.
    pub version: u32,
    /// Names of the extensions that it offers, each with its version.
    pub extensions: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Version<'a> {
    /// Appends the packet with its length field.
    pub fn encode(&self, out: &mut BytesMut) {
        let frame = Frame::begin(out, VERSION_TYPE, self.version);
        for (name, data) in &self.extensions {
            put_string(out, name);
            put_string(out, data);
        }
        frame.end(out);
    }

    /// Reads the packet without its length field.
    ///
    /// # Errors
    /// If it is another packet or cut off.
    pub fn decode(packet: &'a [u8]) -> Result<Version<'a>, Malformed> {
        let mut c = Cursor::new(packet);
        match c.u8("type")? {
            VERSION_TYPE => {}
            other => return Err(Malformed::UnknownType(other)),
        }
        let version = c.u32("version")?;
        let mut extensions = Vec::new();
        while c.remaining() > 0 {
            extensions.push((c.string("extension name")?, c.string("extension version")?));
        }
        Ok(Version { version, extensions })
    }
}
