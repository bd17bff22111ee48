//! `/api/v1/projects`.

use axum::Json;
use axum::extract::State;
use renkei_types::change::Plan;
use renkei_types::freeze::NewFreeze;
use renkei_types::id::{OrganizationId, ProjectId};
use renkei_types::name::Name;
use renkei_types::page::Page;
use renkei_types::project::{NewProject, Project, ProjectPatch};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{ChangeRefusals, Changed, Created, Deleted, Failure, OrPlan, Refusals, Shown};
use super::asking::{Change, IdempotencyKey, Ids, IfMatch, Look, PageQuery, Params, PlanQuery};
use crate::Hub;
use crate::app::project::Projects;

/// Filters of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only the one with this name.
    #[param(required = false)]
    name: Option<Name>,
    /// Only those in this organization.
    #[param(required = false)]
    organization: Option<OrganizationId>,
}

/// Those that the caller may see, in the order of their names.
#[utoipa::path(get, path = "/api/v1/projects", tag = "projects", operation_id = "project_list",
    params(Filter, PageQuery),
    responses((status = 200, body = Page<Project>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Params(filter): Params<Filter>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Project>>, Failure> {
    let filter = Projects {
        name: filter.name,
        organization: filter.organization,
    };
    Ok(Json(hub.app.projects(&asked, &filter, &page.paging()?).await?))
}

/// Makes one, with its first owner: the caller, if no other is named.
#[utoipa::path(post, path = "/api/v1/projects", tag = "projects", operation_id = "project_create",
    params(PlanQuery, IdempotencyKey), request_body = NewProject,
    responses((status = 201, body = Project), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn create(
    State(hub): State<Hub>,
    Change { asked, body }: Change<NewProject>,
) -> Result<Created<Project>, Failure> {
    let answer = hub.app.create_project(&asked, body).await?;
    Ok(Created {
        answer,
        location: |made| format!("/api/v1/projects/{}", made.id),
    })
}

/// One.
#[utoipa::path(get, path = "/api/v1/projects/{id}", tag = "projects", operation_id = "project_show",
    params(("id" = ProjectId, Path)),
    responses((status = 200, body = Project), Refusals))]
pub async fn show(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(id): Ids<ProjectId>,
) -> Result<Shown<Project>, Failure> {
    Ok(Shown(hub.app.project(&asked, id).await?))
}

/// Changes one.
#[utoipa::path(patch, path = "/api/v1/projects/{id}", tag = "projects", operation_id = "project_change",
    params(("id" = ProjectId, Path), PlanQuery, IfMatch), request_body = ProjectPatch,
    responses((status = 200, body = inline(OrPlan<Project>)), Refusals, ChangeRefusals))]
pub async fn change(
    State(hub): State<Hub>,
    Ids(id): Ids<ProjectId>,
    Change { asked, body }: Change<ProjectPatch>,
) -> Result<Changed<Project>, Failure> {
    Ok(Changed(hub.app.change_project(&asked, id, body).await?))
}

/// Deletes one in which nothing is left but members and quotas.
#[utoipa::path(delete, path = "/api/v1/projects/{id}", tag = "projects", operation_id = "project_delete",
    params(("id" = ProjectId, Path), PlanQuery, IfMatch),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn delete(
    State(hub): State<Hub>,
    Ids(id): Ids<ProjectId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.delete_project(&asked, id).await?))
}

/// Freezes one: nothing in it can be changed until the freeze is lifted or ends.
#[utoipa::path(put, path = "/api/v1/projects/{id}/freeze", tag = "projects",
    operation_id = "project_freeze",
    params(("id" = ProjectId, Path), PlanQuery, IfMatch), request_body = NewFreeze,
    responses((status = 200, body = inline(OrPlan<Project>)), Refusals, ChangeRefusals))]
pub async fn freeze(
    State(hub): State<Hub>,
    Ids(id): Ids<ProjectId>,
    Change { asked, body }: Change<NewFreeze>,
) -> Result<Changed<Project>, Failure> {
    Ok(Changed(hub.app.freeze_project(&asked, id, Some(body)).await?))
}

/// Lifts a freeze.
#[utoipa::path(delete, path = "/api/v1/projects/{id}/freeze", tag = "projects",
    operation_id = "project_thaw",
    params(("id" = ProjectId, Path), PlanQuery, IfMatch),
    responses((status = 200, body = inline(OrPlan<Project>)), Refusals, ChangeRefusals))]
pub async fn thaw(
    State(hub): State<Hub>,
    Ids(id): Ids<ProjectId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Changed<Project>, Failure> {
    Ok(Changed(hub.app.freeze_project(&asked, id, None).await?))
}
