//! A token with the hash of its secret.

use renkei_types::token::Token;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Index, Kind, Noun};

/// A token as it is kept. The secret itself is nowhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// What may be shown.
    pub token: Token,
    /// The secret's hash, hexadecimal: by it the token is found.
    pub secret_hash: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl Noun for Credential {
    const KIND: Kind = Kind {
        table: "token",
        indexes: &[Index::unique("secret_hash"), Index::many("user")],
    };

    fn id(&self) -> Uuid {
        self.token.id.0
    }

    fn keys(&self) -> Vec<Option<String>> {
        vec![Some(self.secret_hash.clone()), Some(self.token.user.to_string())]
    }
}
