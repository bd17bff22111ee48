//! What is written down, one thing at a time.

use std::borrow::Cow;
use std::ops::Range;

use renkei_types::tree_hash::{Cv, Root};

use super::field::{Fields, put_bytes, put_i64, put_u64};
use super::{Durability, FileSeq, SourceIndex, UnixMillis};

/// By what a changed source is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    /// Bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970; whole seconds where the source is SFTP.
    pub mtime_ns: i64,
    /// Inode number, 0 where the source has none to tell.
    pub inode: u64,
    /// Device number, 0 where the source has none to tell.
    pub device: u64,
}

/// Where a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetPlace<'a> {
    /// Its path, joined to where its source landed; see [`join`].
    BelowLanded,
    /// This path.
    At(&'a [u8]),
}

/// The path of `below` under `landed`; `landed` itself where `below` is empty.
#[must_use]
pub fn join(landed: &[u8], below: &[u8]) -> Vec<u8> {
    let mut path = landed.to_vec();
    if !below.is_empty() {
        if !path.is_empty() && !path.ends_with(b"/") {
            path.push(b'/');
        }
        path.extend_from_slice(below);
    }
    path
}

/// One thing that happened.
///
/// *Before* and *after* below say when it has to be written, relative to what it tells of. Written means handed to the
/// operating system: what a killed process has written is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A run begins, after the target was reached and before anything is sent. Whatever was not durable before it is in
    /// doubt from now on. Also to be written within one run when *all* connections were lost and the target came back,
    /// as its host may have crashed.
    Run {
        /// Now.
        at: UnixMillis,
        /// How this run's target makes things durable.
        durability: Durability,
    },
    /// Where a source landed; before anything is made there.
    Landed {
        /// Which source.
        source: SourceIndex,
        /// Its own place at the target: of a directory, the directory that holds its contents.
        target: &'a [u8],
    },
    /// A file is begun; before its temporary file is made. An older attempt at the same path is void.
    Begin {
        /// The file.
        seq: FileSeq,
        /// The source it comes from.
        source: SourceIndex,
        /// Its path below the source; empty where the source is the file.
        path: &'a [u8],
        /// The source as it was.
        identity: FileIdentity,
        /// The name of the temporary file, in the directory of the target; empty where it is written in place.
        temp: &'a [u8],
        /// Where it goes.
        target: TargetPlace<'a>,
    },
    /// Pieces were acknowledged; after. On resume also for pieces that were in doubt and have been compared.
    Pieces {
        /// The file.
        seq: FileSeq,
        /// The first piece.
        first: u64,
        /// The values of it and of those after it.
        cvs: Cow<'a, [Cv]>,
        /// When the target answered.
        at: UnixMillis,
    },
    /// Pieces are not what they should be, or not there although they were durable (the temporary file was cut short by
    /// someone); before they are sent again.
    Lost {
        /// The file.
        seq: FileSeq,
        /// Which pieces.
        runs: Cow<'a, [Range<u64>]>,
    },
    /// The target has synced a file; after. Only for pieces that were acknowledged before the sync was sent.
    Durable {
        /// The file.
        seq: FileSeq,
        /// Which pieces.
        runs: Cow<'a, [Range<u64>]>,
        /// When the target answered.
        at: UnixMillis,
    },
    /// A file stands under its final name; after.
    Finished {
        /// The file.
        seq: FileSeq,
        /// Its size at the target.
        size: u64,
        /// Its modification time at the target in seconds since 1970, where it is known without asking once more.
        mtime: Option<i64>,
        /// The hash of what was sent, where it was computed.
        root: Option<Root>,
        /// When the target answered.
        at: UnixMillis,
    },
    /// The target has synced everything; after. Covers the files whose [`Record::Finished`] is not later than `before`,
    /// which is when the sync was sent.
    AllDurable {
        /// When the sync was sent.
        before: UnixMillis,
    },
    /// A finished file that was in doubt was read back and is right; after. It counts as finished only now, as its bytes
    /// may have come from the far host's memory.
    Checked {
        /// The file.
        seq: FileSeq,
        /// When the target answered.
        at: UnixMillis,
    },
    /// An attempt is given up, because the source changed or the file failed; after its temporary file was removed.
    Abandoned {
        /// The file.
        seq: FileSeq,
    },
    /// An old file is moved aside because the server cannot replace by rename; before.
    AsideMoved {
        /// The file that takes its place.
        seq: FileSeq,
        /// The name of the old file meanwhile, in the directory of the target.
        aside: &'a [u8],
    },
    /// The old file was removed, or moved back; after.
    AsideDone {
        /// The file that took its place.
        seq: FileSeq,
    },
    /// Nothing is left to do.
    Complete,
}

