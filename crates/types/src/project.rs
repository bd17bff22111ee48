//! A project: the tenant. Everything that is used belongs to one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::freeze::Freeze;
use crate::id::{OrganizationId, ProjectId, SiteId, UserId};
use crate::name::Name;

/// How a project uses a site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProjectType {
    /// Shares hosts with others (mdx: 通常).
    #[default]
    Shared,
    /// Has hosts of its own (mdx: 専有).
    Dedicated,
}

/// A project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// The organization that it is in.
    pub organization: OrganizationId,
    /// Its name, once in a hub.
    pub name: Name,
    /// How it uses a site.
    #[serde(rename = "type", default)]
    pub kind: ProjectType,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub description: String,
    /// Whom to write to: an address that is read.
    #[serde(default)]
    #[schema(max_length = 254)]
    pub contact: String,
    /// Where its people work.
    #[serde(default)]
    #[schema(max_length = 254)]
    pub institution: String,
    /// From when on nothing may be started or changed in it; for ever without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Where it is at home: its default segment is there. Without, where that segment happens to be, or where it got its first quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_site: Option<SiteId>,
    /// When it was made.
    pub created: Timestamp,
    /// Set while nothing in it may be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
}

impl Project {
    /// Whether it is over at `now`.
    pub fn expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Asks for a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    /// The organization that it shall be in.
    pub organization: OrganizationId,
    /// Its name, once in a hub.
    pub name: Name,
    /// How it uses a site.
    #[serde(rename = "type", default)]
    pub kind: ProjectType,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub description: String,
    /// Whom to write to.
    #[serde(default)]
    #[schema(max_length = 254)]
    pub contact: String,
    /// Where its people work.
    #[serde(default)]
    #[schema(max_length = 254)]
    pub institution: String,
    /// From when on nothing may be started or changed in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Where it shall be at home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_site: Option<SiteId>,
    /// Its first owner; the caller without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
}

/// What to change; what is missing stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectPatch {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// How it uses a site.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ProjectType>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub description: Option<String>,
    /// Whom to write to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 254)]
    pub contact: Option<String>,
    /// Where its people work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 254)]
    pub institution: Option<String>,
    /// Where it shall be at home. Its default segment becomes the oldest that it has there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_site: Option<SiteId>,
    /// From when on nothing may be started or changed in it. Only an administrator may set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}
