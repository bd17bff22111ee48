//! A site: an independently run place with hosts.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{HostId, SiteId, UserId};
use crate::name::Name;

/// A database that was set back, noticed by a manifest that it never issued: nothing is ordered of the site's hosts until an
/// administrator has seen what differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Recovery {
    /// Since when.
    pub since: Timestamp,
    /// What was heard that cannot be.
    pub reason: String,
}

/// A site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Site {
    /// Its id.
    pub id: SiteId,
    /// Its name, once in a hub.
    pub name: Name,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub description: String,
    /// Who runs it.
    #[serde(default)]
    pub operators: BTreeSet<UserId>,
    /// The host that holds the segments' gateways; the first one that joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<HostId>,
    /// Set while nothing is ordered of its hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// When it was made known.
    pub created: Timestamp,
}

/// Asks for a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSite {
    /// Its name, once in a hub.
    pub name: Name,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub description: String,
    /// Who runs it.
    #[serde(default)]
    pub operators: BTreeSet<UserId>,
}

/// What to change; what is missing stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SitePatch {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub description: Option<String>,
    /// Who runs it: all of them, in place of those so far. Only an administrator may set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operators: Option<BTreeSet<UserId>>,
}
