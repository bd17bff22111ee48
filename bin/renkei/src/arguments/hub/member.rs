//! `renkei member`.

use clap::{Args, Subcommand, ValueEnum};
use renkei_types::role::Role;

use super::{Destroys, InProject, Planned};

/// What can be done with members.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List the members of a project
    List(InProject),
    /// Show one
    Show(Member),
    /// Give a user a role in a project, or another role
    #[command(visible_alias = "add")]
    Set(Set),
    /// Take a user out of a project
    #[command(visible_alias = "delete")]
    Remove(Remove),
}

/// What a member may do; each may do what those before may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoleName {
    /// Sees everything in the project
    Reader,
    /// Works with machines and data
    Member,
    /// Also changes networks, rules and what is open to the outside
    Operator,
    /// Also changes members and the project itself
    Owner,
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::Reader => Self::Reader,
            RoleName::Member => Self::Member,
            RoleName::Operator => Self::Operator,
            RoleName::Owner => Self::Owner,
        }
    }
}

/// A user in a project.
#[derive(Clone, Debug, Args)]
pub struct Member {
    /// The user, by name or id
    #[arg(value_name = "USER")]
    pub user: String,
    /// In which project.
    #[command(flatten)]
    pub project: InProject,
}

/// `renkei member set`.
#[derive(Clone, Debug, Args)]
pub struct Set {
    /// Who.
    #[command(flatten)]
    pub member: Member,
    /// What the user may do
    #[arg(long, short = 'r')]
    pub role: RoleName,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei member remove`.
#[derive(Clone, Debug, Args)]
pub struct Remove {
    /// Who.
    #[command(flatten)]
    pub member: Member,
    /// Whether to ask, and to do it.
    #[command(flatten)]
    pub destroys: Destroys,
}
