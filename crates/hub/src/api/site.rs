//! `/api/v1/sites`.

use axum::Json;
use axum::extract::State;
use renkei_types::change::Plan;
use renkei_types::id::SiteId;
use renkei_types::join::Invited;
use renkei_types::name::Name;
use renkei_types::page::Page;
use renkei_types::problem::Problem;
use renkei_types::recovery::Difference;
use renkei_types::site::{NewSite, Site, SitePatch};
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
#[utoipa::path(get, path = "/api/v1/sites", tag = "sites", operation_id = "site_list",
    params(Filter, PageQuery),
    responses((status = 200, body = Page<Site>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Params(filter): Params<Filter>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Site>>, Failure> {
    let page = hub.app.sites(&asked, filter.name.as_ref(), &page.paging()?).await?;
    Ok(Json(page))
}

/// Makes one known.
#[utoipa::path(post, path = "/api/v1/sites", tag = "sites", operation_id = "site_create",
    params(PlanQuery, IdempotencyKey), request_body = NewSite,
    responses((status = 201, body = Site), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn create(State(hub): State<Hub>, Change { asked, body }: Change<NewSite>) -> Result<Created<Site>, Failure> {
    let answer = hub.app.create_site(&asked, body).await?;
    Ok(Created {
        answer,
        location: |made| format!("/api/v1/sites/{}", made.id),
    })
}

/// One.
#[utoipa::path(get, path = "/api/v1/sites/{id}", tag = "sites", operation_id = "site_show",
    params(("id" = SiteId, Path)),
    responses((status = 200, body = Site), Refusals))]
pub async fn show(State(hub): State<Hub>, Look(asked): Look, Ids(id): Ids<SiteId>) -> Result<Shown<Site>, Failure> {
    Ok(Shown(hub.app.site(&asked, id).await?))
}

/// Changes one.
#[utoipa::path(patch, path = "/api/v1/sites/{id}", tag = "sites", operation_id = "site_change",
    params(("id" = SiteId, Path), PlanQuery, IfMatch), request_body = SitePatch,
    responses((status = 200, body = inline(OrPlan<Site>)), Refusals, ChangeRefusals))]
pub async fn change(
    State(hub): State<Hub>,
    Ids(id): Ids<SiteId>,
    Change { asked, body }: Change<SitePatch>,
) -> Result<Changed<Site>, Failure> {
    Ok(Changed(hub.app.change_site(&asked, id, body).await?))
}

/// Deletes one at which no project may use anything.
#[utoipa::path(delete, path = "/api/v1/sites/{id}", tag = "sites", operation_id = "site_delete",
    params(("id" = SiteId, Path), PlanQuery, IfMatch),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn delete(
    State(hub): State<Hub>,
    Ids(id): Ids<SiteId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.delete_site(&asked, id).await?))
}

/// Invites one host: gives a token that works once, for 24 hours, and is shown this once.
#[utoipa::path(post, path = "/api/v1/sites/{id}/invitations", tag = "sites", operation_id = "site_invite",
    params(("id" = SiteId, Path), PlanQuery, IdempotencyKey),
    responses((status = 201, body = Invited), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn invite(
    State(hub): State<Hub>,
    Ids(id): Ids<SiteId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Created<Invited>, Failure> {
    Ok(Created {
        answer: hub.app.invite(&asked, id).await?,
        // It can be looked at nowhere; it is the site's.
        location: |invited| format!("/api/v1/sites/{}", invited.site),
    })
}

/// What differs between the hub and the hosts of a site in recovery.
#[utoipa::path(get, path = "/api/v1/sites/{id}/recovery", tag = "sites", operation_id = "site_recovery",
    params(("id" = SiteId, Path)),
    responses((status = 200, body = Difference), (status = 409, body = Problem, content_type = "application/problem+json"), Refusals))]
pub async fn recovery(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(id): Ids<SiteId>,
) -> Result<Json<Difference>, Failure> {
    Ok(Json(hub.app.difference(&asked, id).await?))
}

/// Lets a site in recovery go on: where a host knows more than the hub, what is seen becomes what is meant.
#[utoipa::path(post, path = "/api/v1/sites/{id}/recovered", tag = "sites", operation_id = "site_recovered",
    params(("id" = SiteId, Path), PlanQuery, IfMatch),
    responses((status = 200, body = inline(OrPlan<Site>)), Refusals, ChangeRefusals))]
pub async fn recovered(
    State(hub): State<Hub>,
    Ids(id): Ids<SiteId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Changed<Site>, Failure> {
    Ok(Changed(hub.app.recovered(&asked, id).await?))
}
