//! `/api/v1/sites/{id}/global-ips`, `/api/v1/global-ips` and `/api/v1/projects/{id}/global-ips`.

use axum::Json;
use axum::extract::State;
use renkei_types::change::Plan;
use renkei_types::global_ip::{GlobalIp, NewGlobalIp, TakeGlobalIp};
use renkei_types::id::{GlobalIpId, ProjectId, SiteId};
use renkei_types::page::Page;

use super::answer::{ChangeRefusals, Created, Deleted, Failure, Refusals, Shown};
use super::asking::{Change, IdempotencyKey, Ids, IfMatch, Look, PageQuery, Params, PlanQuery};
use crate::Hub;

/// All outside addresses of a site, for those who run it, in the order in which they were made known.
#[utoipa::path(get, path = "/api/v1/sites/{id}/global-ips", tag = "global-ips", operation_id = "global_ip_list_of_site",
    params(("id" = SiteId, Path), PageQuery),
    responses((status = 200, body = Page<GlobalIp>), Refusals))]
pub async fn list_of_site(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(site): Ids<SiteId>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<GlobalIp>>, Failure> {
    Ok(Json(hub.app.global_ips_at(&asked, site, &page.paging()?).await?))
}

/// Makes an outside address of a site known.
#[utoipa::path(post, path = "/api/v1/sites/{id}/global-ips", tag = "global-ips", operation_id = "global_ip_add",
    params(("id" = SiteId, Path), PlanQuery, IdempotencyKey), request_body = NewGlobalIp,
    responses((status = 201, body = GlobalIp), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn add(
    State(hub): State<Hub>,
    Ids(site): Ids<SiteId>,
    Change { asked, body }: Change<NewGlobalIp>,
) -> Result<Created<GlobalIp>, Failure> {
    let answer = hub.app.add_global_ip(&asked, site, body).await?;
    Ok(Created {
        answer,
        location: |made| format!("/api/v1/global-ips/{}", made.id),
    })
}

/// One, for those who run its site and for the project that has it.
#[utoipa::path(get, path = "/api/v1/global-ips/{id}", tag = "global-ips", operation_id = "global_ip_show",
    params(("id" = GlobalIpId, Path)),
    responses((status = 200, body = GlobalIp), Refusals))]
pub async fn show(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(id): Ids<GlobalIpId>,
) -> Result<Shown<GlobalIp>, Failure> {
    Ok(Shown(hub.app.global_ip(&asked, id).await?))
}

/// Forgets an outside address that no project has.
#[utoipa::path(delete, path = "/api/v1/global-ips/{id}", tag = "global-ips", operation_id = "global_ip_remove",
    params(("id" = GlobalIpId, Path), PlanQuery, IfMatch),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn remove(
    State(hub): State<Hub>,
    Ids(id): Ids<GlobalIpId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.remove_global_ip(&asked, id).await?))
}

/// The outside addresses that a project has.
#[utoipa::path(get, path = "/api/v1/projects/{id}/global-ips", tag = "global-ips", operation_id = "global_ip_list",
    params(("id" = ProjectId, Path), PageQuery),
    responses((status = 200, body = Page<GlobalIp>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(project): Ids<ProjectId>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<GlobalIp>>, Failure> {
    Ok(Json(hub.app.global_ips(&asked, project, &page.paging()?).await?))
}

/// Takes an outside address for a project, within its quota.
#[utoipa::path(post, path = "/api/v1/projects/{id}/global-ips", tag = "global-ips", operation_id = "global_ip_take",
    params(("id" = ProjectId, Path), PlanQuery, IdempotencyKey), request_body = TakeGlobalIp,
    responses((status = 201, body = GlobalIp), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn take(
    State(hub): State<Hub>,
    Ids(project): Ids<ProjectId>,
    Change { asked, body }: Change<TakeGlobalIp>,
) -> Result<Created<GlobalIp>, Failure> {
    let answer = hub.app.take_global_ip(&asked, project, body).await?;
    Ok(Created {
        answer,
        location: |taken| format!("/api/v1/global-ips/{}", taken.id),
    })
}

/// Gives back an outside address that leads nowhere.
#[utoipa::path(delete, path = "/api/v1/projects/{id}/global-ips/{address}", tag = "global-ips",
    operation_id = "global_ip_give_back",
    params(("id" = ProjectId, Path), ("address" = GlobalIpId, Path), PlanQuery, IfMatch),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn give_back(
    State(hub): State<Hub>,
    Ids((project, address)): Ids<(ProjectId, GlobalIpId)>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.give_global_ip_back(&asked, (project, address)).await?))
}
