//! A freeze: what is frozen can be seen and can do nothing, until it is lifted or expires.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::UserId;

/// Set by an administrator or the security team on an organization, project, user or token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Freeze {
    /// Why, for those who meet it.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
    /// Who froze it.
    pub by: UserId,
    /// Since when.
    pub since: Timestamp,
    /// From when on it no longer holds; for ever without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Asks for a freeze.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFreeze {
    /// Why, for those who meet it.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
    /// From when on it no longer holds; for ever without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Freeze {
    /// Whether it holds at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_ends_at_its_time() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let by = UserId(uuid::Uuid::nil());
        let mut freeze = Freeze {
            reason: "spam".to_owned(),
            by,
            since: at(1),
            until: Some(at(5)),
        };
        assert!(freeze.holds(at(4)));
        assert!(!freeze.holds(at(5)));
        freeze.until = None;
        assert!(freeze.holds(at(1_000_000)));
    }
}
