//! Projects.

use renkei_policy::{Resource, resource};
use renkei_store::Stored;
use renkei_store::noun::quota::QuotaRow;
use renkei_store::noun::user::Account;
use renkei_types::action::Action;
use renkei_types::freeze::{Freeze, NewFreeze};
use renkei_types::id::{MemberId, OrganizationId, ProjectId, SiteId, UserId};
use renkei_types::member::Member;
use renkei_types::name::Name;
use renkei_types::operation::Object;
use renkei_types::organization::Organization;
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::project::{NewProject, Project, ProjectPatch};
use renkei_types::role::Role;
use uuid::Uuid;

use super::decision::{Decision, Draft};
use super::list::Paging;
use super::operation::Recorded;
use super::{Answer, App, Asked, Versioned};

const NOUN: &str = ProjectId::NOUN;

/// Filters of the list.
#[derive(Clone, Debug, Default)]
pub struct Projects {
    /// Only the one with this name.
    pub name: Option<Name>,
    /// Only those in this organization.
    pub organization: Option<OrganizationId>,
}

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
            .map_err(|problem| hidden(problem, NOUN, self.project.value.id.0))
    }
}

/// What else is in a project, which therefore cannot be deleted. Members and quotas are not counted: they go with it.
///
/// Nothing else can be in a project yet. Whatever comes to be in one is looked for here, in live rows, and touches the
/// project's row when it is made.
fn what_is_left(_project: ProjectId) -> Option<Object> {
    None
}

impl App {
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

    /// One.
    pub async fn project(&self, asked: &Asked, id: ProjectId) -> Result<Versioned<Project>, Problem> {
        let tenant = self.tenant(id).await?;
        tenant.may(asked, Action::ProjectRead)?;
        Ok(tenant.project.into())
    }

    /// Makes one, with its first owner.
    pub async fn create_project(&self, asked: &Asked, new: NewProject) -> Result<Answer<Versioned<Project>>, Problem> {
        self.decide(asked, || self.project_creation(asked, &new)).await
    }

    /// Changes one.
    pub async fn change_project(
        &self,
        asked: &Asked,
        id: ProjectId,
        patch: ProjectPatch,
    ) -> Result<Answer<Versioned<Project>>, Problem> {
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
        self.decide(asked, || self.project_freeze(asked, id, freeze.as_ref()))
            .await
    }

    /// One with its organization; whether the caller may know of it is asked of the [`Tenant`].
    pub(super) async fn tenant(&self, id: ProjectId) -> Result<Tenant, Problem> {
        let project = self.get::<Project>(NOUN, id.0).await?;
        // An organization is not deleted before its projects: if it is gone, so is the project by now.
        let organization = self
            .get::<Organization>(OrganizationId::NOUN, project.value.organization.0)
            .await;
        let organization = organization.map_err(|problem| hidden(problem, NOUN, id.0))?;
        Ok(Tenant { project, organization })
    }

    /// Refuses what the caller may not do in a project, if there is one.
    pub(super) async fn project_may(&self, asked: &Asked, action: Action, id: ProjectId) -> Result<(), Problem> {
        self.tenant(id).await?.may(asked, action)
    }

    async fn project_creation(&self, asked: &Asked, new: &NewProject) -> Result<Decision<Versioned<Project>>, Problem> {
        let organization = self.organization_to_be_in(asked, new.organization).await?;
        bounded(Some(&new.description), Some(&new.contact), Some(&new.institution))?;
        if new.expires.is_some_and(|expires| expires <= asked.now) {
            let problem = Problem::new(ProblemKind::Invalid, "`expires` is over already").field("expires");
            return Err(problem.hint("leave it away for a project without an end"));
        }
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
        bounded(
            patch.description.as_deref(),
            patch.contact.as_deref(),
            patch.institution.as_deref(),
        )?;
        if let Some(name) = &patch.name {
            self.project_name_is_free(name, Some(id)).await?;
        }
        let (patch, was) = (patch.clone(), old.value.clone());
        let new = Project {
            name: patch.name.unwrap_or(was.name),
            kind: patch.kind.unwrap_or(was.kind),
            description: patch.description.unwrap_or(was.description),
            contact: patch.contact.unwrap_or(was.contact),
            institution: patch.institution.unwrap_or(was.institution),
            expires: patch.expires.or(was.expires),
            ..was
        };
        let mut draft = Draft::new();
        tenant.expect(&mut draft);
        let changed = Recorded { asked, verb }.change(&mut draft, old, new)?;
        Ok(draft.answer(changed))
    }

