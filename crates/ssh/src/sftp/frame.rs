//! Cuts the byte stream of a channel into packets.
//!
//! Chunks of the stream are kept as they came until a packet is whole. A packet within one chunk is a slice of it; one that
//! spans chunks is put together by one copy into memory taken when all of it is there, so a false length costs nothing.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::buf::BufPool;
use super::error::ProtocolError;
use super::extensions::MAX_PACKET;

/// Longest packet taken in bytes: replies are no longer than requests may be, with some slack for servers that count
/// their headers apart.
pub(super) const MAX_REPLY: u32 = MAX_PACKET + 1024;

/// From this length on a packet that spans chunks goes to a buffer that is used again: such allocations would each be
/// mapped and unmapped.
const POOLED: usize = 64 * 1024;

/// Idle buffers kept by each session, 1 MiB of them; more are taken when the caller holds more data at once.
const KEPT_BUFFERS: usize = 4;

/// A chunk shorter than this is a crumb; so many of them in a row are joined.
const CRUMB: usize = 1024;
const MOST_CRUMBS: usize = 64;

/// Reassembles packets.
#[derive(Debug)]
pub(super) struct Deframer {
    chunks: VecDeque<Bytes>,
    buffered: usize,
    /// Length of the packet at the front, once its first four bytes were taken.
    due: Option<usize>,
    /// How many of the last chunks are crumbs, as far as known.
    crumbs: usize,
    pool: BufPool,
}

impl Deframer {
    pub(super) fn new() -> Deframer {
        Deframer {
            chunks: VecDeque::new(),
            buffered: 0,
            due: None,
            crumbs: 0,
            pool: BufPool::new(MAX_REPLY as usize, KEPT_BUFFERS),
        }
    }

    /// Takes the next bytes of the stream.
    pub(super) fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        self.buffered += chunk.len();
        self.crumbs = if chunk.len() < CRUMB { self.crumbs + 1 } else { 0 };
        self.chunks.push_back(chunk);
        if self.crumbs == MOST_CRUMBS {
            self.join_crumbs();
        }
    }

    /// Makes one chunk of the last crumbs: each may be a slice of much more memory than it has bytes.
    fn join_crumbs(&mut self) {
        self.crumbs = 0;
        let first = self.chunks.len().saturating_sub(MOST_CRUMBS);
        let mut joined = BytesMut::new();
        for crumb in self.chunks.drain(first..) {
            joined.extend_from_slice(&crumb);
        }
        self.chunks.push_back(joined.freeze());
    }

    /// The next whole packet without its length field; `None` if more bytes are needed.
    pub(super) fn next_packet(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        let due = match self.due {
            Some(due) => due,
            None if self.buffered < 4 => return Ok(None),
            None => {
                let mut field = [0; 4];
                self.copy_out(&mut field);
                match u32::from_be_bytes(field) {
                    0 => return Err(ProtocolError::PacketEmpty),
                    _ if field
                        .iter()
                        .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) =>
                    {
                        return Err(ProtocolError::Text(field));
                    }
                    len if len > MAX_REPLY => return Err(ProtocolError::PacketTooLong(len)),
                    len => *self.due.insert(len as usize),
                }
            }
        };
        if self.buffered < due {
            return Ok(None);
        }
        self.due = None;
        Ok(Some(self.take(due)))
    }

    /// The next `len` bytes, which are there.
    fn take(&mut self, len: usize) -> Bytes {
        if let Some(front) = self.chunks.front_mut()
            && front.len() >= len
        {
            let packet = front.split_to(len);
            self.buffered -= len;
            if front.is_empty() {
                self.chunks.pop_front();
            }
            return packet;
        }
        if len < POOLED {
            let mut packet = BytesMut::zeroed(len);
            self.copy_out(&mut packet);
            return packet.freeze();
        }
        let mut buffer = self.pool.take();
        buffer.set_len(len);
        if let Some(packet) = buffer.data_mut().get_mut(..len) {
            self.copy_out(packet);
        }
        buffer.freeze()
    }

    /// Moves bytes off the front; the caller knows that they are there.
    fn copy_out(&mut self, mut target: &mut [u8]) {
        while !target.is_empty() {
            let Some(front) = self.chunks.front_mut() else {
                return;
            };
            let count = front.len().min(target.len());
            let (now, later) = target.split_at_mut(count);
            front.copy_to_slice(now);
            target = later;
            self.buffered -= count;
            if front.is_empty() {
                self.chunks.pop_front();
            }
        }
    }
}
