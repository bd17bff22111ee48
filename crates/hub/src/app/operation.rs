//! Operations: what was asked for, how far it is, and how it ended.
//!
//! A change that is so as soon as it is committed has an operation too, done from the start, so that one history tells of
//! all changes in a project. What does not differ afterwards was no change and has none.

use renkei_policy::Resource;
use renkei_policy::reach::Reach;
use renkei_store::Stored;
use renkei_store::read::ListQuery;
use renkei_types::action::Action;
use renkei_types::id::{OperationId, ProjectId};
use renkei_types::operation::{Generation, Object, Operation, OperationState};
use renkei_types::page::Page;
use renkei_types::problem::Problem;
use uuid::Uuid;

use super::decision::Draft;
use super::list::{Paging, Place};
use super::subject::Subject;
use super::{App, Asked, Versioned};

const NOUN: &str = OperationId::NOUN;

/// The operation of a change that is so with its commit. `version` is the one that the object gets by it; for what is gone,
/// the one that it would have got.
pub fn done<S: Subject>(asked: &Asked, verb: Action, object: &S, version: u64) -> Result<Operation, Problem> {
    Ok(Operation {
        id: OperationId(Uuid::now_v7()),
        verb: verb.to_string(),
        object: Object {
            noun: S::NOUN.to_owned(),
            id: object.id(),
            name: object.name(),
        },
        project: object.project(),
        by: Some(asked.actor()?.user),
        generation: Generation(version),
        through: None,
        state: OperationState::Done,
        progress: 100,
        waiting: None,
        error: None,
        created: asked.now,
        deadline: None,
        ended: Some(asked.now),
    })
}

/// What a [`Draft`] does to one object, together with the operation that tells of it.
pub struct Recorded<'a> {
    /// Who asks.
    pub asked: &'a Asked,
    /// By what right.
    pub verb: Action,
}

impl Recorded<'_> {
    /// Makes an object.
    pub fn create<S: Subject + PartialEq>(&self, draft: &mut Draft, new: S) -> Result<Versioned<S>, Problem> {
        draft.create(&new);
        let made = Versioned::first(new);
        draft
            .aside()
            .insert(&done(self.asked, self.verb, &made.value, made.version)?);
        Ok(made)
    }

    /// Changes an object.
    pub fn change<S: Subject + PartialEq>(
        &self,
        draft: &mut Draft,
        old: &Stored<S>,
        new: S,
    ) -> Result<Versioned<S>, Problem> {
        draft.change(old, &new);
        let changed = Versioned::after(old, new);
        if changed.version != old.version {
            draft
                .aside()
                .insert(&done(self.asked, self.verb, &changed.value, changed.version)?);
        }
        Ok(changed)
    }

    /// Deletes an object.
    pub fn delete<S: Subject>(&self, draft: &mut Draft, old: &Stored<S>) -> Result<(), Problem> {
        draft.delete(old);
        draft
            .aside()
            .insert(&done(self.asked, self.verb, &old.value, old.version + 1)?);
        Ok(())
    }
}

/// Filters of the list.
#[derive(Clone, Debug, Default)]
pub struct Operations {
    /// Only those in this project.
    pub project: Option<ProjectId>,
    /// Only those that change this object.
    pub object: Option<Uuid>,
    /// Only those that stand there.
    pub state: Option<OperationState>,
}

impl App {
    /// Those that the caller may see, in the order in which they were asked for.
    pub async fn operations(
        &self,
        asked: &Asked,
        filter: &Operations,
        paging: &Paging,
    ) -> Result<Page<Operation>, Problem> {
        asked.may(Action::OperationRead, &Resource::List)?;
        let reach = asked.actor()?.projects();
        let object = filter.object.map(|object| ("object", object.to_string()));
        let state = filter.state.map(|state| ("state", state.to_string()));
        let equals: Vec<_> = object.into_iter().chain(state).collect();
        let mut items = match (filter.project, reach) {
            (None, Reach::All) => self.operations_after(equals, paging).await?,
            (Some(project), reach) if reach.has(&project) => self.operations_in(&[project], &equals, paging).await?,
            (Some(project), _) => return Err(super::missing(ProjectId::NOUN, project.0)),
            (None, Reach::Only(projects)) => {
                let projects: Vec<_> = projects.into_iter().collect();
                self.operations_in(&projects, &equals, paging).await?
            }
        };
        let more = items.len() > paging.limit as usize;
        items.truncate(paging.limit as usize);
        let next = items
            .last()
            .filter(|_| more)
            .map(|last| Place(String::new(), last.id.0).write());
        Ok(Page { items, next })
    }

    /// All that changed something in a project, the newest first.
    pub async fn history_of_project(&self, asked: &Asked, project: ProjectId) -> Result<Vec<Operation>, Problem> {
        self.project_may(asked, Action::OperationRead, project).await?;
        let mut found = self.every_operation("project", project.0).await?;
        found.sort_by(newest_first);
        Ok(found)
    }

    /// All that changed one object, the newest first, also when it is gone; none if the caller may not know of it.
    pub async fn history_of(&self, asked: &Asked, object: Uuid) -> Result<Vec<Operation>, Problem> {
        asked.may(Action::OperationRead, &Resource::List)?;
        let reach = asked.actor()?.projects();
        let mut found = self.every_operation("object", object).await?;
        found.retain(|operation| operation.project.is_some_and(|project| reach.has(&project)));
        found.sort_by(newest_first);
        Ok(found)
    }

