//! A small world: one project that is asked about in one organization, another project in another one, a site.

use jiff::Timestamp;
use renkei_policy::actor::{Actor, Credential, Membership};
use renkei_policy::resource::{Organization, Project};
use renkei_types::action::Scope;
use renkei_types::freeze::Freeze;
use renkei_types::id::{OrganizationId, ProjectId, SiteId, TokenId, UserId};
use renkei_types::role::Role;
use renkei_types::token::TokenKind;
use uuid::Uuid;

pub const ORGANIZATION: OrganizationId = OrganizationId(Uuid::from_u128(1));
pub const PROJECT: ProjectId = ProjectId(Uuid::from_u128(2));
pub const SITE: SiteId = SiteId(Uuid::from_u128(3));
/// Who asks.
pub const CALLER: UserId = UserId(Uuid::from_u128(4));
/// Somebody else.
pub const OTHER: UserId = UserId(Uuid::from_u128(5));
pub const OTHER_ORGANIZATION: OrganizationId = OrganizationId(Uuid::from_u128(6));
pub const OTHER_PROJECT: ProjectId = ProjectId(Uuid::from_u128(7));
pub const OTHER_SITE: SiteId = SiteId(Uuid::from_u128(8));

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A user without any rights, signed in with a password.
pub fn stranger() -> Actor {
    Actor {
        user: CALLER,
        name: "alice".parse().unwrap(),
        administrator: false,
        freeze: None,
        memberships: [].into(),
        operates: [].into(),
        credential: Credential {
            token: TokenId(Uuid::from_u128(9)),
            kind: TokenKind::Session,
            scopes: [Scope::everything()].into(),
            project: None,
            expires: at(1_000),
            freeze: None,
        },
    }
}

pub fn in_project(role: Role) -> Membership {
    Membership {
        organization: ORGANIZATION,
        role,
    }
}

pub fn elsewhere(role: Role) -> Membership {
    Membership {
        organization: OTHER_ORGANIZATION,
        role,
    }
}

pub fn member(role: Role) -> Actor {
    let mut actor = stranger();
    actor.memberships.insert(PROJECT, in_project(role));
    actor
}

pub fn administrator() -> Actor {
    Actor {
        administrator: true,
        ..stranger()
    }
}

pub fn for_project(mut actor: Actor, project: ProjectId) -> Actor {
    actor.credential.project = Some(project);
    actor
}

pub fn freeze(until: Option<Timestamp>) -> Freeze {
    Freeze {
        reason: "found on a list of leaked keys".to_owned(),
        by: OTHER,
        since: at(-10),
        until,
    }
}

/// Freezes and the expiry of what is asked about.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub organization: Option<Freeze>,
    pub project: Option<Freeze>,
    pub vm: Option<Freeze>,
    pub expires: Option<Timestamp>,
}

impl State {
    pub fn organization(&self) -> Organization<'_> {
        Organization {
            id: ORGANIZATION,
            freeze: self.organization.as_ref(),
        }
    }

    pub fn project(&self) -> Project<'_> {
        Project {
            id: PROJECT,
            organization: self.organization(),
            freeze: self.project.as_ref(),
            expires: self.expires,
        }
    }
}
