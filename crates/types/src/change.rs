//! What a request would do: the answer to `?plan=true`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::quota::Amounts;
use crate::reach::OfVm;

/// What happens to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It will be made.
    Create,
    /// It will be changed.
    Change,
    /// It will be gone.
    Delete,
}

/// One field that will differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldChange {
    /// Its path in the object, with dots.
    pub field: String,
    /// So far; nothing if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub before: Option<serde_json::Value>,
    /// Then; nothing if there will be none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub after: Option<serde_json::Value>,
}

/// One object that will differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// What happens to it.
    pub kind: ChangeKind,
    /// The noun.
    pub noun: String,
    /// Its id; a new object gets another one when it is really made.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What will differ in it.
    pub fields: Vec<FieldChange>,
}

/// The whole answer. Nothing was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// What would differ; empty if all is so already.
    pub changes: Vec<Change>,
    /// Why it would be refused; empty if it would be done.
    pub refused: Vec<crate::problem::Problem>,
    /// What it would take from quotas.
    pub takes: Vec<Taking>,
    /// What would come in to machines of the project that does not now; of changes of rules and mappings only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opens: Vec<OfVm>,
    /// What comes in now and would not; where a part of it would go on, that is among what opens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closes: Vec<OfVm>,
}

/// What would be taken from one quota.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Taking {
    /// Whose.
    pub project: crate::id::ProjectId,
    /// Where.
    pub site: crate::id::SiteId,
    /// How much.
    pub amounts: Amounts,
}
