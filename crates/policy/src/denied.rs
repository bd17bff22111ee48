//! Why somebody may not.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use renkei_types::action::{Action, Scope};
use renkei_types::freeze::Freeze;
use renkei_types::id::ProjectId;
use renkei_types::problem::ProblemKind;
use renkei_types::role::Role;

use crate::resource::On;

/// The rule that says no. What it tells is for the caller's eyes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It is not known who asks.
    #[error("sign in first")]
    Unauthenticated,
    /// Something that it depends on is frozen.
    #[error("the {what} is frozen{}: {reason}", ends(*.until))]
    Frozen {
        /// What is frozen.
        what: Frozen,
        /// Why, as whoever froze it wrote.
        reason: String,
        /// From when on it no longer is; for ever without.
        until: Option<Timestamp>,
    },
    /// The caller may not even know that it exists: answered as if it did not.
    #[error("there is none, or you may not see it")]
    Hidden,
    /// The token works for one project, and this is outside of it.
    #[error("this token works only for the project {project}")]
    OtherProject {
        /// The project.
        project: ProjectId,
    },
    /// The token is not meant for it.
    #[error("this token is not meant for `{action}`, only for {}", quoted(.scopes))]
    Scope {
        /// What was asked.
        action: Action,
        /// What the token is meant for.
        scopes: BTreeSet<Scope>,
    },
    /// It needs another role in the project.
    #[error("this needs the role {needs} in the project, yours is {}", or_none(*.has))]
    Role {
        /// The least role that may.
        needs: Role,
        /// The role that the caller has.
        has: Option<Role>,
    },
    /// It is for those who run the site, and for administrators.
    #[error("only operators of the site may do this")]
    SiteOperator,
    /// It is for administrators.
    #[error("only administrators may do this")]
    Administrator,
    /// The project is over.
    #[error("the project expired at {since}: it can be read, not changed")]
    Expired {
        /// Since when.
        since: Timestamp,
    },
    /// The policy has no such rule: a fault of whoever asked.
    #[error("there is no rule for `{action}` on {on}")]
    NoRule {
        /// What was asked.
        action: Action,
        /// On what.
        on: On,
    },
}

/// What can be frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frozen {
    /// The user who asks.
    User,
    /// The token that was shown.
    Token,
    /// The project that it is about.
    Project,
    /// The organization that it is about, or that has the project.
    Organization,
    /// The machine that it is about.
    Vm,
}

impl Denied {
    /// The answer's kind at the API.
    pub fn kind(&self) -> ProblemKind {
        match self {
            Self::Unauthenticated => ProblemKind::Unauthenticated,
            Self::Frozen { .. } => ProblemKind::Frozen,
            Self::Hidden => ProblemKind::NotFound,
            Self::OtherProject { .. }
            | Self::Scope { .. }
            | Self::Role { .. }
            | Self::SiteOperator
            | Self::Administrator
            | Self::Expired { .. } => ProblemKind::Forbidden,
            Self::NoRule { .. } => ProblemKind::Internal,
        }
    }

    /// What to do next; nothing where there is nothing to do.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Unauthenticated => "sign in, or send `Authorization: Bearer SECRET`",
            Self::Frozen { .. } => "ask the administrators of this hub",
            Self::OtherProject { .. } => "use a token without a project, or one of that project",
            Self::Scope { .. } => "use a token with a wider scope",
            Self::Role { .. } => "ask an owner of the project",
            Self::SiteOperator => "ask the operators of the site",
            Self::Administrator => "ask the administrators of this hub",
            Self::Expired { .. } => "ask the administrators of this hub for a later expiry",
            Self::Hidden | Self::NoRule { .. } => return None,
        })
    }

    /// Says no while `freeze` holds.
    pub(crate) fn if_frozen(what: Frozen, freeze: Option<&Freeze>, now: Timestamp) -> Result<(), Self> {
        match freeze {
            Some(freeze) if freeze.holds(now) => Err(Self::Frozen {
                what,
                reason: freeze.reason.clone(),
                until: freeze.until,
            }),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::User => "account",
            Self::Token => "token",
            Self::Project => "project",
            Self::Organization => "organization",
            Self::Vm => "machine",
        })
    }
}

fn ends(until: Option<Timestamp>) -> String {
    until.map(|until| format!(" until {until}")).unwrap_or_default()
}

fn or_none(role: Option<Role>) -> String {
    role.map_or_else(|| "none".to_owned(), |role| role.to_string())
}

fn quoted(scopes: &BTreeSet<Scope>) -> String {
    let each: Vec<String> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
    each.join(", ")
}
