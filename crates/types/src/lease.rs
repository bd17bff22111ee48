//! A lease: an address of a segment that is held for a machine or for a project.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{LeaseId, ProjectId, SegmentId, VmId};

/// A lease. Only the hub issues them, in the transaction that deploys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// Of which segment.
    pub segment: SegmentId,
    /// In which project.
    pub project: ProjectId,
    /// The address, once in a segment.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// The machine that has it; reserved for whoever asks for it by its address otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<VmId>,
    /// Whether it stays when the machine is gone.
    #[serde(default)]
    pub reserved: bool,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub note: String,
    /// When it was issued.
    pub created: Timestamp,
}

/// Reserves an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLease {
    /// Which; the first free one without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub note: String,
}
