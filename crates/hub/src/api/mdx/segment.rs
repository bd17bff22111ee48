//! `/api/segment/…`: a project's networks.

use axum::Json;
use axum::extract::State;
use renkei_types::id::{ProjectId, SegmentId};
use renkei_types::segment::Segment;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::Refusal;
use super::asking::{Call, Id};
use crate::Hub;

/// A network.
#[derive(Debug, Serialize)]
pub struct Shown {
    uuid: Uuid,
    name: String,
    default: bool,
}

/// A bare array; clients take the first one, which is the default.
pub async fn list(State(hub): State<Hub>, Call(asked): Call, Id(project): Id) -> Result<Json<Vec<Shown>>, Refusal> {
    let segments = hub.app.mdx_segments(&asked, ProjectId(project)).await?;
    let shown = |segment: Segment| Shown {
        uuid: segment.id.0,
        name: segment.name.to_string(),
        default: segment.default,
    };
    Ok(Json(segments.into_iter().map(shown).collect()))
}

/// One: its number, under both names that the portal has for it, and its addresses.
pub async fn summary(State(hub): State<Hub>, Call(asked): Call, Id(segment): Id) -> Result<Json<Value>, Refusal> {
    let segment = hub.app.segment(&asked, SegmentId(segment)).await?.value;
    Ok(Json(json!({
        "vlan_id": segment.vni,
        "vni": segment.vni,
        "ip_range": segment.v4,
    })))
}
