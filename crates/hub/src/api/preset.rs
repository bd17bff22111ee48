//! `/api/v1/presets`.

use axum::Json;
use axum::extract::State;
use renkei_types::change::Plan;
use renkei_types::id::PresetId;
use renkei_types::name::Name;
use renkei_types::page::Page;
use renkei_types::preset::{NewPreset, Preset, PresetPatch};
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

/// All, in the order of their names.
#[utoipa::path(get, path = "/api/v1/presets", tag = "presets", operation_id = "preset_list",
    params(Filter, PageQuery),
    responses((status = 200, body = Page<Preset>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Params(filter): Params<Filter>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Preset>>, Failure> {
    let page = hub.app.presets(&asked, filter.name.as_ref(), &page.paging()?).await?;
    Ok(Json(page))
}

/// Makes one.
#[utoipa::path(post, path = "/api/v1/presets", tag = "presets", operation_id = "preset_create",
    params(PlanQuery, IdempotencyKey), request_body = NewPreset,
    responses((status = 201, body = Preset), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn create(
    State(hub): State<Hub>,
    Change { asked, body }: Change<NewPreset>,
) -> Result<Created<Preset>, Failure> {
    let answer = hub.app.create_preset(&asked, body).await?;
    Ok(Created {
        answer,
        location: |made| format!("/api/v1/presets/{}", made.id),
    })
}

/// One.
#[utoipa::path(get, path = "/api/v1/presets/{id}", tag = "presets", operation_id = "preset_show",
    params(("id" = PresetId, Path)),
    responses((status = 200, body = Preset), Refusals))]
pub async fn show(State(hub): State<Hub>, Look(asked): Look, Ids(id): Ids<PresetId>) -> Result<Shown<Preset>, Failure> {
    Ok(Shown(hub.app.preset(&asked, id).await?))
}

/// Changes one. Machines that were made with it keep their size.
#[utoipa::path(patch, path = "/api/v1/presets/{id}", tag = "presets", operation_id = "preset_change",
    params(("id" = PresetId, Path), PlanQuery, IfMatch), request_body = PresetPatch,
    responses((status = 200, body = inline(OrPlan<Preset>)), Refusals, ChangeRefusals))]
pub async fn change(
    State(hub): State<Hub>,
    Ids(id): Ids<PresetId>,
    Change { asked, body }: Change<PresetPatch>,
) -> Result<Changed<Preset>, Failure> {
    Ok(Changed(hub.app.change_preset(&asked, id, body).await?))
}

/// Deletes one. Machines that were made with it keep their size.
#[utoipa::path(delete, path = "/api/v1/presets/{id}", tag = "presets", operation_id = "preset_delete",
    params(("id" = PresetId, Path), PlanQuery, IfMatch),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn delete(
    State(hub): State<Hub>,
    Ids(id): Ids<PresetId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.delete_preset(&asked, id).await?))
}
