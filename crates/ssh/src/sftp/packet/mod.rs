//! Requests and answers of SFTP version 3 as values, and their bytes, both ways (draft-ietf-secsh-filexfer-02; extensions
//! after OpenSSH's PROTOCOL file).
//!
//! Pure: no channel, no state. What is decoded borrows from the packet. Bytes left over behind a packet's last field are
//! ignored, as OpenSSH does. The length field in front is written by the `encode` functions and is not part of what the
//! `decode` functions take.

mod answer;
mod extended;
mod request;
mod version;

pub use answer::{Answer, Name};
pub use extended::Extended;
pub use request::{OpenFlags, Request};
pub(super) use request::{WriteAt, encode_write_header};
pub use version::{Version, decode_init, encode_init};

use bytes::{BufMut, BytesMut};

/// The version spoken.
pub const VERSION: u32 = 3;

pub(in crate::sftp) const INIT_TYPE: u8 = 1;
pub(in crate::sftp) const VERSION_TYPE: u8 = 2;
pub(in crate::sftp) const OPEN: u8 = 3;
pub(in crate::sftp) const CLOSE: u8 = 4;
pub(in crate::sftp) const READ: u8 = 5;
pub(in crate::sftp) const WRITE: u8 = 6;
pub(in crate::sftp) const LSTAT: u8 = 7;
pub(in crate::sftp) const FSTAT: u8 = 8;
pub(in crate::sftp) const SETSTAT: u8 = 9;
pub(in crate::sftp) const FSETSTAT: u8 = 10;
pub(in crate::sftp) const OPENDIR: u8 = 11;
pub(in crate::sftp) const READDIR: u8 = 12;
pub(in crate::sftp) const REMOVE: u8 = 13;
pub(in crate::sftp) const MKDIR: u8 = 14;
pub(in crate::sftp) const RMDIR: u8 = 15;
pub(in crate::sftp) const REALPATH: u8 = 16;
pub(in crate::sftp) const STAT: u8 = 17;
pub(in crate::sftp) const RENAME: u8 = 18;
pub(in crate::sftp) const READLINK: u8 = 19;
pub(in crate::sftp) const SYMLINK: u8 = 20;
pub(in crate::sftp) const STATUS: u8 = 101;
pub(in crate::sftp) const HANDLE: u8 = 102;
pub(in crate::sftp) const DATA: u8 = 103;
pub(in crate::sftp) const NAME: u8 = 104;
pub(in crate::sftp) const ATTRS: u8 = 105;
pub(in crate::sftp) const EXTENDED: u8 = 200;
pub(in crate::sftp) const EXTENDED_REPLY: u8 = 201;

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
