//! A template, as the API shows it.

use renkei_types::template::Template;
use uuid::Uuid;

use super::{Index, Kind, Noun};

/// The key of those that everybody sees in the index `project`.
pub const PUBLIC: &str = "public";

impl Noun for Template {
    const KIND: Kind = Kind {
        table: "template",
        indexes: &[Index::many("project"), Index::unique("template_name")],
    };

    fn id(&self) -> Uuid {
        self.id.0
    }

    /// `project` is `public` for those that everybody sees.
    fn keys(&self) -> Vec<Option<String>> {
        vec![
            Some(
                self.project
                    .map_or_else(|| PUBLIC.to_owned(), |project| project.to_string()),
            ),
            Some(self.template_name.folded()),
        ]
    }
}
