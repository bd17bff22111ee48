//! What a client asks.

use bytes::{BufMut, BytesMut};

use super::extended::Extended;
use super::{
    CLOSE, EXTENDED, FSETSTAT, FSTAT, Frame, LSTAT, MKDIR, OPEN, OPENDIR, READ, READDIR, READLINK, REALPATH, REMOVE,
    RENAME, RMDIR, SETSTAT, STAT, SYMLINK, WRITE,
};
use crate::sftp::attrs::Attrs;
use crate::sftp::wire::{Cursor, Malformed, put_string};

/// How to open a file; combined with `|`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpenFlags(pub u32);

impl OpenFlags {
    /// Read from it.
    pub const READ: OpenFlags = OpenFlags(0x01);
    /// Write to it.
    pub const WRITE: OpenFlags = OpenFlags(0x02);
    /// Each write goes to the end.
    pub const APPEND: OpenFlags = OpenFlags(0x04);
    /// Make it if it does not exist.
    pub const CREATE: OpenFlags = OpenFlags(0x08);
    /// Cut it to nothing.
    pub const TRUNCATE: OpenFlags = OpenFlags(0x10);
    /// With [`CREATE`](OpenFlags::CREATE): fail if it exists.
    pub const EXCLUSIVE: OpenFlags = OpenFlags(0x20);

    /// Whether all of `flags` are set.
    #[must_use]
    pub fn contains(self, flags: OpenFlags) -> bool {
        self.0 & flags.0 == flags.0
    }
}

impl std::ops::BitOr for OpenFlags {
    type Output = OpenFlags;

    fn bitor(self, other: OpenFlags) -> OpenFlags {
        OpenFlags(self.0 | other.0)
    }
}

/// A request, without its id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the protocol")]
pub enum Request<'a> {
    Open {
        path: &'a [u8],
        flags: OpenFlags,
        attrs: Attrs,
    },
    Close {
        handle: &'a [u8],
    },
    Read {
        handle: &'a [u8],
        offset: u64,
        len: u32,
    },
    Write {
        handle: &'a [u8],
        offset: u64,
        data: &'a [u8],
    },
    Lstat {
        path: &'a [u8],
    },
    Fstat {
        handle: &'a [u8],
    },
    Setstat {
        path: &'a [u8],
        attrs: Attrs,
    },
    Fsetstat {
        handle: &'a [u8],
        attrs: Attrs,
    },
    Opendir {
        path: &'a [u8],
    },
    Readdir {
        handle: &'a [u8],
    },
    Remove {
        path: &'a [u8],
    },
    Mkdir {
        path: &'a [u8],
        attrs: Attrs,
    },
    Rmdir {
        path: &'a [u8],
    },
    Realpath {
        path: &'a [u8],
    },
    Stat {
        path: &'a [u8],
    },
    Rename {
        from: &'a [u8],
        to: &'a [u8],
    },
    Readlink {
        path: &'a [u8],
    },
    /// OpenSSH takes the two paths in the order `target`, `link`, which is the reverse of the draft; so does every server
    /// that wants to be used with its client, and so do we.
    Symlink {
        target: &'a [u8],
        link: &'a [u8],
    },
    Extended(Extended<'a>),
}

impl<'a> Request<'a> {
    /// Appends the packet, with its length field, for request `id`.
    pub fn encode(&self, id: u32, out: &mut BytesMut) {
        let frame = Frame::begin(out, self.packet_type(), id);
        match self {
            Request::Open { path, flags, attrs } => {
                put_string(out, path);
                out.put_u32(flags.0);
                attrs.encode(out);
            }
            Request::Close { handle } | Request::Fstat { handle } | Request::Readdir { handle } => {
                put_string(out, handle);
            }
            Request::Read { handle, offset, len } => {
                put_string(out, handle);
                out.put_u64(*offset);
                out.put_u32(*len);
            }
            Request::Write { handle, offset, data } => {
                put_string(out, handle);
                out.put_u64(*offset);
                put_string(out, data);
            }
            Request::Lstat { path }
            | Request::Stat { path }
            | Request::Opendir { path }
            | Request::Remove { path }
            | Request::Rmdir { path }
            | Request::Realpath { path }
            | Request::Readlink { path } => put_string(out, path),
            Request::Setstat { path, attrs } | Request::Mkdir { path, attrs } => {
                put_string(out, path);
                attrs.encode(out);
            }
            Request::Fsetstat { handle, attrs } => {
                put_string(out, handle);
                attrs.encode(out);
            }
            Request::Rename { from: one, to: two } | Request::Symlink { target: one, link: two } => {
                put_string(out, one);
                put_string(out, two);
            }
            Request::Extended(extended) => extended.encode(out),
        }
        frame.end(out);
    }

