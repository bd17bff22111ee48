//! File attributes of SFTP version 3 and their bytes (draft-ietf-secsh-filexfer-02 section 5).
//!
//! Extended attribute pairs are read over and dropped: no server in use sends any that matter for a copy. Nothing here is
//! checked for plausibility: a size or a time is what the server says, not what is true.

use bytes::{BufMut, BytesMut};

use super::wire::{Cursor, Malformed};

const HAS_SIZE: u32 = 0x0000_0001;
const HAS_OWNER: u32 = 0x0000_0002;
const HAS_PERMISSIONS: u32 = 0x0000_0004;
const HAS_TIMES: u32 = 0x0000_0008;
const HAS_EXTENDED: u32 = 0x8000_0000;

/// What SFTP says of a file; each part may be absent.
///
/// As an argument of a request the parts that are present are set, the others are left to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Attrs {
    /// Length in bytes, as claimed: a special file has none worth the name, and a server may lie.
    pub size: Option<u64>,
    /// Numeric owner and group.
    pub owner: Option<Owner>,
    /// `st_mode`: the file type and the twelve permission bits.
    pub permissions: Option<u32>,
    /// Access and modification time.
    pub times: Option<Times>,
}

/// Numeric owner and group of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Times of a file in whole seconds since 1970; version 3 has 32 unsigned bits for each, which end in 2106.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Times {
    /// Last access.
    pub atime: u32,
    /// Last modification.
    pub mtime: u32,
}

/// The kind of a file, from the type bits of its mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// Regular file.
    File,
    /// Directory.
    Directory,
    /// Symbolic link.
    Symlink,
    /// FIFO (named pipe).
    Fifo,
    /// Socket.
    Socket,
    /// Character device.
    CharDevice,
    /// Block device.
    BlockDevice,
    /// Type bits that POSIX does not know.
    Unknown,
}

impl Attrs {
    /// Attributes that set nothing.
    #[must_use]
    pub const fn none() -> Attrs {
        Attrs {
            size: None,
            owner: None,
            permissions: None,
            times: None,
        }
    }

    /// Attributes that set the permission bits `mode` only.
    #[must_use]
    pub const fn with_mode(mode: u32) -> Attrs {
        Attrs {
            permissions: Some(mode),
            ..Attrs::none()
        }
    }

    /// The kind of file; `None` if the server sent no mode.
    #[must_use]
    pub fn kind(&self) -> Option<FileKind> {
        let kind = match self.permissions? & 0o170_000 {
            0o100_000 => FileKind::File,
            0o040_000 => FileKind::Directory,
            0o120_000 => FileKind::Symlink,
            0o010_000 => FileKind::Fifo,
            0o140_000 => FileKind::Socket,
            0o020_000 => FileKind::CharDevice,
            0o060_000 => FileKind::BlockDevice,
            _ => FileKind::Unknown,
        };
        Some(kind)
    }

    /// The twelve permission bits (set-id and sticky bits included) without the type.
    #[must_use]
    pub fn mode(&self) -> Option<u32> {
        self.permissions.map(|bits| bits & 0o7777)
    }

    /// Whether this is known to be a directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.kind() == Some(FileKind::Directory)
    }

    /// Whether this is known to be a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind() == Some(FileKind::File)
    }

    /// Whether this is known to be a symbolic link.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.kind() == Some(FileKind::Symlink)
    }

    /// Modification time in seconds since 1970, if the server sent it.
    #[must_use]
    pub fn mtime(&self) -> Option<u32> {
        self.times.map(|times| times.mtime)
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        let mut flags = 0;
        for (present, flag) in [
            (self.size.is_some(), HAS_SIZE),
            (self.owner.is_some(), HAS_OWNER),
            (self.permissions.is_some(), HAS_PERMISSIONS),
            (self.times.is_some(), HAS_TIMES),
        ] {
            if present {
                flags |= flag;
            }
        }
        out.put_u32(flags);
        if let Some(size) = self.size {
            out.put_u64(size);
        }
        if let Some(owner) = self.owner {
            out.put_u32(owner.uid);
            out.put_u32(owner.gid);
        }
        if let Some(permissions) = self.permissions {
            out.put_u32(permissions);
        }
        if let Some(times) = self.times {
            out.put_u32(times.atime);
            out.put_u32(times.mtime);
        }
    }

    pub(super) fn decode(cursor: &mut Cursor<'_>) -> Result<Attrs, Malformed> {
        let flags = cursor.u32("attribute flags")?;
        let mut attrs = Attrs::none();
        if flags & HAS_SIZE != 0 {
            attrs.size = Some(cursor.u64("size")?);
        }
        if flags & HAS_OWNER != 0 {
            let uid = cursor.u32("uid")?;
            let gid = cursor.u32("gid")?;
            attrs.owner = Some(Owner { uid, gid });
        }
        if flags & HAS_PERMISSIONS != 0 {
            attrs.permissions = Some(cursor.u32("permissions")?);
        }
        if flags & HAS_TIMES != 0 {
            let atime = cursor.u32("atime")?;
            let mtime = cursor.u32("mtime")?;
            attrs.times = Some(Times { atime, mtime });
        }
        if flags & HAS_EXTENDED != 0 {
            // Each pair takes at least eight bytes, so a false count runs into the end of the packet and not into time.
            for _ in 0..cursor.u32("extended attribute count")? {
                cursor.string("extended attribute type")?;
                cursor.string("extended attribute data")?;
            }
        }
        Ok(attrs)
    }
}
