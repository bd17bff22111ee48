//! `/api/project/…`: which projects there are, and what each has.

use axum::Json;
use axum::extract::State;
use renkei_types::id::ProjectId;
use renkei_types::organization::Organization;
use renkei_types::project::{Project, ProjectType};
use renkei_types::quota::Amounts;
use renkei_types::role::Role;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::Refusal;
use super::asking::{Call, Id};
use super::operation::time;
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
