//! A user with what proves who it is.

use renkei_types::user::User;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Index, Kind, Noun};

/// A user's account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What may be shown.
    pub user: User,
    /// The password's hash as a PHC string; a user without one signs in by a token only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Whether the user must set a password before anything else.
    #[serde(default)]
    pub must_change: bool,
    /// Sessions that were made in an earlier epoch do not work.
    #[serde(default)]
    pub token_epoch: u64,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Noun for Account {
    const KIND: Kind = Kind {
        table: "user",
        indexes: &[Index::unique("name")],
    };

    fn id(&self) -> Uuid {
        self.user.id.0
    }

    fn keys(&self) -> Vec<Option<String>> {
        vec![Some(self.user.name.to_string())]
    }
}
