//! The two primitive types of SSH's wire format that SFTP uses: big-endian integers and length-prefixed byte strings
//! (RFC 4251 section 5).
//!
//! Reading never allocates: a string is a slice of the packet, so a false length is an error and not a large buffer.

use bytes::{BufMut, BytesMut};

/// A packet that ends before a field, or whose field cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The packet ends within this field.
    #[error("the packet ends within its {0}")]
    Truncated(&'static str),
    /// A count or length is larger than what could be in the packet, or than the protocol allows.
    #[error("{what} of {value} is more than there can be")]
    Excess {
        /// What is counted.
        what: &'static str,
        /// The count as sent.
        value: u64,
    },
    /// The packet has a type that is not known, or not expected in this direction.
    #[error("packet type {0} is unknown")]
    UnknownType(u8),
}

/// Reads fields off the front of a packet.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(packet: &'a [u8]) -> Cursor<'a> {
        Cursor { rest: packet }
    }

    /// Bytes not yet read.
    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// All bytes not yet read.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, Malformed> {
        let [byte] = self.array(field)?;
        Ok(byte)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array(field)?))
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, Malformed> {
        Ok(u64::from_be_bytes(self.array(field)?))
    }

    pub(super) fn string(&mut self, field: &'static str) -> Result<&'a [u8], Malformed> {
        let len = self.u32(field)? as usize;
        let (string, rest) = self.rest.split_at_checked(len).ok_or(Malformed::Truncated(field))?;
        self.rest = rest;
        Ok(string)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed::Truncated(field))?;
        self.rest = rest;
        Ok(*array)
    }
}

/// Appends a length-prefixed string.
///
/// A string of 4 GiB or more cannot be written; its length would be cut off. Callers bound what they send by the largest
/// packet a server takes, which is far below.
pub(super) fn put_string(out: &mut BytesMut, string: &[u8]) {
    out.put_u32(u32::try_from(string.len()).unwrap_or(u32::MAX));
    out.put_slice(string);
}
