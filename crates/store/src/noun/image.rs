//! An image, as the API shows it.

use renkei_types::image::Image;
use uuid::Uuid;

use super::{Index, Kind, Noun};

impl Noun for Image {
    const KIND: Kind = Kind {
        table: "image",
        indexes: &[Index::many("project"), Index::many("vm"), Index::unique("name")],
    };

    fn id(&self) -> Uuid {
        self.id.0
    }

    /// `name` is `project/name` in small letters.
    fn keys(&self) -> Vec<Option<String>> {
        vec![
            Some(self.project.to_string()),
            Some(self.vm.to_string()),
            Some(format!("{}/{}", self.project, self.name.folded())),
        ]
    }
}
