//! Requests that wait to be sent, in the order in which they were made.
//!
//! Small ones are written one behind the other into shared pieces, for each piece costs a packet of the SSH connection
//! with its own encryption and authentication; large ones stand for themselves and are never copied.

use bytes::{Bytes, BytesMut};

use super::buf::WriteBuf;
use super::error::SftpError;
use super::packet::{self, Request, WriteAt};

/// Bytes of small requests that go out as one: what fits one packet of an SSH connection (RFC 4253 section 6.1 asks for
/// 32,768 bytes of payload).
const PIECE: usize = 32 * 1024;

/// A WRITE with fewer bytes of data than this counts as small.
pub(super) const SMALL_WRITE: usize = 8 * 1024;

#[derive(Debug, Default)]
pub(super) struct Queue {
    pieces: Vec<Bytes>,
    /// Small requests behind the last piece.
    tail: BytesMut,
}

impl Queue {
    pub(super) fn new() -> Queue {
        Queue {
            pieces: Vec::new(),
            // Later allocations of a `BytesMut` take after the size of its first.
            tail: BytesMut::with_capacity(2 * PIECE),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.tail.is_empty()
    }

    /// Appends the packet that begins a session.
    pub(super) fn push_init(&mut self) {
        packet::encode_init(&mut self.tail);
    }

    /// Appends a small request. One that is longer than `max` bytes is an error and leaves nothing behind.
    pub(super) fn push(&mut self, id: u32, request: &Request<'_>, max: usize) -> Result<(), SftpError> {
        let start = self.tail.len();
        request.encode(id, &mut self.tail);
        let len = self.tail.len() - start - 4;
        if len > max {
            self.tail.truncate(start);
            return Err(SftpError::RequestTooLarge { len, max });
        }
        if self.tail.len() > PIECE && start > 0 {
            self.pieces.push(self.tail.split_to(start).freeze());
        }
        Ok(())
    }

    /// Appends a WRITE of a large buffer without copying it. One that is longer than `max` bytes is an error.
    pub(super) fn push_write(&mut self, id: u32, at: WriteAt<'_>, data: WriteBuf, max: usize) -> Result<(), SftpError> {
        self.seal();
        // Written behind the tail, which is empty, and taken off it: no allocation for a header.
        packet::encode_write_header(id, at, data.len(), &mut self.tail);
        let len = self.tail.len() - 4 + data.len();
        if len <= max {
            self.pieces.push(data.freeze_behind(&self.tail));
        }
        self.tail.clear();
        if len > max {
            return Err(SftpError::RequestTooLarge { len, max });
        }
        Ok(())
    }

    /// Moves all into `batch`, which is empty and gives its memory in exchange.
    pub(super) fn take(&mut self, batch: &mut Vec<Bytes>) {
        self.seal();
        std::mem::swap(&mut self.pieces, batch);
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push(self.tail.split().freeze());
        }
    }
}
