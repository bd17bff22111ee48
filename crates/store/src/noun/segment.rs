//! A segment, as the API shows it.

use renkei_types::segment::Segment;
use uuid::Uuid;

use super::{Index, Kind, Noun};

impl Noun for Segment {
    const KIND: Kind = Kind {
        table: "segment",
        indexes: &[
            Index::many("project"),
            Index::many("site"),
            Index::unique("name"),
            Index::unique("vni"),
        ],
    };

    fn id(&self) -> Uuid {
        self.id.0
    }

    /// `name` is `project/name` in small letters, `vni` is `site/vni`.
    fn keys(&self) -> Vec<Option<String>> {
        let site = self.site();
        vec![
            Some(self.project.to_string()),
            site.map(|site| site.to_string()),
            Some(format!("{}/{}", self.project, self.name.folded())),
            site.map(|site| format!("{site}/{}", self.vni)),
        ]
    }
}
