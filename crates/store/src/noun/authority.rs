//! The hub's own certificate authority, which hosts' agents believe and which tells them apart. One row.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Index, Kind, Noun};

/// The authority as it is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityRow {
    /// Its id.
    pub id: Uuid,
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// Its key, sealed with the master key, in the policy's own words.
    pub key: serde_json::Value,
    /// When it was made.
    pub created: Timestamp,
}

impl AuthorityRow {
    /// The key of the one that signs, in the index `signs`.
    pub const SIGNS: &str = "hosts";
}

impl std::fmt::Debug for AuthorityRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthorityRow")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Noun for AuthorityRow {
    const KIND: Kind = Kind {
        table: "authority",
        indexes: &[Index::unique("signs")],
    };

    fn id(&self) -> Uuid {
        self.id
    }

    fn keys(&self) -> Vec<Option<String>> {
        vec![Some(Self::SIGNS.to_owned())]
    }
}