/// The record's kind as a byte. Never 0, which is what a hole in a file reads as.
mod kind {
    pub(super) const RUN: u8 = 1;
    pub(super) const LANDED: u8 = 2;
    pub(super) const BEGIN: u8 = 3;
    pub(super) const PIECES: u8 = 4;
    pub(super) const LOST: u8 = 5;
    pub(super) const DURABLE: u8 = 6;
    pub(super) const FINISHED: u8 = 7;
    pub(super) const ALL_DURABLE: u8 = 8;
    pub(super) const CHECKED: u8 = 9;
    pub(super) const ABANDONED: u8 = 10;
    pub(super) const ASIDE_MOVED: u8 = 11;
    pub(super) const ASIDE_DONE: u8 = 12;
    pub(super) const COMPLETE: u8 = 13;
}

const HAS_MTIME: u8 = 1;
const HAS_ROOT: u8 = 2;

impl Record<'_> {
    /// Appends the payload and tells the kind.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> u8 {
        match self {
            Self::Run { at, durability } => {
                put_u64(out, at.0);
                out.push(match durability {
                    Durability::Sync => 0,
                    Durability::Age => 1,
                });
                kind::RUN
            }
            Self::Landed { source, target } => {
                put_u64(out, source.0.into());
                put_bytes(out, target);
                kind::LANDED
            }
            Self::Begin {
                seq,
                source,
                path,
                identity,
                temp,
                target,
            } => {
                put_u64(out, seq.0);
                put_u64(out, source.0.into());
                put_bytes(out, path);
                put_u64(out, identity.size);
                put_i64(out, identity.mtime_ns);
                put_u64(out, identity.inode);
                put_u64(out, identity.device);
                put_bytes(out, temp);
                match target {
                    TargetPlace::BelowLanded => out.push(0),
                    TargetPlace::At(path) => {
                        out.push(1);
                        put_bytes(out, path);
                    }
                }
                kind::BEGIN
            }
            Self::Pieces { seq, first, cvs, at } => {
                put_u64(out, seq.0);
                put_u64(out, *first);
                put_u64(out, at.0);
                put_u64(out, cvs.len() as u64);
                cvs.iter().for_each(|cv| out.extend_from_slice(&cv.0));
                kind::PIECES
            }
            Self::Lost { seq, runs } => {
                put_u64(out, seq.0);
                put_runs(out, runs);
                kind::LOST
            }
            Self::Durable { seq, runs, at } => {
                put_u64(out, seq.0);
                put_runs(out, runs);
                put_u64(out, at.0);
                kind::DURABLE
            }
            Self::Finished {
                seq,
                size,
                mtime,
                root,
                at,
            } => {
                put_u64(out, seq.0);
                put_u64(out, *size);
                put_u64(out, at.0);
                out.push(if mtime.is_some() { HAS_MTIME } else { 0 } | if root.is_some() { HAS_ROOT } else { 0 });
                if let Some(mtime) = mtime {
                    put_i64(out, *mtime);
                }
                if let Some(root) = root {
                    out.extend_from_slice(&root.0);
                }
                kind::FINISHED
            }
            Self::AllDurable { before } => {
                put_u64(out, before.0);
                kind::ALL_DURABLE
            }
            Self::Checked { seq, at } => {
                put_u64(out, seq.0);
                put_u64(out, at.0);
                kind::CHECKED
            }
            Self::Abandoned { seq } => {
                put_u64(out, seq.0);
                kind::ABANDONED
            }
            Self::AsideMoved { seq, aside } => {
                put_u64(out, seq.0);
                put_bytes(out, aside);
                kind::ASIDE_MOVED
            }
            Self::AsideDone { seq } => {
                put_u64(out, seq.0);
                kind::ASIDE_DONE
            }
            Self::Complete => kind::COMPLETE,
        }
    }
}

