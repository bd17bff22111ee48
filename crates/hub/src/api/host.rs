//! `/api/v1/hosts`.

use axum::Json;
use axum::extract::State;
use renkei_types::change::Plan;
use renkei_types::host::{AdoptVm, HostPatch, HostStatus, UnknownVm};
use renkei_types::id::{HostId, SiteId, VmId};
use renkei_types::page::Page;
use renkei_types::vm::Vm;
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{ChangeRefusals, Changed, Created, Deleted, Failure, OrPlan, Refusals, Shown};
use super::asking::{Change, IdempotencyKey, Ids, IfMatch, Look, PageQuery, Params, PlanQuery};
use crate::Hub;

/// Filters of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only those of this site.
    #[param(required = false)]
    site: Option<SiteId>,
}

/// Those at the sites that the caller runs, in the order of the sites' ids and then of their names.
#[utoipa::path(get, path = "/api/v1/hosts", tag = "hosts", operation_id = "host_list",
    params(Filter, PageQuery),
    responses((status = 200, body = Page<HostStatus>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Params(filter): Params<Filter>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<HostStatus>>, Failure> {
    Ok(Json(hub.app.hosts(&asked, filter.site, &page.paging()?).await?))
}

/// One; while it is draining, with the machines that keep it from being empty.
#[utoipa::path(get, path = "/api/v1/hosts/{id}", tag = "hosts", operation_id = "host_show",
    params(("id" = HostId, Path)),
    responses((status = 200, body = HostStatus), Refusals))]
pub async fn show(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(id): Ids<HostId>,
) -> Result<Shown<HostStatus>, Failure> {
    Ok(Shown(hub.app.host(&asked, id).await?))
}

/// Changes its name, its state or its settings. `fenced` is an operator's word that it is off and stays off: what was to be destroyed
/// on it counts as destroyed, and its machines are lost.
#[utoipa::path(patch, path = "/api/v1/hosts/{id}", tag = "hosts", operation_id = "host_change",
    params(("id" = HostId, Path), PlanQuery, IfMatch), request_body = HostPatch,
    responses((status = 200, body = inline(OrPlan<HostStatus>)), Refusals, ChangeRefusals))]
pub async fn change(
    State(hub): State<Hub>,
    Ids(id): Ids<HostId>,
    Change { asked, body }: Change<HostPatch>,
) -> Result<Changed<HostStatus>, Failure> {
    Ok(Changed(hub.app.change_host(&asked, id, body).await?))
}

/// Deletes one that has nothing and whose agent is not connected.
#[utoipa::path(delete, path = "/api/v1/hosts/{id}", tag = "hosts", operation_id = "host_delete",
    params(("id" = HostId, Path), PlanQuery, IfMatch),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn delete(
    State(hub): State<Hub>,
    Ids(id): Ids<HostId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.delete_host(&asked, id).await?))
}

/// Machines that it has and that nobody knows of, all on one page.
#[utoipa::path(get, path = "/api/v1/hosts/{id}/unknown", tag = "hosts", operation_id = "host_unknown",
    params(("id" = HostId, Path)),
    responses((status = 200, body = Page<UnknownVm>), Refusals))]
pub async fn unknown(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(id): Ids<HostId>,
) -> Result<Json<Page<UnknownVm>>, Failure> {
    Ok(Json(hub.app.unknown_vms(&asked, id).await?))
}

/// Adopts one of them: it becomes a machine of the project that it was in, just as it is.
#[utoipa::path(post, path = "/api/v1/hosts/{id}/unknown/{vm}", tag = "hosts", operation_id = "host_adopt",
    params(("id" = HostId, Path), ("vm" = VmId, Path), PlanQuery, IdempotencyKey), request_body = AdoptVm,
    responses((status = 201, body = Vm), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn adopt(
    State(hub): State<Hub>,
    Ids((id, vm)): Ids<(HostId, VmId)>,
    Change { asked, body }: Change<AdoptVm>,
) -> Result<Created<Vm>, Failure> {
    let answer = hub.app.adopt_vm(&asked, (id, vm), body).await?;
    Ok(Created {
        answer,
        location: |made| format!("/api/v1/vms/{}", made.id),
    })
}

/// Lets one of them be destroyed. The host does it as soon as it hears of it.
#[utoipa::path(delete, path = "/api/v1/hosts/{id}/unknown/{vm}", tag = "hosts", operation_id = "host_destroy",
    params(("id" = HostId, Path), ("vm" = VmId, Path), PlanQuery),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn destroy(
    State(hub): State<Hub>,
    Ids((id, vm)): Ids<(HostId, VmId)>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.destroy_unknown_vm(&asked, (id, vm)).await?))
}
