//! What a copy is asked to do, after arguments have been understood.
//!
//! Nothing past this type looks at raw flags. It says nothing about how the copy is carried out.

use std::path::PathBuf;
use std::time::Duration;

use renkei_plan::Chunks;
use renkei_ssh::Options as SshOptions;

/// One end as typed: a path on this machine, or a path at a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A path on this machine; bytes, relative to the working directory.
    Local(Vec<u8>),
    /// A path at a server; relative to the login directory, `~/` means the same.
    Remote {
        /// `[user@]host` with a port where the URL form gave one.
        host: renkei_ssh::Destination,
        /// Bytes as typed, without the host; may be empty (the login directory).
        path: Vec<u8>,
    },
}

/// Which files that stand at the target already are left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Replace every file.
    #[default]
    Replace,
    /// Skip a file of the same size and the same modification time in whole seconds (`--update`).
    SkipSameTime,
    /// Skip a file of the same content (`--checksum`).
    SkipSameContent,
    /// Skip whatever exists (`--no-clobber`).
    Keep,
}

/// Knobs of the engine. The default is what nearly everyone should use.
#[derive(Clone, Debug, Default)]
pub struct Tuning {
    /// Bytes a second over all connections; none: no limit.
    pub limit: Option<u64>,
    /// Exactly this many connections; none: as measured, at most 32.
    pub connections: Option<u32>,
    /// Requests in flight a connection; none: as measured.
    pub ahead: Option<u32>,
    /// Bytes a READ or WRITE request, at most what the server allows (mscp's `-b`).
    pub request_size: Option<u32>,
    /// Unauthenticated connections at the same time (mscp's `-u`); none: 8.
    pub startups: Option<u32>,
    /// Pause between connection attempts (mscp's `-I`).
    pub interval: Duration,
    /// Least bytes that are worth a connection of their own (mscp's `-s`); none: as the plan finds.
    pub min_chunk: Option<u64>,
    /// How files are cut, each chunk for one connection (mscp's `-s` and `-S`); none: in pieces, for whichever connection
    /// has room.
    pub chunks: Option<Chunks>,
    /// CPU mask, one bit a core (mscp's `-m`).
    pub cpus: Option<u128>,
}

/// One copy.
#[derive(Clone, Debug)]
pub struct Request {
    /// Sources in the order given; at least one.
    pub sources: Vec<Location>,
    /// Where they go.
    pub target: Location,
    /// How connections are made.
    pub ssh: SshOptions,
    /// `-T`: copy a directory's contents into the target whether or not it exists.
    pub contents: bool,
    /// `--follow`: copy what links inside trees point at.
    pub follow: bool,
    /// `--preserve`: keep times and the set-id and sticky bits.
    pub preserve: bool,
    /// What to do with files that are there already.
    pub existing: Existing,
    /// `--delete`: remove at the target what the source does not have.
    pub delete: bool,
    /// `--include`/`--exclude` in the order given; the first that matches wins.
    pub filters: Vec<Filter>,
    /// `--files-from`: names relative to the source, NUL or newline separated, read by the caller.
    pub files_from: Option<Vec<Vec<u8>>>,
    /// `--dry-run`: say what would be done, change nothing.
    pub dry_run: bool,
    /// `--in-place`: write into the final name.
    pub in_place: bool,
    /// `--sparse`: leave holes as holes.
    pub sparse: bool,
    /// `--verify`: prove that the target is what was read.
    pub verify: bool,
    /// `--manifest FILE`.
    pub manifest: Option<PathBuf>,
    /// `--timeout`: how long nothing may work before the copy ends as resumable.
    pub timeout: Duration,
    /// Where journals are kept; none: no journal (mscp's `-D`, tests).
    pub journals: Option<PathBuf>,
    /// A checkpoint in a file of the user's choice; none: only the journal.
    pub checkpoint: Option<Checkpoint>,
    /// What `--resume` needs to ask for the same copy again. Stored in the journal and the checkpoint as it is; means
    /// nothing to the engine.
    pub recall: Vec<u8>,
    /// Knobs.
    pub tuning: Tuning,
}

/// A journal kept in a file that the user names (mscp's `-W` and `-R`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Read at the start and left in place (`-R`).
    pub read: Option<PathBuf>,
    /// Written when the copy does not complete (`-W`); with [`Request::dry_run`] always, and nothing else is done.
    pub write: Option<PathBuf>,
}

/// A check of what stands at a target against a manifest.
#[derive(Clone, Debug)]
pub struct VerifyRequest {
    /// The manifest that a copy wrote.
    pub manifest: PathBuf,
    /// What was the target of that copy.
    pub target: Location,
    /// How connections are made.
    pub ssh: SshOptions,
    /// How long nothing may work before the check ends.
    pub timeout: Duration,
}

/// One `--include` or `--exclude`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Whether what matches is taken or left out.
    pub include: bool,
    /// The glob, as rsync reads it: with a `/` it is matched against the whole relative path, without one against the
    /// last name; a trailing `/` matches directories only.
    pub glob: String,
}
