//! `/api/v1/vms`.

use axum::extract::State;
use renkei_types::change::Plan;
use renkei_types::freeze::NewFreeze;
use renkei_types::id::{HostId, ProjectId, SiteId, VmId};
use renkei_types::name::VmName;
use renkei_types::operation::Operation;
use renkei_types::page::Page;
use renkei_types::vm::{CloneVm, Deployed, NewVm, PowerOn, SaveVm, Vm, VmPatch, VmState};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{Accepted, ChangeRefusals, Changed, Failure, Listed, OrPlan, Ordered, Refusals, Shown};
use super::asking::{Change, IdempotencyKey, Ids, IfMatch, Look, PageQuery, Params, PlanQuery};
use crate::Hub;
use crate::app::vm::list::Vms;
use crate::app::vm::verb::Act;

/// Filters of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only those of this project.
    #[param(required = false)]
    project: Option<ProjectId>,
    /// Only those at this site.
    #[param(required = false)]
    site: Option<SiteId>,
    /// Only those on this host.
    #[param(required = false)]
    host: Option<HostId>,
    /// Only those that stand there.
    #[param(required = false)]
    state: Option<VmState>,
    /// Only those with this name.
    #[param(required = false)]
    name: Option<VmName>,
}

/// Those that the caller may see, in the order of their projects and names. Where a filter leaves few of many, a page may have
/// fewer entries than `limit` and a `next` all the same.
#[utoipa::path(get, path = "/api/v1/vms", tag = "machines", operation_id = "vm_list",
    params(Filter, PageQuery),
    responses((status = 200, body = Page<Vm>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Params(filter): Params<Filter>,
    Params(page): Params<PageQuery>,
) -> Result<Listed<Vm>, Failure> {
    let filter = Vms {
        project: filter.project,
        site: filter.site,
        host: filter.host,
        state: filter.state,
        name: filter.name,
    };
    Ok(Listed(hub.app.vms(&asked, &filter, &page.paging()?).await?))
}

/// Deploys one machine, or a range of them: all or none. They are there when this is answered, and are made one after the other.
#[utoipa::path(post, path = "/api/v1/vms", tag = "machines", operation_id = "vm_deploy",
    params(PlanQuery, IdempotencyKey), request_body = NewVm,
    responses((status = 202, body = Deployed), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn deploy(
    State(hub): State<Hub>,
    Change { asked, body }: Change<NewVm>,
) -> Result<Ordered<Deployed>, Failure> {
    Ok(Ordered(hub.app.deploy(&asked, body).await?))
}

/// One. Its `ETag` is the generation that was asked for last: what its host reports does not change it.
#[utoipa::path(get, path = "/api/v1/vms/{id}", tag = "machines", operation_id = "vm_show",
    params(("id" = VmId, Path)),
    responses((status = 200, body = Vm), Refusals))]
pub async fn show(State(hub): State<Hub>, Look(asked): Look, Ids(id): Ids<VmId>) -> Result<Shown<Vm>, Failure> {
    Ok(Shown(hub.app.vm(&asked, id).await?))
}

