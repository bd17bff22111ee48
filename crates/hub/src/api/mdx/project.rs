//! `/api/project/…`: which projects there are, and what each has.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use renkei_types::id::ProjectId;
use renkei_types::organization::Organization;
use renkei_types::project::{Project, ProjectType};
use renkei_types::quota::Amounts;
use renkei_types::role::Role;
use renkei_types::vm::ServiceLevel;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::Refusal;
use super::asking::{Call, Id, Said};
use super::operation::time;
use super::vm;
use crate::Hub;

/// An organization with those of its projects that the caller may see.
#[derive(Serialize)]
pub struct Assigned {
    uuid: Uuid,
    name: String,
    projects: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    uuid: Uuid,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    expired: bool,
}

/// A bare array, without pages.
pub async fn assigned(State(hub): State<Hub>, Call(asked): Call) -> Result<Json<Vec<Assigned>>, Refusal> {
    let grouped = hub.app.projects_by_organization(&asked).await?;
    let shown = |project: Project| Shown {
        uuid: project.id.0,
        name: project.name.to_string(),
        kind: kind(project.kind),
        expired: project.expired(asked.now),
    };
    let assigned = |(organization, projects): (Organization, Vec<Project>)| Assigned {
        uuid: organization.id.0,
        name: organization.name.to_string(),
        projects: projects.into_iter().map(shown).collect(),
    };
    Ok(Json(grouped.into_iter().map(assigned).collect()))
}

/// As the portal writes it.
fn kind(kind: ProjectType) -> &'static str {
    match kind {
        ProjectType::Shared => "通常",
        ProjectType::Dedicated => "専有",
    }
}

/// What a project is.
pub async fn summary(State(hub): State<Hub>, Call(asked): Call, Id(project): Id) -> Result<Json<Value>, Refusal> {
    let id = ProjectId(project);
    let project = hub.app.project(&asked, id).await?.value;
    let members = hub.app.every_member(&asked, id).await?;
    let owner = members.iter().find(|member| member.role == Role::Owner);
    Ok(Json(json!({
        "uuid": project.id,
        "name": project.name,
        "type": kind(project.kind),
        "applicant": owner.map_or_else(String::new, |owner| owner.user_name.to_string()),
        "begin": time(project.created),
        "limit": project.expires.map(time),
        "description": project.description,
    })))
}

/// What a project may use and uses, at all sites together.
pub async fn resources(State(hub): State<Hub>, Call(asked): Call, Id(project): Id) -> Result<Json<Value>, Refusal> {
    let (limit, used) = hub.app.resources(&asked, ProjectId(project)).await?;
    Ok(Json(resource_words(limit, used)))
}

/// What a project uses and what is left, of one thing.
#[derive(Serialize)]
struct Use {
    used: u64,
    unused: u64,
}

impl Use {
    fn of(used: impl Into<u64>, limit: impl Into<u64>) -> Self {
        let (used, limit) = (used.into(), limit.into());
        Self {
            used,
            unused: limit.saturating_sub(used),
        }
    }
}

/// What is used and what is left.
pub async fn overview_resource(
    State(hub): State<Hub>,
    Call(asked): Call,
    Id(project): Id,
) -> Result<Json<Value>, Refusal> {
    let (limit, used) = hub.app.resources(&asked, ProjectId(project)).await?;
    Ok(Json(json!({
        "disk_size": Use::of(used.disk_gib, limit.disk_gib),
        "cpu_pack": Use::of(used.vcpus, limit.vcpus),
        "gpu_pack": Use::of(0_u64, 0_u64),
        "global_ip": Use::of(used.global_ips, limit.global_ips),
    })))
}

/// A project and which of its overviews.
pub struct Overview(Uuid, String);

impl<S: Send + Sync> FromRequestParts<S> for Overview {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::<(Uuid, String)>::from_request_parts(parts, state).await {
            Ok(Path((project, what))) => Ok(Self(project, what)),
            Err(_) => Err(Refusal::nothing()),
        }
    }
}

