//! What the dialect of mdx reads. It has no pages to go on from, only pages by number, and wants a project's things whole.

use renkei_policy::{Resource, resource};
use renkei_store::Noun;
use renkei_store::noun::template::PUBLIC;
use renkei_store::noun::vm::VmRow;
use renkei_types::acl::Acl;
use renkei_types::action::Action;
use renkei_types::dnat::Dnat;
use renkei_types::host::Host;
use renkei_types::id::{AclId, DnatId, ProjectId, SegmentId, TemplateId, VmId};
use renkei_types::operation::{Object, Operation, OperationState};
use renkei_types::problem::Problem;
use renkei_types::segment::Segment;
use renkei_types::site::Site;
use renkei_types::template::Template;
use renkei_types::vm::Vm;
use uuid::Uuid;

use super::{App, Asked};

/// A machine with what is told of it from elsewhere.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The machine.
    pub vm: Vm,
    /// The site's name.
    pub site: String,
    /// The host's, for those who may see hosts.
    pub host: Option<String>,
    /// The segments of its adapters.
    pub segments: Vec<Segment>,
    /// The mappings of its project.
    pub dnats: Vec<Dnat>,
}

impl App {
    /// The machines of a project, in the order of their names.
    pub async fn mdx_vms(&self, asked: &Asked, project: ProjectId) -> Result<Vec<Vm>, Problem> {
        let mut vms: Vec<VmRow> = self.all_in(asked, Action::VmRead, project).await?;
        vms.sort_by(|one, other| one.vm.name.cmp(&other.vm.name));
        Ok(vms.into_iter().map(|row| row.vm).collect())
    }

    /// One, if the caller may know of it.
    pub async fn mdx_vm(&self, asked: &Asked, id: VmId) -> Result<Vm, Problem> {
        let row = self.get::<VmRow>(VmId::NOUN, id.0).await?.value;
        let tenant = self.tenant(row.vm.project).await?;
        let project = resource::Project::new(&tenant.project.value, (&tenant.organization.value).into());
        let freeze = row.vm.freeze.as_ref();
        asked
            .may(Action::VmRead, &Resource::Vm { project, freeze })
            .map_err(|problem| hidden(problem, VmId::NOUN, id.0))?;
        Ok(row.vm)
    }

    /// One with everything that is told of it.
    pub async fn mdx_machine(&self, asked: &Asked, id: VmId) -> Result<Machine, Problem> {
        let vm = self.mdx_vm(asked, id).await?;
        let site: Option<Site> = self.known(vm.site.0).await?;
        let host = match vm.host {
            Some(host) if asked.may(Action::HostRead, &Resource::Site(vm.site)).is_ok() => {
                self.known::<Host>(host.0).await?
            }
            _ => None,
        };
        let mut segments = Vec::new();
        for adapter in &vm.meant.adapters {
            segments.extend(self.known::<Segment>(adapter.segment.0).await?);
        }
        let dnats = self.every::<Dnat>("project", &vm.project.to_string()).await?;
        Ok(Machine {
            site: site.map_or_else(String::new, |site| site.name.to_string()),
            host: host.map(|host| host.name.to_string()),
            segments,
            dnats: dnats.into_iter().map(|dnat| dnat.value).collect(),
            vm,
        })
    }

    /// The names of all sites.
    pub async fn mdx_sites(&self) -> Result<Vec<Site>, Problem> {
        let sites = self.store.state.all::<Site>(None, 1000).await;
        let sites = sites.map_err(|error| super::state(&error))?;
        Ok(sites.into_iter().map(|site| site.value).collect())
    }

    /// What happened to a machine, the newest first; but before it has run once nothing stands before that it was asked for: clients
    /// look at the first record alone to find out which machine a task is about.
    pub async fn mdx_history(&self, asked: &Asked, vm: VmId) -> Result<Vec<Operation>, Problem> {
        let mut history = self.history_of(asked, vm.0).await?;
        let made = |operation: &Operation| ["vm:deploy", "vm:clone"].contains(&operation.verb.as_str());
        let Some(place) = history.iter().rposition(made) else {
            return Ok(history);
        };
        let ran = match self.known::<VmRow>(vm.0).await? {
            Some(row) => row.vm.ran,
            None => history
                .get(place)
                .is_some_and(|made| made.state == OperationState::Done),
        };
        if !ran {
            let made = history.remove(place);
            history.insert(0, made);
        }
        Ok(history)
    }

