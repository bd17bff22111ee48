//! `renkei login`, `logout` and `whoami`.

use std::path::PathBuf;

use clap::Args;

use super::{At, EXIT_CODES};

/// `renkei login`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct Login {
    /// Which hub.
    #[command(flatten)]
    pub at: At,
    /// Who signs in [default: asked for]
    #[arg(long, short = 'u', value_name = "NAME")]
    pub user: Option<String>,
    /// Check the hub's certificate against the authorities in this file (PEM), now and later, not against those that this machine trusts
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Read the password from the first line of standard input; a second line is the new one, if one must be chosen
    #[arg(long, requires = "user")]
    pub password_stdin: bool,
}

/// `renkei logout`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct Logout {
    /// Which hub.
    #[command(flatten)]
    pub at: At,
}

/// `renkei whoami`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct Whoami {
    /// Which hub.
    #[command(flatten)]
    pub at: At,
}
