//! `/api/v1/projects/{id}/quotas`.

use axum::Json;
use axum::extract::State;
use renkei_types::change::Plan;
use renkei_types::id::{ProjectId, SiteId};
use renkei_types::page::Page;
use renkei_types::quota::{NewQuota, Quota};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{ChangeRefusals, Changed, Deleted, Failure, OrPlan, Refusals, Shown};
use super::asking::{Change, IdempotencyKey, Ids, IfMatch, Look, PageQuery, Params, PlanQuery};
use crate::Hub;
use crate::app::quota::Share;

/// Filters of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only that at this site.
    #[param(required = false)]
    site: Option<SiteId>,
}

/// How much a project may use, in the order of the sites' ids.
#[utoipa::path(get, path = "/api/v1/projects/{id}/quotas", tag = "quotas", operation_id = "quota_list",
    params(("id" = ProjectId, Path), Filter, PageQuery),
    responses((status = 200, body = Page<Quota>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(project): Ids<ProjectId>,
    Params(filter): Params<Filter>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Quota>>, Failure> {
    Ok(Json(
        hub.app.quotas(&asked, project, filter.site, &page.paging()?).await?,
    ))
}

/// One.
#[utoipa::path(get, path = "/api/v1/projects/{id}/quotas/{site}", tag = "quotas", operation_id = "quota_show",
    params(("id" = ProjectId, Path), ("site" = SiteId, Path)),
    responses((status = 200, body = Quota), Refusals))]
pub async fn show(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids((project, site)): Ids<(ProjectId, SiteId)>,
) -> Result<Shown<Quota>, Failure> {
    Ok(Shown(hub.app.quota(&asked, Share { project, site }).await?))
}

/// Sets how much the project may use at a site.
#[utoipa::path(put, path = "/api/v1/projects/{id}/quotas/{site}", tag = "quotas", operation_id = "quota_set",
    params(("id" = ProjectId, Path), ("site" = SiteId, Path), PlanQuery, IfMatch, IdempotencyKey),
    request_body = NewQuota,
    responses((status = 200, body = inline(OrPlan<Quota>)), Refusals, ChangeRefusals))]
pub async fn set(
    State(hub): State<Hub>,
    Ids((project, site)): Ids<(ProjectId, SiteId)>,
    Change { asked, body }: Change<NewQuota>,
) -> Result<Changed<Quota>, Failure> {
    Ok(Changed(
        hub.app.set_quota(&asked, Share { project, site }, body.limit).await?,
    ))
}

/// Takes away a quota of which nothing is used.
#[utoipa::path(delete, path = "/api/v1/projects/{id}/quotas/{site}", tag = "quotas", operation_id = "quota_delete",
    params(("id" = ProjectId, Path), ("site" = SiteId, Path), PlanQuery, IfMatch),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn delete(
    State(hub): State<Hub>,
    Ids((project, site)): Ids<(ProjectId, SiteId)>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.delete_quota(&asked, Share { project, site }).await?))
}
