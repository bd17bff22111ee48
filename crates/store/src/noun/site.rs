//! A site, as the API shows it.

use renkei_types::site::Site;
use uuid::Uuid;

use super::{Index, Kind, Noun};

impl Noun for Site {
    const KIND: Kind = Kind {
        table: "site",
        indexes: &[Index::unique("name")],
    };

    fn id(&self) -> Uuid {
        self.id.0
    }

    fn keys(&self) -> Vec<Option<String>> {
        vec![Some(self.name.folded())]
    }
}
