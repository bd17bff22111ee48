//! A duty: something that one hub at a time does for all of them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Index, Kind, Noun};

/// Who has a duty, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duty {
    /// Its id.
    pub id: Uuid,
    /// What is to be done, once.
    pub name: String,
    /// The hub that does it: an id that it drew when it started.
    pub holder: Uuid,
    /// From when on another hub may take it.
    pub until: Timestamp,
}

impl Noun for Duty {
    const KIND: Kind = Kind {
        table: "duty",
        indexes: &[Index::unique("name")],
    };

    fn id(&self) -> Uuid {
        self.id
    }

    fn keys(&self) -> Vec<Option<String>> {
        vec![Some(self.name.clone())]
    }
}
