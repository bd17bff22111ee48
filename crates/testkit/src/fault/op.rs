//! Requests as they come in.

/// Kinds of requests. The numbers are those of the protocol, extensions from 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the protocol")]
#[repr(u32)]
pub enum Request {
    Open = 3,
    Close = 4,
    Read = 5,
    Write = 6,
    Lstat = 7,
    Fstat = 8,
    Setstat = 9,
    Fsetstat = 10,
    Opendir = 11,
    Readdir = 12,
    Remove = 13,
    Mkdir = 14,
    Rmdir = 15,
    Realpath = 16,
    Stat = 17,
    /// RENAME and `posix-rename@openssh.com`.
    Rename = 18,
    Readlink = 19,
    Symlink = 20,
    Fsync = 1000,
    Hardlink = 1001,
    Statvfs = 1002,
    Limits = 1003,
    CopyData = 1004,
    Lsetstat = 1005,
    /// An extension that the server does not know.
    Unknown = 2000,
}

impl Request {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::Open,
        Self::Close,
        Self::Read,
        Self::Write,
        Self::Lstat,
        Self::Fstat,
        Self::Setstat,
        Self::Fsetstat,
        Self::Opendir,
        Self::Readdir,
        Self::Remove,
        Self::Mkdir,
        Self::Rmdir,
        Self::Realpath,
        Self::Stat,
        Self::Rename,
        Self::Readlink,
        Self::Symlink,
        Self::Fsync,
        Self::Hardlink,
        Self::Statvfs,
        Self::Limits,
        Self::CopyData,
        Self::Lsetstat,
        Self::Unknown,
    ];
}

const EXTENDED: u8 = 200;

/// File attributes (draft-ietf-secsh-filexfer-02, section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub size: Option<u64>,
    pub owner: Option<(u32, u32)>,
    pub mode: Option<u32>,
    /// Access and modification, seconds since 1970.
    pub times: Option<(u32, u32)>,
}

pub(super) const SIZE: u32 = 1;
pub(super) const UIDGID: u32 = 2;
pub(super) const PERMISSIONS: u32 = 4;
pub(super) const ACMODTIME: u32 = 8;

/// What happens to an existing target of a rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    Refuse,
    Replace,
}

/// A request with its arguments; `statvfs` of a handle and of a path are told apart by the handle.
#[derive(Debug)]
pub(super) enum Op<'a> {
    Open {
        path: &'a [u8],
        flags: u32,
        attributes: Attributes,
    },
    Close {
        handle: u32,
    },
    Read {
        handle: u32,
        offset: u64,
        length: u32,
    },
    Write {
        handle: u32,
        offset: u64,
        data: &'a [u8],
    },
    Lstat {
        path: &'a [u8],
    },
    Stat {
        path: &'a [u8],
    },
    Fstat {
        handle: u32,
    },
    Setstat {
        path: &'a [u8],
        attributes: Attributes,
    },
    Lsetstat {
        path: &'a [u8],
        attributes: Attributes,
    },
    Fsetstat {
        handle: u32,
        attributes: Attributes,
    },
    Opendir {
        path: &'a [u8],
    },
    Readdir {
        handle: u32,
    },
    Remove {
        path: &'a [u8],
    },
    Mkdir {
        path: &'a [u8],
        attributes: Attributes,
    },
    Rmdir {
        path: &'a [u8],
    },
    Realpath {
        path: &'a [u8],
    },
    Rename {
        from: &'a [u8],
        to: &'a [u8],
        existing: Existing,
    },
    Readlink {
        path: &'a [u8],
    },
    Symlink {
        target: &'a [u8],
        link: &'a [u8],
    },
    Hardlink {
        old: &'a [u8],
        new: &'a [u8],
    },
    Fsync {
        handle: u32,
    },
    Statvfs {
        path: &'a [u8],
    },
    Fstatvfs {
        handle: u32,
    },
    Limits,
    CopyData {
        from: u32,
        from_offset: u64,
        length: u64,
        to: u32,
        to_offset: u64,
    },
    Unknown,
}

