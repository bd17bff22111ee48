//! An image: the disk of a template.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{ImageId, ProjectId, SiteId, VmId};
use crate::name::Name;

/// Whether an image can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageState {
    /// It is being made from a machine's disk.
    Saving,
    /// It is whole.
    Ready,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// Its name, once in a project.
    pub name: Name,
    /// Whose.
    pub project: ProjectId,
    /// Where it lies.
    pub site: SiteId,
    /// Whether it can be used.
    pub state: ImageState,
    /// The machine that it was made from.
    pub vm: VmId,
    /// Its BLAKE3 tree hash, once it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// How large its disk is, GiB.
    pub disk_gib: u64,
    /// When it was asked for.
    pub created: Timestamp,
}

impl fmt::Display for ImageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Saving => "saving",
            Self::Ready => "ready",
        })
    }
}
