//! Requests and answers of SFTP version 3 as values, and their bytes, both ways (draft-ietf-secsh-filexfer-02; extensions
//! after OpenSSH's PROTOCOL file).
//!
//! Pure: no channel, no state. What is decoded borrows from the packet. Bytes left over behind a packet's last field are
//! ignored, as OpenSSH does. The length field in front is written by [`Request::encode`] and [`Answer::encode`] and is
//! not part of what is decoded.

use bytes::{BufMut, BytesMut};

use super::attrs::Attrs;
use super::error::StatusCode;
use super::wire::{Cursor, Malformed, put_string};

/// The version spoken.
pub const VERSION: u32 = 3;

const INIT_TYPE: u8 = 1;
pub(super) const VERSION_TYPE: u8 = 2;
const OPEN: u8 = 3;
const CLOSE: u8 = 4;
const READ: u8 = 5;
const WRITE: u8 = 6;
const LSTAT: u8 = 7;
const FSTAT: u8 = 8;
const SETSTAT: u8 = 9;
const FSETSTAT: u8 = 10;
const OPENDIR: u8 = 11;
const READDIR: u8 = 12;
const REMOVE: u8 = 13;
const MKDIR: u8 = 14;
const RMDIR: u8 = 15;
const REALPATH: u8 = 16;
const STAT: u8 = 17;
const RENAME: u8 = 18;
const READLINK: u8 = 19;
const SYMLINK: u8 = 20;
pub(super) const STATUS: u8 = 101;
pub(super) const HANDLE: u8 = 102;
pub(super) const DATA: u8 = 103;
pub(super) const NAME: u8 = 104;
pub(super) const ATTRS: u8 = 105;
const EXTENDED: u8 = 200;
pub(super) const EXTENDED_REPLY: u8 = 201;

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
                put_string(out, handle)
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

