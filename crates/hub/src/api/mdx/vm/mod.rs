//! `/api/vm/…`: machines.

mod asked;
mod doing;
mod shown;
mod words;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use renkei_types::id::{ProjectId, SiteId, VmId};
use serde_json::Value;

pub use self::doing::{clone, deploy, destroy, power_off, power_on, reboot, reconfigure, reset, shutdown};
use self::shown::{Detail, Summary};
pub use self::words::status;
use super::answer::{Page, Refusal};
use super::asking::{Call, Id, Paging};
use crate::Hub;

/// The machines of a project, those too that are being made or destroyed.
pub async fn list(
    State(hub): State<Hub>,
    Call(asked): Call,
    Id(project): Id,
    paging: Paging,
) -> Result<Page<Summary>, Refusal> {
    let vms = hub.app.mdx_vms(&asked, ProjectId(project)).await?;
    let sites = hub.app.mdx_sites().await?;
    let names: BTreeMap<SiteId, &str> = sites.iter().map(|site| (site.id, site.name.as_str())).collect();
    let summary = |vm| Summary::new(vm, names.get(&vm.site).copied().unwrap_or_default());
    paging.cut(vms.iter().map(summary).collect())
}

/// One, until it is gone.
pub async fn show(State(hub): State<Hub>, Call(asked): Call, Id(vm): Id) -> Result<Json<Detail>, Refusal> {
    let machine = hub.app.mdx_machine(&asked, VmId(vm)).await?;
    Ok(Json(Detail::from(&machine)))
}

/// Its networks.
pub async fn csv(State(hub): State<Hub>, Call(asked): Call, Id(vm): Id) -> Result<Json<Value>, Refusal> {
    let machine = hub.app.mdx_machine(&asked, VmId(vm)).await?;
    Ok(Json(shown::csv(&machine)))
}

/// Brings the list up to date with vCenter, where there is one. Here it always is.
pub async fn synchronize(State(hub): State<Hub>, Call(asked): Call, Id(project): Id) -> Result<Json<Value>, Refusal> {
    hub.app.mdx_vms(&asked, ProjectId(project)).await?;
    Ok(Json(serde_json::json!({})))
}
