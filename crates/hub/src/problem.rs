//! What goes wrong below, in the words of the API. The only place where errors of the store and answers of the policy become
//! [`Problem`]s.

use renkei_policy::Denied;
use renkei_store::{CommitError, StateError};
use renkei_types::problem::{Problem, ProblemKind};

use crate::schema::Foreign;

/// The permission function said no.
pub fn denied(denied: Denied) -> Problem {
    let problem = Problem::new(denied.kind(), denied.to_string());
    match denied.hint() {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// There is no credential, or it does not work.
pub fn unauthenticated(title: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Unauthenticated, title)
        .hint("sign in with `renkei login`, and send the token as `Authorization: Bearer TOKEN`")
}

/// A row could not be read.
pub fn state(error: &StateError) -> Problem {
    unavailable(error)
}

/// A batch could not be written.
pub fn commit(error: &CommitError) -> Problem {
    match error {
        CommitError::Stale { .. } => {
            Problem::new(ProblemKind::Unavailable, "others keep changing the same things").hint("try again")
        }
        CommitError::Taken { index, .. } => {
            Problem::new(ProblemKind::Conflict, format!("another one has the same `{index}`")).field(*index)
        }
        CommitError::Full => {
            tracing::error!("the database has no space left");
            Problem::new(ProblemKind::Unavailable, "the hub's disk is full; nothing was changed")
                .hint("those who run the hub must free space")
        }
        CommitError::Schema { found, known } => {
            let (found, known) = (*found, *known);
            Foreign { found, known }.problem()
        }
        other => unavailable(other),
    }
}

/// What the caller can do nothing about. The cause goes to the log, not to the caller.
fn unavailable(error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(error = chain(error), "the database does not answer as it should");
    Problem::new(ProblemKind::Unavailable, "the hub's database does not answer").hint("try again in a moment")
}

/// The error and its causes, joined by colons.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
