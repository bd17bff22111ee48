//! What shall go wrong, and its form in a file: one fault a line, words apart by spaces, byte strings in hexadecimal.

use std::path::Path;

use anyhow::{Context, Result};

use super::op::Request;
use super::shared;

/// Status codes of SFTP version 3 (draft-ietf-secsh-filexfer-02, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the draft")]
#[repr(u32)]
pub enum Status {
    Ok = 0,
    Eof = 1,
    NoSuchFile = 2,
    PermissionDenied = 3,
    Failure = 4,
    BadMessage = 5,
    NoConnection = 6,
    ConnectionLost = 7,
    OpUnsupported = 8,
}

impl Status {
    const ALL: [Self; 9] = [
        Self::Ok,
        Self::Eof,
        Self::NoSuchFile,
        Self::PermissionDenied,
        Self::Failure,
        Self::BadMessage,
        Self::NoConnection,
        Self::ConnectionLost,
        Self::OpUnsupported,
    ];

    /// The text that OpenSSH sends with it.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Ok => "Success",
            Self::Eof => "End of file",
            Self::NoSuchFile => "No such file",
            Self::PermissionDenied => "Permission denied",
            Self::Failure => "Failure",
            Self::BadMessage => "Bad message",
            Self::NoConnection => "No connection",
            Self::ConnectionLost => "Connection lost",
            Self::OpUnsupported => "Operation unsupported",
        }
    }
}

/// Extensions that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of OpenSSH's PROTOCOL")]
pub enum Extension {
    PosixRename,
    Statvfs,
    Hardlink,
    Fsync,
    Lsetstat,
    Limits,
    CopyData,
}

impl Extension {
    /// All that the server has.
    pub const ALL: [Self; 7] = [
        Self::PosixRename,
        Self::Statvfs,
        Self::Hardlink,
        Self::Fsync,
        Self::Lsetstat,
        Self::Limits,
        Self::CopyData,
    ];

    /// Name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::PosixRename => "posix-rename@openssh.com",
            Self::Statvfs => "statvfs@openssh.com",
            Self::Hardlink => "hardlink@openssh.com",
            Self::Fsync => "fsync@openssh.com",
            Self::Lsetstat => "lsetstat@openssh.com",
            Self::Limits => "limits@openssh.com",
            Self::CopyData => "copy-data",
        }
    }
}

/// One thing that goes wrong.
///
/// Counts of [`Fault::Refuse`] and [`Fault::FullAfter`] run over all connections together, all others over one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The `nth` request of this kind (from 1) and the following, `times` in all, are answered with `status` and not carried
    /// out (a CLOSE is).
    Refuse {
        /// Kind.
        request: Request,
        /// First one that is refused.
        nth: u64,
        /// How many.
        times: u64,
        /// The answer.
        status: Status,
    },
    /// After so many bytes the disk is full, for everybody.
    FullAfter(u64),
    /// READ gives at most so many bytes.
    ShortReads(u32),
    /// The extension is neither announced nor served.
    Without(Extension),
    /// `limits@openssh.com` says this; what is beyond ends the server (packet, write), is cut (read), or fails (handles).
    Limits {
        /// Longest packet in bytes.
        packet: u64,
        /// Longest READ.
        read: u64,
        /// Longest WRITE.
        write: u64,
        /// Open handles of one connection.
        handles: u64,
    },
    /// Each request takes so many microseconds, one after the other.
    Delay(u64),
    /// The server ends without a word at this request of a connection.
    DieAt(u64),
    /// From this request of a connection on it reads, and answers nothing.
    MuteFrom(u64),
    /// Replies after the first come in another order, drawn from this seed, as far as the client lets them pile up.
    Reorder(u64),
    /// Each listing also has a file of this name, eight bytes long; if the client asks for it, it is there.
    Name(Vec<u8>),
    /// In listings, an entry of this name is preceded by a link of the same name; READLINK on it gives `target`.
    LinkBefore {
        /// Name of the entry, without a slash.
        name: Vec<u8>,
        /// Where the link points.
        target: Vec<u8>,
    },
    /// All sizes that are told are off by so much.
    SizeOff(i64),
    /// Files never end when read.
    EndlessFiles,
    /// Listings never end.
    EndlessListings,
    /// Listings never end, and have only this name any more.
    EndlessName(Vec<u8>),
    /// Each listing also has so many empty files; if the client asks for one, it is there.
    Synthetic(u64),
    /// This request of a connection is answered under an id that was not asked.
    ForeignId(u64),
    /// This request of a connection is answered with a type that does not fit.
    WrongType(u64),
    /// This request of a connection is answered by a packet that claims to be 1 GiB long.
    HugePacket(u64),
    /// DATA is so many bytes longer than asked.
    LongData(u32),
    /// Each reply comes twice.
    Twice,
    /// NAME replies claim four billion entries.
    HugeCount,
    /// The text of every status other than OK and EOF.
    StatusText(Vec<u8>),
    /// What was written is remembered until synced; see [`FaultServer::crash`](super::FaultServer::crash).
    LoseUnsynced,
}

