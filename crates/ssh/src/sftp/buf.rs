//! Buffers for the data of large WRITEs, with room in front for the packet's header, so that data is read from disk into
//! the very memory that goes to the channel.
//!
//! Not for small data: a WRITE of a few KiB is copied into the packet that it shares with other requests.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Room for the longest header: length, type, id, handle of at most 256 bytes with its length, offset, length of the data;
/// 281 bytes, rounded up.
pub(super) const HEADROOM: usize = 320;

/// A buffer of data to write.
///
/// All of its capacity is initialised: [`data_mut`](WriteBuf::data_mut) lends it for reading a file into,
/// [`set_len`](WriteBuf::set_len) says how much of it counts.
#[derive(Debug)]
pub struct WriteBuf {
    memory: Memory,
    len: usize,
}

impl WriteBuf {
    /// An empty buffer that can take `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> WriteBuf {
        WriteBuf {
            memory: Memory {
                bytes: vec![0; HEADROOM + capacity].into_boxed_slice(),
                home: None,
            },
            len: 0,
        }
    }

    /// A buffer that holds a copy of `data`.
    #[must_use]
    pub fn from_slice(data: &[u8]) -> WriteBuf {
        let mut buf = WriteBuf::with_capacity(data.len());
        buf.data_mut().copy_from_slice(data);
        buf.len = data.len();
        buf
    }

    /// Bytes that fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.memory.bytes.len() - HEADROOM
    }

    /// The whole capacity, of which the first [`len`](WriteBuf::len) bytes count.
    ///
    /// What a pooled buffer holds beyond that is of earlier use.
    pub fn data_mut(&mut self) -> &mut [u8] {
        self.memory.bytes.get_mut(HEADROOM..).unwrap_or_default()
    }

    /// Says how many bytes count; more than the capacity is the capacity.
    pub fn set_len(&mut self, len: usize) {
        self.len = len.min(self.capacity());
    }

    /// Bytes that count.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no byte counts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes that count.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.memory.bytes.get(HEADROOM..HEADROOM + self.len).unwrap_or_default()
    }

    /// The bytes that count, shared; the memory goes back to its pool when the last sharer is gone.
    #[must_use]
    pub fn freeze(self) -> Bytes {
        self.freeze_behind(&[])
    }

    /// `header` and the bytes that count as one. A header longer than the headroom would be cut; none is.
    pub(super) fn freeze_behind(mut self, header: &[u8]) -> Bytes {
        let start = HEADROOM.saturating_sub(header.len());
        if let Some(room) = self.memory.bytes.get_mut(start..start + header.len()) {
            room.copy_from_slice(header);
        }
        let end = HEADROOM + self.len;
        Bytes::from_owner(Frozen {
            memory: self.memory,
            start,
            end,
        })
    }
}

/// Keeps buffers of one size for use again, so that the memory of large ones is not given back to the system and zeroed
/// anew for each request.
///
/// Cheap to clone; clones share the buffers.
#[derive(Clone)]
pub struct BufPool {
    free: Arc<FreeList>,
}

struct FreeList {
    capacity: usize,
    keep: usize,
    buffers: Mutex<Vec<Box<[u8]>>>,
}

impl BufPool {
    /// A pool of buffers for `capacity` bytes each that keeps at most `keep` of them while they are not in use.
    #[must_use]
    pub fn new(capacity: usize, keep: usize) -> BufPool {
        BufPool {
            free: Arc::new(FreeList {
                capacity,
                keep,
                buffers: Mutex::new(Vec::new()),
            }),
        }
    }

    /// An empty buffer, used before or new.
    ///
    /// There is no limit to how many are in use at once: whoever takes them bounds that.
    #[must_use]
    pub fn take(&self) -> WriteBuf {
        let used = self.free.lock().pop();
        let bytes = used.unwrap_or_else(|| vec![0; HEADROOM + self.free.capacity].into_boxed_slice());
        WriteBuf {
            memory: Memory {
                bytes,
                home: Some(Arc::clone(&self.free)),
            },
            len: 0,
        }
    }

    /// Bytes that each buffer takes.
    #[must_use]
    pub fn buffer_capacity(&self) -> usize {
        self.free.capacity
    }

    /// Buffers that wait to be used again.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.free.lock().len()
    }
}

impl fmt::Debug for BufPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufPool")
            .field("capacity", &self.free.capacity)
            .field("keep", &self.free.keep)
            .finish_non_exhaustive()
    }
}

impl FreeList {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Box<[u8]>>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory that goes home when it is dropped.
struct Memory {
    bytes: Box<[u8]>,
    home: Option<Arc<FreeList>>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("len", &self.bytes.len())
            .field("pooled", &self.home.is_some())
            .finish()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            let mut buffers = home.lock();
            if buffers.len() < home.keep {
                buffers.push(std::mem::take(&mut self.bytes));
            }
        }
    }
}

struct Frozen {
    memory: Memory,
    start: usize,
    end: usize,
}

impl AsRef<[u8]> for Frozen {
    fn as_ref(&self) -> &[u8] {
        self.memory.bytes.get(self.start..self.end).unwrap_or_default()
    }
}
