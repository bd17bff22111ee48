//! `/api/dnat/…`: which outside address leads where. A list names the segment, a body has its id.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use renkei_types::dnat::{Dnat, NewDnat};
use renkei_types::id::{DnatId, ProjectId, SegmentId};
use renkei_types::problem::Problem;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::answer::{Page, Refusal, done};
use super::asking::{Call, Id, Paging, Said};
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

/// A mapping as it is asked for.
#[derive(Debug, Deserialize)]
pub struct Mapping {
    pool_address: IpAddr,
    segment: SegmentId,
    dst_address: IpAddr,
}

impl Mapping {
    fn wanted(self, note: String, expires: Option<Timestamp>) -> NewDnat {
        NewDnat {
            global_ip: self.pool_address,
            segment: self.segment,
            destination: self.dst_address,
            note,
            expires,
        }
    }
}

/// Lets an outside address lead to a machine.
pub async fn create(
    State(hub): State<Hub>,
    Said { asked, body }: Said<Mapping>,
) -> Result<(StatusCode, Json<Shown>), Refusal> {
    let segment = hub.app.segment(&asked, body.segment).await?.value;
    let new = body.wanted(String::new(), None);
    let made = done(hub.app.create_dnat(&asked, segment.project, new).await).map_err(renamed)?;
    Ok((
        StatusCode::CREATED,
        Json(Shown::new(&made.value, segment.name.as_str())),
    ))
}

/// Lets it lead elsewhere. What the dialect has no words for stays as it is.
pub async fn replace(
    State(hub): State<Hub>,
    Id(dnat): Id,
    Said { asked, body }: Said<Mapping>,
) -> Result<Json<Shown>, Refusal> {
    let old = hub.app.dnat(&asked, DnatId(dnat)).await?.value;
    let segment = hub.app.segment(&asked, body.segment).await?.value;
    let new = body.wanted(old.note, old.expires);
    let made = done(hub.app.replace_dnat(&asked, old.id, new).await).map_err(renamed)?;
    Ok(Json(Shown::new(&made.value, segment.name.as_str())))
}

/// Lets it lead nowhere.
pub async fn delete(State(hub): State<Hub>, Call(asked): Call, Id(dnat): Id) -> Result<StatusCode, Refusal> {
    let old = hub.app.dnat(&asked, DnatId(dnat)).await?.value;
    done(hub.app.delete_dnat(&asked, old.id).await)?;
    Ok(StatusCode::NO_CONTENT)
}

fn renamed(problem: Problem) -> Refusal {
    Refusal::renamed(
        problem,
        &[("global_ip", "pool_address"), ("destination", "dst_address")],
    )
}
