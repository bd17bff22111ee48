//! `/api/v1/projects/{id}/dnats` and `/api/v1/dnats`.

use axum::Json;
use axum::extract::State;
use renkei_types::change::Plan;
use renkei_types::dnat::{Dnat, NewDnat};
use renkei_types::id::{DnatId, ProjectId, SegmentId};
use renkei_types::page::Page;
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{ChangeRefusals, Changed, Created, Deleted, Failure, OrPlan, Refusals, Shown};
use super::asking::{Change, IdempotencyKey, Ids, IfMatch, Look, PageQuery, Params, PlanQuery};
use crate::Hub;
use crate::app::dnat::Dnats;

/// Filters of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only those into this segment.
    #[param(required = false)]
    segment: Option<SegmentId>,
}

/// Where a project's outside addresses lead, in the order in which it was said.
#[utoipa::path(get, path = "/api/v1/projects/{id}/dnats", tag = "dnats", operation_id = "dnat_list",
    params(("id" = ProjectId, Path), Filter, PageQuery),
    responses((status = 200, body = Page<Dnat>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(project): Ids<ProjectId>,
    Params(Filter { segment }): Params<Filter>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Dnat>>, Failure> {
    let filter = Dnats { segment };
    Ok(Json(hub.app.dnats(&asked, project, &filter, &page.paging()?).await?))
}

/// Lets an outside address lead to one inside. If it is free, it is taken for the project.
#[utoipa::path(post, path = "/api/v1/projects/{id}/dnats", tag = "dnats", operation_id = "dnat_create",
    params(("id" = ProjectId, Path), PlanQuery, IdempotencyKey), request_body = NewDnat,
    responses((status = 201, body = Dnat), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn create(
    State(hub): State<Hub>,
    Ids(project): Ids<ProjectId>,
    Change { asked, body }: Change<NewDnat>,
) -> Result<Created<Dnat>, Failure> {
    let answer = hub.app.create_dnat(&asked, project, body).await?;
    Ok(Created {
        answer,
        location: |made| format!("/api/v1/dnats/{}", made.id),
    })
}

/// One.
#[utoipa::path(get, path = "/api/v1/dnats/{id}", tag = "dnats", operation_id = "dnat_show",
    params(("id" = DnatId, Path)),
    responses((status = 200, body = Dnat), Refusals))]
pub async fn show(State(hub): State<Hub>, Look(asked): Look, Ids(id): Ids<DnatId>) -> Result<Shown<Dnat>, Failure> {
    Ok(Shown(hub.app.dnat(&asked, id).await?))
}

/// Puts another mapping in the place of one.
#[utoipa::path(put, path = "/api/v1/dnats/{id}", tag = "dnats", operation_id = "dnat_replace",
    params(("id" = DnatId, Path), PlanQuery, IfMatch), request_body = NewDnat,
    responses((status = 200, body = inline(OrPlan<Dnat>)), Refusals, ChangeRefusals))]
pub async fn replace(
    State(hub): State<Hub>,
    Ids(id): Ids<DnatId>,
    Change { asked, body }: Change<NewDnat>,
) -> Result<Changed<Dnat>, Failure> {
    Ok(Changed(hub.app.replace_dnat(&asked, id, body).await?))
}

/// Lets an outside address lead nowhere. The project keeps the address.
#[utoipa::path(delete, path = "/api/v1/dnats/{id}", tag = "dnats", operation_id = "dnat_delete",
    params(("id" = DnatId, Path), PlanQuery, IfMatch),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn delete(
    State(hub): State<Hub>,
    Ids(id): Ids<DnatId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.delete_dnat(&asked, id).await?))
}
