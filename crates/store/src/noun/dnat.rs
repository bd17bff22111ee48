//! A mapping, as the API shows it.

use renkei_types::dnat::Dnat;
use uuid::Uuid;

use super::{Index, Kind, Noun};

impl Noun for Dnat {
    const KIND: Kind = Kind {
        table: "dnat",
        indexes: &[
            Index::many("project"),
            Index::many("segment"),
            Index::unique("global_ip"),
        ],
    };

    fn id(&self) -> Uuid {
        self.id.0
    }

    /// `global_ip` is `site/address`.
    fn keys(&self) -> Vec<Option<String>> {
        vec![
            Some(self.project.to_string()),
            Some(self.segment.to_string()),
            Some(format!("{}/{}", self.site, self.global_ip)),
        ]
    }
}
