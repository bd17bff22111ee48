//! An operation, as the API shows it.

use renkei_types::operation::Operation;
use uuid::Uuid;

use super::{Index, Kind, Noun};

impl Noun for Operation {
    const KIND: Kind = Kind {
        table: "operation",
        indexes: &[
            Index::many("object"),
            Index::many("project"),
            Index::many("state"),
            Index::many("open"),
        ],
    };

    fn id(&self) -> Uuid {
        self.id.0
    }

    /// `object` is the object's id, `state` the word that the API shows; `open` is, until it has ended, the id of the object whose
    /// generation is waited for.
    fn keys(&self) -> Vec<Option<String>> {
        vec![
            Some(self.object.id.to_string()),
            self.project.map(|project| project.to_string()),
            Some(self.state.to_string()),
            (!self.state.ended()).then(|| self.through.unwrap_or(self.object.id).to_string()),
        ]
    }
}
