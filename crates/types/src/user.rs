//! A user: somebody who signs in.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::freeze::Freeze;
use crate::id::UserId;
use crate::name::UserName;

/// A user, without anything secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// With which the user signs in, once in a hub.
    pub name: UserName,
    /// As people write it.
    #[serde(default)]
    #[schema(max_length = 254)]
    pub full_name: String,
    /// Where mail arrives.
    #[serde(default)]
    #[schema(max_length = 254)]
    pub email: String,
    /// Whether the user may do everything in this hub.
    #[serde(default)]
    pub administrator: bool,
    /// Not enabled: cannot sign in, tokens do not work.
    pub enabled: bool,
    /// When the account was made.
    pub created: Timestamp,
    /// Set while the user may not do anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
}

/// What anybody who makes members may know of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KnownUser {
    /// The id.
    pub id: UserId,
    /// With which the user signs in.
    pub name: UserName,
    /// As people write it.
    pub full_name: String,
}

/// Asks for a user.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// With which the user signs in.
    pub name: UserName,
    /// As people write it.
    #[serde(default)]
    #[schema(max_length = 254)]
    pub full_name: String,
    /// Where mail arrives.
    #[serde(default)]
    #[schema(max_length = 254)]
    pub email: String,
    /// Whether the user may do everything in this hub.
    #[serde(default)]
    pub administrator: bool,
    /// The first password, which the user must change; a user without one signs in by a token only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 12, max_length = 256)]
    pub password: Option<String>,
}

/// What to change; what is missing stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserPatch {
    /// As people write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 254)]
    pub full_name: Option<String>,
    /// Where mail arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 254)]
    pub email: Option<String>,
    /// Whether the user may do everything in this hub. Only an administrator may set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administrator: Option<bool>,
    /// Whether the user may sign in. Only an administrator may set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Sets a password. Ends all sessions of the user.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// The one so far; not asked of an administrator who sets another user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 256)]
    pub current: Option<String>,
    /// The new one.
    #[schema(min_length = 12, max_length = 256)]
    pub new: String,
}

/// Who the caller is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Whoami {
    /// The user.
    pub user: User,
    /// The token that was shown.
    pub token: crate::token::Token,
    /// Projects and the role in each.
    pub memberships: Vec<crate::member::Member>,
    /// Nothing else works before the user has chosen a password.
    pub must_change_password: bool,
}
