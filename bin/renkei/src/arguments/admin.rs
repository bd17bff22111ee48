//! `renkei admin`: what those who run a hub do on its machine.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

/// The exit codes, as `--help` and the man pages show them.
const EXIT_CODES: &str = "\
Exit codes:
  0    done; `doctor`: nothing is wrong, `restore --plan`: it would be done
  1    refused or failed; `doctor`: there is a problem, `audit verify`: the chain is broken
  2    the command was not understood";

/// `renkei admin`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct Admin {
    /// Which hub.
    #[command(flatten)]
    pub of: Of,
    /// Print one JSON value
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Which hub, as `renkei serve` and `renkei up` were told.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("of").args(["config", "database", "data"]))]
pub struct Of {
    /// The file that `renkei serve` reads
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The folder of `renkei up` [default: renkei in the user's data folder, /var/lib/renkei for root]
    #[arg(long, value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
    /// The database itself: sqlite:PATH or postgres://USER@HOST/NAME
    #[arg(long, value_name = "URL", global = true)]
    pub database: Option<String>,
    /// The file with the hub's master key, beside --database
    #[arg(long, value_name = "FILE", global = true)]
    pub master_key: Option<PathBuf>,
}

/// What can be done with a hub.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Write everything in the database into a new file; the hub goes on working
    Backup(Backup),
    /// Put a backup into an empty database, of either kind; no hub may run
    Restore(Restore),
    /// Look whether all is well, and say what to do where it is not
    Doctor,
    /// Go back to the schema before the last upgrade, or give up that way
    Migrate(Migrate),
    /// The chain of events, without a hub
    Audit(Audit),
}

/// `renkei admin backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// The file; there may be none of this name yet
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// `renkei admin restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// The backup
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Lose what the database holds now
    #[arg(long)]
    pub overwrite: bool,
    /// Look whether the backup is whole and would be restored; change nothing
    #[arg(long)]
    pub plan: bool,
}

/// `renkei admin migrate`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("way").required(true).args(["finalise", "rollback"]))]
pub struct Migrate {
    /// Keep the schema that the database has: an older version can never use it again
    #[arg(long, alias = "finalize")]
    pub finalise: bool,
    /// Go back to the schema that was kept at last; what only the newer one can hold is lost, and no hub may run
    #[arg(long)]
    pub rollback: bool,
}

/// `renkei admin audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// What to do.
    #[command(subcommand)]
    pub verb: AuditVerb,
}

/// What can be done with the chain of events.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum AuditVerb {
    /// Check that nothing in it was changed
    Verify,
    /// Show where it stands, to be kept elsewhere
    Head,
}
