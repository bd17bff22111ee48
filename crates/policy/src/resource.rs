//! What is asked about, with the facts that decide.
//!
//! Names, descriptions and the like decide nothing and are not here.

use std::fmt;

use jiff::Timestamp;
use renkei_types::action::Action;
use renkei_types::freeze::Freeze;
use renkei_types::id::{OrganizationId, ProjectId, SiteId, UserId};

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub enum Resource<'a> {
    /// The hub itself: where organizations, users and sites are made, and its whole audit.
    Hub,
    /// All of a kind, of which the caller gets those within their [`crate::reach`].
    List,
    /// An organization; also the place where a project is made.
    Organization(Organization<'a>),
    /// A project and what is in it: members, events, operations.
    Project(Project<'a>),
    /// A project's quota at a site.
    Quota {
        /// Whose.
        project: Project<'a>,
        /// Where.
        site: SiteId,
    },
    /// A machine of a project.
    Vm {
        /// Whose.
        project: Project<'a>,
        /// A freeze of the machine.
        freeze: Option<&'a Freeze>,
    },
    /// An account, with all that is known about its user.
    User(UserId),
    /// Only the id and the names of a user, for those who want to make them a member.
    UserName(UserId),
    /// A token.
    Token {
        /// Whose.
        owner: UserId,
        /// The only project that it works for.
        project: Option<ProjectId>,
    },
    /// A site.
    Site(SiteId),
    /// An operation.
    Operation {
        /// What it does.
        asked: Action,
        /// Who asked.
        by: Option<UserId>,
        /// What it changes.
        on: &'a Resource<'a>,
    },
}

/// What decides about an organization.
#[derive(Clone, Copy, Debug)]
pub struct Organization<'a> {
    /// Its id.
    pub id: OrganizationId,
    /// A freeze of it.
    pub freeze: Option<&'a Freeze>,
}

/// What decides about a project.
#[derive(Clone, Copy, Debug)]
pub struct Project<'a> {
    /// Its id.
    pub id: ProjectId,
    /// The organization that it is in.
    pub organization: Organization<'a>,
    /// A freeze of the project itself.
    pub freeze: Option<&'a Freeze>,
    /// From when on it is over.
    pub expires: Option<Timestamp>,
}

/// The kind of a [`Resource`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// [`Resource::Hub`].
    Hub,
    /// [`Resource::List`].
    List,
    /// [`Resource::Organization`].
    Organization,
    /// [`Resource::Project`].
    Project,
    /// [`Resource::Quota`].
    Quota,
    /// [`Resource::Vm`].
    Vm,
    /// [`Resource::User`].
    User,
    /// [`Resource::UserName`].
    UserName,
    /// [`Resource::Token`].
    Token,
    /// [`Resource::Site`].
    Site,
    /// [`Resource::Operation`].
    Operation,
}

impl<'a> Resource<'a> {
    /// Its kind.
    pub fn on(&self) -> On {
        match self {
            Self::Hub => On::Hub,
            Self::List => On::List,
            Self::Organization(_) => On::Organization,
            Self::Project(_) => On::Project,
            Self::Quota { .. } => On::Quota,
            Self::Vm { .. } => On::Vm,
            Self::User(_) => On::User,
            Self::UserName(_) => On::UserName,
            Self::Token { .. } => On::Token,
            Self::Site(_) => On::Site,
            Self::Operation { .. } => On::Operation,
        }
    }

    /// The project that it is in.
    pub fn project(&self) -> Option<&Project<'a>> {
        match self {
            Self::Project(project) | Self::Quota { project, .. } | Self::Vm { project, .. } => Some(project),
            Self::Operation { on, .. } => on.project(),
            Self::Hub
            | Self::List
            | Self::Organization(_)
            | Self::User(_)
            | Self::UserName(_)
            | Self::Token { .. }
            | Self::Site(_) => None,
        }
    }

    /// A freeze of the machine that it is.
    pub fn vm_freeze(&self) -> Option<&'a Freeze> {
        match self {
            Self::Vm { freeze, .. } => *freeze,
            Self::Operation { on, .. } => on.vm_freeze(),
            _ => None,
        }
    }

    /// The organization that it is, or is in.
    pub fn organization(&self) -> Option<&Organization<'a>> {
        match self {
            Self::Organization(organization) => Some(organization),
            Self::Operation { on, .. } => on.organization(),
            _ => self.project().map(|project| &project.organization),
        }
    }
}

impl<'a> From<&'a renkei_types::organization::Organization> for Organization<'a> {
    fn from(organization: &'a renkei_types::organization::Organization) -> Self {
        Self {
            id: organization.id,
            freeze: organization.freeze.as_ref(),
        }
    }
}

impl<'a> Project<'a> {
    /// What decides about `project`, which is in `organization`.
    pub fn new(project: &'a renkei_types::project::Project, organization: Organization<'a>) -> Self {
        Self {
            id: project.id,
            organization,
            freeze: project.freeze.as_ref(),
            expires: project.expires,
        }
    }
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hub => "the hub",
            Self::List => "a list",
            Self::Organization => "an organization",
            Self::Project => "a project",
            Self::Quota => "a quota",
            Self::Vm => "a machine",
            Self::User => "a user",
            Self::UserName => "a user's name",
            Self::Token => "a token",
            Self::Site => "a site",
            Self::Operation => "an operation",
        })
    }
}