/// How many machines there are, by where they stand. `what` is `vm`, `spot_vm` or `guarantee_vm`.
pub async fn overview_vm(
    State(hub): State<Hub>,
    Call(asked): Call,
    Overview(project, what): Overview,
) -> Result<Json<Value>, Refusal> {
    let level = match what.as_str() {
        "vm" => None,
        "spot_vm" => Some(ServiceLevel::Spot),
        "guarantee_vm" => Some(ServiceLevel::Guarantee),
        _ => return Err(Refusal::nothing()),
    };
    let mut vms = hub.app.mdx_vms(&asked, ProjectId(project)).await?;
    vms.retain(|vm| level.is_none_or(|level| vm.meant.shape.service_level == level));
    let mut counts = serde_json::Map::new();
    counts.insert("total".to_owned(), vms.len().into());
    for status in STATUSES {
        let number = vms.iter().filter(|vm| vm::status(vm) == status).count();
        counts.insert(status.to_owned(), number.into());
    }
    Ok(Json(counts.into()))
}

const STATUSES: [&str; 6] = [
    "PowerON",
    "PowerOFF",
    "Deallocated",
    "Suspended",
    "Deploying",
    "NotFound",
];

/// File systems of a project: it has none, so that nothing of them is used.
pub async fn storage(State(hub): State<Hub>, Call(asked): Call, Id(project): Id) -> Result<Json<Value>, Refusal> {
    hub.app.project(&asked, ProjectId(project)).await?;
    let none = json!({"filesystem": "", "kbytes": 0, "kbytes_limit": 0});
    Ok(Json(json!({
        "high_speed_storage": none,
        "large_capacity_storage": none,
        "object_storage": none,
    })))
}

/// Keys of object storage: a project has none.
pub async fn access_key(State(hub): State<Hub>, Call(asked): Call, Id(project): Id) -> Result<Json<Value>, Refusal> {
    hub.app.project(&asked, ProjectId(project)).await?;
    Ok(Json(json!([])))
}

/// Points that were paid: a hub takes none.
pub async fn point(State(hub): State<Hub>, Call(asked): Call, Id(project): Id) -> Result<Json<Value>, Refusal> {
    hub.app.project(&asked, ProjectId(project)).await?;
    Ok(Json(json!({"lastConsumed": null, "results": []})))
}

/// A page about past use, of which a hub keeps no record.
pub async fn resource_usage(
    State(hub): State<Hub>,
    Id(project): Id,
    Said { asked, body: _ }: Said<Value>,
) -> Result<Json<Value>, Refusal> {
    hub.app.project(&asked, ProjectId(project)).await?;
    let told = "this hub keeps no record of past use; GET /api/project/{project}/resources/ tells what is used now";
    Ok(Json(json!({"html": "", "err_msg": told})))
}

/// A CPU pack is a virtual processor with its memory. Quotas know no GPUs yet: there are none to be had.
fn resource_words(limit: Amounts, used: Amounts) -> Value {
    json!({
        "cpu_pack_max": limit.vcpus,
        "cpu_pack": used.vcpus,
        "cpu_pack_max_current": limit.vcpus,
        "cpu_pack_future": limit.vcpus,
        "cpu_pack_rmin": 0,
        "gpu_pack_max": 0,
        "gpu_pack": 0,
        "gpu_pack_max_current": 0,
        "gpu_pack_future": 0,
        "gpu_pack_rmin": 0,
        "vm_max": limit.vms,
        "vm": used.vms,
        "memory_max": limit.memory_mib,
        "memory": used.memory_mib,
        "disk_max": limit.disk_gib,
        "disk": used.disk_gib,
        "global_ip_max": limit.global_ips,
        "global_ip": used.global_ips,
        "segment_max": limit.segments,
        "segment": used.segments,
    })
}
