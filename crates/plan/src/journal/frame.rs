//! Records as bytes that show every change.
//!
//! See the [module above](super) for the layout.

use thiserror::Error;

use super::header::{Header, VERSION};
use super::record::Record;

/// Not text, so that no editor takes it for some, with line ends of both kinds to show a transfer in text mode.
const MAGIC: [u8; 8] = *b"\x93RJ\r\n\x1a\n\0";
/// Magic, version and length, then their CRC.
const PRELUDE: usize = 8 + 2 + 4 + 4;
/// Length, kind and check.
const HEAD: usize = 3 + 1 + 2;
const CRC: usize = 4;
const MAX_PAYLOAD: usize = (1 << 24) - 1;
/// More than any command line with its options can have; a header with a longer one is not believed.
const MAX_HEADER: usize = 64 << 20;
/// A hole at the end is at least so long. A single changed byte is never taken for one.
const SHORTEST_HOLE: u64 = 8;

/// A header or record that does not fit the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a journal entry of {len} bytes, more than the {max} that fit")]
pub struct TooLong {
    /// Its length.
    pub len: usize,
    /// The longest that fits.
    pub max: usize,
}

/// Why a journal cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// A byte is not what was written.
    #[error("the journal is damaged at byte {offset}")]
    Damaged {
        /// Where the header or record begins that is wrong.
        offset: u64,
    },
    /// A later program wrote it.
    #[error("the journal has format version {version}; this program reads version {VERSION}")]
    NewerVersion {
        /// Its version.
        version: u16,
    },
}

/// How a journal ends whose bytes are all right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// After a record.
    Clean,
    /// Within a record: the program or the machine stopped while writing it.
    Torn {
        /// Bytes before it; 0 where not even the header is there. The rest is to be cut off.
        valid_len: u64,
    },
}

fn crc(seed: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// The check of a record's length and kind. Both halves of the CRC are folded, so that it differs for any change within
/// a single byte (tested for all of them).
fn head_check(seed: u32, length_and_kind: [u8; 4]) -> [u8; 2] {
    let crc = crc(seed, &[&length_and_kind]);
    ((crc >> 16) as u16 ^ crc as u16).to_le_bytes()
}

/// Turns records into bytes, each tied to the one before.
#[derive(Clone, Debug)]
pub struct Encoder {
    chain: u32,
}

impl Encoder {
    /// Begins a journal with its header.
    ///
    /// # Errors
    /// A header longer than 64 MiB; nothing is appended to `out` then.
    pub fn begin(header: &Header, out: &mut Vec<u8>) -> Result<Self, TooLong> {
        let mut body = Vec::new();
        header.encode(&mut body);
        let too_long = TooLong {
            len: body.len(),
            max: MAX_HEADER,
        };
        let len = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_HEADER);
        let len = len.ok_or(too_long)?;
        let mut prelude = MAGIC.to_vec();
        prelude.extend_from_slice(&VERSION.to_le_bytes());
        prelude.extend_from_slice(&len.to_le_bytes());
        let prelude_crc = crc(0, &[&prelude]);
        let chain = crc(prelude_crc, &[&body]);
        out.extend_from_slice(&prelude);
        out.extend_from_slice(&prelude_crc.to_le_bytes());
        out.extend_from_slice(&body);
        out.extend_from_slice(&chain.to_le_bytes());
        Ok(Self { chain })
    }

    /// Appends a record to `out`.
    ///
    /// # Errors
    /// A record of 16 MiB or more; nothing is appended then and the journal can go on.
    pub fn append(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let start = out.len();
        out.extend_from_slice(&[0; HEAD]);
        let kind = record.encode(out);
        let len = out.len().saturating_sub(start).saturating_sub(HEAD);
        let max = MAX_PAYLOAD;
        let [low, middle, high, 0] = u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes() else {
            out.truncate(start);
            return Err(TooLong { len, max });
        };
        let length_and_kind = [low, middle, high, kind];
        let check = head_check(self.chain, length_and_kind);
        let (_, written) = out.split_at_mut(start);
        if let Some(head) = written.first_chunk_mut::<HEAD>() {
            let [l, m, h, k] = length_and_kind;
            let [c, d] = check;
            *head = [l, m, h, k, c, d];
        }
        self.chain = crc(self.chain, &[written]);
        out.extend_from_slice(&self.chain.to_le_bytes());
        Ok(())
    }
}

