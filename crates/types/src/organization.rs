//! An organization: has projects.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::freeze::Freeze;
use crate::id::OrganizationId;
use crate::name::Name;

/// An institution or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name, once in a hub.
    pub name: Name,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub description: String,
    /// When it was made.
    pub created: Timestamp,
    /// Set while nothing in it may be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
}

/// Asks for an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrganization {
    /// Its name, once in a hub.
    pub name: Name,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub description: String,
}

/// What to change; what is missing stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationPatch {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// A new description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub description: Option<String>,
}
