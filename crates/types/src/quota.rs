//! A quota: how much of a site a project may use.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{ProjectId, QuotaId, SiteId};

/// Numbers of what can be used up. A limit, or what is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Amounts {
    /// Machines.
    #[schema(maximum = 1073741824)]
    pub vms: u32,
    /// Virtual processors. A CPU pack of mdx is one of them and 1.51 GB.
    #[schema(maximum = 1073741824)]
    pub vcpus: u32,
    /// Memory, MiB.
    #[schema(maximum = 1099511627776_u64)]
    pub memory_mib: u64,
    /// Disk, GiB.
    #[schema(maximum = 1099511627776_u64)]
    pub disk_gib: u64,
    /// Outside addresses.
    #[schema(maximum = 1073741824)]
    pub global_ips: u32,
    /// Networks.
    #[schema(maximum = 1073741824)]
    pub segments: u32,
}

/// A project's limit at a site, and what is in use, summed from what exists whenever it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quota {
    /// Its id.
    pub id: QuotaId,
    /// Whose.
    pub project: ProjectId,
    /// Where.
    pub site: SiteId,
    /// At most.
    pub limit: Amounts,
    /// Now.
    pub used: Amounts,
}

/// Sets a limit. What is in use already stays, also when it is above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewQuota {
    /// At most; what is missing is 0.
    pub limit: Amounts,
}
