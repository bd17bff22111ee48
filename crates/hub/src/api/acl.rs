//! `/api/v1/segments/{id}/acls`, `/api/v1/projects/{id}/acls` and `/api/v1/acls`.

use axum::Json;
use axum::extract::State;
use renkei_types::acl::{Acl, AclAudit, NewAcl};
use renkei_types::change::Plan;
use renkei_types::id::{AclId, ProjectId, SegmentId};
use renkei_types::page::Page;

use super::answer::{ChangeRefusals, Changed, Created, Deleted, Failure, OrPlan, Refusals, Shown};
use super::asking::{Change, IdempotencyKey, Ids, IfMatch, Look, PageQuery, Params, PlanQuery};
use crate::Hub;

/// What may enter a segment, in the order in which it was said.
#[utoipa::path(get, path = "/api/v1/segments/{id}/acls", tag = "acls", operation_id = "acl_list",
    params(("id" = SegmentId, Path), PageQuery),
    responses((status = 200, body = Page<Acl>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(segment): Ids<SegmentId>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Acl>>, Failure> {
    Ok(Json(hub.app.acls_of_segment(&asked, segment, &page.paging()?).await?))
}

/// What may enter any segment of a project, in the order in which it was said.
#[utoipa::path(get, path = "/api/v1/projects/{id}/acls", tag = "acls", operation_id = "acl_list_of_project",
    params(("id" = ProjectId, Path), PageQuery),
    responses((status = 200, body = Page<Acl>), Refusals))]
pub async fn list_of_project(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(project): Ids<ProjectId>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Acl>>, Failure> {
    Ok(Json(hub.app.acls(&asked, project, &page.paging()?).await?))
}

/// Rules and mappings that outlive their machine.
#[utoipa::path(get, path = "/api/v1/projects/{id}/acls/audit", tag = "acls", operation_id = "acl_audit",
    params(("id" = ProjectId, Path)),
    responses((status = 200, body = AclAudit), Refusals))]
pub async fn audit(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(project): Ids<ProjectId>,
) -> Result<Json<AclAudit>, Failure> {
    Ok(Json(hub.app.audit_acls(&asked, project).await?))
}

/// Lets something into a segment.
#[utoipa::path(post, path = "/api/v1/segments/{id}/acls", tag = "acls", operation_id = "acl_create",
    params(("id" = SegmentId, Path), PlanQuery, IdempotencyKey), request_body = NewAcl,
    responses((status = 201, body = Acl), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn create(
    State(hub): State<Hub>,
    Ids(segment): Ids<SegmentId>,
    Change { asked, body }: Change<NewAcl>,
) -> Result<Created<Acl>, Failure> {
    let answer = hub.app.create_acl(&asked, segment, body).await?;
    Ok(Created {
        answer,
        location: |made| format!("/api/v1/acls/{}", made.id),
    })
}

/// One.
#[utoipa::path(get, path = "/api/v1/acls/{id}", tag = "acls", operation_id = "acl_show",
    params(("id" = AclId, Path)),
    responses((status = 200, body = Acl), Refusals))]
pub async fn show(State(hub): State<Hub>, Look(asked): Look, Ids(id): Ids<AclId>) -> Result<Shown<Acl>, Failure> {
    Ok(Shown(hub.app.acl(&asked, id).await?))
}

/// Puts another rule in the place of one, in the same segment.
#[utoipa::path(put, path = "/api/v1/acls/{id}", tag = "acls", operation_id = "acl_replace",
    params(("id" = AclId, Path), PlanQuery, IfMatch), request_body = NewAcl,
    responses((status = 200, body = inline(OrPlan<Acl>)), Refusals, ChangeRefusals))]
pub async fn replace(
    State(hub): State<Hub>,
    Ids(id): Ids<AclId>,
    Change { asked, body }: Change<NewAcl>,
) -> Result<Changed<Acl>, Failure> {
    Ok(Changed(hub.app.replace_acl(&asked, id, body).await?))
}

/// Lets something in no longer. This is never set back: it goes forward until the site has confirmed it.
#[utoipa::path(delete, path = "/api/v1/acls/{id}", tag = "acls", operation_id = "acl_delete",
    params(("id" = AclId, Path), PlanQuery, IfMatch),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn delete(
    State(hub): State<Hub>,
    Ids(id): Ids<AclId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.delete_acl(&asked, id).await?))
}
