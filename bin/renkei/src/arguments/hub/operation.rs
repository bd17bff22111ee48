//! `renkei operation`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use renkei_types::id::OperationId;
use uuid::Uuid;

use super::{OfProject, Planned};
use crate::arguments::connection::duration;

/// What can be done with operations.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List operations
    List(List),
    /// Show one
    Show(One),
    /// Wait until one has ended
    Wait(Wait),
    /// Give one up that changes a machine: it is set back
    Cancel(Cancel),
}

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// Asked for, not yet so
    Running,
    /// Given up, being set back
    Cancelling,
    /// It is so
    Done,
    /// It is as it was before
    Failed,
    /// Another one took its place
    Superseded,
}

/// One operation.
#[derive(Clone, Debug, Args)]
pub struct One {
    /// Its id
    #[arg(value_name = "ID")]
    pub id: OperationId,
}

/// `renkei operation list`.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Of which project.
    #[command(flatten)]
    pub of: OfProject,
    /// Only those that change the object with this id
    #[arg(long, value_name = "ID")]
    pub object: Option<Uuid>,
    /// Only those in this state
    #[arg(long)]
    pub state: Option<State>,
}

/// `renkei operation cancel`.
#[derive(Clone, Debug, Args)]
pub struct Cancel {
    /// Which.
    #[command(flatten)]
    pub one: One,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei operation wait`.
#[derive(Clone, Debug, Args)]
pub struct Wait {
    /// Which.
    #[command(flatten)]
    pub one: One,
    /// Wait at most so long: 90s, 5m, 1h [default: until it has ended]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
}
