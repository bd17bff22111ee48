//! A rule, as the API shows it.

use renkei_types::acl::Acl;
use uuid::Uuid;

use super::{Index, Kind, Noun};

impl Noun for Acl {
    const KIND: Kind = Kind {
        table: "acl",
        indexes: &[Index::many("segment"), Index::many("project")],
    };

    fn id(&self) -> Uuid {
        self.id.0
    }

    /// Where it holds.
    fn keys(&self) -> Vec<Option<String>> {
        vec![Some(self.segment.to_string()), Some(self.project.to_string())]
    }
}
