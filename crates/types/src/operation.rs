//! An operation: one asked-for change with its progress and result.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::id::{OperationId, ProjectId, UserId};

/// How often what is meant for an object has been written. What is meant is always a whole: a later generation contains
/// the earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OperationState {
    /// What is meant has been written; it is not yet so.
    Running,
    /// Given up; what is meant has been set back, and it is waited for that this is so. Nothing happens after `failed`.
    Cancelling,
    /// It is so.
    Done,
    /// It is as it was before.
    Failed,
    /// Another one took its place.
    Superseded,
}

impl OperationState {
    /// Whether nothing more happens.
    pub fn ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Superseded)
    }
}

impl fmt::Display for OperationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
        })
    }
}

/// What an operation changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Object {
    /// The noun.
    #[schema(example = "project")]
    pub noun: String,
    /// Its id.
    pub id: Uuid,
    /// Its name at that time.
    pub name: String,
}

/// What is waited for, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waiting {
    /// What is waited for, in words.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// What was asked, as `noun:verb`.
    #[schema(example = "quota:write")]
    pub verb: String,
    /// What it changes.
    pub object: Object,
    /// In which project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// Who asked; nobody when the hub did by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// It is done when this generation of the object, or a later one, is seen.
    pub generation: Generation,
    /// The object whose generation that is, where it is not the one that changes: a rule's segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Uuid>,
    /// Where it stands.
    pub state: OperationState,
    /// 0 to 100.
    #[schema(maximum = 100)]
    pub progress: u8,
    /// Set while something else must happen first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it will be given up; never without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}
