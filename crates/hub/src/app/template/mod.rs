//! Templates: what machines can be made from. Those without a project are everybody's.

use renkei_policy::Resource;
use renkei_policy::reach::Reach;
use renkei_store::Stored;
use renkei_store::noun::template::PUBLIC;
use renkei_types::action::Action;
use renkei_types::id::{ImageId, ProjectId, TemplateId};
use renkei_types::image::{Image, ImageState};
use renkei_types::name::Name;
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::template::{NewTemplate, Template, TemplateFacts, TemplatePatch};
use uuid::Uuid;

use super::decision::{Decision, Draft};
use super::list::Paging;
use super::operation::Recorded;
use super::project::Tenant;
use super::{Answer, App, Asked, Versioned};

const NOUN: &str = TemplateId::NOUN;

/// Filters of the list.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    /// Only those of this project. With those that everybody sees and those of all own projects without.
    pub project: Option<ProjectId>,
    /// Only the one with this name for programs.
    pub template_name: Option<Name>,
}

impl App {
    /// Those that the caller may see, in the order of their names for programs.
    pub async fn templates(
        &self,
        asked: &Asked,
        filter: &Templates,
        paging: &Paging,
    ) -> Result<Page<Template>, Problem> {
        asked.may(Action::TemplateRead, &Resource::List)?;
        let name = filter.template_name.as_ref();
        let equals: Vec<_> = name.map(|name| ("template_name", name.folded())).into_iter().collect();
        let order = Some("template_name");
        let keys = match (filter.project, asked.actor()?.projects()) {
            (Some(project), _) => {
                self.project_may(asked, Action::TemplateRead, project).await?;
                vec![project.to_string()]
            }
            (None, Reach::All) => return self.page::<Template>(paging, order, equals, None).await,
            (None, Reach::Only(projects)) => [PUBLIC.to_owned()]
                .into_iter()
                .chain(projects.iter().map(ToString::to_string))
                .collect(),
        };
        self.page_of_any(paging, order, ("project", &keys), &equals).await
    }

    /// One.
    pub async fn template(&self, asked: &Asked, id: TemplateId) -> Result<Versioned<Template>, Problem> {
        Ok(self.template_for(asked, Action::TemplateRead, id).await?.0.into())
    }

    /// Makes one known.
    pub async fn create_template(
        &self,
        asked: &Asked,
        new: NewTemplate,
    ) -> Result<Answer<Versioned<Template>>, Problem> {
        sound(&new.facts)?;
        self.decide(asked, || self.template_creation(asked, &new)).await
    }

    /// Changes one. Machines that were made from it stay as they are.
    pub async fn change_template(
        &self,
        asked: &Asked,
        id: TemplateId,
        patch: TemplatePatch,
    ) -> Result<Answer<Versioned<Template>>, Problem> {
        if let Some(facts) = &patch.facts {
            sound(facts)?;
        }
        self.decide(asked, || self.template_change(asked, id, &patch)).await
    }

    /// Lets everybody see one.
    pub async fn publish_template(
        &self,
        asked: &Asked,
        id: TemplateId,
    ) -> Result<Answer<Versioned<Template>>, Problem> {
        self.decide(asked, || self.template_publication(asked, id)).await
    }

    /// Lets only the project see one that its image belongs to.
    pub async fn unpublish_template(
        &self,
        asked: &Asked,
        id: TemplateId,
    ) -> Result<Answer<Versioned<Template>>, Problem> {
        self.decide(asked, || self.template_withdrawal(asked, id)).await
    }

    /// Deletes one. Its image and the machines that were made from it stay.
    pub async fn delete_template(&self, asked: &Asked, id: TemplateId) -> Result<Answer<()>, Problem> {
        self.decide(asked, || self.template_deletion(asked, id)).await
    }

    async fn template_creation(
        &self,
        asked: &Asked,
        new: &NewTemplate,
    ) -> Result<Decision<Versioned<Template>>, Problem> {
        let (mut draft, verb) = (Draft::new(), action(new.project));
        match new.project {
            Some(project) => {
                let tenant = self.tenant(project).await?;
                tenant.may(asked, verb)?;
                tenant.extend(&mut draft);
            }
            None => asked.may(verb, &Resource::Hub)?,
        }
        if let Some(image) = new.image {
            self.touch_image(&mut draft, image, new.project).await?;
        }
        let name = &new.template_name;
        if self.find::<Template>("template_name", &name.folded()).await?.is_some() {
            let problem = Problem::new(ProblemKind::Conflict, format!("there is already a template `{name}`"));
            return Err(problem.field("template_name").hint("choose another name for programs"));
        }
        let new = new.clone();
        let template = Template {
            id: TemplateId(Uuid::now_v7()),
            name: new.name,
            template_name: new.template_name,
            project: new.project,
            image: new.image,
            facts: new.facts,
            created: asked.now,
        };
        let made = Recorded { asked, verb }.create(&mut draft, template)?;
        Ok(draft.answer(made))
    }

    async fn template_change(
        &self,
        asked: &Asked,
        id: TemplateId,
        patch: &TemplatePatch,
    ) -> Result<Decision<Versioned<Template>>, Problem> {
        let (old, tenant) = self.template_for(asked, Action::TemplateWrite, id).await?;
        asked.unchanged(old.version)?;
        let (patch, was) = (patch.clone(), old.value.clone());
        let new = Template {
            name: patch.name.unwrap_or(was.name),
            facts: patch.facts.unwrap_or(was.facts),
            ..was
        };
        changed(asked, tenant.as_ref(), &old, new)
    }

