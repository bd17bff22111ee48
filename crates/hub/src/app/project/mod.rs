//! Projects.

mod tenant;
#[cfg(test)]
mod tests;

use renkei_policy::Resource;
use renkei_store::Stored;
use renkei_store::noun::quota::QuotaRow;
use renkei_store::noun::user::Account;
use renkei_store::noun::vm::VmRow;
use renkei_types::action::Action;
use renkei_types::freeze::{Freeze, NewFreeze};
use renkei_types::global_ip::GlobalIp;
use renkei_types::id::{MemberId, OrganizationId, ProjectId, UserId};
use renkei_types::image::Image;
use renkei_types::member::Member;
use renkei_types::name::Name;
use renkei_types::operation::Object;
use renkei_types::organization::Organization;
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::project::{NewProject, Project, ProjectPatch};
use renkei_types::role::Role;
use renkei_types::segment::Segment;
use renkei_types::template::Template;
use uuid::Uuid;

use super::decision::{Decision, Draft};
use super::list::Paging;
use super::operation::Recorded;
use super::subject::Subject;
use super::{Answer, App, Asked, Versioned};

pub use self::tenant::Tenant;

const NOUN: &str = ProjectId::NOUN;

/// Filters of the list.
#[derive(Clone, Debug, Default)]
pub struct Projects {
    /// Only the one with this name.
    pub name: Option<Name>,
    /// Only those in this organization.
    pub organization: Option<OrganizationId>,
}

impl App {
    /// What else is in a project, which therefore cannot be deleted. Members and quotas are not counted: they go with it. Whatever
    /// comes to be in one is looked for here, in live rows, and touches the project's row when it is made.
    async fn what_is_left(&self, project: ProjectId) -> Result<Option<Object>, Problem> {
        if let Some(machine) = self.first_of::<VmRow>(project).await? {
            return Ok(Some(machine));
        }
        let segment = self.first_of::<Segment>(project).await?;
        let address = self.first_of::<GlobalIp>(project).await?;
        let template = self.first_of::<Template>(project).await?;
        let image = self.first_of::<Image>(project).await?;
        Ok(segment.or(address).or(template).or(image))
    }

    async fn first_of<S: Subject>(&self, project: ProjectId) -> Result<Option<Object>, Problem> {
        let rows = self
            .store
            .state
            .scan::<S>("project", &project.to_string(), None, 1)
            .await;
        let rows = rows.map_err(|error| super::state(&error))?;
        Ok(rows.first().map(|row| Object {
            noun: S::NOUN.to_owned(),
            id: row.value.id(),
            name: row.value.name(),
        }))
    }

    /// Those that the caller may see, in the order of their names.
    pub async fn projects(&self, asked: &Asked, filter: &Projects, paging: &Paging) -> Result<Page<Project>, Problem> {
        asked.may(Action::ProjectRead, &Resource::List)?;
        let only = super::list::only(asked.actor()?.projects(), |id| id.0);
        let name = filter.name.as_ref().map(|name| ("name", name.folded()));
        let organization = filter.organization.map(|id| ("organization", id.to_string()));
        self.page::<Project>(
            paging,
            Some("name"),
            name.into_iter().chain(organization).collect(),
            only,
        )
        .await
    }

