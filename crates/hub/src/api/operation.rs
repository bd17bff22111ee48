//! `/api/v1/operations`.

use axum::Json;
use axum::extract::State;
use renkei_types::change::Plan;
use renkei_types::id::{OperationId, ProjectId};
use renkei_types::operation::{Operation, OperationState};
use renkei_types::page::Page;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::answer::{Accepted, ChangeRefusals, Failure, Refusals, Shown};
use super::asking::{Change, Ids, IfMatch, Look, PageQuery, Params, PlanQuery};
use crate::Hub;
use crate::app::operation::Operations;

/// Filters of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only those in this project.
    #[param(required = false)]
    project: Option<ProjectId>,
    /// Only those that change the object with this id.
    #[param(required = false)]
    object: Option<Uuid>,
    /// Only those that stand there.
    #[param(required = false)]
    state: Option<OperationState>,
}

/// Those that the caller may see, in the order in which they were asked for.
#[utoipa::path(get, path = "/api/v1/operations", tag = "operations", operation_id = "operation_list",
    params(Filter, PageQuery),
    responses((status = 200, body = Page<Operation>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Params(filter): Params<Filter>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Operation>>, Failure> {
    let Filter { project, object, state } = filter;
    let filter = Operations { project, object, state };
    Ok(Json(hub.app.operations(&asked, &filter, &page.paging()?).await?))
}

/// One.
#[utoipa::path(get, path = "/api/v1/operations/{id}", tag = "operations", operation_id = "operation_show",
    params(("id" = OperationId, Path)),
    responses((status = 200, body = Operation), Refusals))]
pub async fn show(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(id): Ids<OperationId>,
) -> Result<Shown<Operation>, Failure> {
    Ok(Shown(hub.app.operation(&asked, id).await?))
}

/// Cancels one that changes a machine: what is meant is set back, and it has failed once that is so. What takes away is not cancelled.
#[utoipa::path(post, path = "/api/v1/operations/{id}/cancel", tag = "operations", operation_id = "operation_cancel",
    params(("id" = OperationId, Path), PlanQuery, IfMatch),
    responses((status = 202, body = Operation), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn cancel(
    State(hub): State<Hub>,
    Ids(id): Ids<OperationId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Accepted, Failure> {
    Ok(Accepted(hub.app.cancel_operation(&asked, id).await?))
}
