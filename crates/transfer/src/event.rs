//! What a copy tells while it runs, and what it tells in the end.
//!
//! Events carry facts; how they look is the business of whoever shows them. Names are bytes and are *not* safe to print
//! as they are: see `renkei_types::printable`.

use std::time::Duration;

/// What limits the rate at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bottleneck {
    /// Not known yet.
    #[default]
    Unknown,
    /// Reading at the source.
    SourceDisk,
    /// This machine's processor.
    Cpu,
    /// The window of the SSH channels or socket buffers.
    Window,
    /// The network path.
    Path,
    /// Writing at the far end.
    FarDisk,
    /// `--limit`.
    Limit,
}

/// A snapshot, some times a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Since the start.
    pub elapsed: Duration,
    /// Bytes of content acknowledged by the target, resumed bytes included.
    pub bytes: u64,
    /// Of these, bytes that an earlier run had brought.
    pub resumed_bytes: u64,
    /// Bytes to copy as far as the scan has come.
    pub total_bytes: u64,
    /// Files done, skipped and failed ones included.
    pub files: u64,
    /// Files found so far.
    pub total_files: u64,
    /// Whether the scan is complete, so that the totals are final.
    pub scanned: bool,
    /// Bytes a second over the last seconds.
    pub rate_now: u64,
    /// Bytes a second since the first byte.
    pub rate_mean: u64,
    /// Connections in use.
    pub connections: u32,
    /// Sessions on them; more than connections only where each login needs a person.
    pub channels: u32,
    /// What limits right now.
    pub bottleneck: Bottleneck,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Numbers changed.
    Progress(Progress),
    /// A file was copied; told only for the verbose display and JSON.
    Copied {
        /// Path at the source, as bytes.
        path: Vec<u8>,
        /// Its size.
        bytes: u64,
    },
    /// A file was left alone because the target has it.
    Skipped {
        /// Path at the source.
        path: Vec<u8>,
        /// Why, in a few words.
        reason: String,
    },
    /// Something in a tree that cannot be copied was left out: a FIFO, a socket, a device, a loop. Named to everyone,
    /// unlike what is skipped.
    LeftOut {
        /// Path at the source.
        path: Vec<u8>,
        /// What it is, in a few words.
        reason: String,
    },
    /// With `--dry-run`: what would be done.
    Would {
        /// `copy`, `delete`, `mkdir`, `link`.
        action: &'static str,
        /// Path at the target.
        path: Vec<u8>,
        /// Its size where it has one.
        bytes: u64,
    },
    /// One file or directory failed; the rest goes on.
    Failed(Failure),
    /// Something a person should know; told once.
    Note(String),
    /// A connection was lost and is being replaced.
    Retry {
        /// What happened.
        reason: String,
    },
}

/// A file that could not be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its path.
    pub path: Vec<u8>,
    /// The reason with its causes, ready to print.
    pub reason: String,
}

/// How the result was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verified {
    /// It was not asked for.
    #[default]
    No,
    /// All was read back.
    ReadBack,
    /// A hash command ran at the far end.
    HashCommand,
    /// Some files one way, some the other.
    Both,
}

/// How it ended as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything was done, and verified if that was asked for.
    Complete,
    /// Some files failed, the rest is done.
    SomeFailed,
    /// What was asked for makes no sense with what is there; nothing was done.
    Usage,
    /// Never connected or authenticated.
    NotConnected,
    /// The connection was lost for longer than the timeout; can be resumed.
    Lost,
    /// Stopped by the user; can be resumed.
    Interrupted,
}

/// The last word.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How it ended.
    pub ending: Ending,
    /// Content bytes that stand at the target because of this copy, resumed ones included.
    pub bytes: u64,
    /// Of these, brought by an earlier run.
    pub resumed_bytes: u64,
    /// Content bytes put on the wire in this run, also those sent twice.
    pub sent_bytes: u64,
    /// Files, links and directories copied.
    pub files: u64,
    /// Files left alone.
    pub skipped: u64,
    /// Files deleted at the target.
    pub deleted: u64,
    /// From start to end.
    pub elapsed: Duration,
    /// From the first to the last byte of content.
    pub data_elapsed: Duration,
    /// Pieces or files sent again, and connections replaced.
    pub retries: u64,
    /// SFTP requests sent.
    pub requests: u64,
    /// Files that failed (at most the first 10,000 are kept).
    pub failures: Vec<Failure>,
    /// How many failed.
    pub failed: u64,
    /// How it was verified.
    pub verified: Verified,
    /// The journal to resume from, where one is left.
    pub journal: Option<String>,
    /// Notes for the end, such as "the server has no fsync".
    pub notes: Vec<String>,
    /// Why it ended, when it did not end as complete; ready to print.
    pub cause: Option<String>,
}

/// Takes events; called from any thread, must return at once.
pub trait Observer: Send + Sync + 'static {
    /// One event.
    fn event(&self, event: Event);
}
