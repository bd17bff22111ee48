//! `/api/dnat/…`: which outside address leads where. A list names the segment, a body has its id.

use std::collections::BTreeMap;

use axum::extract::State;
use renkei_types::dnat::Dnat;
use renkei_types::id::{ProjectId, SegmentId};
use serde::Serialize;
use uuid::Uuid;

use super::answer::{Page, Refusal};
use super::asking::{Call, Id, Paging};
use crate::Hub;

/// A mapping.
#[derive(Debug, Serialize)]
pub struct Shown {
    uuid: Uuid,
    pool_address: String,
    segment: String,
    dst_address: String,
}

impl Shown {
    fn new(dnat: &Dnat, segment: &str) -> Self {
        Self {
            uuid: dnat.id.0,
            pool_address: dnat.global_ip.to_string(),
            segment: segment.to_owned(),
            dst_address: dnat.destination.to_string(),
        }
    }
}

/// The mappings of a project.
pub async fn list(
    State(hub): State<Hub>,
    Call(asked): Call,
    Id(project): Id,
    paging: Paging,
) -> Result<Page<Shown>, Refusal> {
    let dnats = hub.app.mdx_dnats(&asked, ProjectId(project)).await?;
    let segments = hub.app.mdx_segments(&asked, ProjectId(project)).await?;
    let names: BTreeMap<SegmentId, &str> = segments
        .iter()
        .map(|segment| (segment.id, segment.name.as_str()))
        .collect();
    let shown = |dnat: &Dnat| Shown::new(dnat, names.get(&dnat.segment).copied().unwrap_or_default());
    paging.cut(dnats.iter().map(shown).collect())
}
