//! Attributes of a file as this program uses them, and those that it sets.

use rustix::fs::{FileType, Mode, RawMode, Stat, Timespec, Timestamps};

/// The nine permission bits.
const NINE: u32 = 0o777;
/// Permissions with set-user-id, set-group-id and sticky.
const TWELVE: u32 = 0o7777;

/// Something that is neither file, directory nor link; skipped in trees, never opened there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Special {
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device such as a terminal or `/dev/null`.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A type this system has and we do not know.
    Unknown,
}

impl Special {
    /// How it is called, for messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fifo => "FIFO",
            Self::Socket => "socket",
            Self::CharDevice => "character device",
            Self::BlockDevice => "block device",
            Self::Unknown => "special file",
        }
    }
}

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Link,
    /// Anything else.
    Other(Special),
}

impl Kind {
    /// How it is called, for messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Dir => "directory",
            Self::Link => "symbolic link",
            Self::Other(special) => special.name(),
        }
    }

    /// None where a directory does not tell the types of its names.
    pub(super) fn from_entry(file_type: FileType) -> Option<Self> {
        match file_type {
            FileType::Unknown => None,
            known => Some(Self::from_stat(known)),
        }
    }

    fn from_stat(file_type: FileType) -> Self {
        match file_type {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Dir,
            FileType::Symlink => Self::Link,
            FileType::Fifo => Self::Other(Special::Fifo),
            FileType::Socket => Self::Other(Special::Socket),
            FileType::CharacterDevice => Self::Other(Special::CharDevice),
            FileType::BlockDevice => Self::Other(Special::BlockDevice),
            FileType::Unknown => Self::Other(Special::Unknown),
        }
    }
}

/// A moment as file systems keep it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Seconds since 1970-01-01 UTC, negative before.
    pub secs: i64,
    /// Nanoseconds within the second, below 1,000,000,000.
    pub nanos: u32,
}

impl Time {
    fn timespec(self) -> Timespec {
        Timespec {
            tv_sec: self.secs,
            tv_nsec: self.nanos.into(),
        }
    }
}

/// Which file it is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// Device number of the file system.
    pub dev: u64,
    /// Inode number within it.
    pub inode: u64,
}

/// Attributes of what stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// File, directory, link or other.
    pub kind: Kind,
    /// Bytes; of a link the length of its text.
    pub size: u64,
    /// Permissions with set-id and sticky: twelve bits.
    pub mode: u32,
    /// Last change of the content.
    pub mtime: Time,
    /// Last access as far as the system keeps it.
    pub atime: Time,
    /// Which file it is.
    pub id: FileId,
    /// Hard links to it.
    pub nlink: u64,
    /// Numeric owner; used only to know whether its attributes are ours to change.
    pub(super) owner: u32,
}

impl Meta {
    /// Reads what the system told.
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        reason = "the widths of these fields differ between systems"
    )]
    pub(super) fn from_stat(stat: &Stat) -> Self {
        Self {
            kind: Kind::from_stat(FileType::from_raw_mode(stat.st_mode)),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mode: stat.st_mode as u32 & TWELVE,
            mtime: Time {
                secs: stat.st_mtime as i64,
                nanos: stat.st_mtime_nsec as u32,
            },
            atime: Time {
                secs: stat.st_atime as i64,
                nanos: stat.st_atime_nsec as u32,
            },
            id: FileId {
                dev: stat.st_dev as u64,
                inode: stat.st_ino as u64,
            },
            nlink: stat.st_nlink as u64,
            owner: stat.st_uid,
        }
    }

    /// Whether both have the same content as far as attributes can tell: same file, size and time of change.
    #[must_use]
    pub fn is_unchanged(&self, later: &Self) -> bool {
        self.id == later.id && self.size == later.size && self.mtime == later.mtime
    }
}

/// Permissions to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permissions {
    /// The nine bits. Files lose set-id and sticky; directories keep theirs, because a set-group-id bit that a
    /// directory inherited from its parent is how groups share a project directory.
    Nine(u32),
    /// Set-id and sticky as well (`--preserve`).
    Twelve(u32),
}

impl Permissions {
    /// For a file.
    pub(super) fn for_file(self) -> Mode {
        match self {
            Self::Nine(mode) => mode_of(mode & NINE),
            Self::Twelve(mode) => mode_of(mode & TWELVE),
        }
    }

    /// For a directory that has `current` (twelve bits).
    pub(super) fn for_dir(self, current: u32) -> Mode {
        match self {
            Self::Nine(mode) => mode_of(current & TWELVE & !NINE | mode & NINE),
            Self::Twelve(mode) => mode_of(mode & TWELVE),
        }
    }
}

/// As this system's calls take it.
#[allow(
    clippy::cast_possible_truncation,
    clippy::unnecessary_cast,
    reason = "its width differs between systems"
)]
pub(super) fn mode_of(bits: u32) -> Mode {
    Mode::from_bits_truncate(bits as RawMode)
}

/// Times to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Last access.
    pub atime: Time,
    /// Last change.
    pub mtime: Time,
}

impl Times {
    pub(super) fn timestamps(self) -> Timestamps {
        Timestamps {
            last_access: self.atime.timespec(),
            last_modification: self.mtime.timespec(),
        }
    }
}

/// What a finished file or directory gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Its permissions; whatever the umask says.
    pub permissions: Permissions,
    /// Its times; none: as they come.
    pub times: Option<Times>,
}