    /// Reads a request packet without its length field; gives its id and what it asks.
    ///
    /// # Errors
    /// If a field is cut off or the type is none of a request.
    pub fn decode(packet: &'a [u8]) -> Result<(u32, Request<'a>), Malformed> {
        let mut c = Cursor::new(packet);
        let packet_type = c.u8("type")?;
        let id = c.u32("id")?;
        let request = match packet_type {
            OPEN => Request::Open {
                path: c.string("path")?,
                flags: OpenFlags(c.u32("open flags")?),
                attrs: Attrs::decode(&mut c)?,
            },
            CLOSE => Request::Close {
                handle: c.string("handle")?,
            },
            READ => Request::Read {
                handle: c.string("handle")?,
                offset: c.u64("offset")?,
                len: c.u32("length")?,
            },
            WRITE => Request::Write {
                handle: c.string("handle")?,
                offset: c.u64("offset")?,
                data: c.string("data")?,
            },
            LSTAT => Request::Lstat {
                path: c.string("path")?,
            },
            FSTAT => Request::Fstat {
                handle: c.string("handle")?,
            },
            SETSTAT => Request::Setstat {
                path: c.string("path")?,
                attrs: Attrs::decode(&mut c)?,
            },
            FSETSTAT => Request::Fsetstat {
                handle: c.string("handle")?,
                attrs: Attrs::decode(&mut c)?,
            },
            OPENDIR => Request::Opendir {
                path: c.string("path")?,
            },
            READDIR => Request::Readdir {
                handle: c.string("handle")?,
            },
            REMOVE => Request::Remove {
                path: c.string("path")?,
            },
            MKDIR => Request::Mkdir {
                path: c.string("path")?,
                attrs: Attrs::decode(&mut c)?,
            },
            RMDIR => Request::Rmdir {
                path: c.string("path")?,
            },
            REALPATH => Request::Realpath {
                path: c.string("path")?,
            },
            STAT => Request::Stat {
                path: c.string("path")?,
            },
            RENAME => Request::Rename {
                from: c.string("old path")?,
                to: c.string("new path")?,
            },
            READLINK => Request::Readlink {
                path: c.string("path")?,
            },
            SYMLINK => Request::Symlink {
                target: c.string("target")?,
                link: c.string("link")?,
            },
            EXTENDED => Request::Extended(Extended::decode(&mut c)?),
            other => return Err(Malformed::UnknownType(other)),
        };
        Ok((id, request))
    }

    fn packet_type(&self) -> u8 {
        match self {
            Request::Open { .. } => OPEN,
            Request::Close { .. } => CLOSE,
            Request::Read { .. } => READ,
            Request::Write { .. } => WRITE,
            Request::Lstat { .. } => LSTAT,
            Request::Fstat { .. } => FSTAT,
            Request::Setstat { .. } => SETSTAT,
            Request::Fsetstat { .. } => FSETSTAT,
            Request::Opendir { .. } => OPENDIR,
            Request::Readdir { .. } => READDIR,
            Request::Remove { .. } => REMOVE,
            Request::Mkdir { .. } => MKDIR,
            Request::Rmdir { .. } => RMDIR,
            Request::Realpath { .. } => REALPATH,
            Request::Stat { .. } => STAT,
            Request::Rename { .. } => RENAME,
            Request::Readlink { .. } => READLINK,
            Request::Symlink { .. } => SYMLINK,
            Request::Extended(_) => EXTENDED,
        }
    }
}

/// Where a WRITE goes.
#[derive(Debug, Clone, Copy)]
pub(in crate::sftp) struct WriteAt<'a> {
    pub(in crate::sftp) handle: &'a [u8],
    pub(in crate::sftp) offset: u64,
}

/// Appends what stands in front of the data of a WRITE: the packet up to and including the length of the data.
pub(in crate::sftp) fn encode_write_header(id: u32, at: WriteAt<'_>, data_len: usize, out: &mut BytesMut) {
    let fixed = 1 + 4 + 4 + 8 + 4;
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    out.put_u32(length(fixed + at.handle.len() + data_len));
    out.put_u8(WRITE);
    out.put_u32(id);
    put_string(out, at.handle);
    out.put_u64(at.offset);
    out.put_u32(length(data_len));
}