impl<'a> Record<'a> {
    pub(super) fn decode(kind: u8, payload: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        let record = Self::fields(kind, &mut fields)?;
        fields.end(record)
    }

    fn fields(kind: u8, fields: &mut Fields<'a>) -> Option<Self> {
        Some(match kind {
            kind::RUN => Self::Run {
                at: UnixMillis(fields.u64()?),
                durability: match fields.u8()? {
                    0 => Durability::Sync,
                    1 => Durability::Age,
                    _ => return None,
                },
            },
            kind::LANDED => Self::Landed {
                source: SourceIndex(fields.u32()?),
                target: fields.bytes()?,
            },
            kind::BEGIN => Self::Begin {
                seq: FileSeq(fields.u64()?),
                source: SourceIndex(fields.u32()?),
                path: fields.bytes()?,
                identity: FileIdentity {
                    size: fields.u64()?,
                    mtime_ns: fields.i64()?,
                    inode: fields.u64()?,
                    device: fields.u64()?,
                },
                temp: fields.bytes()?,
                target: match fields.u8()? {
                    0 => TargetPlace::BelowLanded,
                    1 => TargetPlace::At(fields.bytes()?),
                    _ => return None,
                },
            },
            kind::PIECES => Self::Pieces {
                seq: FileSeq(fields.u64()?),
                first: fields.u64()?,
                at: UnixMillis(fields.u64()?),
                cvs: (0..fields.count(32)?)
                    .map(|_| fields.hash().map(Cv))
                    .collect::<Option<_>>()?,
            },
            kind::LOST => Self::Lost {
                seq: FileSeq(fields.u64()?),
                runs: take_runs(fields)?,
            },
            kind::DURABLE => Self::Durable {
                seq: FileSeq(fields.u64()?),
                runs: take_runs(fields)?,
                at: UnixMillis(fields.u64()?),
            },
            kind::FINISHED => {
                let seq = FileSeq(fields.u64()?);
                let size = fields.u64()?;
                let at = UnixMillis(fields.u64()?);
                let has = fields.u8().filter(|has| has & !(HAS_MTIME | HAS_ROOT) == 0)?;
                let mtime = if has & HAS_MTIME == 0 {
                    None
                } else {
                    Some(fields.i64()?)
                };
                let root = if has & HAS_ROOT == 0 {
                    None
                } else {
                    Some(Root(fields.hash()?))
                };
                Self::Finished {
                    seq,
                    size,
                    mtime,
                    root,
                    at,
                }
            }
            kind::ALL_DURABLE => Self::AllDurable {
                before: UnixMillis(fields.u64()?),
            },
            kind::CHECKED => Self::Checked {
                seq: FileSeq(fields.u64()?),
                at: UnixMillis(fields.u64()?),
            },
            kind::ABANDONED => Self::Abandoned {
                seq: FileSeq(fields.u64()?),
            },
            kind::ASIDE_MOVED => Self::AsideMoved {
                seq: FileSeq(fields.u64()?),
                aside: fields.bytes()?,
            },
            kind::ASIDE_DONE => Self::AsideDone {
                seq: FileSeq(fields.u64()?),
            },
            kind::COMPLETE => Self::Complete,
            _ => return None,
        })
    }
}

/// Each run as its start and its length.
fn put_runs(out: &mut Vec<u8>, runs: &[Range<u64>]) {
    put_u64(out, runs.len() as u64);
    for run in runs {
        put_u64(out, run.start);
        put_u64(out, run.end.saturating_sub(run.start));
    }
}

fn take_runs<'a>(fields: &mut Fields<'_>) -> Option<Cow<'a, [Range<u64>]>> {
    (0..fields.count(2)?)
        .map(|_| {
            let start = fields.u64()?;
            Some(start..start.checked_add(fields.u64()?)?)
        })
        .collect()
}
