//! Images: the disks of templates. They are made by saving machines.

use renkei_policy::Resource;
use renkei_policy::reach::Reach;
use renkei_store::{Noun, Stored};
use renkei_types::action::Action;
use renkei_types::id::{ImageId, ProjectId};
use renkei_types::image::{Image, ImageState};
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::template::Template;

use super::decision::{Decision, Draft};
use super::list::Paging;
use super::operation::Recorded;
use super::project::Tenant;
use super::{Answer, App, Asked, Versioned};

const NOUN: &str = ImageId::NOUN;

impl App {
    /// Those of the caller's projects, or only of this one, in the order of the projects' ids and then of their names.
    pub async fn images(
        &self,
        asked: &Asked,
        project: Option<ProjectId>,
        paging: &Paging,
    ) -> Result<Page<Image>, Problem> {
        asked.may(Action::TemplateRead, &Resource::List)?;
        let order = Some("name");
        let projects = match (project, asked.actor()?.projects()) {
            (Some(project), _) => {
                self.project_may(asked, Action::TemplateRead, project).await?;
                vec![project]
            }
            (None, Reach::All) => return self.page::<Image>(paging, order, Vec::new(), None).await,
            (None, Reach::Only(projects)) => projects.into_iter().collect(),
        };
        let keys: Vec<String> = projects.iter().map(ToString::to_string).collect();
        self.page_of_any(paging, order, ("project", &keys), &[]).await
    }

    /// One.
    pub async fn image(&self, asked: &Asked, id: ImageId) -> Result<Versioned<Image>, Problem> {
        Ok(self.image_for(asked, Action::TemplateRead, id).await?.0.into())
    }

    /// Deletes one that is whole and that no template needs.
    pub async fn delete_image(&self, asked: &Asked, id: ImageId) -> Result<Answer<()>, Problem> {
        self.decide(asked, || self.image_deletion(asked, id)).await
    }

    async fn image_deletion(&self, asked: &Asked, id: ImageId) -> Result<Decision<()>, Problem> {
        let verb = Action::TemplateWrite;
        let (old, tenant) = self.image_for(asked, verb, id).await?;
        asked.unchanged(old.version)?;
        let image = &old.value;
        if image.state == ImageState::Saving {
            let problem = format!("image `{}` is still being made", image.name);
            return Err(Problem::new(ProblemKind::Conflict, problem).hint("wait until it is ready, then delete it"));
        }
        if let Some(template) = self.template_of(id).await? {
            let problem = format!("template `{}` needs image `{}`", template.template_name, image.name);
            return Err(Problem::new(ProblemKind::Conflict, problem).hint("delete the template first"));
        }
        let mut draft = Draft::new();
        tenant.expect(&mut draft);
        Recorded { asked, verb }.delete(&mut draft, &old)?;
        Ok(draft.answer(()))
    }

    /// A template with this image. There are too few templates for an index; whoever makes one touches the image.
    async fn template_of(&self, id: ImageId) -> Result<Option<Template>, Problem> {
        const AT_ONCE: u32 = 500;
        let mut after = None;
        loop {
            let some = self.store.state.all::<Template>(after, AT_ONCE).await;
            let some = some.map_err(|error| super::state(&error))?;
            if let Some(found) = some.iter().find(|template| template.value.image == Some(id)) {
                return Ok(Some(found.value.clone()));
            }
            match some.last() {
                Some(last) if some.len() == AT_ONCE as usize => after = Some(last.value.id()),
                _ => return Ok(None),
            }
        }
    }

    /// One on which the caller may do this. Those of projects of others are not there.
    async fn image_for(&self, asked: &Asked, right: Action, id: ImageId) -> Result<(Stored<Image>, Tenant), Problem> {
        asked.may(Action::TemplateRead, &Resource::List)?;
        let found = self.get::<Image>(NOUN, id.0).await?;
        let tenant = self.tenant(found.value.project).await.and_then(|tenant| {
            tenant.may(asked, right)?;
            Ok(tenant)
        });
        match tenant {
            Ok(tenant) => Ok((found, tenant)),
            Err(problem) if problem.kind == ProblemKind::NotFound => Err(super::missing(NOUN, id.0)),
            Err(problem) => Err(problem),
        }
    }
}