    async fn project_deletion(&self, asked: &Asked, id: ProjectId) -> Result<Decision<()>, Problem> {
        let tenant = self.tenant(id).await?;
        let verb = Action::ProjectWrite;
        tenant.may(asked, verb)?;
        asked.unchanged(tenant.project.version)?;
        if let Some(left) = what_is_left(id) {
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
        freeze: Option<&NewFreeze>,
    ) -> Result<Decision<Versioned<Project>>, Problem> {
        let tenant = self.tenant(id).await?;
        let verb = Action::Freeze;
        tenant.may(asked, verb)?;
        asked.unchanged(tenant.project.version)?;
        let freeze: Option<Freeze> = freeze.cloned().map(|freeze| super::freeze(asked, freeze)).transpose()?;
        let new = Project {
            freeze,
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

/// One answer for what is not there and for what the caller may not know of.
pub(super) fn hidden(problem: Problem, noun: &str, id: Uuid) -> Problem {
    match problem.kind {
        ProblemKind::NotFound => super::missing(noun, id),
        _ => problem,
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

#[cfg(test)]
mod tests {
    use renkei_store::CommitError;
    use renkei_types::change::ChangeKind;

    use super::super::member::Seat;
    use super::super::trial::{Trial, done, first_page, plan, planned, refused, seen};
    use super::*;

    fn frozen() -> NewFreeze {
        NewFreeze {
            reason: "an incident".to_owned(),
            until: None,
        }
    }

    #[tokio::test]
    async fn a_new_project_has_its_owner_and_tells_of_itself() {
        let trial = Trial::new().await;
        let ann = trial.user("ann").await;
        let project = trial.project("Lab", ann).await;
        let members = trial.members("project", project.0).await;
        assert_eq!(
            members
                .iter()
                .map(|member| (member.user, member.role))
                .collect::<Vec<_>>(),
            [(ann, Role::Owner)]
        );
        let page = trial
            .app
            .operations(&trial.by(ann).await, &Default::default(), &first_page())
            .await
            .unwrap();
        assert_eq!(page.items.len(), 1);
        assert_eq!(
            (page.items[0].verb.as_str(), page.items[0].object.id),
            ("project:create", project.0)
        );
    }

    #[tokio::test]
    async fn a_name_is_there_once_whatever_its_capitals() {
        let trial = Trial::new().await;
        let admin = trial.by(trial.admin).await;
        let lab = trial.project("Lab", trial.admin).await;
        let problem = refused(trial.app.create_project(&admin, trial.wanted("LAB", trial.admin)).await);
        assert_eq!(
            (problem.kind, problem.field.as_deref()),
            (ProblemKind::Conflict, Some("name"))
        );
        let other = trial.project("other", trial.admin).await;
        let to_lab = ProjectPatch {
            name: Some("lab".parse().unwrap()),
            ..ProjectPatch::default()
        };
        assert_eq!(
            refused(trial.app.change_project(&admin, other, to_lab.clone()).await).kind,
            ProblemKind::Conflict
        );
        done(trial.app.change_project(&admin, lab, to_lab).await);
    }

    #[tokio::test]
    async fn whoever_may_not_know_of_a_project_reads_the_same_as_if_there_were_none() {
        let trial = Trial::new().await;
        let (project, nowhere) = (trial.project("Lab", trial.admin).await, ProjectId(Uuid::now_v7()));
        let stranger = trial.by(trial.user("eve").await).await;
        let hidden = refused(trial.app.project(&stranger, project).await);
        let missing = refused(trial.app.project(&stranger, nowhere).await);
        assert_eq!(
            hidden.title.replace(&project.to_string(), "ID"),
            missing.title.replace(&nowhere.to_string(), "ID")
        );
        assert_eq!((hidden.kind, hidden.hint), (ProblemKind::NotFound, missing.hint));
        assert!(
            trial
                .app
                .projects(&stranger, &Projects::default(), &first_page())
                .await
                .unwrap()
                .items
                .is_empty()
        );
    }

    #[tokio::test]
    async fn owners_change_a_project_and_not_its_expiry() {
        let trial = Trial::new().await;
        let (ann, bob) = (trial.user("ann").await, trial.user("bob").await);
        let project = trial.project("Lab", ann).await;
        trial.seat(project, bob, Role::Operator).await;
        let patch = ProjectPatch {
            contact: Some("ann@example.org".to_owned()),
            ..ProjectPatch::default()
        };
        let problem = refused(
            trial
                .app
                .change_project(&trial.by(bob).await, project, patch.clone())
                .await,
        );
        assert_eq!(problem.kind, ProblemKind::Forbidden);
        let changed = done(trial.app.change_project(&trial.by(ann).await, project, patch).await);
        assert_eq!(changed.value.contact, "ann@example.org");
        let later = ProjectPatch {
            expires: Some(jiff::Timestamp::MAX),
            ..ProjectPatch::default()
        };
        let problem = refused(
            trial
                .app
                .change_project(&trial.by(ann).await, project, later.clone())
                .await,
        );
        assert_eq!(problem.kind, ProblemKind::Forbidden);
        done(
            trial
                .app
                .change_project(&trial.by(trial.admin).await, project, later)
                .await,
        );
    }

    #[tokio::test]
    async fn a_change_of_what_was_not_seen_is_refused() {
        let trial = Trial::new().await;
        let admin = trial.by(trial.admin).await;
        let project = trial.project("Lab", trial.admin).await;
        let patch = |text: &str| ProjectPatch {
            description: Some(text.to_owned()),
            ..ProjectPatch::default()
        };
        let first = trial.app.project(&admin, project).await.unwrap();
        let second = done(
            trial
                .app
                .change_project(&seen(admin.clone(), &first), project, patch("a"))
                .await,
        );
        assert_eq!(trial.app.project(&admin, project).await.unwrap(), second);
        let problem = refused(
            trial
                .app
                .change_project(&seen(admin, &first), project, patch("b"))
                .await,
        );
        assert_eq!(problem.kind, ProblemKind::Changed);
    }

    #[tokio::test]
    async fn a_plan_tells_what_would_happen_and_does_nothing() {
        let trial = Trial::new().await;
        let asked = planned(trial.by(trial.admin).await);
        let told = plan(trial.app.create_project(&asked, trial.wanted("Lab", trial.admin)).await);
        let changes: Vec<_> = told
            .changes
            .iter()
            .map(|change| (change.kind, change.noun.as_str()))
            .collect();
        assert_eq!(
            changes,
            [(ChangeKind::Create, "project"), (ChangeKind::Create, "member")]
        );
        assert!(trial.app.find::<Project>("name", "lab").await.unwrap().is_none());
        trial.project("Lab", trial.admin).await;
        let told = plan(trial.app.create_project(&asked, trial.wanted("Lab", trial.admin)).await);
        assert_eq!((told.changes.len(), told.refused[0].kind), (0, ProblemKind::Conflict));
    }

    #[tokio::test]
    async fn a_frozen_project_can_be_seen_and_thawed_only() {
        let trial = Trial::new().await;
        let ann = trial.user("ann").await;
        let project = trial.project("Lab", ann).await;
        let problem = refused(
            trial
                .app
                .freeze_project(&trial.by(ann).await, project, Some(frozen()))
                .await,
        );
        assert_eq!(problem.kind, ProblemKind::Forbidden);
        let admin = trial.by(trial.admin).await;
        done(trial.app.freeze_project(&admin, project, Some(frozen())).await);
        assert!(
            trial
                .app
                .project(&trial.by(ann).await, project)
                .await
                .unwrap()
                .value
                .freeze
                .is_some()
        );
        assert_eq!(
            refused(trial.app.delete_project(&admin, project).await).kind,
            ProblemKind::Frozen
        );
        done(trial.app.freeze_project(&admin, project, None).await);
        done(trial.app.delete_project(&admin, project).await);
    }

    #[tokio::test]
    async fn nothing_is_made_in_a_frozen_organization() {
        let trial = Trial::new().await;
        let admin = trial.by(trial.admin).await;
        let project = trial.project("Lab", trial.admin).await;
        done(
            trial
                .app
                .freeze_organization(&admin, trial.organization, Some(frozen()))
                .await,
        );
        let problem = refused(trial.app.create_project(&admin, trial.wanted("new", trial.admin)).await);
        assert_eq!(problem.kind, ProblemKind::Frozen);
        assert_eq!(
            refused(trial.app.delete_project(&admin, project).await).kind,
            ProblemKind::Frozen
        );
    }

    #[tokio::test]
    async fn what_a_new_project_names_must_be_there() {
        let trial = Trial::new().await;
        let admin = trial.by(trial.admin).await;
        let nobody = trial.wanted("Lab", UserId(Uuid::now_v7()));
        assert_eq!(
            refused(trial.app.create_project(&admin, nobody).await).field.as_deref(),
            Some("owner")
        );
        let disabled = trial.account("old", |user| user.enabled = false).await;
        let problem = refused(trial.app.create_project(&admin, trial.wanted("Lab", disabled)).await);
        assert_eq!(problem.field.as_deref(), Some("owner"));
        let nowhere = NewProject {
            organization: OrganizationId(Uuid::now_v7()),
            ..trial.wanted("Lab", trial.admin)
        };
        assert_eq!(
            refused(trial.app.create_project(&admin, nowhere).await)
                .field
                .as_deref(),
            Some("organization")
        );
    }

    #[tokio::test]
    async fn members_and_quotas_go_with_their_project() {
        let trial = Trial::new().await;
        let (ann, site) = (trial.user("ann").await, trial.site("Kashiwa", &[]).await);
        let project = trial.project("Lab", ann).await;
        trial.quota(project, site, 3).await;
        done(trial.app.delete_project(&trial.by(ann).await, project).await);
        assert!(trial.members("project", project.0).await.is_empty());
        assert!(
            trial
                .app
                .every::<QuotaRow>("project", &project.to_string())
                .await
                .unwrap()
                .is_empty()
        );
        let again = trial.project("Lab", ann).await;
        assert_ne!(again, project);
    }

    #[tokio::test]
    async fn nobody_is_added_to_a_project_while_it_is_deleted() {
        let trial = Trial::new().await;
        let (admin, bob) = (trial.by(trial.admin).await, trial.user("bob").await);
        let project = trial.project("Lab", trial.admin).await;
        let deletion = trial.app.project_deletion(&admin, project).await.unwrap();
        trial.seat(project, bob, Role::Reader).await;
        assert!(matches!(
            trial.commit(&admin, deletion).await,
            Err(CommitError::Stale { .. })
        ));
        done(trial.app.delete_project(&admin, project).await);
        assert!(trial.members("project", project.0).await.is_empty());
        let late = trial
            .app
            .set_member(&admin, Seat { project, user: bob }, Role::Reader)
            .await;
        assert_eq!(refused(late).kind, ProblemKind::NotFound);
    }

    #[tokio::test]
    async fn no_project_is_made_in_an_organization_that_is_deleted_beside_it() {
        let trial = Trial::new().await;
        let admin = trial.by(trial.admin).await;
        let wanted = trial.wanted("Lab", trial.admin);
        let creation = trial.app.project_creation(&admin, &wanted).await.unwrap();
        done(trial.app.delete_organization(&admin, trial.organization).await);
        assert!(matches!(
            trial.commit(&admin, creation).await,
            Err(CommitError::Stale { .. })
        ));
        assert_eq!(
            refused(trial.app.create_project(&admin, wanted).await).kind,
            ProblemKind::NotFound
        );
    }

    #[tokio::test]
    async fn a_list_is_cut_into_pages_in_the_order_of_names() {
        let trial = Trial::new().await;
        let admin = trial.by(trial.admin).await;
        for name in ["b", "C", "a"] {
            trial.project(name, trial.admin).await;
        }
        let mut names = Vec::new();
        let mut after = None;
        loop {
            let paging = Paging::new(Some(1), after.as_deref()).unwrap();
            let page = trial.app.projects(&admin, &Projects::default(), &paging).await.unwrap();
            names.extend(page.items.iter().map(|project| project.name.to_string()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(names, ["a", "b", "C"]);
        let one = Projects {
            name: Some("c".parse().unwrap()),
            organization: Some(trial.organization),
        };
        assert_eq!(
            trial
                .app
                .projects(&admin, &one, &first_page())
                .await
                .unwrap()
                .items
                .len(),
            1
        );
    }
}
