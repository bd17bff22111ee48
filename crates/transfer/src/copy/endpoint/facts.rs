//! What is known of a file, wherever it stands.

use renkei_ssh::sftp::{Attrs, FileKind, Times as SftpTimes};

use crate::local::meta::{Attributes, FileId, Kind, Meta, Permissions, Special, Time, Times};

/// Attributes that a copy needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub kind: Kind,
    /// Bytes; a server may lie.
    pub size: u64,
    /// Twelve permission bits.
    pub mode: u32,
    pub mtime: Time,
    pub atime: Time,
    /// Only on this machine: SFTP has no inode numbers.
    pub id: Option<FileId>,
    pub nlink: u64,
}

impl From<&Meta> for Facts {
    fn from(meta: &Meta) -> Self {
        Self {
            kind: meta.kind,
            size: meta.size,
            mode: meta.mode,
            mtime: meta.mtime,
            atime: meta.atime,
            id: Some(meta.id),
            nlink: meta.nlink,
        }
    }
}

impl Facts {
    /// From a server's attributes; none where the type is missing.
    pub fn from_attrs(attrs: &Attrs) -> Option<Self> {
        let kind = match attrs.kind()? {
            FileKind::File => Kind::File,
            FileKind::Directory => Kind::Dir,
            FileKind::Symlink => Kind::Link,
            FileKind::Fifo => Kind::Other(Special::Fifo),
            FileKind::Socket => Kind::Other(Special::Socket),
            FileKind::CharDevice => Kind::Other(Special::CharDevice),
            FileKind::BlockDevice => Kind::Other(Special::BlockDevice),
            FileKind::Unknown => Kind::Other(Special::Unknown),
        };
        let times = attrs.times.unwrap_or(SftpTimes { atime: 0, mtime: 0 });
        Some(Self {
            kind,
            size: attrs.size.unwrap_or(0),
            mode: attrs.permissions.unwrap_or(0) & 0o7777,
            mtime: Time {
                secs: times.mtime.into(),
                nanos: 0,
            },
            atime: Time {
                secs: times.atime.into(),
                nanos: 0,
            },
            id: None,
            nlink: 1,
        })
    }

    /// Of a link of which nothing else is known.
    pub fn of_link() -> Self {
        let unknown = Time { secs: 0, nanos: 0 };
        Self {
            kind: Kind::Link,
            size: 0,
            mode: 0,
            mtime: unknown,
            atime: unknown,
            id: None,
            nlink: 1,
        }
    }

    pub fn is_dir(&self) -> bool {
        self.kind == Kind::Dir
    }
}

/// What is set at the target besides the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Access and modification times (`--preserve`, `--update`).
    pub times: bool,
    /// Set-id and sticky bits (`--preserve`).
    pub special_bits: bool,
}

impl Keep {
    /// For a file or directory of this machine.
    pub fn near(self, facts: &Facts) -> Attributes {
        Attributes {
            permissions: if self.special_bits {
                Permissions::Twelve(facts.mode)
            } else {
                Permissions::Nine(facts.mode)
            },
            times: self.times.then_some(Times {
                atime: facts.atime,
                mtime: facts.mtime,
            }),
        }
    }

    /// For a file at a server.
    pub fn far(self, facts: &Facts) -> Attrs {
        let mask = if self.special_bits { 0o7777 } else { 0o777 };
        let mut attrs = Attrs::with_mode(facts.mode & mask);
        if self.times {
            attrs.times = Some(SftpTimes {
                atime: seconds(facts.atime),
                mtime: seconds(facts.mtime),
            });
        }
        attrs
    }
}

/// SFTP version 3 has unsigned 32-bit seconds; what does not fit is set to the nearest that does.
fn seconds(time: Time) -> u32 {
    u32::try_from(time.secs.max(0)).unwrap_or(u32::MAX)
}
