//! A preset, as the API shows it.

use renkei_types::preset::Preset;
use uuid::Uuid;

use super::{Index, Kind, Noun};

impl Noun for Preset {
    const KIND: Kind = Kind {
        table: "preset",
        indexes: &[Index::unique("name")],
    };

    fn id(&self) -> Uuid {
        self.id.0
    }

    /// The name in small letters.
    fn keys(&self) -> Vec<Option<String>> {
        vec![Some(self.name.folded())]
    }
}
