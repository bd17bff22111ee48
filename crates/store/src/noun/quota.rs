//! A quota's limit. What is in use is summed from what exists and never kept.

use renkei_types::id::{ProjectId, QuotaId, SiteId};
use renkei_types::quota::Amounts;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Index, Kind, Noun, pair};

/// A project's limit at a site.
///
/// Whatever takes from a quota touches its row: two decisions that would take the same last piece meet here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaRow {
    /// Its id.
    pub id: QuotaId,
    /// Whose.
    pub project: ProjectId,
    /// Where.
    pub site: SiteId,
    /// At most.
    pub limit: Amounts,
    /// What it is called in the history, `project at site`: their names when the limit was set.
    #[serde(default)]
    pub called: String,
}

impl Noun for QuotaRow {
    const KIND: Kind = Kind {
        table: "quota",
        indexes: &[Index::many("project"), Index::many("site"), Index::unique("pair")],
    };

    fn id(&self) -> Uuid {
        self.id.0
    }

    /// The pair is `project/site`.
    fn keys(&self) -> Vec<Option<String>> {
        vec![
            Some(self.project.to_string()),
            Some(self.site.to_string()),
            Some(pair(self.project.0, self.site.0)),
        ]
    }
}