impl<'a> Op<'a> {
    /// Reads a packet without its length; gives the id as well, or nothing if the packet is broken.
    pub(super) fn parse(packet: &'a [u8]) -> Option<(u32, Self)> {
        let mut input = Input(packet);
        let kind = input.u8()?;
        let id = input.u32()?;
        let op = match kind {
            3 => Self::Open {
                path: input.string()?,
                flags: input.u32()?,
                attributes: input.attributes()?,
            },
            4 => Self::Close {
                handle: input.handle()?,
            },
            5 => Self::Read {
                handle: input.handle()?,
                offset: input.u64()?,
                length: input.u32()?,
            },
            6 => Self::Write {
                handle: input.handle()?,
                offset: input.u64()?,
                data: input.string()?,
            },
            7 => Self::Lstat { path: input.string()? },
            8 => Self::Fstat {
                handle: input.handle()?,
            },
            9 => Self::Setstat {
                path: input.string()?,
                attributes: input.attributes()?,
            },
            10 => Self::Fsetstat {
                handle: input.handle()?,
                attributes: input.attributes()?,
            },
            11 => Self::Opendir { path: input.string()? },
            12 => Self::Readdir {
                handle: input.handle()?,
            },
            13 => Self::Remove { path: input.string()? },
            14 => Self::Mkdir {
                path: input.string()?,
                attributes: input.attributes()?,
            },
            15 => Self::Rmdir { path: input.string()? },
            16 => Self::Realpath { path: input.string()? },
            17 => Self::Stat { path: input.string()? },
            18 => Self::Rename {
                from: input.string()?,
                to: input.string()?,
                existing: Existing::Refuse,
            },
            19 => Self::Readlink { path: input.string()? },
            // OpenSSH's PROTOCOL, section 4.1: the arguments are the other way round than in the draft.
            20 => Self::Symlink {
                target: input.string()?,
                link: input.string()?,
            },
            EXTENDED => Self::extended(&mut input)?,
            _ => Self::Unknown,
        };
        Some((id, op))
    }

    fn extended(input: &mut Input<'a>) -> Option<Self> {
        Some(match input.string()? {
            b"posix-rename@openssh.com" => Self::Rename {
                from: input.string()?,
                to: input.string()?,
                existing: Existing::Replace,
            },
            b"statvfs@openssh.com" => Self::Statvfs { path: input.string()? },
            b"fstatvfs@openssh.com" => Self::Fstatvfs {
                handle: input.handle()?,
            },
            b"hardlink@openssh.com" => Self::Hardlink {
                old: input.string()?,
                new: input.string()?,
            },
            b"fsync@openssh.com" => Self::Fsync {
                handle: input.handle()?,
            },
            b"lsetstat@openssh.com" => Self::Lsetstat {
                path: input.string()?,
                attributes: input.attributes()?,
            },
            b"limits@openssh.com" => Self::Limits,
            b"copy-data" => Self::CopyData {
                from: input.handle()?,
                from_offset: input.u64()?,
                length: input.u64()?,
                to: input.handle()?,
                to_offset: input.u64()?,
            },
            _ => Self::Unknown,
        })
    }

    pub(super) fn kind(&self) -> Request {
        match self {
            Self::Open { .. } => Request::Open,
            Self::Close { .. } => Request::Close,
            Self::Read { .. } => Request::Read,
            Self::Write { .. } => Request::Write,
            Self::Lstat { .. } => Request::Lstat,
            Self::Stat { .. } => Request::Stat,
            Self::Fstat { .. } => Request::Fstat,
            Self::Setstat { .. } => Request::Setstat,
            Self::Lsetstat { .. } => Request::Lsetstat,
            Self::Fsetstat { .. } => Request::Fsetstat,
            Self::Opendir { .. } => Request::Opendir,
            Self::Readdir { .. } => Request::Readdir,
            Self::Remove { .. } => Request::Remove,
            Self::Mkdir { .. } => Request::Mkdir,
            Self::Rmdir { .. } => Request::Rmdir,
            Self::Realpath { .. } => Request::Realpath,
            Self::Rename { .. } => Request::Rename,
            Self::Readlink { .. } => Request::Readlink,
            Self::Symlink { .. } => Request::Symlink,
            Self::Hardlink { .. } => Request::Hardlink,
            Self::Fsync { .. } => Request::Fsync,
            Self::Statvfs { .. } | Self::Fstatvfs { .. } => Request::Statvfs,
            Self::Limits => Request::Limits,
            Self::CopyData { .. } => Request::CopyData,
            Self::Unknown => Request::Unknown,
        }
    }
}

/// Reads the protocol's data types from the front.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    /// Ours are four bytes; any other is one that we never gave.
    fn handle(&mut self) -> Option<u32> {
        Some(self.string()?.try_into().map_or(u32::MAX, u32::from_be_bytes))
    }

    fn attributes(&mut self) -> Option<Attributes> {
        let flags = self.u32()?;
        let mut attributes = Attributes::default();
        if flags & SIZE != 0 {
            attributes.size = Some(self.u64()?);
        }
        if flags & UIDGID != 0 {
            attributes.owner = Some((self.u32()?, self.u32()?));
        }
        if flags & PERMISSIONS != 0 {
            attributes.mode = Some(self.u32()?);
        }
        if flags & ACMODTIME != 0 {
            attributes.times = Some((self.u32()?, self.u32()?));
        }
        Some(attributes)
    }
}
