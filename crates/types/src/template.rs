//! A template: what machines can be made from, as the catalog shows it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{ImageId, ProjectId, TemplateId};
use crate::name::Name;

/// A catalog entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Template {
    /// Its id.
    pub id: TemplateId,
    /// For people: `00_Ubuntu-2204-server (Recommended)`.
    pub name: Name,
    /// For programs, once in a hub: `UT-20250205-1029-ubuntu-2204-server`.
    pub template_name: Name,
    /// The only project that sees it; everybody without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// Its disk. Without one it can only be run by a driver that needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageId>,
    /// What is in it.
    #[serde(flatten)]
    pub facts: TemplateFacts,
    /// When it was made known.
    pub created: Timestamp,
}

/// What is in a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct TemplateFacts {
    /// `Linux` or `Windows`.
    #[schema(max_length = 64)]
    pub os_type: String,
    /// `Ubuntu`.
    #[schema(max_length = 64)]
    pub os_name: String,
    /// `22.04`.
    #[schema(max_length = 64)]
    pub os_version: String,
    /// For people.
    #[schema(max_length = 2000)]
    pub description: String,
    /// The user that a key is for.
    #[schema(max_length = 32)]
    pub login_username: String,
    /// A machine's first disk has at least so much, GiB.
    #[schema(maximum = 1048576)]
    pub min_disk_gib: u64,
    /// A machine has at least so much memory, MiB.
    #[schema(maximum = 1073741824)]
    pub min_memory_mib: u64,
    /// Whether it runs only with a GPU.
    pub gpu_required: bool,
}

impl Default for TemplateFacts {
    fn default() -> Self {
        Self {
            os_type: "Linux".to_owned(),
            os_name: String::new(),
            os_version: String::new(),
            description: String::new(),
            login_username: String::new(),
            min_disk_gib: 1,
            min_memory_mib: 0,
            gpu_required: false,
        }
    }
}

/// Asks for a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewTemplate {
    /// For people.
    pub name: Name,
    /// For programs, once in a hub.
    pub template_name: Name,
    /// The only project that sees it; everybody without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// Its disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageId>,
    /// What is in it.
    #[serde(flatten)]
    pub facts: TemplateFacts,
}

/// What to change; what is missing stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplatePatch {
    /// A new name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// All of what is in it, in place of what was told so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<TemplateFacts>,
}
