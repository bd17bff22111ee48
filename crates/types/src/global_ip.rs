//! An outside address of a site.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{GlobalIpId, ProjectId, SiteId};

/// An outside address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GlobalIp {
    /// Its id.
    pub id: GlobalIpId,
    /// Where.
    pub site: SiteId,
    /// The address, once in a site.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// The project that has taken it, within its quota; free without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// When it was made known.
    pub created: Timestamp,
}

/// Takes an outside address for a project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeGlobalIp {
    /// At which site; the project's default one without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteId>,
    /// Which; any free one without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
}

/// Makes an outside address known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGlobalIp {
    /// The address.
    #[schema(value_type = String)]
    pub address: IpAddr,
}
