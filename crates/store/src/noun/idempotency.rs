//! Answers that are kept for the header `Idempotency-Key`: the same request gets the same answer and does nothing twice.

use jiff::Timestamp;
use renkei_types::id::UserId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Index, Kind, Noun};

/// An answer that was given. It is written in the batch that does what it tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// Its id, version 7: `all` gives the oldest first.
    pub id: Uuid,
    /// Who asked.
    pub user: UserId,
    /// What the caller gave as the key.
    pub key: String,
    /// A hash of the request: another request under the same key is a mistake of the caller.
    pub request: String,
    /// The answer; none if it held a secret, which is kept nowhere.
    pub answer: Option<serde_json::Value>,
    /// When it was given.
    pub created: Timestamp,
}

impl Idempotency {
    /// The key in the index `key`.
    pub fn index_key(user: UserId, key: &str) -> String {
        format!("{user}/{key}")
    }
}

impl Noun for Idempotency {
    const KIND: Kind = Kind {
        table: "idempotency",
        indexes: &[Index::unique("key")],
    };

    fn id(&self) -> Uuid {
        self.id
    }

    fn keys(&self) -> Vec<Option<String>> {
        vec![Some(Self::index_key(self.user, &self.key))]
    }
}
