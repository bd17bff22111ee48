//! A project with what decides about it. Whatever is in a project is asked for through it.

use renkei_policy::{Resource, resource};
use renkei_store::Stored;
use renkei_types::action::Action;
use renkei_types::freeze::Freeze;
use renkei_types::id::{OrganizationId, ProjectId, SiteId};
use renkei_types::operation::Operation;
use renkei_types::organization::Organization;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::project::Project;
use uuid::Uuid;

use super::NOUN;
use crate::app::decision::Draft;
use crate::app::subject::Subject;
use crate::app::{App, Asked};

/// A project with the organization that it is in: both decide what may be done in it.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// The project.
    pub project: Stored<Project>,
    /// Its organization.
    pub organization: Stored<Organization>,
}

impl Tenant {
    /// Refuses what the caller may not do in the project. Whoever may not know of it reads the same as if there were none.
    pub fn may(&self, asked: &Asked, action: Action) -> Result<(), Problem> {
        self.permit(asked, action, &Resource::Project(self.facts()))
    }

    /// The same for its quota at a site.
    pub fn may_at(&self, asked: &Asked, action: Action, site: SiteId) -> Result<(), Problem> {
        self.permit(
            asked,
            action,
            &Resource::Quota {
                project: self.facts(),
                site,
            },
        )
    }

    /// The same for a machine in it, with a freeze of the machine.
    pub fn may_machine(&self, asked: &Asked, action: Action, freeze: Option<&Freeze>) -> Result<(), Problem> {
        let project = self.facts();
        self.permit(asked, action, &Resource::Vm { project, freeze })
    }

    /// The same for an operation on a machine in it.
    pub fn may_operation(&self, asked: &Asked, operation: &Operation, freeze: Option<&Freeze>) -> Result<(), Problem> {
        let project = self.facts();
        let resource = Resource::Operation {
            asked: Action::VmWrite,
            by: operation.by,
            on: &Resource::Vm { project, freeze },
        };
        self.permit(asked, Action::OperationCancel, &resource)
    }

    /// A decision rests on both being as they were read: neither frozen nor over meanwhile.
    pub fn expect(&self, draft: &mut Draft) {
        draft.expect(&self.project);
        draft.expect(&self.organization);
    }

    /// The same for what puts something new into the project, which must not be deleted beside it.
    pub fn extend(&self, draft: &mut Draft) {
        draft.touch(&self.project);
        draft.expect(&self.organization);
    }

    fn facts(&self) -> resource::Project<'_> {
        resource::Project::new(&self.project.value, (&self.organization.value).into())
    }

    fn permit(&self, asked: &Asked, action: Action, resource: &Resource<'_>) -> Result<(), Problem> {
        asked
            .may(action, resource)
            .map_err(|problem| hidden(problem, self.project.value.id))
    }
}

impl App {
    /// One with its organization; whether the caller may know of it is asked of the [`Tenant`].
    pub(in crate::app) async fn tenant(&self, id: ProjectId) -> Result<Tenant, Problem> {
        let project = self.get::<Project>(NOUN, id.0).await?;
        // An organization is not deleted before its projects: if it is gone, so is the project by now.
        let organization = self
            .get::<Organization>(OrganizationId::NOUN, project.value.organization.0)
            .await;
        let organization = organization.map_err(|problem| hidden(problem, id))?;
        Ok(Tenant { project, organization })
    }

    /// Something that is in a project, with that project, if the caller may do this in it. Whoever may not know of it reads the same
    /// as if there were none.
    pub(in crate::app) async fn in_project<S: Subject>(
        &self,
        asked: &Asked,
        action: Action,
        id: Uuid,
    ) -> Result<(Tenant, Stored<S>), Problem> {
        let hidden = |problem: Problem| match problem.kind {
            ProblemKind::NotFound => crate::app::missing(S::NOUN, id),
            _ => problem,
        };
        asked.actor()?;
        let found = self.get::<S>(S::NOUN, id).await?;
        let project = found.value.project().ok_or_else(|| crate::app::missing(S::NOUN, id))?;
        let tenant = self.tenant(project).await.map_err(hidden)?;
        tenant.may(asked, action).map_err(hidden)?;
        Ok((tenant, found))
    }

    /// Refuses what the caller may not do in a project, if there is one.
    pub(in crate::app) async fn project_may(
        &self,
        asked: &Asked,
        action: Action,
        id: ProjectId,
    ) -> Result<(), Problem> {
        self.tenant(id).await?.may(asked, action)
    }
}

/// One answer for what is not there and for what the caller may not know of.
fn hidden(problem: Problem, id: ProjectId) -> Problem {
    match problem.kind {
        ProblemKind::NotFound => crate::app::missing(NOUN, id.0),
        _ => problem,
    }
}