/// A list of faults; none is a server without fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub(super) faults: Vec<Fault>,
}

impl Plan {
    /// No fault.
    pub fn new() -> Self {
        Self::default()
    }

    /// One fault more.
    #[must_use]
    pub fn with(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// The `nth` request of this kind fails, once.
    #[must_use]
    pub fn refuse(self, request: Request, nth: u64, status: Status) -> Self {
        self.with(Fault::Refuse {
            request,
            nth,
            times: 1,
            status,
        })
    }

    /// Writes it into `folder` for the servers that are started with that folder, and forgets all counts there.
    pub fn write(&self, folder: &Path) -> Result<()> {
        shared::reset(folder)?;
        let text: String = self.faults.iter().map(|fault| line(fault) + "\n").collect();
        // Renamed into place: a server that starts meanwhile reads the old one or this one.
        let temporary = folder.join("plan.new");
        std::fs::write(&temporary, text)?;
        std::fs::rename(&temporary, folder.join("plan"))?;
        Ok(())
    }

    /// Reads what [`Plan::write`] wrote.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("plan");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let parse = |line: &str| parse(line).with_context(|| format!("`{line}` in a plan is no fault"));
        Ok(Self {
            faults: text.lines().map(parse).collect::<Result<_>>()?,
        })
    }
}

fn line(fault: &Fault) -> String {
    match fault {
        Fault::Refuse {
            request,
            nth,
            times,
            status,
        } => {
            format!("refuse {} {nth} {times} {}", *request as u32, *status as u32)
        }
        Fault::FullAfter(bytes) => format!("full-after {bytes}"),
        Fault::ShortReads(bytes) => format!("short-reads {bytes}"),
        Fault::Without(extension) => format!("without {}", extension.name()),
        Fault::Limits {
            packet,
            read,
            write,
            handles,
        } => format!("limits {packet} {read} {write} {handles}"),
        Fault::Delay(micros) => format!("delay {micros}"),
        Fault::DieAt(nth) => format!("die-at {nth}"),
        Fault::MuteFrom(nth) => format!("mute-from {nth}"),
        Fault::Reorder(seed) => format!("reorder {seed}"),
        Fault::Name(name) => format!("name {}", hex(name)),
        Fault::LinkBefore { name, target } => format!("link-before {} {}", hex(name), hex(target)),
        Fault::SizeOff(bytes) => format!("size-off {bytes}"),
        Fault::EndlessFiles => "endless-files".to_owned(),
        Fault::EndlessListings => "endless-listings".to_owned(),
        Fault::EndlessName(name) => format!("endless-name {}", hex(name)),
        Fault::Synthetic(files) => format!("synthetic {files}"),
        Fault::ForeignId(nth) => format!("foreign-id {nth}"),
        Fault::WrongType(nth) => format!("wrong-type {nth}"),
        Fault::HugePacket(nth) => format!("huge-packet {nth}"),
        Fault::LongData(bytes) => format!("long-data {bytes}"),
        Fault::Twice => "twice".to_owned(),
        Fault::HugeCount => "huge-count".to_owned(),
        Fault::StatusText(text) => format!("status-text {}", hex(text)),
        Fault::LoseUnsynced => "lose-unsynced".to_owned(),
    }
}

