//! What was typed, and nothing about what it means.
//!
//! One file a command; the definitions here are also the source of `--help`, the man pages and the completions. Checks
//! that need more than one option stand in `settings`.

#[cfg(feature = "hub")]
pub mod admin;
pub mod connection;
pub mod cp;
pub mod filters;
#[cfg(feature = "hub")]
pub mod hub;
#[cfg(feature = "hub")]
pub mod join;
pub mod mscp;
#[cfg(feature = "hub")]
pub mod serve;
pub mod verify;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// What `-V` prints after the name.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("RENKEI_COMMIT"), ")");

/// What `--version` prints after the name.
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("RENKEI_COMMIT"),
    ")\nlicence Apache-2.0 OR MIT"
);

/// What it is for.
#[cfg(feature = "hub")]
const ABOUT: &str =
    "Copies files to and from any SSH server, at the rate of the line, and works with projects at a hub";
#[cfg(not(feature = "hub"))]
const ABOUT: &str = "Copies files to and from any SSH server, at the rate of the line";

/// The exit codes, as `--help` and the man pages show them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    everything was done and, if asked, verified
  1    some files failed, are missing or differ; the rest is done
  2    the command was not understood
  3    never connected, or the login failed
  4    the connection was lost for longer than --timeout; can be resumed
  130  interrupted; can be resumed";

/// `renkei`.
#[derive(Debug, Parser)]
#[command(
    name = "renkei",
    bin_name = "renkei",
    version = VERSION,
    long_version = LONG_VERSION,
    about = ABOUT,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Renkei {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy files and directories from, to or between SSH servers
    Cp(Box<cp::Cp>),
    /// Check files against a manifest that `renkei cp --manifest` wrote
    Verify(Box<verify::Verify>),
    /// Those that speak with a hub.
    #[cfg(feature = "hub")]
    #[command(flatten)]
    Hub(hub::HubCommand),
    /// Run a hub and a site with one host on this machine, for trying things out
    #[cfg(feature = "hub")]
    Up(serve::Up),
    /// Be what a configuration file says: a hub, a host's agent, or both
    #[cfg(feature = "hub")]
    Serve(serve::Serve),
    /// Make this computer a host of a site, with a token that `renkei site invite` printed
    #[cfg(feature = "hub")]
    Join(join::Join),
    /// Back up, restore, migrate and look after a hub, on the machine where it runs
    #[cfg(feature = "hub")]
    Admin(admin::Admin),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the manual page, or write all of them
    #[command(hide = true)]
    Man(Man),
}

/// `renkei completions`.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `renkei man`.
#[derive(Debug, clap::Args)]
pub struct Man {
    /// Write renkei.1, renkei-cp.1 and the others into this directory
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
