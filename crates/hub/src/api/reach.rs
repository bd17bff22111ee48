//! `/api/v1/vms/{id}/reach`.

use axum::Json;
use axum::extract::State;
use renkei_types::id::VmId;
use renkei_types::reach::Reach;

use super::answer::{Failure, Refusals};
use super::asking::{Ids, Look};
use crate::Hub;

/// What can come in to a machine, from where, by which rule and through which outside address, and what it can reach. All else is closed.
/// It is what is meant for the segments of its project now; the site's gateway obeys as soon as it has confirmed their generations. What
/// other projects let in is not told. IPv6 goes in and out only where the range is routed to the site, which is taken as given for global
/// unicast ranges.
#[utoipa::path(get, path = "/api/v1/vms/{id}/reach", tag = "machines", operation_id = "vm_reach",
    params(("id" = VmId, Path)),
    responses((status = 200, body = Reach), Refusals))]
pub async fn show(State(hub): State<Hub>, Look(asked): Look, Ids(id): Ids<VmId>) -> Result<Json<Reach>, Failure> {
    Ok(Json(hub.app.reach(&asked, id).await?))
}