fn parse(line: &str) -> Option<Fault> {
    let mut words = line.split(' ');
    let kind = words.next()?;
    let mut word = || words.next();
    Some(match kind {
        "refuse" => {
            let request: u32 = word()?.parse().ok()?;
            let request = Request::ALL.into_iter().find(|known| *known as u32 == request)?;
            let (nth, times) = (word()?.parse().ok()?, word()?.parse().ok()?);
            let status: u32 = word()?.parse().ok()?;
            let status = Status::ALL.into_iter().find(|known| *known as u32 == status)?;
            Fault::Refuse {
                request,
                nth,
                times,
                status,
            }
        }
        "full-after" => Fault::FullAfter(word()?.parse().ok()?),
        "short-reads" => Fault::ShortReads(word()?.parse().ok()?),
        "without" => {
            let name = word()?;
            Fault::Without(Extension::ALL.into_iter().find(|extension| extension.name() == name)?)
        }
        "limits" => Fault::Limits {
            packet: word()?.parse().ok()?,
            read: word()?.parse().ok()?,
            write: word()?.parse().ok()?,
            handles: word()?.parse().ok()?,
        },
        "delay" => Fault::Delay(word()?.parse().ok()?),
        "die-at" => Fault::DieAt(word()?.parse().ok()?),
        "mute-from" => Fault::MuteFrom(word()?.parse().ok()?),
        "reorder" => Fault::Reorder(word()?.parse().ok()?),
        "name" => Fault::Name(bytes(word()?)?),
        "link-before" => Fault::LinkBefore {
            name: bytes(word()?)?,
            target: bytes(word()?)?,
        },
        "size-off" => Fault::SizeOff(word()?.parse().ok()?),
        "endless-files" => Fault::EndlessFiles,
        "endless-listings" => Fault::EndlessListings,
        "endless-name" => Fault::EndlessName(bytes(word()?)?),
        "synthetic" => Fault::Synthetic(word()?.parse().ok()?),
        "foreign-id" => Fault::ForeignId(word()?.parse().ok()?),
        "wrong-type" => Fault::WrongType(word()?.parse().ok()?),
        "huge-packet" => Fault::HugePacket(word()?.parse().ok()?),
        "long-data" => Fault::LongData(word()?.parse().ok()?),
        "twice" => Fault::Twice,
        "huge-count" => Fault::HugeCount,
        "status-text" => Fault::StatusText(bytes(word()?)?),
        "lose-unsynced" => Fault::LoseUnsynced,
        _ => return None,
    })
}

/// Never empty, so that an empty byte string is a word as well.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::from("x"), |text, byte| text + &format!("{byte:02x}"))
}

pub(super) fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.strip_prefix('x')?.as_bytes();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_its_file() {
        let plan = Plan::new()
            .refuse(Request::Fsetstat, 3, Status::PermissionDenied)
            .with(Fault::FullAfter(10))
            .with(Fault::ShortReads(1))
            .with(Fault::Without(Extension::CopyData))
            .with(Fault::Limits {
                packet: 1,
                read: 2,
                write: 3,
                handles: 4,
            })
            .with(Fault::Delay(5))
            .with(Fault::DieAt(6))
            .with(Fault::MuteFrom(6))
            .with(Fault::Reorder(u64::MAX))
            .with(Fault::Name(vec![]))
            .with(Fault::LinkBefore {
                name: b"a b\n".to_vec(),
                target: vec![0xff],
            })
            .with(Fault::SizeOff(-7))
            .with(Fault::EndlessFiles)
            .with(Fault::EndlessListings)
            .with(Fault::EndlessName(vec![b'/']))
            .with(Fault::Synthetic(8))
            .with(Fault::ForeignId(1))
            .with(Fault::WrongType(1))
            .with(Fault::HugePacket(1))
            .with(Fault::LongData(1))
            .with(Fault::Twice)
            .with(Fault::HugeCount)
            .with(Fault::StatusText(b"\x1b[2J".to_vec()))
            .with(Fault::LoseUnsynced);
        let folder = tempfile::tempdir().unwrap();
        plan.write(folder.path()).unwrap();
        assert_eq!(Plan::read(folder.path()).unwrap(), plan);
    }
}
