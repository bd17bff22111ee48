//! `/api/global_ip/…`: a project's outside addresses.

use axum::Json;
use axum::extract::State;
use renkei_types::id::ProjectId;

use super::answer::Refusal;
use super::asking::{Call, Id};
use crate::Hub;

/// A bare array of those that could lead somewhere now.
pub async fn assignable(
    State(hub): State<Hub>,
    Call(asked): Call,
    Id(project): Id,
) -> Result<Json<Vec<String>>, Refusal> {
    let addresses = hub.app.assignable(&asked, ProjectId(project)).await?;
    Ok(Json(addresses.iter().map(ToString::to_string).collect()))
}
