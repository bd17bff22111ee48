//! `/api/v1/organizations`.

use axum::Json;
use axum::extract::State;
use renkei_types::change::Plan;
use renkei_types::freeze::NewFreeze;
use renkei_types::id::OrganizationId;
use renkei_types::name::Name;
use renkei_types::organization::{NewOrganization, Organization, OrganizationPatch};
use renkei_types::page::Page;
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{ChangeRefusals, Changed, Created, Deleted, Failure, OrPlan, Refusals, Shown};
use super::asking::{Change, IdempotencyKey, Ids, IfMatch, Look, PageQuery, Params, PlanQuery};
use crate::Hub;

/// Filters of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only the one with this name.
    #[param(required = false)]
    name: Option<Name>,
}

/// Those that the caller may see, in the order of their names.
#[utoipa::path(get, path = "/api/v1/organizations", tag = "organizations", operation_id = "organization_list",
    params(Filter, PageQuery),
    responses((status = 200, body = Page<Organization>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Params(filter): Params<Filter>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Organization>>, Failure> {
    let page = hub
        .app
        .organizations(&asked, filter.name.as_ref(), &page.paging()?)
        .await?;
    Ok(Json(page))
}

/// Makes one.
#[utoipa::path(post, path = "/api/v1/organizations", tag = "organizations", operation_id = "organization_create",
    params(PlanQuery, IdempotencyKey), request_body = NewOrganization,
    responses((status = 201, body = Organization), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn create(
    State(hub): State<Hub>,
    Change { asked, body }: Change<NewOrganization>,
) -> Result<Created<Organization>, Failure> {
    let answer = hub.app.create_organization(&asked, body).await?;
    Ok(Created {
        answer,
        location: |made| format!("/api/v1/organizations/{}", made.id),
    })
}

/// One.
#[utoipa::path(get, path = "/api/v1/organizations/{id}", tag = "organizations", operation_id = "organization_show",
    params(("id" = OrganizationId, Path)),
    responses((status = 200, body = Organization), Refusals))]
pub async fn show(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(id): Ids<OrganizationId>,
) -> Result<Shown<Organization>, Failure> {
    Ok(Shown(hub.app.organization(&asked, id).await?))
}

/// Changes one.
#[utoipa::path(patch, path = "/api/v1/organizations/{id}", tag = "organizations", operation_id = "organization_change",
    params(("id" = OrganizationId, Path), PlanQuery, IfMatch), request_body = OrganizationPatch,
    responses((status = 200, body = inline(OrPlan<Organization>)), Refusals, ChangeRefusals))]
pub async fn change(
    State(hub): State<Hub>,
    Ids(id): Ids<OrganizationId>,
    Change { asked, body }: Change<OrganizationPatch>,
) -> Result<Changed<Organization>, Failure> {
    Ok(Changed(hub.app.change_organization(&asked, id, body).await?))
}

/// Deletes one that has no projects.
#[utoipa::path(delete, path = "/api/v1/organizations/{id}", tag = "organizations", operation_id = "organization_delete",
    params(("id" = OrganizationId, Path), PlanQuery, IfMatch),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn delete(
    State(hub): State<Hub>,
    Ids(id): Ids<OrganizationId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.delete_organization(&asked, id).await?))
}

/// Freezes one: nothing in it can be changed until the freeze is lifted or ends.
#[utoipa::path(put, path = "/api/v1/organizations/{id}/freeze", tag = "organizations",
    operation_id = "organization_freeze",
    params(("id" = OrganizationId, Path), PlanQuery, IfMatch), request_body = NewFreeze,
    responses((status = 200, body = inline(OrPlan<Organization>)), Refusals, ChangeRefusals))]
pub async fn freeze(
    State(hub): State<Hub>,
    Ids(id): Ids<OrganizationId>,
    Change { asked, body }: Change<NewFreeze>,
) -> Result<Changed<Organization>, Failure> {
    Ok(Changed(hub.app.freeze_organization(&asked, id, Some(body)).await?))
}

/// Lifts a freeze.
#[utoipa::path(delete, path = "/api/v1/organizations/{id}/freeze", tag = "organizations",
    operation_id = "organization_thaw",
    params(("id" = OrganizationId, Path), PlanQuery, IfMatch),
    responses((status = 200, body = inline(OrPlan<Organization>)), Refusals, ChangeRefusals))]
pub async fn thaw(
    State(hub): State<Hub>,
    Ids(id): Ids<OrganizationId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Changed<Organization>, Failure> {
    Ok(Changed(hub.app.freeze_organization(&asked, id, None).await?))
}
