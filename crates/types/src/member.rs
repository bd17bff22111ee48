//! A membership: a user's role in a project.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{MemberId, ProjectId, UserId};
use crate::name::UserName;
use crate::role::Role;

/// A user's role in a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// The project.
    pub project: ProjectId,
    /// Who.
    pub user: UserId,
    /// The user's name when the membership was made, for people and for the history.
    pub user_name: UserName,
    /// What the user may do.
    pub role: Role,
    /// Since when.
    pub created: Timestamp,
}

/// Sets a user's role in a project; makes the user a member if need be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// What the user may do.
    pub role: Role,
}
