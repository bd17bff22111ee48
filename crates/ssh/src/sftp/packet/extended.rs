//! Requests beyond the draft, each known by a name.

use bytes::{BufMut, BytesMut};

use crate::sftp::attrs::Attrs;
use crate::sftp::wire::{Cursor, Malformed, put_string};

/// An extended request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of OpenSSH's PROTOCOL file")]
pub enum Extended<'a> {
    Limits,
    PosixRename {
        from: &'a [u8],
        to: &'a [u8],
    },
    Hardlink {
        from: &'a [u8],
        to: &'a [u8],
    },
    Fsync {
        handle: &'a [u8],
    },
    Statvfs {
        path: &'a [u8],
    },
    Lsetstat {
        path: &'a [u8],
        attrs: Attrs,
    },
    ExpandPath {
        path: &'a [u8],
    },
    HomeDirectory {
        user: &'a [u8],
    },
    CopyData {
        from: &'a [u8],
        from_offset: u64,
        /// 0 means up to the end of the file.
        len: u64,
        to: &'a [u8],
        to_offset: u64,
    },
    /// Any other, as bytes.
    Other {
        name: &'a [u8],
        data: &'a [u8],
    },
}

impl<'a> Extended<'a> {
    pub(super) fn encode(&self, out: &mut BytesMut) {
        put_string(out, self.name());
        match self {
            Extended::Limits => {}
            Extended::PosixRename { from, to } | Extended::Hardlink { from, to } => {
                put_string(out, from);
                put_string(out, to);
            }
            Extended::Fsync { handle: string }
            | Extended::Statvfs { path: string }
            | Extended::ExpandPath { path: string }
            | Extended::HomeDirectory { user: string } => put_string(out, string),
            Extended::Lsetstat { path, attrs } => {
                put_string(out, path);
                attrs.encode(out);
            }
            Extended::CopyData {
                from,
                from_offset,
                len,
                to,
                to_offset,
            } => {
                put_string(out, from);
                out.put_u64(*from_offset);
                out.put_u64(*len);
                put_string(out, to);
                out.put_u64(*to_offset);
            }
            Extended::Other { data, .. } => out.put_slice(data),
        }
    }

    pub(super) fn decode(c: &mut Cursor<'a>) -> Result<Extended<'a>, Malformed> {
        let extended = match c.string("extension name")? {
            b"limits@openssh.com" => Extended::Limits,
            b"posix-rename@openssh.com" => Extended::PosixRename {
                from: c.string("old path")?,
                to: c.string("new path")?,
            },
            b"hardlink@openssh.com" => Extended::Hardlink {
                from: c.string("old path")?,
                to: c.string("new path")?,
            },
            b"fsync@openssh.com" => Extended::Fsync {
                handle: c.string("handle")?,
            },
            b"statvfs@openssh.com" => Extended::Statvfs {
                path: c.string("path")?,
            },
            b"lsetstat@openssh.com" => Extended::Lsetstat {
                path: c.string("path")?,
                attrs: Attrs::decode(c)?,
            },
            b"expand-path@openssh.com" => Extended::ExpandPath {
                path: c.string("path")?,
            },
            b"home-directory" => Extended::HomeDirectory {
                user: c.string("user")?,
            },
            b"copy-data" => Extended::CopyData {
                from: c.string("source handle")?,
                from_offset: c.u64("source offset")?,
                len: c.u64("length")?,
                to: c.string("target handle")?,
                to_offset: c.u64("target offset")?,
            },
            name => Extended::Other { name, data: c.rest() },
        };
        Ok(extended)
    }

    /// Its name on the wire.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        match self {
            Extended::Limits => b"limits@openssh.com",
            Extended::PosixRename { .. } => b"posix-rename@openssh.com",
            Extended::Hardlink { .. } => b"hardlink@openssh.com",
            Extended::Fsync { .. } => b"fsync@openssh.com",
            Extended::Statvfs { .. } => b"statvfs@openssh.com",
            Extended::Lsetstat { .. } => b"lsetstat@openssh.com",
            Extended::ExpandPath { .. } => b"expand-path@openssh.com",
            Extended::HomeDirectory { .. } => b"home-directory",
            Extended::CopyData { .. } => b"copy-data",
            Extended::Other { name, .. } => name,
        }
    }
}
