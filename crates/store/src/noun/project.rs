//! A project, as the API shows it.

use renkei_types::project::Project;
use uuid::Uuid;

use super::{Index, Kind, Noun};

impl Noun for Project {
    const KIND: Kind = Kind {
        table: "project",
        indexes: &[Index::unique("name"), Index::many("organization")],
    };

    fn id(&self) -> Uuid {
        self.id.0
    }

    fn keys(&self) -> Vec<Option<String>> {
        vec![Some(self.name.folded()), Some(self.organization.to_string())]
    }
}