    /// All that the caller may see, each under its organization, both in the order of their names.
    pub async fn projects_by_organization(&self, asked: &Asked) -> Result<Vec<(Organization, Vec<Project>)>, Problem> {
        let mut grouped: Vec<(Organization, Vec<Project>)> = Vec::new();
        let mut after = None;
        loop {
            let paging = Paging::new(Some(renkei_types::page::MAX_LIMIT), after.as_deref())?;
            let page = self.projects(asked, &Projects::default(), &paging).await?;
            for project in page.items {
                let known = grouped
                    .iter_mut()
                    .find(|(organization, _)| organization.id == project.organization);
                match known {
                    Some((_, projects)) => projects.push(project),
                    None => {
                        let organization = self.tenant(project.id).await?.organization.value;
                        grouped.push((organization, vec![project]));
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        grouped.sort_by_key(|(organization, _)| organization.name.folded());
        Ok(grouped)
    }

    /// One.
    pub async fn project(&self, asked: &Asked, id: ProjectId) -> Result<Versioned<Project>, Problem> {
        let tenant = self.tenant(id).await?;
        tenant.may(asked, Action::ProjectRead)?;
        Ok(tenant.project.into())
    }

    /// Makes one, with its first owner.
    pub async fn create_project(&self, asked: &Asked, new: NewProject) -> Result<Answer<Versioned<Project>>, Problem> {
        bounded(Some(&new.description), Some(&new.contact), Some(&new.institution))?;
        self.decide(asked, || self.project_creation(asked, &new)).await
    }

    /// Changes one.
    pub async fn change_project(
        &self,
        asked: &Asked,
        id: ProjectId,
        patch: ProjectPatch,
    ) -> Result<Answer<Versioned<Project>>, Problem> {
        bounded(
            patch.description.as_deref(),
            patch.contact.as_deref(),
            patch.institution.as_deref(),
        )?;
        self.decide(asked, || self.project_change(asked, id, &patch)).await
    }

    /// Deletes one in which nothing is left, with its members and quotas.
    pub async fn delete_project(&self, asked: &Asked, id: ProjectId) -> Result<Answer<()>, Problem> {
        self.decide(asked, || self.project_deletion(asked, id)).await
    }

    /// Freezes one, or lifts its freeze.
    pub async fn freeze_project(
        &self,
        asked: &Asked,
        id: ProjectId,
        freeze: Option<NewFreeze>,
    ) -> Result<Answer<Versioned<Project>>, Problem> {
        let freeze = freeze.map(|freeze| super::freeze(asked, freeze)).transpose()?;
        self.decide(asked, || self.project_freeze(asked, id, freeze.as_ref()))
            .await
    }

    async fn project_creation(&self, asked: &Asked, new: &NewProject) -> Result<Decision<Versioned<Project>>, Problem> {
        let organization = self.organization_to_be_in(asked, new.organization).await?;
        if new.expires.is_some_and(|expires| expires <= asked.now) {
            let problem = Problem::new(ProblemKind::Invalid, "`expires` is over already").field("expires");
            return Err(problem.hint("leave it away for a project without an end"));
        }
        self.is_a_site("default_site", new.default_site).await?;
        self.project_name_is_free(&new.name, None).await?;
        let owner = self.first_owner(asked, new.owner).await?;
        let new = new.clone();
        let project = Project {
            id: ProjectId(Uuid::now_v7()),
            organization: new.organization,
            name: new.name,
            kind: new.kind,
            description: new.description,
            contact: new.contact,
            institution: new.institution,
            expires: new.expires,
            default_site: new.default_site,
            created: asked.now,
            freeze: None,
        };
        let mut draft = Draft::new();
        // Neither of them may be deleted beside it.
        draft.touch(&organization);
        draft.touch(&owner);
        let member = first_member(&project, &owner.value);
        let made = Recorded {
            asked,
            verb: Action::ProjectCreate,
        }
        .create(&mut draft, project)?;
        draft.create(&member);
        Ok(draft.answer(made))
    }

    async fn project_change(
        &self,
        asked: &Asked,
        id: ProjectId,
        patch: &ProjectPatch,
    ) -> Result<Decision<Versioned<Project>>, Problem> {
        let tenant = self.tenant(id).await?;
        let verb = if only_expires(patch) {
            Action::ProjectExpire
        } else {
            Action::ProjectWrite
        };
        tenant.may(asked, verb)?;
        if patch.expires.is_some() {
            tenant.may(asked, Action::ProjectExpire)?;
        }
        let old = &tenant.project;
        asked.unchanged(old.version)?;
        if let Some(name) = &patch.name {
            self.project_name_is_free(name, Some(id)).await?;
        }
        self.is_a_site("default_site", patch.default_site).await?;
        let (asked_for, was) = (patch.clone(), old.value.clone());
        let new = Project {
            name: asked_for.name.unwrap_or(was.name),
            kind: asked_for.kind.unwrap_or(was.kind),
            description: asked_for.description.unwrap_or(was.description),
            contact: asked_for.contact.unwrap_or(was.contact),
            institution: asked_for.institution.unwrap_or(was.institution),
            expires: asked_for.expires.or(was.expires),
            default_site: asked_for.default_site.or(was.default_site),
            ..was
        };
        let mut draft = Draft::new();
        tenant.expect(&mut draft);
        if let Some(site) = patch.default_site {
            self.default_segment_moves(asked, &mut draft, (id, site)).await?;
        }
        let changed = Recorded { asked, verb }.change(&mut draft, old, new)?;
        Ok(draft.answer(changed))
    }

    async fn project_deletion(&self, asked: &Asked, id: ProjectId) -> Result<Decision<()>, Problem> {
        let tenant = self.tenant(id).await?;
        let verb = Action::ProjectWrite;
        tenant.may(asked, verb)?;
        asked.unchanged(tenant.project.version)?;
        if let Some(left) = self.what_is_left(id).await? {
            let project = &tenant.project.value.name;
            let title = format!("project `{project}` still has {} `{}`", left.noun, left.name);
            return Err(Problem::new(ProblemKind::Conflict, title).hint("delete first what is in it"));
        }
        let mut draft = Draft::new();
        tenant.expect(&mut draft);
        for quota in self.every::<QuotaRow>("project", &id.to_string()).await? {
            draft.delete(&quota);
        }
        for member in self.every::<Member>("project", &id.to_string()).await? {
            draft.delete(&member);
        }
        Recorded { asked, verb }.delete(&mut draft, &tenant.project)?;
        Ok(draft.answer(()))
    }

    async fn project_freeze(
        &self,
        asked: &Asked,
        id: ProjectId,
        freeze: Option<&Freeze>,
    ) -> Result<Decision<Versioned<Project>>, Problem> {
        let tenant = self.tenant(id).await?;
        let verb = Action::Freeze;
        tenant.may(asked, verb)?;
        asked.unchanged(tenant.project.version)?;
        let new = Project {
            freeze: freeze.cloned(),
            ..tenant.project.value.clone()
        };
        let mut draft = Draft::new();
        let changed = Recorded { asked, verb }.change(&mut draft, &tenant.project, new)?;
        Ok(draft.answer(changed))
    }

    async fn organization_to_be_in(&self, asked: &Asked, id: OrganizationId) -> Result<Stored<Organization>, Problem> {
        let found = self.get::<Organization>(OrganizationId::NOUN, id.0).await;
        let found = found.and_then(|found| {
            asked.may(Action::ProjectCreate, &Resource::Organization((&found.value).into()))?;
            Ok(found)
        });
        found.map_err(|problem| match problem.kind {
            ProblemKind::NotFound => super::missing(OrganizationId::NOUN, id.0)
                .field("organization")
                .hint("`renkei org list` shows those that there are"),
            _ => problem,
        })
    }

    /// Who is asked for, or else who asks.
    async fn first_owner(&self, asked: &Asked, owner: Option<UserId>) -> Result<Stored<Account>, Problem> {
        let owner = match owner {
            Some(owner) => owner,
            None => asked.actor()?.user,
        };
        self.account_to_name("owner", owner).await
    }

    async fn project_name_is_free(&self, name: &Name, except: Option<ProjectId>) -> Result<(), Problem> {
        match self.find::<Project>("name", &name.folded()).await? {
            Some(other) if Some(other.value.id) != except => Err(super::taken(NOUN, name.as_str())),
            _ => Ok(()),
        }
    }
}

/// Whether nothing is asked for that owners may do.
fn only_expires(patch: &ProjectPatch) -> bool {
    let expiry = ProjectPatch {
        expires: patch.expires,
        ..ProjectPatch::default()
    };
    patch.expires.is_some() && *patch == expiry
}

fn bounded(description: Option<&str>, contact: Option<&str>, institution: Option<&str>) -> Result<(), Problem> {
    super::text("description", description.unwrap_or_default(), 2000)?;
    super::text("contact", contact.unwrap_or_default(), 254)?;
    super::text("institution", institution.unwrap_or_default(), 254)
}

fn first_member(project: &Project, owner: &Account) -> Member {
    Member {
        id: MemberId(Uuid::now_v7()),
        project: project.id,
        user: owner.user.id,
        user_name: owner.user.name.clone(),
        role: Role::Owner,
        created: project.created,
    }
}
