//! What a token may hand on: a new token never allows more than the credential with which it is made.
//!
//! Otherwise a token for `token:write` alone would be as good as one for everything.

use std::collections::BTreeSet;

use jiff::Timestamp;
use renkei_types::action::{Action, Scope};
use renkei_types::id::ProjectId;
use renkei_types::token::TokenKind;

use crate::actor::Credential;

/// A token that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What it shall be used for.
    pub scopes: &'a BTreeSet<Scope>,
    /// The only project that it shall be used for.
    pub project: Option<ProjectId>,
    /// Until when.
    pub expires: Timestamp,
}

/// What is too much about a token that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// A scope that the credential does not have.
    #[error("the token that you show does not have the scope `{0}` and cannot hand it on")]
    Scope(Scope),
    /// Another project, or all.
    #[error("the token that you show works only for the project {0} and can make tokens only for it")]
    Project(ProjectId),
    /// Too long.
    #[error("the token that you show expires at {0} and can make no token that lasts longer")]
    Expires(Timestamp),
}

/// Whether whoever shows `credential` may have this token. Whether they may make tokens at all is asked of [`crate::may`].
///
/// # Errors
///
/// What is too much.
pub fn may_issue(credential: &Credential, wanted: &Wanted<'_>) -> Result<(), TooMuch> {
    if let Some(scope) = wanted.scopes.iter().find(|scope| !has(&credential.scopes, scope)) {
        return Err(TooMuch::Scope((*scope).clone()));
    }
    match credential.project {
        Some(only) if wanted.project != Some(only) => return Err(TooMuch::Project(only)),
        _ => {}
    }
    match credential.kind {
        // A session is short, and exists to make longer tokens from.
        TokenKind::Session => Ok(()),
        TokenKind::Api if wanted.expires <= credential.expires => Ok(()),
        TokenKind::Api => Err(TooMuch::Expires(credential.expires)),
    }
}

/// Whether `scope` is within `own` now and also when there will be more actions: a pattern is only within the same pattern
/// or within `*`, even if all that it covers today is there one by one.
fn has(own: &BTreeSet<Scope>, scope: &Scope) -> bool {
    let single = || Action::ALL.iter().find(|action| action.as_str() == scope.to_string());
    own.contains(scope)
        || own.contains(&Scope::everything())
        || single().is_some_and(|action| own.iter().any(|own| own.covers(*action)))
}
