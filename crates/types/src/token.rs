//! A token: what a program shows in place of a password.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::action::Scope;
use crate::freeze::Freeze;
use crate::id::{ProjectId, TokenId, UserId};
use crate::name::Name;

/// How a token came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// By signing in with a password; ended by `logout` and by a new password.
    Session,
    /// Made for a program.
    Api,
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// Whose.
    pub user: UserId,
    /// What for.
    pub name: Name,
    /// How it came to be.
    pub kind: TokenKind,
    /// What it may be used for; never more than its user may do.
    pub scopes: BTreeSet<Scope>,
    /// The only project that it may be used for; all without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it does not work.
    pub expires: Timestamp,
    /// When it was shown last, to some minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<Timestamp>,
    /// Set while it does not work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
}

/// Asks for a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What for.
    pub name: Name,
    /// What it may be used for.
    #[schema(min_items = 1)]
    pub scopes: BTreeSet<Scope>,
    /// The only project that it may be used for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// From when on it does not work: at most 366 days ahead; 30 days without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// Signs in.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// The user's name.
    #[schema(max_length = 256)]
    pub name: String,
    /// The user's password.
    #[schema(max_length = 256)]
    pub password: String,
}

/// A new token with its secret, which is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuedToken {
    /// The token.
    pub token: Token,
    /// What to show: `Authorization: Bearer SECRET`.
    pub secret: String,
}