/// Where a record stands, so that it can be read again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    /// Its first byte. The four bytes before it are the CRC that it continues.
    pub offset: u64,
}

impl RecordPlace {
    /// Where to read for [`decode_single`].
    #[must_use]
    pub const fn read_from(self) -> u64 {
        self.offset.saturating_sub(CRC as u64)
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// The header, always first.
    Header(Box<Header>),
    /// A record.
    Record(Record<'a>),
    /// Bytes of a hole at the end.
    Hole,
}

/// One step of a [`Decoder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// What was found.
    pub item: Item<'a>,
    /// Where it begins in the journal.
    pub offset: u64,
    /// How many bytes it has; to be taken off the input.
    pub len: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Header,
    Records {
        chain: u32,
    },
    /// A record failed and ends in zeros: either a hole that a crash has left, or damage.
    Hole {
        since: u64,
        zeros: u64,
    },
}

/// Turns bytes into records as they come, and says how they end.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
    offset: u64,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// At the first byte of a journal.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::Header,
            offset: 0,
        }
    }

    /// Takes the next item from the front of `input`; `None` when that takes more bytes than are there.
    ///
    /// # Errors
    /// Damage, or a later version of the format. The decoder is of no use after that.
    pub fn step<'a>(&mut self, input: &'a [u8]) -> Result<Option<Decoded<'a>>, ReadError> {
        let found = match self.state {
            State::Header => self.header(input)?,
            State::Records { chain } => self.record(chain, input)?,
            State::Hole { since, zeros } if !input.is_empty() => {
                let zeros = zeros.saturating_add(input.len() as u64);
                if input.iter().any(|&byte| byte != 0) {
                    return Err(ReadError::Damaged { offset: since });
                }
                self.state = State::Hole { since, zeros };
                Some((Item::Hole, input.len()))
            }
            State::Hole { .. } => None,
        };
        Ok(found.map(|(item, len)| {
            let offset = self.offset;
            self.offset = offset.saturating_add(len as u64);
            Decoded { item, offset, len }
        }))
    }

    /// Says how the journal ends after which only `rest` was left over.
    ///
    /// # Errors
    /// Damage.
    pub fn end(&self, rest: &[u8]) -> Result<Ending, ReadError> {
        match self.state {
            State::Hole { since, zeros } if zeros < SHORTEST_HOLE => Err(ReadError::Damaged { offset: since }),
            State::Hole { since, .. } => Ok(Ending::Torn { valid_len: since }),
            State::Records { .. } if rest.is_empty() => Ok(Ending::Clean),
            _ => Ok(Ending::Torn { valid_len: self.offset }),
        }
    }

    /// How to go on writing after a [clean](Ending::Clean) end; none before the header.
    #[must_use]
    pub const fn encoder(&self) -> Option<Encoder> {
        match self.state {
            State::Records { chain } => Some(Encoder { chain }),
            _ => None,
        }
    }

    fn header(&mut self, input: &[u8]) -> Result<Option<(Item<'static>, usize)>, ReadError> {
        let damaged = ReadError::Damaged { offset: 0 };
        if MAGIC.iter().zip(input).any(|(want, have)| want != have) {
            return Err(damaged);
        }
        let Some((prelude, rest)) = input.split_first_chunk::<PRELUDE>() else {
            return Ok(None);
        };
        let [.., v0, v1, l0, l1, l2, l3, c0, c1, c2, c3] = *prelude;
        let prelude_crc = u32::from_le_bytes([c0, c1, c2, c3]);
        let covered = prelude
            .split_last_chunk::<CRC>()
            .map_or(&[][..], |(covered, _)| covered);
        if crc(0, &[covered]) != prelude_crc {
            return Err(damaged);
        }
        let version = u16::from_le_bytes([v0, v1]);
        if version > VERSION {
            return Err(ReadError::NewerVersion { version });
        }
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if version != VERSION || len > MAX_HEADER {
            return Err(damaged);
        }
        let Some((body, rest)) = rest.split_at_checked(len) else {
            return Ok(None);
        };
        let Some(stored) = rest.first_chunk::<CRC>() else {
            return Ok(None);
        };
        let chain = crc(prelude_crc, &[body]);
        if chain != u32::from_le_bytes(*stored) {
            return Err(damaged);
        }
        let header = Header::decode(body).ok_or(damaged)?;
        self.state = State::Records { chain };
        Ok(Some((Item::Header(Box::new(header)), PRELUDE + len + CRC)))
    }

    fn record<'a>(&mut self, chain: u32, input: &'a [u8]) -> Result<Option<(Item<'a>, usize)>, ReadError> {
        match read_record(chain, input) {
            Frame::Short => Ok(None),
            Frame::Good { record, len, chain } => {
                self.state = State::Records { chain };
                Ok(Some((Item::Record(record), len)))
            }
            Frame::Bad { bytes } => {
                let zeros = bytes.iter().rev().take_while(|&&byte| byte == 0).count() as u64;
                if zeros == 0 {
                    return Err(ReadError::Damaged { offset: self.offset });
                }
                self.state = State::Hole {
                    since: self.offset,
                    zeros,
                };
                Ok(Some((Item::Hole, bytes.len())))
            }
        }
    }
}

