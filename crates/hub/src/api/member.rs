//! `/api/v1/projects/{id}/members`.

use axum::Json;
use axum::extract::State;
use renkei_types::change::Plan;
use renkei_types::id::{ProjectId, UserId};
use renkei_types::member::{Member, NewMember};
use renkei_types::page::Page;
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{ChangeRefusals, Changed, Deleted, Failure, OrPlan, Refusals, Shown};
use super::asking::{Change, IdempotencyKey, Ids, IfMatch, Look, PageQuery, Params, PlanQuery};
use crate::Hub;
use crate::app::member::Seat;

/// Filters of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only that of this user.
    #[param(required = false)]
    user: Option<UserId>,
}

/// The members of a project, in the order of the users' ids.
#[utoipa::path(get, path = "/api/v1/projects/{id}/members", tag = "members", operation_id = "member_list",
    params(("id" = ProjectId, Path), Filter, PageQuery),
    responses((status = 200, body = Page<Member>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(project): Ids<ProjectId>,
    Params(filter): Params<Filter>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Member>>, Failure> {
    Ok(Json(
        hub.app.members(&asked, project, filter.user, &page.paging()?).await?,
    ))
}

/// One.
#[utoipa::path(get, path = "/api/v1/projects/{id}/members/{user}", tag = "members", operation_id = "member_show",
    params(("id" = ProjectId, Path), ("user" = UserId, Path)),
    responses((status = 200, body = Member), Refusals))]
pub async fn show(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids((project, user)): Ids<(ProjectId, UserId)>,
) -> Result<Shown<Member>, Failure> {
    Ok(Shown(hub.app.member(&asked, Seat { project, user }).await?))
}

/// Gives a user a role in the project; makes the user a member if need be.
#[utoipa::path(put, path = "/api/v1/projects/{id}/members/{user}", tag = "members", operation_id = "member_set",
    params(("id" = ProjectId, Path), ("user" = UserId, Path), PlanQuery, IfMatch, IdempotencyKey),
    request_body = NewMember,
    responses((status = 200, body = inline(OrPlan<Member>)), Refusals, ChangeRefusals))]
pub async fn set(
    State(hub): State<Hub>,
    Ids((project, user)): Ids<(ProjectId, UserId)>,
    Change { asked, body }: Change<NewMember>,
) -> Result<Changed<Member>, Failure> {
    Ok(Changed(
        hub.app.set_member(&asked, Seat { project, user }, body.role).await?,
    ))
}

/// Takes a user out of the project, unless it is the last owner. Whoever is a member may leave.
#[utoipa::path(delete, path = "/api/v1/projects/{id}/members/{user}", tag = "members", operation_id = "member_delete",
    params(("id" = ProjectId, Path), ("user" = UserId, Path), PlanQuery, IfMatch),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn delete(
    State(hub): State<Hub>,
    Ids((project, user)): Ids<(ProjectId, UserId)>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.delete_member(&asked, Seat { project, user }).await?))
}
