//! `/api/v1/templates`.

use axum::Json;
use axum::extract::State;
use renkei_types::change::Plan;
use renkei_types::id::{ProjectId, TemplateId};
use renkei_types::name::Name;
use renkei_types::page::Page;
use renkei_types::template::{NewTemplate, Template, TemplatePatch};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{ChangeRefusals, Changed, Created, Deleted, Failure, OrPlan, Refusals, Shown};
use super::asking::{Change, IdempotencyKey, Ids, IfMatch, Look, PageQuery, Params, PlanQuery};
use crate::Hub;
use crate::app::template::Templates;

/// Filters of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only those of this project; those that everybody sees and those of all own projects without.
    #[param(required = false)]
    project: Option<ProjectId>,
    /// Only the one with this name for programs.
    #[param(required = false)]
    template_name: Option<Name>,
}

/// Those that the caller may see, in the order of their names for programs.
#[utoipa::path(get, path = "/api/v1/templates", tag = "templates", operation_id = "template_list",
    params(Filter, PageQuery),
    responses((status = 200, body = Page<Template>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Params(filter): Params<Filter>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Template>>, Failure> {
    let filter = Templates {
        project: filter.project,
        template_name: filter.template_name,
    };
    Ok(Json(hub.app.templates(&asked, &filter, &page.paging()?).await?))
}

/// Makes one known.
#[utoipa::path(post, path = "/api/v1/templates", tag = "templates", operation_id = "template_create",
    params(PlanQuery, IdempotencyKey), request_body = NewTemplate,
    responses((status = 201, body = Template), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn create(
    State(hub): State<Hub>,
    Change { asked, body }: Change<NewTemplate>,
) -> Result<Created<Template>, Failure> {
    let answer = hub.app.create_template(&asked, body).await?;
    Ok(Created {
        answer,
        location: |made| format!("/api/v1/templates/{}", made.id),
    })
}

/// One.
#[utoipa::path(get, path = "/api/v1/templates/{id}", tag = "templates", operation_id = "template_show",
    params(("id" = TemplateId, Path)),
    responses((status = 200, body = Template), Refusals))]
pub async fn show(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(id): Ids<TemplateId>,
) -> Result<Shown<Template>, Failure> {
    Ok(Shown(hub.app.template(&asked, id).await?))
}

/// Changes one. Machines that were made from it stay as they are.
#[utoipa::path(patch, path = "/api/v1/templates/{id}", tag = "templates", operation_id = "template_change",
    params(("id" = TemplateId, Path), PlanQuery, IfMatch), request_body = TemplatePatch,
    responses((status = 200, body = inline(OrPlan<Template>)), Refusals, ChangeRefusals))]
pub async fn change(
    State(hub): State<Hub>,
    Ids(id): Ids<TemplateId>,
    Change { asked, body }: Change<TemplatePatch>,
) -> Result<Changed<Template>, Failure> {
    Ok(Changed(hub.app.change_template(&asked, id, body).await?))
}

/// Deletes one. Its image and the machines that were made from it stay.
#[utoipa::path(delete, path = "/api/v1/templates/{id}", tag = "templates", operation_id = "template_delete",
    params(("id" = TemplateId, Path), PlanQuery, IfMatch),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn delete(
    State(hub): State<Hub>,
    Ids(id): Ids<TemplateId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.delete_template(&asked, id).await?))
}

/// Lets everybody see a project's template.
#[utoipa::path(put, path = "/api/v1/templates/{id}/publication", tag = "templates",
    operation_id = "template_publish",
    params(("id" = TemplateId, Path), PlanQuery, IfMatch),
    responses((status = 200, body = inline(OrPlan<Template>)), Refusals, ChangeRefusals))]
pub async fn publish(
    State(hub): State<Hub>,
    Ids(id): Ids<TemplateId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Changed<Template>, Failure> {
    Ok(Changed(hub.app.publish_template(&asked, id).await?))
}

/// Lets only the project see it that its image belongs to.
#[utoipa::path(delete, path = "/api/v1/templates/{id}/publication", tag = "templates",
    operation_id = "template_unpublish",
    params(("id" = TemplateId, Path), PlanQuery, IfMatch),
    responses((status = 200, body = inline(OrPlan<Template>)), Refusals, ChangeRefusals))]
pub async fn unpublish(
    State(hub): State<Hub>,
    Ids(id): Ids<TemplateId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Changed<Template>, Failure> {
    Ok(Changed(hub.app.unpublish_template(&asked, id).await?))
}
