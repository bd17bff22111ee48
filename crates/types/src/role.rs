//! What a member may do in a project, least first.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A member's role. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees everything in the project, changes nothing.
    Reader,
    /// Works with machines and data.
    Member,
    /// Also changes networks, rules and what is open to the outside.
    Operator,
    /// Also changes members and the project itself.
    Owner,
}

impl Role {
    /// All, least first.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Member, Self::Operator, Self::Owner];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reader => "reader",
            Self::Member => "member",
            Self::Operator => "operator",
            Self::Owner => "owner",
        })
    }
}
