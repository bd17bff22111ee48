//! Answers, before and as they go out.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use super::op::{ACMODTIME, Attributes, PERMISSIONS, SIZE, UIDGID};
use super::plan::{Extension, Status};

/// An entry of a listing.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub name: Vec<u8>,
    pub attributes: Attributes,
}

/// An answer to one request.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Status(Status),
    Handle(u32),
    Data(Vec<u8>),
    Names(Vec<Entry>),
    Attributes(Attributes),
    Extended(Vec<u64>),
}

impl From<&Metadata> for Attributes {
    fn from(data: &Metadata) -> Self {
        Self {
            size: Some(data.size()),
            owner: Some((data.uid(), data.gid())),
            mode: Some(data.mode()),
            times: Some((data.atime() as u32, data.mtime() as u32)),
        }
    }
}

/// The words that the encoding depends on beside the answer.
#[derive(Debug, Default)]
pub(super) struct Manner {
    /// Text of statuses that tell of an error.
    pub status_text: Option<Vec<u8>>,
    /// The count that NAME claims.
    pub claimed_count: Option<u32>,
}

impl Answer {
    /// The packet with its length.
    pub(super) fn encode(&self, id: u32, manner: &Manner) -> Vec<u8> {
        let mut packet = Packet::new(self.type_number());
        packet.u32(id);
        match self {
            Self::Status(status) => {
                packet.u32(*status as u32);
                let error = !matches!(status, Status::Ok | Status::Eof);
                let text = manner.status_text.as_deref().filter(|_| error);
                packet.string(text.unwrap_or(status.message().as_bytes()));
                packet.string(b"");
            }
            Self::Handle(handle) => packet.string(&handle.to_be_bytes()),
            Self::Data(data) => packet.string(data),
            Self::Names(entries) => {
                packet.u32(manner.claimed_count.unwrap_or(entries.len() as u32));
                for entry in entries {
                    packet.string(&entry.name);
                    // The long form is for people who list by hand; nobody may rely on it.
                    packet.string(&entry.name);
                    packet.attributes(&entry.attributes);
                }
            }
            Self::Attributes(attributes) => packet.attributes(attributes),
            Self::Extended(numbers) => numbers.iter().for_each(|number| packet.u64(*number)),
        }
        packet.finish()
    }

    fn type_number(&self) -> u8 {
        match self {
            Self::Status(_) => 101,
            Self::Handle(_) => 102,
            Self::Data(_) => 103,
            Self::Names(_) => 104,
            Self::Attributes(_) => 105,
            Self::Extended(_) => 201,
        }
    }
}

/// The VERSION packet.
pub(super) fn version(extensions: &[Extension]) -> Vec<u8> {
    let mut packet = Packet::new(2);
    packet.u32(3);
    for extension in extensions {
        let mut name = |name: &str, version: &str| {
            packet.string(name.as_bytes());
            packet.string(version.as_bytes());
        };
        match extension {
            Extension::Statvfs => {
                name(extension.name(), "2");
                name("fstatvfs@openssh.com", "2");
            }
            _ => name(extension.name(), "1"),
        }
    }
    packet.finish()
}

struct Packet(Vec<u8>);

impl Packet {
    fn new(type_number: u8) -> Self {
        Self(vec![0, 0, 0, 0, type_number])
    }

    fn u32(&mut self, number: u32) {
        self.0.extend(number.to_be_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.0.extend(number.to_be_bytes());
    }

    fn string(&mut self, bytes: &[u8]) {
        self.u32(bytes.len() as u32);
        self.0.extend(bytes);
    }

    fn attributes(&mut self, attributes: &Attributes) {
        let flag = |there: bool, flag: u32| if there { flag } else { 0 };
        self.u32(
            flag(attributes.size.is_some(), SIZE)
                | flag(attributes.owner.is_some(), UIDGID)
                | flag(attributes.mode.is_some(), PERMISSIONS)
                | flag(attributes.times.is_some(), ACMODTIME),
        );
        if let Some(size) = attributes.size {
            self.u64(size);
        }
        for (one, two) in [attributes.owner].into_iter().flatten() {
            self.u32(one);
            self.u32(two);
        }
        if let Some(mode) = attributes.mode {
            self.u32(mode);
        }
        if let Some((access, modification)) = attributes.times {
            self.u32(access);
            self.u32(modification);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        let length = (self.0.len() - 4) as u32;
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0
    }
}
