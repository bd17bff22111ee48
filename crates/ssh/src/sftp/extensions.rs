//! What a server says it can do: the extensions of its VERSION packet and the sizes of `limits@openssh.com`
//! (OpenSSH's PROTOCOL file, sections 4.3 to 4.10; limits since OpenSSH 8.5).

use super::packet::Extended;
use super::wire::{Cursor, Malformed};

/// Extensions that the server offers at the version that is spoken here; an extension at another version counts as absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions {
    /// `posix-rename@openssh.com` 1: rename that replaces its target in one step.
    pub posix_rename: bool,
    /// `statvfs@openssh.com` 2: space and names left in a file system.
    pub statvfs: bool,
    /// `hardlink@openssh.com` 1.
    pub hardlink: bool,
    /// `fsync@openssh.com` 1.
    pub fsync: bool,
    /// `lsetstat@openssh.com` 1: attributes of a link itself.
    pub lsetstat: bool,
    /// `limits@openssh.com` 1.
    pub limits: bool,
    /// `expand-path@openssh.com` 1: like REALPATH, with `~` understood.
    pub expand_path: bool,
    /// `copy-data` 1: copy within the server (draft-ietf-secsh-filexfer-extensions-00 section 7).
    pub copy_data: bool,
    /// `home-directory` 1: where a user's home is (same draft, section 5).
    pub home_directory: bool,
}

impl Extensions {
    /// Takes note of one extension that the server announced.
    pub(super) fn announce(&mut self, name: &[u8], version: &[u8]) {
        let (offered, spoken): (&mut bool, &[u8]) = match name {
            b"posix-rename@openssh.com" => (&mut self.posix_rename, b"1"),
            b"statvfs@openssh.com" => (&mut self.statvfs, b"2"),
            b"hardlink@openssh.com" => (&mut self.hardlink, b"1"),
            b"fsync@openssh.com" => (&mut self.fsync, b"1"),
            b"lsetstat@openssh.com" => (&mut self.lsetstat, b"1"),
            b"limits@openssh.com" => (&mut self.limits, b"1"),
            b"expand-path@openssh.com" => (&mut self.expand_path, b"1"),
            b"copy-data" => (&mut self.copy_data, b"1"),
            b"home-directory" => (&mut self.home_directory, b"1"),
            _ => return,
        };
        *offered |= version == spoken;
    }

    /// Whether the server announced this request.
    pub(super) fn offer(&self, request: &Extended<'_>) -> bool {
        match request {
            Extended::Limits => self.limits,
            Extended::PosixRename { .. } => self.posix_rename,
            Extended::Hardlink { .. } => self.hardlink,
            Extended::Fsync { .. } => self.fsync,
            Extended::Statvfs { .. } => self.statvfs,
            Extended::Lsetstat { .. } => self.lsetstat,
            Extended::ExpandPath { .. } => self.expand_path,
            Extended::HomeDirectory { .. } => self.home_directory,
            Extended::CopyData { .. } => self.copy_data,
            Extended::Other { .. } => false,
        }
    }
}

/// The largest packet that is ever sent or taken, in bytes: OpenSSH's server ends on a larger one (`SFTP_MAX_MSG_LENGTH`).
pub const MAX_PACKET: u32 = 256 * 1024;

/// Packets and data that every server takes (draft-ietf-secsh-filexfer-02 section 3).
const DEFAULT_PACKET: u32 = 34_000;
const DEFAULT_DATA: u32 = 32_768;

/// What a READ or WRITE packet has besides its data, generously: OpenSSH reserves the same.
const DATA_OVERHEAD: u32 = 1024;

/// Below this a limit is not believed: no server works so, and a tiny one would only multiply requests.
const SMALLEST_DATA: u32 = 1024;

/// The largest packets and requests that a server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest packet in bytes without its length field; 34,000 to [`MAX_PACKET`].
    pub max_packet: u32,
    /// Most bytes to ask for in one READ.
    pub max_read: u32,
    /// Most bytes to send in one WRITE.
    pub max_write: u32,
    /// Most handles that may be open at once; `None` if the server does not say.
    pub max_handles: Option<u64>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_packet: DEFAULT_PACKET,
            max_read: DEFAULT_DATA,
            max_write: DEFAULT_DATA,
            max_handles: None,
        }
    }
}

impl Limits {
    /// Reads the answer to `limits@openssh.com`: four 64-bit numbers, of which 0 means "not said".
    pub(super) fn decode(body: &[u8]) -> Result<Limits, Malformed> {
        let mut cursor = Cursor::new(body);
        let packet = cursor.u64("largest packet")?;
        let read = cursor.u64("largest read")?;
        let write = cursor.u64("largest write")?;
        let handles = cursor.u64("most handles")?;
        let max_packet = match packet {
            0 => DEFAULT_PACKET,
            said => clamp(said, DEFAULT_PACKET, MAX_PACKET),
        };
        let data = |said| match said {
            0 => DEFAULT_DATA,
            said => clamp(said, SMALLEST_DATA, max_packet - DATA_OVERHEAD),
        };
        Ok(Limits {
            max_packet,
            max_read: data(read),
            max_write: data(write),
            max_handles: (handles > 0).then_some(handles),
        })
    }
}

fn clamp(said: u64, least: u32, most: u32) -> u32 {
    u32::try_from(said).unwrap_or(most).clamp(least, most)
}

/// Space in a file system, as `statvfs@openssh.com` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatVfs {
    /// Preferred block size in bytes (`f_bsize`).
    pub block_size: u64,
    /// Unit of the block counts in bytes (`f_frsize`).
    pub fragment_size: u64,
    /// Blocks in all.
    pub blocks: u64,
    /// Blocks free.
    pub blocks_free: u64,
    /// Blocks free for this user.
    pub blocks_available: u64,
    /// Inodes in all.
    pub files: u64,
    /// Inodes free.
    pub files_free: u64,
    /// Inodes free for this user.
    pub files_available: u64,
    /// File system id.
    pub fsid: u64,
    /// Bit 1: read-only, bit 2: set-id bits have no effect.
    pub flags: u64,
    /// Longest name in bytes.
    pub name_max: u64,
}

impl StatVfs {
    /// Bytes that this user may still write; the largest number if the server's product overflows.
    #[must_use]
    pub fn bytes_available(&self) -> u64 {
        self.blocks_available.saturating_mul(self.fragment_size)
    }

    pub(super) fn decode(body: &[u8]) -> Result<StatVfs, Malformed> {
        let mut cursor = Cursor::new(body);
        let mut next = || cursor.u64("file system figures");
        Ok(StatVfs {
            block_size: next()?,
            fragment_size: next()?,
            blocks: next()?,
            blocks_free: next()?,
            blocks_available: next()?,
            files: next()?,
            files_free: next()?,
            files_available: next()?,
            fsid: next()?,
            flags: next()?,
            name_max: next()?,
        })
    }
}
