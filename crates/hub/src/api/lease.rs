//! `/api/v1/segments/{id}/leases` and `/api/v1/leases`.

use axum::Json;
use axum::extract::State;
use renkei_types::change::Plan;
use renkei_types::id::{LeaseId, SegmentId};
use renkei_types::lease::{Lease, NewLease};
use renkei_types::page::Page;

use super::answer::{ChangeRefusals, Created, Deleted, Failure, Refusals, Shown};
use super::asking::{Change, IdempotencyKey, Ids, IfMatch, Look, PageQuery, Params, PlanQuery};
use crate::Hub;

/// The addresses of a segment that are held for machines or reserved, in the order in which they were issued.
#[utoipa::path(get, path = "/api/v1/segments/{id}/leases", tag = "leases", operation_id = "lease_list",
    params(("id" = SegmentId, Path), PageQuery),
    responses((status = 200, body = Page<Lease>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(segment): Ids<SegmentId>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Lease>>, Failure> {
    Ok(Json(hub.app.leases(&asked, segment, &page.paging()?).await?))
}

/// Reserves an address. One that a machine has stays when the machine is gone.
#[utoipa::path(post, path = "/api/v1/segments/{id}/leases", tag = "leases", operation_id = "lease_create",
    params(("id" = SegmentId, Path), PlanQuery, IdempotencyKey), request_body = NewLease,
    responses((status = 201, body = Lease), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn create(
    State(hub): State<Hub>,
    Ids(segment): Ids<SegmentId>,
    Change { asked, body }: Change<NewLease>,
) -> Result<Created<Lease>, Failure> {
    let answer = hub.app.reserve_lease(&asked, segment, body).await?;
    Ok(Created {
        answer,
        location: |made| format!("/api/v1/leases/{}", made.id),
    })
}

/// One.
#[utoipa::path(get, path = "/api/v1/leases/{id}", tag = "leases", operation_id = "lease_show",
    params(("id" = LeaseId, Path)),
    responses((status = 200, body = Lease), Refusals))]
pub async fn show(State(hub): State<Hub>, Look(asked): Look, Ids(id): Ids<LeaseId>) -> Result<Shown<Lease>, Failure> {
    Ok(Shown(hub.app.lease_of(&asked, id).await?))
}

/// Ends a reservation. A machine keeps the address that it has.
#[utoipa::path(delete, path = "/api/v1/leases/{id}", tag = "leases", operation_id = "lease_delete",
    params(("id" = LeaseId, Path), PlanQuery, IfMatch),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn delete(
    State(hub): State<Hub>,
    Ids(id): Ids<LeaseId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.release_lease(&asked, id).await?))
}