enum Frame<'a> {
    /// The input ends within the record.
    Short,
    Good {
        record: Record<'a>,
        len: usize,
        chain: u32,
    },
    /// Not what was written.
    Bad {
        bytes: &'a [u8],
    },
}

fn read_record(chain: u32, input: &[u8]) -> Frame<'_> {
    let Some((head, rest)) = input.split_first_chunk::<HEAD>() else {
        return Frame::Short;
    };
    let [low, middle, high, kind, check @ ..] = *head;
    if head_check(chain, [low, middle, high, kind]) != check {
        return Frame::Bad { bytes: head };
    }
    let len = u32::from_le_bytes([low, middle, high, 0]) as usize;
    let Some((payload, rest)) = rest.split_at_checked(len) else {
        return Frame::Short;
    };
    let Some(stored) = rest.first_chunk::<CRC>() else {
        return Frame::Short;
    };
    let next = crc(chain, &[head, payload]);
    let len = HEAD + len + CRC;
    match Record::decode(kind, payload) {
        Some(record) if next == u32::from_le_bytes(*stored) => Frame::Good {
            record,
            len,
            chain: next,
        },
        _ => Frame::Bad {
            bytes: input.get(..len).unwrap_or(input),
        },
    }
}

/// Reads one record by itself again. `input` begins at its [place](RecordPlace::read_from).
///
/// # Errors
/// Damage, with `place` as offset. `None` when it takes more bytes than are there.
pub fn decode_single(place: RecordPlace, input: &[u8]) -> Result<Option<Record<'_>>, ReadError> {
    let Some((chain, input)) = input.split_first_chunk::<CRC>() else {
        return Ok(None);
    };
    match read_record(u32::from_le_bytes(*chain), input) {
        Frame::Short => Ok(None),
        Frame::Good { record, .. } => Ok(Some(record)),
        Frame::Bad { .. } => Err(ReadError::Damaged { offset: place.offset }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_of_the_head_sees_any_change_within_one_byte() {
        // A CRC is linear: whether a change is seen depends on the change alone, so one seed and one head stand for all.
        let head = [0x12, 0x34, 0x00, 0x07];
        let right = head_check(0x89ab_cdef, head);
        for at in 0..head.len() {
            for change in 1..=255 {
                let mut wrong = head;
                wrong[at] ^= change;
                assert_ne!(
                    head_check(0x89ab_cdef, wrong),
                    right,
                    "byte {at} changed by {change:#x}"
                );
            }
        }
    }
}
