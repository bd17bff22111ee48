//! A mapping of an outside address to an address inside.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{DnatId, ProjectId, SegmentId, SiteId};
use crate::operation::Generation;

/// A mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dnat {
    /// Its id.
    pub id: DnatId,
    /// In which project.
    pub project: ProjectId,
    /// Where the outside address is.
    pub site: SiteId,
    /// The outside address; it leads to one place only.
    #[schema(value_type = String)]
    pub global_ip: IpAddr,
    /// Into which segment.
    pub segment: SegmentId,
    /// The address inside.
    #[schema(value_type = String)]
    pub destination: IpAddr,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub note: String,
    /// From when on it no longer holds; for ever without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The generation of the segment that has it first.
    pub generation: Generation,
    /// When it was made.
    pub created: Timestamp,
}

/// Asks for a mapping, or for another in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDnat {
    /// The outside address.
    #[schema(value_type = String)]
    pub global_ip: IpAddr,
    /// Into which segment.
    pub segment: SegmentId,
    /// The address inside.
    #[schema(value_type = String)]
    pub destination: IpAddr,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub note: String,
    /// From when on it no longer holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}
