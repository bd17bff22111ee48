//! An organization, as the API shows it.

use renkei_types::organization::Organization;
use uuid::Uuid;

use super::{Index, Kind, Noun};

impl Noun for Organization {
    const KIND: Kind = Kind {
        table: "organization",
        indexes: &[Index::unique("name")],
    };

    fn id(&self) -> Uuid {
        self.id.0
    }

    fn keys(&self) -> Vec<Option<String>> {
        vec![Some(self.name.folded())]
    }
}
