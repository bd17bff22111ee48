//! `/api/catalog/…`: what machines can be made from.

use axum::extract::State;
use renkei_types::id::ProjectId;
use renkei_types::template::Template;
use serde::Serialize;
use uuid::Uuid;

use super::answer::{Page, Refusal};
use super::asking::{Call, Id, Paging};
use super::operation::time;
use crate::Hub;

/// A catalog entry.
#[derive(Debug, Serialize)]
pub struct Catalog {
    uuid: Uuid,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    template_name: String,
    os_type: String,
    os_name: String,
    os_version: String,
    hw_version: &'static str,
    description: String,
    login_username: String,
    gpu_required: bool,
    lower_limit_disk: u64,
    /// GB, one place.
    lower_limit_memory: String,
    create_tenant_name: &'static str,
    create_date_str: String,
    scope: &'static str,
    summary_url: &'static str,
}

impl From<Template> for Catalog {
    fn from(template: Template) -> Self {
        let own = template.project.is_some();
        let facts = template.facts;
        let tenths = facts.min_memory_mib.saturating_mul(10).div_ceil(1024);
        Self {
            uuid: template.id.0,
            name: template.name.to_string(),
            kind: "VM",
            template_name: template.template_name.to_string(),
            os_type: facts.os_type,
            os_name: facts.os_name,
            os_version: facts.os_version,
            hw_version: "",
            description: facts.description,
            login_username: facts.login_username,
            gpu_required: facts.gpu_required,
            lower_limit_disk: facts.min_disk_gib,
            lower_limit_memory: format!("{}.{}", tenths / 10, tenths % 10),
            create_tenant_name: "",
            create_date_str: time(template.created),
            scope: if own { "project" } else { "public" },
            summary_url: "",
        }
    }
}

/// What a project's machines can be made from.
pub async fn list(
    State(hub): State<Hub>,
    Call(asked): Call,
    Id(project): Id,
    paging: Paging,
) -> Result<Page<Catalog>, Refusal> {
    let templates = hub.app.mdx_templates(&asked, ProjectId(project)).await?;
    paging.cut(templates.into_iter().map(Catalog::from).collect())
}
