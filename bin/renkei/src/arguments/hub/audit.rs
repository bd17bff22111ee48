//! `renkei audit`.

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::OfProject;

/// What can be done with the audit.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List what happened, newest first
    List(List),
    /// Show what happens, as it happens, until it is interrupted; goes on by itself when the connection breaks
    #[command(long_flag = "follow")]
    Follow(Follow),
    /// Check that nothing in the chain of events was changed
    Verify,
    /// Show where the chain of events stands, to be kept elsewhere
    Head,
}

/// `renkei audit follow`.
#[derive(Clone, Debug, Args)]
pub struct Follow {
    /// In which project.
    #[command(flatten)]
    pub of: OfProject,
    /// Begin after the event with this id [default: with what happens from now on]
    #[arg(long, value_name = "ID")]
    pub after: Option<i64>,
}

/// `renkei audit list`.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// In which project.
    #[command(flatten)]
    pub of: OfProject,
    /// Only what this user did, by name or id
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Only what was done to this kind of thing, such as project
    #[arg(long, value_name = "NOUN")]
    pub noun: Option<String>,
    /// Only what was done to the object with this id
    #[arg(long, value_name = "ID")]
    pub object: Option<Uuid>,
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Only what was before the event with this id
    #[arg(long, value_name = "ID")]
    pub before: Option<i64>,
}