impl<'a> Extended<'a> {
    fn encode(&self, out: &mut BytesMut) {
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

    fn decode(c: &mut Cursor<'a>) -> Result<Extended<'a>, Malformed> {
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

/// An answer, without its id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the protocol")]
pub enum Answer<'a> {
    Status {
        code: StatusCode,
        message: &'a [u8],
    },
    Handle(&'a [u8]),
    Data(&'a [u8]),
    Name(Vec<Name<'a>>),
    Attrs(Attrs),
    /// Body of an extended reply, whose form depends on the request.
    Extended(&'a [u8]),
}

/// One name of a NAME packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    /// The name within its directory, or a whole path in answers that have one.
    pub name: &'a [u8],
    /// A line like one of `ls -l`; of no fixed form.
    pub longname: &'a [u8],
    /// Its attributes.
    pub attrs: Attrs,
}

/// Least bytes of a [`Name`]: two empty strings and attribute flags.
const NAME_LEAST: usize = 12;

impl<'a> Answer<'a> {
    /// Appends the packet, with its length field, that answers request `id`.
    pub fn encode(&self, id: u32, out: &mut BytesMut) {
        let frame = Frame::begin(out, self.packet_type(), id);
        match self {
            Answer::Status { code, message } => {
                out.put_u32(code.as_u32());
                put_string(out, message);
                put_string(out, b"");
            }
            Answer::Handle(string) | Answer::Data(string) => put_string(out, string),
            Answer::Name(names) => {
                out.put_u32(u32::try_from(names.len()).unwrap_or(u32::MAX));
                for Name { name, longname, attrs } in names {
                    put_string(out, name);
                    put_string(out, longname);
                    attrs.encode(out);
                }
            }
            Answer::Attrs(attrs) => attrs.encode(out),
            Answer::Extended(body) => out.put_slice(body),
        }
        frame.end(out);
    }

    /// Reads an answer packet without its length field; gives the id and what it says.
    ///
    /// # Errors
    /// If a field is cut off, more names are claimed than fit, or the type is none of an answer.
    pub fn decode(packet: &'a [u8]) -> Result<(u32, Answer<'a>), Malformed> {
        let mut c = Cursor::new(packet);
        let packet_type = c.u8("type")?;
        if !matches!(packet_type, STATUS | HANDLE | DATA | NAME | ATTRS | EXTENDED_REPLY) {
            return Err(Malformed::UnknownType(packet_type));
        }
        let id = c.u32("id")?;
        let answer = match packet_type {
            STATUS => {
                let code = StatusCode::from_u32(c.u32("status code")?);
                // Servers of earlier drafts send no message.
                let message = if c.remaining() == 0 {
                    &[]
                } else {
                    c.string("status message")?
                };
                Answer::Status { code, message }
            }
            HANDLE => Answer::Handle(c.string("handle")?),
            DATA => Answer::Data(c.string("data")?),
            NAME => Answer::Name(decode_names(&mut c)?),
            ATTRS => Answer::Attrs(Attrs::decode(&mut c)?),
            _ => Answer::Extended(c.rest()),
        };
        Ok((id, answer))
    }

    pub(super) fn packet_type(&self) -> u8 {
        match self {
            Answer::Status { .. } => STATUS,
            Answer::Handle(_) => HANDLE,
            Answer::Data(_) => DATA,
            Answer::Name(_) => NAME,
            Answer::Attrs(_) => ATTRS,
            Answer::Extended(_) => EXTENDED_REPLY,
        }
    }
}

fn decode_names<'a>(c: &mut Cursor<'a>) -> Result<Vec<Name<'a>>, Malformed> {
    let count = c.u32("name count")? as usize;
    if count > c.remaining() / NAME_LEAST {
        return Err(Malformed::Excess {
            what: "a name count",
            value: count as u64,
        });
    }
    let mut names = Vec::with_capacity(count);
    for _ in 0..count {
        names.push(Name {
            name: c.string("name")?,
            longname: c.string("long name")?,
            attrs: Attrs::decode(c)?,
        });
    }
    Ok(names)
}

/// Appends the INIT packet that begins a session.
pub fn encode_init(out: &mut BytesMut) {
    out.put_u32(5);
    out.put_u8(INIT_TYPE);
    out.put_u32(VERSION);
}

/// Reads an INIT packet without its length field; gives the client's version.
///
/// # Errors
/// If it is another packet or cut off.
pub fn decode_init(packet: &[u8]) -> Result<u32, Malformed> {
    let mut c = Cursor::new(packet);
    match c.u8("type")? {
        INIT_TYPE => c.u32("version"),
        other => Err(Malformed::UnknownType(other)),
    }
}

/// Appends a VERSION packet with these extensions and their versions.
pub fn encode_version(version: u32, extensions: &[(&[u8], &[u8])], out: &mut BytesMut) {
    let frame = Frame::begin(out, VERSION_TYPE, version);
    for (name, data) in extensions {
        put_string(out, name);
        put_string(out, data);
    }
    frame.end(out);
}

/// Reads a VERSION packet without its length field; gives the version and the extensions with their versions.
///
/// # Errors
/// If it is another packet or cut off.
pub fn decode_version(packet: &[u8]) -> Result<(u32, Vec<(&[u8], &[u8])>), Malformed> {
    let mut c = Cursor::new(packet);
    match c.u8("type")? {
        VERSION_TYPE => {}
        other => return Err(Malformed::UnknownType(other)),
    }
    let version = c.u32("version")?;
    let mut extensions = Vec::new();
    while c.remaining() > 0 {
        extensions.push((c.string("extension name")?, c.string("extension data")?));
    }
    Ok((version, extensions))
}

/// Where a WRITE goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct WriteAt<'a> {
    pub(super) handle: &'a [u8],
    pub(super) offset: u64,
}

/// Appends what stands in front of the data of a WRITE: the packet up to and including the length of the data.
pub(super) fn encode_write_header(id: u32, at: WriteAt<'_>, data_len: usize, out: &mut BytesMut) {
    let fixed = 1 + 4 + 4 + 8 + 4;
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    out.put_u32(length(fixed + at.handle.len() + data_len));
    out.put_u8(WRITE);
    out.put_u32(id);
    put_string(out, at.handle);
    out.put_u64(at.offset);
    out.put_u32(length(data_len));
}

/// A packet being appended, whose length is filled in at its end.
struct Frame {
    start: usize,
}

impl Frame {
    fn begin(out: &mut BytesMut, packet_type: u8, id: u32) -> Frame {
        let start = out.len();
        out.put_u32(0);
        out.put_u8(packet_type);
        out.put_u32(id);
        Frame { start }
    }

    fn end(self, out: &mut BytesMut) {
        let len = out.len() - self.start - 4;
        if let Some(field) = out.get_mut(self.start..self.start + 4) {
            field.copy_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
}
