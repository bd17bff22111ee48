//! A key with which tokens of the mdx dialect are signed. One signs; those before it are kept while tokens that they have
//! signed may still be shown.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Index, Kind, Noun};

/// A key as it is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeyRow {
    /// Its id, which stands in each token that it has signed.
    pub id: Uuid,
    /// The private half, sealed with the master key, in the policy's own words.
    pub private: serde_json::Value,
    /// The public half, base64.
    pub public: String,
    /// When it was made, and began to sign.
    pub not_before: Timestamp,
    /// When another took its place; none for the one that signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<Timestamp>,
}

impl SigningKeyRow {
    /// The key of the one that signs, in the index `signs`.
    pub const SIGNS: &str = "mdx";
}

impl std::fmt::Debug for SigningKeyRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeyRow")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Noun for SigningKeyRow {
    const KIND: Kind = Kind {
        table: "signing_key",
        indexes: &[Index::unique("signs")],
    };

    fn id(&self) -> Uuid {
        self.id
    }

    /// Only one signs.
    fn keys(&self) -> Vec<Option<String>> {
        vec![self.retired.is_none().then(|| Self::SIGNS.to_owned())]
    }
}