    async fn every_operation(&self, index: &'static str, key: Uuid) -> Result<Vec<Operation>, Problem> {
        let rows = self.every::<Operation>(index, &key.to_string()).await?;
        Ok(rows.into_iter().map(|row| row.value).collect())
    }

    /// One. Those of a project that is gone are for administrators.
    pub async fn operation(&self, asked: &Asked, id: OperationId) -> Result<Versioned<Operation>, Problem> {
        asked.may(Action::OperationRead, &Resource::List)?;
        let found = self.get::<Operation>(NOUN, id.0).await?;
        let reach = asked.actor()?.projects();
        let seen = found
            .value
            .project
            .map_or(reach == Reach::All, |project| reach.has(&project));
        if seen {
            Ok(found.into())
        } else {
            Err(super::missing(NOUN, id.0))
        }
    }

    /// A page over these projects together, and one more if there is one. Few belong to many projects, so that a query for
    /// each is cheaper than an index over all of them.
    async fn operations_in(
        &self,
        projects: &[ProjectId],
        equals: &[(&'static str, String)],
        paging: &Paging,
    ) -> Result<Vec<Operation>, Problem> {
        let mut items = Vec::new();
        for project in projects {
            let project = ("project", project.to_string());
            let equals = equals.iter().cloned().chain([project]).collect();
            items.append(&mut self.operations_after(equals, paging).await?);
            items.sort_unstable_by_key(|operation: &Operation| operation.id);
            items.truncate(paging.limit as usize + 1);
        }
        Ok(items)
    }

    async fn operations_after(
        &self,
        equals: Vec<(&'static str, String)>,
        paging: &Paging,
    ) -> Result<Vec<Operation>, Problem> {
        let query = ListQuery {
            equals,
            ids: None,
            after: paging.after.clone().map(|Place(key, id)| (key, id)),
            order: None,
            limit: paging.limit + 1,
        };
        let rows = self
            .store
            .read
            .list::<Operation>(&query)
            .await
            .map_err(|error| super::state(&error))?;
        Ok(rows.into_iter().map(|row| row.value).collect())
    }
}

/// What was asked for last stands first; of what one request has asked for together, what it named last.
fn newest_first(one: &Operation, other: &Operation) -> std::cmp::Ordering {
    (other.created, other.id).cmp(&(one.created, one.id))
}

#[cfg(test)]
mod tests {
    use renkei_types::problem::ProblemKind;
    use renkei_types::role::Role;

    use super::super::member::Seat;
    use super::super::trial::{Trial, done, first_page, planned, refused};
    use super::*;

    #[tokio::test]
    async fn what_changes_is_told_once_and_what_does_not_is_not() {
        let trial = Trial::new().await;
        let (admin, bob) = (trial.by(trial.admin).await, trial.user("bob").await);
        let seat = Seat {
            project: trial.project("Lab", trial.admin).await,
            user: bob,
        };
        trial
            .app
            .set_member(&planned(admin.clone()), seat, Role::Reader)
            .await
            .unwrap();
        for role in [Role::Reader, Role::Reader, Role::Member] {
            done(trial.app.set_member(&admin, seat, role).await);
        }
        let member = trial.app.member(&admin, seat).await.unwrap();
        done(trial.app.delete_member(&admin, seat).await);
        let filter = Operations {
            object: Some(member.value.id.0),
            ..Operations::default()
        };
        let told = trial
            .app
            .operations(&admin, &filter, &first_page())
            .await
            .unwrap()
            .items;
        assert_eq!(
            told.iter().map(|operation| operation.generation.0).collect::<Vec<_>>(),
            [1, 2, 3]
        );
        assert!(
            told.iter()
                .all(|operation| operation.state == OperationState::Done && operation.ended.is_some())
        );
        let running = Operations {
            state: Some(OperationState::Running),
            ..filter
        };
        assert!(
            trial
                .app
                .operations(&admin, &running, &first_page())
                .await
                .unwrap()
                .items
                .is_empty()
        );
    }

    #[tokio::test]
    async fn a_member_reads_those_of_all_own_projects_page_by_page_and_no_others() {
        let trial = Trial::new().await;
        let ann = trial.user("ann").await;
        let (lab, other) = (
            trial.project("Lab", ann).await,
            trial.project("other", trial.admin).await,
        );
        let second = trial.project("second", ann).await;
        trial.seat(lab, trial.admin, Role::Reader).await;
        let asked = trial.by(ann).await;
        let mut projects = Vec::new();
        let mut after = None;
        loop {
            let paging = Paging::new(Some(1), after.as_deref()).unwrap();
            let page = trial
                .app
                .operations(&asked, &Operations::default(), &paging)
                .await
                .unwrap();
            projects.extend(page.items.into_iter().filter_map(|operation| operation.project));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(projects, [lab, second, lab]);
        let theirs = Operations {
            project: Some(other),
            ..Operations::default()
        };
        assert_eq!(
            refused(trial.app.operations(&asked, &theirs, &first_page()).await).kind,
            ProblemKind::NotFound
        );
        let admin = trial.by(trial.admin).await;
        let told = trial
            .app
            .operations(&admin, &theirs, &first_page())
            .await
            .unwrap()
            .items;
        assert_eq!(
            refused(trial.app.operation(&asked, told[0].id).await).kind,
            ProblemKind::NotFound
        );
        assert_eq!(trial.app.operation(&admin, told[0].id).await.unwrap().value, told[0]);
    }
}