    async fn template_publication(
        &self,
        asked: &Asked,
        id: TemplateId,
    ) -> Result<Decision<Versioned<Template>>, Problem> {
        let (old, tenant) = self.template_for(asked, Action::TemplateRead, id).await?;
        asked.may(Action::TemplatePublish, &Resource::Hub)?;
        asked.unchanged(old.version)?;
        let new = Template {
            project: None,
            ..old.value.clone()
        };
        changed(asked, tenant.as_ref(), &old, new)
    }

    async fn template_withdrawal(
        &self,
        asked: &Asked,
        id: TemplateId,
    ) -> Result<Decision<Versioned<Template>>, Problem> {
        let (old, tenant) = self.template_for(asked, Action::TemplateRead, id).await?;
        asked.may(Action::TemplatePublish, &Resource::Hub)?;
        asked.unchanged(old.version)?;
        let project = match (old.value.project, old.value.image) {
            (Some(project), _) => project,
            (None, Some(image)) => self.get::<Image>(ImageId::NOUN, image.0).await?.value.project,
            (None, None) => {
                let problem = format!(
                    "template `{}` has no image, so it is no project's",
                    old.value.template_name
                );
                return Err(Problem::new(ProblemKind::Conflict, problem).hint("delete it"));
            }
        };
        let new = Template {
            project: Some(project),
            ..old.value.clone()
        };
        changed(asked, tenant.as_ref(), &old, new)
    }

    async fn template_deletion(&self, asked: &Asked, id: TemplateId) -> Result<Decision<()>, Problem> {
        let (old, tenant) = self.template_for(asked, Action::TemplateWrite, id).await?;
        asked.unchanged(old.version)?;
        let mut draft = Draft::new();
        if let Some(tenant) = &tenant {
            tenant.expect(&mut draft);
        }
        let verb = action(old.value.project);
        Recorded { asked, verb }.delete(&mut draft, &old)?;
        Ok(draft.answer(()))
    }

    /// One on which the caller may do this, with the project that it is in. Those of projects of others are not there.
    async fn template_for(
        &self,
        asked: &Asked,
        right: Action,
        id: TemplateId,
    ) -> Result<(Stored<Template>, Option<Tenant>), Problem> {
        asked.may(Action::TemplateRead, &Resource::List)?;
        let found = self.get::<Template>(NOUN, id.0).await?;
        let Some(project) = found.value.project else {
            if right != Action::TemplateRead {
                asked.may(Action::TemplatePublish, &Resource::Hub)?;
            }
            return Ok((found, None));
        };
        let tenant = self.tenant(project).await.and_then(|tenant| {
            tenant.may(asked, right)?;
            Ok(tenant)
        });
        match tenant {
            Ok(tenant) => Ok((found, Some(tenant))),
            Err(problem) if problem.kind == ProblemKind::NotFound => Err(super::missing(NOUN, id.0)),
            Err(problem) => Err(problem),
        }
    }

    /// A template's disk must be there and whole, and not be deleted beside it.
    async fn touch_image(&self, draft: &mut Draft, image: ImageId, of: Option<ProjectId>) -> Result<(), Problem> {
        let refused = |problem: String| Problem::new(ProblemKind::Invalid, problem).field("image");
        let found = self.store.state.get::<Image>(image.0).await;
        let found = found.map_err(|error| super::state(&error))?;
        let found = found.filter(|found| of.is_none_or(|project| found.value.project == project));
        let Some(found) = found else {
            let problem = format!("there is no image `{image}` that you may use");
            return Err(refused(problem).hint("`renkei image list` shows those of your projects"));
        };
        if found.value.state != ImageState::Ready {
            let problem = format!("image `{}` is still being made", found.value.name);
            return Err(refused(problem).hint("wait until it is ready"));
        }
        draft.touch(&found);
        Ok(())
    }
}

/// By what right one in this project is written.
fn action(project: Option<ProjectId>) -> Action {
    project.map_or(Action::TemplatePublish, |_| Action::TemplateWrite)
}

fn changed(
    asked: &Asked,
    tenant: Option<&Tenant>,
    old: &Stored<Template>,
    new: Template,
) -> Result<Decision<Versioned<Template>>, Problem> {
    let mut draft = Draft::new();
    if let Some(tenant) = tenant {
        tenant.expect(&mut draft);
    }
    let moves = old.value.project != new.project;
    let verb = if moves {
        Action::TemplatePublish
    } else {
        action(new.project)
    };
    let changed = Recorded { asked, verb }.change(&mut draft, old, new)?;
    Ok(draft.answer(changed))
}

/// Whether texts and numbers are within what the API says.
fn sound(facts: &TemplateFacts) -> Result<(), Problem> {
    super::text("os_type", &facts.os_type, 64)?;
    super::text("os_name", &facts.os_name, 64)?;
    super::text("os_version", &facts.os_version, 64)?;
    super::text("description", &facts.description, 2000)?;
    super::text("login_username", &facts.login_username, 32)?;
    super::within("min_disk_gib", facts.min_disk_gib, 0..=1 << 20)?;
    super::within("min_memory_mib", facts.min_memory_mib, 0..=1 << 30)
}

#[cfg(test)]
mod tests;
