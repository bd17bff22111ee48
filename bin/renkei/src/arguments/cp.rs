//! `renkei cp`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use renkei_types::size::Rate;

use super::EXIT_CODES;
use super::connection::Connection;
use super::filters::Filters;

/// What an interrupted copy brings with it and cannot be given anew: everything but the display.
const NEW_COPY: [&str; 31] = [
    "paths",
    "contents",
    "follow",
    "include",
    "exclude",
    "files_from",
    "dry_run",
    "update",
    "checksum",
    "no_clobber",
    "delete",
    "in_place",
    "preserve",
    "sparse",
    "verify",
    "manifest",
    "port",
    "identity",
    "config",
    "option",
    "jump",
    "login",
    "ipv4",
    "ipv6",
    "ssh_command",
    "cipher",
    "congestion",
    "timeout",
    "limit",
    "connections",
    "ahead",
];

/// `renkei cp [options] SOURCE… TARGET`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = EXIT_CODES,
    args_override_self = true,
    override_usage = "renkei cp [OPTIONS] SOURCE... TARGET\n       renkei cp --resume ID\n       \
        renkei cp --resume-list\n       renkei cp --resume-drop ID"
)]
pub struct Cp {
    /// Sources, then the target: a path, [user@]host:path, [user@][v6]:path or sftp://user@host:port/path
    #[arg(value_name = "SOURCE... TARGET", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<OsString>,

    /// Copy a directory's contents into the target, whether or not it exists
    #[arg(short = 'T', help_heading = "What is copied")]
    pub contents: bool,
    /// Copy what links inside directories point at, not the links
    #[arg(long, help_heading = "What is copied")]
    pub follow: bool,
    #[command(flatten)]
    pub filters: Filters,
    /// Copy only the names in this file, relative to the one source, one a line; `-` reads standard input
    #[arg(long, value_name = "FILE", help_heading = "What is copied")]
    pub files_from: Option<PathBuf>,
    /// Names in --files-from end with NUL, not with a line end
    #[arg(short = '0', long, requires = "files_from", help_heading = "What is copied")]
    pub from0: bool,
    /// Show what would be done and change nothing
    #[arg(long, help_heading = "What is copied")]
    pub dry_run: bool,
    /// Accepted for scp's sake: directories are always copied whole
    #[arg(short = 'r', help_heading = "What is copied")]
    pub recursive: bool,

    /// Skip files of the same size and time (whole seconds); keeps times
    #[arg(short, long, group = "existing", help_heading = "What stands at the target")]
    pub update: bool,
    /// Skip files of the same content
    #[arg(long, group = "existing", help_heading = "What stands at the target")]
    pub checksum: bool,
    /// Skip whatever exists
    #[arg(short, long, group = "existing", help_heading = "What stands at the target")]
    pub no_clobber: bool,
    /// Delete at the target what the source does not have; try it with --dry-run first
    #[arg(long, conflicts_with = "files_from", help_heading = "What stands at the target")]
    pub delete: bool,
    /// Write into the final name, not beside it: a reader may see half a file
    #[arg(long, help_heading = "What stands at the target")]
    pub in_place: bool,
    /// Keep times and the set-id and sticky bits; the permission bits are always kept
    #[arg(short, long, help_heading = "What stands at the target")]
    pub preserve: bool,
    /// Leave holes in files as holes
    #[arg(long, help_heading = "What stands at the target")]
    pub sparse: bool,

    /// Prove that what stands at the target is what was read (BLAKE3)
    #[arg(long, help_heading = "Proof")]
    pub verify: bool,
    /// Write names, sizes and hashes of what was copied, for `renkei verify`
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run", help_heading = "Proof")]
    pub manifest: Option<PathBuf>,

    /// Go on with this interrupted copy
    #[arg(long, value_name = "ID", group = "stored", conflicts_with_all = NEW_COPY, help_heading = "Resuming")]
    pub resume: Option<String>,
    /// List interrupted copies
    #[arg(long, group = "stored", conflicts_with_all = NEW_COPY, help_heading = "Resuming")]
    pub resume_list: bool,
    /// Forget this interrupted copy and remove what it left at the target
    #[arg(long, value_name = "ID", group = "stored", conflicts_with_all = NEW_COPY, help_heading = "Resuming")]
    pub resume_drop: Option<String>,
    /// Where journals are kept [default: $XDG_STATE_HOME/renkei, else ~/.local/state/renkei]
    #[arg(long, value_name = "DIR", hide = true, help_heading = "Resuming")]
    pub journal_dir: Option<PathBuf>,

    #[command(flatten)]
    pub display: Display,

    #[command(flatten)]
    pub connection: Connection,

    /// Most bytes a second over all connections, such as 500M or 64Mi [default: no limit]
    #[arg(long, value_name = "RATE", help_heading = "Tuning (no one should need it)")]
    pub limit: Option<Rate>,
    /// Exactly this many connections [default: as measured, at most 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024),
          help_heading = "Tuning (no one should need it)")]
    pub connections: Option<u32>,
    /// Requests in flight on each connection [default: as measured]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536),
          help_heading = "Tuning (no one should need it)")]
    pub ahead: Option<u32>,
}

/// What is printed.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Display")]
pub struct Display {
    /// Print events as JSON, one a line
    #[arg(long)]
    pub json: bool,
    /// Print nothing; the exit code tells
    #[arg(short)]
    pub quiet: bool,
    /// Name each file; twice: what happens on the connections; three times: every detail
    #[arg(short, action = clap::ArgAction::Count)]
    pub verbose: u8,
}