    /// The templates that a project's machines can be made from, in the order of their names.
    pub async fn mdx_templates(&self, asked: &Asked, project: ProjectId) -> Result<Vec<Template>, Problem> {
        let mut templates: Vec<Template> = self.all_in(asked, Action::TemplateRead, project).await?;
        let public = self.every::<Template>("project", PUBLIC).await?;
        templates.extend(public.into_iter().map(|template| template.value));
        templates.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(templates)
    }

    /// The template that a deploy names: by its id, or by its name alone.
    pub async fn mdx_template(
        &self,
        asked: &Asked,
        project: ProjectId,
        (id, name): (Option<TemplateId>, Option<&str>),
    ) -> Result<Option<Template>, Problem> {
        let templates = self.mdx_templates(asked, project).await?;
        let wanted = |template: &Template| match (id, name) {
            (Some(id), _) => template.id == id,
            (None, Some(name)) => template.template_name.as_str() == name,
            (None, None) => false,
        };
        Ok(templates.into_iter().find(wanted))
    }

    /// The networks of a project that are there to stay, the default one first, then in the order of their names.
    pub async fn mdx_segments(&self, asked: &Asked, project: ProjectId) -> Result<Vec<Segment>, Problem> {
        let mut segments: Vec<Segment> = self.all_in(asked, Action::SegmentRead, project).await?;
        segments.retain(|segment| !segment.tombstone);
        segments.sort_by(|one, other| (!one.default, &one.name).cmp(&(!other.default, &other.name)));
        Ok(segments)
    }

    /// The rules of a segment, in the order in which they were made.
    pub async fn mdx_acls(&self, asked: &Asked, segment: SegmentId) -> Result<Vec<Acl>, Problem> {
        self.segment(asked, segment).await?;
        let rows = self.every::<Acl>("segment", &segment.to_string()).await?;
        Ok(rows.into_iter().map(|row| row.value).collect())
    }

    /// The mappings of a project, in the order in which they were made.
    pub async fn mdx_dnats(&self, asked: &Asked, project: ProjectId) -> Result<Vec<Dnat>, Problem> {
        self.all_in(asked, Action::SegmentRead, project).await
    }

    /// Whether an object of a network is still there, for the history, which tells of those that are gone too.
    pub async fn mdx_is_there(&self, object: &Object) -> Result<bool, Problem> {
        match object.noun.as_str() {
            SegmentId::NOUN => Ok(self
                .known::<Segment>(object.id)
                .await?
                .is_some_and(|segment| !segment.tombstone)),
            AclId::NOUN => Ok(self.known::<Acl>(object.id).await?.is_some()),
            DnatId::NOUN => Ok(self.known::<Dnat>(object.id).await?.is_some()),
            _ => Ok(true),
        }
    }

    /// All of a noun in a project.
    async fn all_in<N: Noun>(&self, asked: &Asked, action: Action, project: ProjectId) -> Result<Vec<N>, Problem> {
        self.project_may(asked, action, project).await?;
        let rows = self.every::<N>("project", &project.to_string()).await?;
        Ok(rows.into_iter().map(|row| row.value).collect())
    }

    /// A row, if there is one.
    async fn known<N: Noun>(&self, id: Uuid) -> Result<Option<N>, Problem> {
        let found = self.store.state.get::<N>(id).await;
        Ok(found.map_err(|error| super::state(&error))?.map(|row| row.value))
    }
}

/// One answer for what is not there and for what the caller may not know of.
fn hidden(problem: Problem, noun: &str, id: Uuid) -> Problem {
    match problem.kind {
        renkei_types::problem::ProblemKind::NotFound => super::missing(noun, id),
        _ => problem,
    }
}
