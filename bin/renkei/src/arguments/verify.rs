//! `renkei verify`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::EXIT_CODES;
use super::connection::Connection;
use super::cp::Display;

/// `renkei verify MANIFEST TARGET`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXIT_CODES, args_override_self = true)]
pub struct Verify {
    /// The manifest
    #[arg(value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// Where the files are: what was the target of the copy
    #[arg(value_hint = ValueHint::AnyPath)]
    pub target: OsString,
    #[command(flatten)]
    pub display: Display,
    #[command(flatten)]
    pub connection: Connection,
}