/// Changes one. A new name is so at once; sizes, disks and adapters change only while it is off.
#[utoipa::path(patch, path = "/api/v1/vms/{id}", tag = "machines", operation_id = "vm_change",
    params(("id" = VmId, Path), PlanQuery, IfMatch, IdempotencyKey), request_body = VmPatch,
    responses((status = 202, body = Operation), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn change(
    State(hub): State<Hub>,
    Ids(id): Ids<VmId>,
    Change { asked, body }: Change<VmPatch>,
) -> Result<Accepted, Failure> {
    Ok(Accepted(hub.app.change_vm(&asked, id, body).await?))
}

/// Destroys one, wherever it stands. It is there until its host says that it is gone; its name, addresses and quota are free then.
#[utoipa::path(delete, path = "/api/v1/vms/{id}", tag = "machines", operation_id = "vm_destroy",
    params(("id" = VmId, Path), PlanQuery, IfMatch, IdempotencyKey),
    responses((status = 202, body = Operation), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn destroy(
    State(hub): State<Hub>,
    Ids(id): Ids<VmId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Accepted, Failure> {
    Ok(Accepted(hub.app.act(&asked, id, Act::Destroy).await?))
}

/// Makes another machine with a copy of this one's disks, which has to be off meanwhile. The new one stays off.
#[utoipa::path(post, path = "/api/v1/vms/{id}/clone", tag = "machines", operation_id = "vm_clone",
    params(("id" = VmId, Path), PlanQuery, IdempotencyKey), request_body = CloneVm,
    responses((status = 202, body = Deployed), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn clone(
    State(hub): State<Hub>,
    Ids(id): Ids<VmId>,
    Change { asked, body }: Change<CloneVm>,
) -> Result<Ordered<Deployed>, Failure> {
    Ok(Ordered(hub.app.clone_vm(&asked, id, body).await?))
}

/// Makes an image and a template of the first disk of a machine that is off.
#[utoipa::path(post, path = "/api/v1/vms/{id}/save", tag = "machines", operation_id = "vm_save",
    params(("id" = VmId, Path), PlanQuery, IfMatch, IdempotencyKey), request_body = SaveVm,
    responses((status = 202, body = Operation), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn save(
    State(hub): State<Hub>,
    Ids(id): Ids<VmId>,
    Change { asked, body }: Change<SaveVm>,
) -> Result<Accepted, Failure> {
    Ok(Accepted(hub.app.save_vm(&asked, id, body).await?))
}

/// Starts a machine that is off.
#[utoipa::path(post, path = "/api/v1/vms/{id}/power-on", tag = "machines", operation_id = "vm_power_on",
    params(("id" = VmId, Path), PlanQuery, IfMatch, IdempotencyKey), request_body(content = Option<PowerOn>),
    responses((status = 202, body = Operation), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn power_on(
    State(hub): State<Hub>,
    Ids(id): Ids<VmId>,
    Change { asked, body }: Change<Option<PowerOn>>,
) -> Result<Accepted, Failure> {
    let act = Act::PowerOn(body.unwrap_or_default().service_level);
    Ok(Accepted(hub.app.act(&asked, id, act).await?))
}

/// A verb without a body.
macro_rules! verbs {
    ($($(#[$doc:meta])* $name:ident $path:literal $operation:literal $act:expr;)*) => {$(
        $(#[$doc])*
        #[utoipa::path(post, path = $path, tag = "machines", operation_id = $operation,
            params(("id" = VmId, Path), PlanQuery, IfMatch, IdempotencyKey),
            responses((status = 202, body = Operation), (status = 200, body = Plan), Refusals, ChangeRefusals))]
        pub async fn $name(
            State(hub): State<Hub>,
            Ids(id): Ids<VmId>,
            Change { asked, body: () }: Change<()>,
        ) -> Result<Accepted, Failure> {
            Ok(Accepted(hub.app.act(&asked, id, $act).await?))
        }
    )*};
}

verbs! {
    /// Asks the guest to stop. If it does not within ten minutes, the operation fails, and the machine runs on.
    shutdown "/api/v1/vms/{id}/shutdown" "vm_shutdown" Act::Shutdown;
    /// Stops a machine at once; takes the place of an operation that is open.
    power_off "/api/v1/vms/{id}/power-off" "vm_power_off" Act::PowerOff;
    /// Asks the guest to start anew.
    reboot "/api/v1/vms/{id}/reboot" "vm_reboot" Act::Reboot;
    /// Starts a machine anew at once.
    reset "/api/v1/vms/{id}/reset" "vm_reset" Act::Reset;
    /// Stops a machine with its memory kept. It keeps its place.
    suspend "/api/v1/vms/{id}/suspend" "vm_suspend" Act::Suspend;
    /// Lets a suspended machine go on.
    resume "/api/v1/vms/{id}/resume" "vm_resume" Act::Resume;
}

/// Freezes one: nothing can be asked of it until the freeze is lifted or ends. It goes on as it is.
#[utoipa::path(put, path = "/api/v1/vms/{id}/freeze", tag = "machines", operation_id = "vm_freeze",
    params(("id" = VmId, Path), PlanQuery, IfMatch), request_body = NewFreeze,
    responses((status = 200, body = inline(OrPlan<Vm>)), Refusals, ChangeRefusals))]
pub async fn freeze(
    State(hub): State<Hub>,
    Ids(id): Ids<VmId>,
    Change { asked, body }: Change<NewFreeze>,
) -> Result<Changed<Vm>, Failure> {
    Ok(Changed(hub.app.freeze_vm(&asked, id, Some(body)).await?))
}

/// Lifts a freeze.
#[utoipa::path(delete, path = "/api/v1/vms/{id}/freeze", tag = "machines", operation_id = "vm_thaw",
    params(("id" = VmId, Path), PlanQuery, IfMatch),
    responses((status = 200, body = inline(OrPlan<Vm>)), Refusals, ChangeRefusals))]
pub async fn thaw(
    State(hub): State<Hub>,
    Ids(id): Ids<VmId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Changed<Vm>, Failure> {
    Ok(Changed(hub.app.freeze_vm(&asked, id, None).await?))
}
