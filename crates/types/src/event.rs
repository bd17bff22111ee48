//! An event: a row of the append-only audit.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::id::{OrganizationId, ProjectId, TokenId, UserId};

/// Who did it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Doer {
    /// The user; nobody when the hub did it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The user's name at that time.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The token that was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenId>,
    /// From where, as the hub saw it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// The id of the request.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request: String,
}

/// Something that happened. Holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its id; later ones are greater, and it never changes. 0 before it is kept.
    #[serde(default)]
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Doer,
    /// What was done, as `noun:verb`.
    pub action: String,
    /// To which noun.
    pub noun: String,
    /// To which one.
    pub object: Uuid,
    /// Its name at that time.
    #[serde(default)]
    pub object_name: String,
    /// In which project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// In which organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The object before; nothing if it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub before: Option<serde_json::Value>,
    /// The object after; nothing if it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub after: Option<serde_json::Value>,
}

/// Where the chain of events stands: whoever keeps this elsewhere can later show that nothing before it was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChainHead {
    /// How many events are chained.
    pub length: u64,
    /// BLAKE3 over all of them, hexadecimal.
    pub hash: String,
    /// When the last one was chained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// What came of computing the chain of events again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verification {
    /// Whether every event is as it was when it was chained.
    pub whole: bool,
    /// The chained events that are as they were, from the first on.
    pub length: u64,
    /// BLAKE3 over them, hexadecimal: the head, if the chain is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The first event that is not as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_at: Option<u64>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}
