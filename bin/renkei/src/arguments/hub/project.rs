//! `renkei project`.

use clap::{Args, Subcommand, ValueEnum};
use renkei_types::name::Name;
use renkei_types::project::ProjectType;

use super::moment::Moment;
use super::{Delete, Freeze, One, Planned, Thaw};

/// What can be done with projects.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List projects
    List(List),
    /// Show one
    Show(One),
    /// Make one
    Create(Create),
    /// Change one
    Change(Change),
    /// Delete one that is empty
    Delete(Delete),
    /// Let nothing in it be changed, until the freeze is lifted or ends
    Freeze(Freeze),
    /// Lift a freeze
    Thaw(Thaw),
}

/// How a project uses a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Shares hosts with others
    Shared,
    /// Has hosts of its own
    Dedicated,
}

impl From<Kind> for ProjectType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Shared => Self::Shared,
            Kind::Dedicated => Self::Dedicated,
        }
    }
}

/// `renkei project list`.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Only those of this organization, by name or id
    #[arg(long, value_name = "ORG")]
    pub org: Option<String>,
}

/// What a project says of itself.
#[derive(Clone, Debug, Args)]
pub struct About {
    /// How it uses a site
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<Kind>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Whom to write to: an address that is read
    #[arg(long, value_name = "TEXT")]
    pub contact: Option<String>,
    /// Where its people work
    #[arg(long, value_name = "TEXT")]
    pub institution: Option<String>,
    /// The site where it is at home, by name or id: its default segment is there
    #[arg(long, value_name = "SITE")]
    pub default_site: Option<String>,
    /// From when on nothing may be started or changed in it: in 30d, on 2027-03-31, or at a time (RFC 3339)
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<Moment>,
}

/// `renkei project create`.
#[derive(Clone, Debug, Args)]
pub struct Create {
    /// Its name
    pub name: Name,
    /// The organization that it shall be in, by name or id
    #[arg(long, value_name = "ORG")]
    pub org: String,
    /// Its first owner, by name or id [default: you]
    #[arg(long, value_name = "USER")]
    pub owner: Option<String>,
    /// The rest.
    #[command(flatten)]
    pub about: About,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei project change`.
#[derive(Clone, Debug, Args)]
#[group(required = true, args = ["name", "kind", "description", "contact", "institution", "expires"])]
pub struct Change {
    /// Which.
    #[command(flatten)]
    pub one: One,
    /// A new name
    #[arg(long)]
    pub name: Option<Name>,
    /// The rest.
    #[command(flatten)]
    pub about: About,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}
