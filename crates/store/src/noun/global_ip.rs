//! An outside address, as the API shows it.

use renkei_types::global_ip::GlobalIp;
use uuid::Uuid;

use super::{Index, Kind, Noun};

impl Noun for GlobalIp {
    const KIND: Kind = Kind {
        table: "global_ip",
        indexes: &[Index::many("site"), Index::many("project"), Index::unique("address")],
    };

    fn id(&self) -> Uuid {
        self.id.0
    }

    /// `address` is `site/address`.
    fn keys(&self) -> Vec<Option<String>> {
        vec![
            Some(self.site.to_string()),
            self.project.map(|project| project.to_string()),
            Some(format!("{}/{}", self.site, self.address)),
        ]
    }
}
