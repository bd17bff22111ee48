//! A membership, as the API shows it.

use renkei_types::member::Member;
use uuid::Uuid;

use super::{Index, Kind, Noun, pair};

impl Noun for Member {
    const KIND: Kind = Kind {
        table: "member",
        indexes: &[Index::many("project"), Index::many("user"), Index::unique("pair")],
    };

    fn id(&self) -> Uuid {
        self.id.0
    }

    /// The pair is `project/user`.
    fn keys(&self) -> Vec<Option<String>> {
        vec![
            Some(self.project.to_string()),
            Some(self.user.to_string()),
            Some(pair(self.project.0, self.user.0)),
        ]
    }
}
