//! Failed sign-ins, counted for each account and for each address from which they came.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Index, Kind, Noun};

/// Failed sign-ins of one account or one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its id.
    pub id: Uuid,
    /// Of what, once: the policy's key.
    pub of: String,
    /// How many, in the policy's own words: a count and a time.
    pub failures: serde_json::Value,
    /// When the last one was.
    pub last: Timestamp,
}

impl Noun for Attempt {
    const KIND: Kind = Kind {
        table: "attempt",
        indexes: &[Index::unique("of")],
    };

    fn id(&self) -> Uuid {
        self.id
    }

    fn keys(&self) -> Vec<Option<String>> {
        vec![Some(self.of.clone())]
    }
}
