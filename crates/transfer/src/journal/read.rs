//! Reading a journal: all of it in order, or a finished file's records again.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use renkei_plan::journal::{
    Decoder, Encoder, Ending, FileIdentity, FileSeq, FinishedEntry, Header, Item, ReadError, Record, RecordPlace,
    Replay, Resume, TargetPlace, UnixMillis, decode_single, join,
};
use renkei_types::tree_hash::Root;

use super::error::{Damage, JournalError};

/// Read at once from a journal; only a longer record takes more memory.
const BLOCK: usize = 1 << 18;
/// Enough for nearly every record of a small file.
const SINGLE: usize = 1024;

/// A journal that was read to its end.
pub(super) struct Replayed {
    pub(super) header: Header,
    pub(super) resume: Resume,
    /// How to go on writing.
    pub(super) encoder: Encoder,
    /// Bytes that are good; whatever follows is a torn tail.
    pub(super) valid_len: u64,
}

/// Why a journal was not read to its end.
pub(super) enum Failed {
    Io(io::Error),
    NewerVersion(u16),
    Damaged(Damage),
}

impl Failed {
    pub(super) fn at(self, path: &Path) -> JournalError {
        let path = path.to_owned();
        match self {
            Self::Io(cause) => {
                let action = "read";
                JournalError::Io { action, path, cause }
            }
            Self::NewerVersion(version) => JournalError::NewerVersion { path, version },
            Self::Damaged(cause) => JournalError::Damaged { path, cause },
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NewerVersion { version } => Self::NewerVersion(version),
            damaged @ ReadError::Damaged { .. } => Self::Damaged(damaged.into()),
        }
    }
}

/// What was taken from the records so far.
struct Taken {
    replay: Replay,
    header: Option<Header>,
    encoder: Option<Encoder>,
    valid_len: u64,
}

/// Reads `file` from where it stands to its end.
pub(super) fn replay(file: &mut File) -> Result<Replayed, Failed> {
    let mut taken = Taken {
        replay: Replay::new(),
        header: None,
        encoder: None,
        valid_len: 0,
    };
    let mut decoder = Decoder::new();
    let mut buffer = vec![0; BLOCK];
    let (mut start, mut end) = (0, 0);
    loop {
        while let Some(decoded) = decoder.step(&buffer[start..end])? {
            start += decoded.len;
            taken.take(decoded.offset, decoded.len, decoded.item)?;
            taken.encoder = decoder.encoder().or(taken.encoder);
        }
        buffer.copy_within(start..end, 0);
        (start, end) = (0, end - start);
        if end == buffer.len() {
            buffer.resize(buffer.len() * 2, 0);
        }
        match file.read(&mut buffer[end..]) {
            Ok(0) => break,
            Ok(read) => end += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    if let Ending::Torn { valid_len } = decoder.end(&buffer[..end])? {
        taken.valid_len = valid_len;
    }
    let (Some(header), Some(encoder)) = (taken.header, taken.encoder) else {
        return Err(Failed::Damaged(Damage::NoHeader));
    };
    Ok(Replayed {
        header,
        resume: taken.replay.finish(),
        encoder,
        valid_len: taken.valid_len,
    })
}

impl Taken {
    fn take(&mut self, offset: u64, len: usize, item: Item<'_>) -> Result<(), Failed> {
        match item {
            Item::Header(header) => self.header = Some(*header),
            Item::Record(record) => self
                .replay
                .record(RecordPlace { offset }, &record)
                .map_err(|cause| Failed::Damaged(Damage::Meaning { offset, cause }))?,
            Item::Hole => return Ok(()),
        }
        self.valid_len = offset + len as u64;
        Ok(())
    }
}

/// A file that an earlier run has finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedFile {
    /// Its number, for [`Record::Checked`].
    pub seq: FileSeq,
    /// The source as it was.
    pub identity: FileIdentity,
    /// Its path at the target.
    pub target: Vec<u8>,
    /// Its size at the target.
    pub size: u64,
    /// Its modification time at the target in seconds since 1970, where it was known.
    pub mtime: Option<i64>,
    /// The hash of what was sent, where it was computed.
    pub root: Option<Root>,
    /// When it was finished.
    pub at: UnixMillis,
    /// Whether it must be read back, because the far host may have lost it.
    pub in_doubt: bool,
}

/// Reads a finished file's records again; none if they are of another path.
pub(super) fn finished(
    file: &File,
    entry: FinishedEntry,
    resume: &Resume,
    wanted: (renkei_plan::journal::SourceIndex, &[u8]),
) -> Result<Option<FinishedFile>, Failed> {
    let contradiction =
        |place: RecordPlace| Failed::Damaged(Damage::Bytes(ReadError::Damaged { offset: place.offset }));
    let begun = single(file, entry.begin)?;
    let Some(Record::Begin {
        seq,
        source,
        path,
        identity,
        target,
        ..
    }) = decode_single(entry.begin, &begun)?
    else {
        return Err(contradiction(entry.begin));
    };
    if (source, path) != wanted {
        return Ok(None);
    }
    let target = match target {
        TargetPlace::At(target) => target.to_vec(),
        TargetPlace::BelowLanded => join(resume.landed(source).unwrap_or_default(), path),
    };
    let done = single(file, entry.finished)?;
    match decode_single(entry.finished, &done)? {
        Some(Record::Finished {
            seq: same,
            size,
            mtime,
            root,
            at,
        }) if same == seq => Ok(Some(FinishedFile {
            seq,
            identity,
            target,
            size,
            mtime,
            root,
            at,
            in_doubt: entry.in_doubt,
        })),
        _ => Err(contradiction(entry.finished)),
    }
}

/// The bytes of one record, possibly with more behind it.
fn single(file: &File, place: RecordPlace) -> Result<Vec<u8>, Failed> {
    let mut bytes = vec![0; SINGLE];
    loop {
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], place.read_from() + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        let at_end = filled < bytes.len();
        let wanted = bytes.len() * 8;
        bytes.truncate(filled);
        if at_end || decode_single(place, &bytes)?.is_some() {
            return Ok(bytes);
        }
        bytes.resize(wanted, 0);
    }
}
