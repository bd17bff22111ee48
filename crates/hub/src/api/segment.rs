//! `/api/v1/projects/{id}/segments` and `/api/v1/segments`.

use axum::Json;
use axum::extract::State;
use renkei_types::change::Plan;
use renkei_types::id::{ProjectId, SegmentId, SiteId};
use renkei_types::name::Name;
use renkei_types::page::Page;
use renkei_types::segment::{NewSegment, Segment, SegmentPatch};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{ChangeRefusals, Changed, Created, Deleted, Failure, OrPlan, Refusals, Shown};
use super::asking::{Change, IdempotencyKey, Ids, IfMatch, Look, PageQuery, Params, PlanQuery};
use crate::Hub;
use crate::app::segment::Segments;

/// Filters of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only the one with this name.
    #[param(required = false)]
    name: Option<Name>,
    /// Only those at this site.
    #[param(required = false)]
    site: Option<SiteId>,
}

/// Those of a project, in the order of their names.
#[utoipa::path(get, path = "/api/v1/projects/{id}/segments", tag = "segments", operation_id = "segment_list",
    params(("id" = ProjectId, Path), Filter, PageQuery),
    responses((status = 200, body = Page<Segment>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(project): Ids<ProjectId>,
    Params(Filter { name, site }): Params<Filter>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Segment>>, Failure> {
    let filter = Segments { name, site };
    Ok(Json(hub.app.segments(&asked, project, &filter, &page.paging()?).await?))
}

/// Makes one. The first of a project is the one that machines get which ask for none.
#[utoipa::path(post, path = "/api/v1/projects/{id}/segments", tag = "segments", operation_id = "segment_create",
    params(("id" = ProjectId, Path), PlanQuery, IdempotencyKey), request_body = NewSegment,
    responses((status = 201, body = Segment), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn create(
    State(hub): State<Hub>,
    Ids(project): Ids<ProjectId>,
    Change { asked, body }: Change<NewSegment>,
) -> Result<Created<Segment>, Failure> {
    let answer = hub.app.create_segment(&asked, project, body).await?;
    Ok(Created {
        answer,
        location: |made| format!("/api/v1/segments/{}", made.id),
    })
}

/// One. Its `ETag` is its generation.
#[utoipa::path(get, path = "/api/v1/segments/{id}", tag = "segments", operation_id = "segment_show",
    params(("id" = SegmentId, Path)),
    responses((status = 200, body = Segment), Refusals))]
pub async fn show(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(id): Ids<SegmentId>,
) -> Result<Shown<Segment>, Failure> {
    Ok(Shown(hub.app.segment(&asked, id).await?))
}

/// Changes one. Its addresses and its site stay.
#[utoipa::path(patch, path = "/api/v1/segments/{id}", tag = "segments", operation_id = "segment_change",
    params(("id" = SegmentId, Path), PlanQuery, IfMatch), request_body = SegmentPatch,
    responses((status = 200, body = inline(OrPlan<Segment>)), Refusals, ChangeRefusals))]
pub async fn change(
    State(hub): State<Hub>,
    Ids(id): Ids<SegmentId>,
    Change { asked, body }: Change<SegmentPatch>,
) -> Result<Changed<Segment>, Failure> {
    Ok(Changed(hub.app.change_segment(&asked, id, body).await?))
}

/// Deletes one that nothing uses, with its rules. It is shown as a tombstone until the site has confirmed it.
#[utoipa::path(delete, path = "/api/v1/segments/{id}", tag = "segments", operation_id = "segment_delete",
    params(("id" = SegmentId, Path), PlanQuery, IfMatch),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn delete(
    State(hub): State<Hub>,
    Ids(id): Ids<SegmentId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.delete_segment(&asked, id).await?))
}
