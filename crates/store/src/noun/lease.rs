//! A lease, as the API shows it.

use renkei_types::lease::Lease;
use uuid::Uuid;

use super::{Index, Kind, Noun};

impl Noun for Lease {
    const KIND: Kind = Kind {
        table: "lease",
        indexes: &[
            Index::many("segment"),
            Index::many("project"),
            Index::many("vm"),
            Index::unique("address"),
        ],
    };

    fn id(&self) -> Uuid {
        self.id.0
    }

    /// `address` is `segment/address`.
    fn keys(&self) -> Vec<Option<String>> {
        vec![
            Some(self.segment.to_string()),
            Some(self.project.to_string()),
            self.vm.map(|vm| vm.to_string()),
            Some(format!("{}/{}", self.segment, self.address)),
        ]
    }
}
