//! `/api/v1/images`.

use axum::Json;
use axum::extract::State;
use renkei_types::change::Plan;
use renkei_types::id::{ImageId, ProjectId};
use renkei_types::image::Image;
use renkei_types::page::Page;
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{ChangeRefusals, Deleted, Failure, Refusals, Shown};
use super::asking::{Change, Ids, IfMatch, Look, PageQuery, Params, PlanQuery};
use crate::Hub;

/// Filters of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only those of this project.
    #[param(required = false)]
    project: Option<ProjectId>,
}

/// Those of the caller's projects, in the order of the projects' ids and then of their names.
#[utoipa::path(get, path = "/api/v1/images", tag = "images", operation_id = "image_list",
    params(Filter, PageQuery),
    responses((status = 200, body = Page<Image>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Params(filter): Params<Filter>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Image>>, Failure> {
    Ok(Json(hub.app.images(&asked, filter.project, &page.paging()?).await?))
}

/// One.
#[utoipa::path(get, path = "/api/v1/images/{id}", tag = "images", operation_id = "image_show",
    params(("id" = ImageId, Path)),
    responses((status = 200, body = Image), Refusals))]
pub async fn show(State(hub): State<Hub>, Look(asked): Look, Ids(id): Ids<ImageId>) -> Result<Shown<Image>, Failure> {
    Ok(Shown(hub.app.image(&asked, id).await?))
}

/// Deletes one that is whole and that no template needs.
#[utoipa::path(delete, path = "/api/v1/images/{id}", tag = "images", operation_id = "image_delete",
    params(("id" = ImageId, Path), PlanQuery, IfMatch),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn delete(
    State(hub): State<Hub>,
    Ids(id): Ids<ImageId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.delete_image(&asked, id).await?))
}
