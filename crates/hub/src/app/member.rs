//! Members of projects. A project never loses its last owner.

use renkei_store::Stored;
use renkei_store::noun::pair;
use renkei_store::noun::user::Account;
use renkei_types::action::Action;
use renkei_types::id::{MemberId, ProjectId, UserId};
use renkei_types::member::Member;
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::role::Role;
use uuid::Uuid;

use super::decision::{Decision, Draft};
use super::list::Paging;
use super::operation::Recorded;
use super::project::Tenant;
use super::{Answer, App, Asked, Versioned};

const VERB: Action = Action::MemberWrite;

/// A place in a project that a user has, or is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// In this project.
    pub project: ProjectId,
    /// Whose.
    pub user: UserId,
}

impl App {
    /// The members of a project, in the order of the users' ids; only one of them, if a user is named.
    pub async fn members(
        &self,
        asked: &Asked,
        project: ProjectId,
        user: Option<UserId>,
        paging: &Paging,
    ) -> Result<Page<Member>, Problem> {
        self.project_may(asked, Action::MemberRead, project).await?;
        let user = user.map(|user| ("user", user.to_string()));
        let equals = [("project", project.to_string())].into_iter().chain(user).collect();
        self.page::<Member>(paging, Some("pair"), equals, None).await
    }

    /// All members of a project.
    pub async fn every_member(&self, asked: &Asked, project: ProjectId) -> Result<Vec<Member>, Problem> {
        self.project_may(asked, Action::MemberRead, project).await?;
        let rows = self.every::<Member>("project", &project.to_string()).await?;
        Ok(rows.into_iter().map(|row| row.value).collect())
    }

    /// All members of a project, with where mail reaches them for those who may change who is in it.
    pub async fn people(&self, asked: &Asked, project: ProjectId) -> Result<Vec<(Member, Option<String>)>, Problem> {
        let tenant = self.tenant(project).await?;
        let members = self.every_member(asked, project).await?;
        if tenant.may(asked, VERB).is_err() {
            return Ok(members.into_iter().map(|member| (member, None)).collect());
        }
        let mut people = Vec::new();
        for member in members {
            let account = self.store.state.get::<Account>(member.user.0).await;
            let account = account.map_err(|error| super::state(&error))?;
            people.push((member, account.map(|account| account.value.user.email)));
        }
        Ok(people)
    }

    /// One.
    pub async fn member(&self, asked: &Asked, seat: Seat) -> Result<Versioned<Member>, Problem> {
        let tenant = self.tenant(seat.project).await?;
        tenant.may(asked, Action::MemberRead)?;
        Ok(self.seated(&tenant, seat.user).await?.into())
    }

    /// Gives a user a role in a project.
    pub async fn set_member(
        &self,
        asked: &Asked,
        seat: Seat,
        role: Role,
    ) -> Result<Answer<Versioned<Member>>, Problem> {
        self.decide(asked, || self.member_setting(asked, seat, role)).await
    }

    /// Takes a user out of a project; whoever is in one may leave it.
    pub async fn delete_member(&self, asked: &Asked, seat: Seat) -> Result<Answer<()>, Problem> {
        self.decide(asked, || self.member_deletion(asked, seat)).await
    }

    /// A user whom another object is to name in `field`. Whoever writes that object touches the account, so that the user is
    /// not deleted beside it.
    pub(super) async fn account_to_name(&self, field: &str, id: UserId) -> Result<Stored<Account>, Problem> {
        let found = self
            .store
            .state
            .get::<Account>(id.0)
            .await
            .map_err(|error| super::state(&error))?;
        let Some(account) = found else {
            let problem = Problem::new(ProblemKind::Invalid, format!("there is no user `{id}`")).field(field);
            return Err(problem.hint("`renkei user list` shows those that there are"));
        };
        enabled(account).map_err(|problem| problem.field(field))
    }

    async fn member_setting(
        &self,
        asked: &Asked,
        seat: Seat,
        role: Role,
    ) -> Result<Decision<Versioned<Member>>, Problem> {
        let tenant = self.tenant(seat.project).await?;
        tenant.may(asked, VERB)?;
        match self.find::<Member>("pair", &pair(seat.project.0, seat.user.0)).await? {
            Some(old) => self.member_change(asked, &tenant, &old, role).await,
            None => self.member_addition(asked, &tenant, seat.user, role).await,
        }
    }

    async fn member_addition(
        &self,
        asked: &Asked,
        tenant: &Tenant,
        user: UserId,
        role: Role,
    ) -> Result<Decision<Versioned<Member>>, Problem> {
        asked.not_there()?;
        let account = enabled(self.get::<Account>(UserId::NOUN, user.0).await?)?;
        let new = Member {
            id: MemberId(Uuid::now_v7()),
            project: tenant.project.value.id,
            user,
            user_name: account.value.user.name.clone(),
            role,
            created: asked.now,
        };
        let mut draft = Draft::new();
        tenant.extend(&mut draft);
        draft.touch(&account);
        let made = Recorded { asked, verb: VERB }.create(&mut draft, new)?;
        Ok(draft.answer(made))
    }

    async fn member_change(
        &self,
        asked: &Asked,
        tenant: &Tenant,
        old: &Stored<Member>,
        role: Role,
    ) -> Result<Decision<Versioned<Member>>, Problem> {
        asked.unchanged(old.version)?;
        let mut draft = Draft::new();
        tenant.expect(&mut draft);
        if role > old.value.role {
            let account = self.get::<Account>(UserId::NOUN, old.value.user.0).await?;
            draft.expect(&enabled(account)?);
        } else if role < old.value.role {
            self.expect_another_owner(&mut draft, tenant, &old.value).await?;
        }
        let new = Member {
            role,
            ..old.value.clone()
        };
        let changed = Recorded { asked, verb: VERB }.change(&mut draft, old, new)?;
        Ok(draft.answer(changed))
    }

    async fn member_deletion(&self, asked: &Asked, seat: Seat) -> Result<Decision<()>, Problem> {
        let tenant = self.tenant(seat.project).await?;
        match tenant.may(asked, VERB) {
            Err(_) if asked.actor()?.user == seat.user => tenant.may(asked, Action::MemberLeave)?,
            may => may?,
        }
        let old = self.seated(&tenant, seat.user).await?;
        asked.unchanged(old.version)?;
        let mut draft = Draft::new();
        tenant.expect(&mut draft);
        self.expect_another_owner(&mut draft, &tenant, &old.value).await?;
        Recorded { asked, verb: VERB }.delete(&mut draft, &old)?;
        Ok(draft.answer(()))
    }

    /// If `leaving` is an owner: the decision rests on another one who stays.
    async fn expect_another_owner(&self, draft: &mut Draft, tenant: &Tenant, leaving: &Member) -> Result<(), Problem> {
        if leaving.role != Role::Owner {
            return Ok(());
        }
        let members = self.every::<Member>("project", &leaving.project.to_string()).await?;
        let stays = |member: &&Stored<Member>| member.value.role == Role::Owner && member.value.id != leaving.id;
        let Some(other) = members.iter().find(stays) else {
            let (user, project) = (&leaving.user_name, &tenant.project.value.name);
            let problem = format!("`{user}` is the last owner of project `{project}`");
            return Err(Problem::new(ProblemKind::Conflict, problem).hint("make another user an owner first"));
        };
        draft.expect(other);
        Ok(())
    }

    async fn seated(&self, tenant: &Tenant, user: UserId) -> Result<Stored<Member>, Problem> {
        let project = &tenant.project.value;
        let found = self.find::<Member>("pair", &pair(project.id.0, user.0)).await?;
        found.ok_or_else(|| {
            let problem = format!("project `{}` has no member `{user}`", project.name);
            Problem::new(ProblemKind::NotFound, problem).hint("`renkei member list` shows those that it has")
        })
    }
}

/// Who cannot sign in is not given anything to do.
fn enabled(account: Stored<Account>) -> Result<Stored<Account>, Problem> {
    let user = &account.value.user;
    if user.enabled {
        return Ok(account);
    }
    let problem = Problem::new(ProblemKind::Conflict, format!("user `{}` is not enabled", user.name));
    Err(problem.hint("choose another user, or ask an administrator to enable this one"))
}

#[cfg(test)]
mod tests {
    use renkei_store::CommitError;

    use super::super::trial::{Trial, done, first_page, refused, seen};
    use super::*;

    #[tokio::test]
    async fn the_last_owner_stays() {
        let trial = Trial::new().await;
        let (ann, bob) = (trial.user("ann").await, trial.user("bob").await);
        let project = trial.project("Lab", ann).await;
        let seat = Seat { project, user: ann };
        trial.seat(project, bob, Role::Operator).await;
        let asked = trial.by(ann).await;
        let problem = refused(trial.app.delete_member(&asked, seat).await);
        assert_eq!(problem.kind, ProblemKind::Conflict);
        assert!(problem.hint.is_some());
        assert_eq!(
            refused(trial.app.set_member(&asked, seat, Role::Operator).await).kind,
            ProblemKind::Conflict
        );
        trial.seat(project, bob, Role::Owner).await;
        done(trial.app.delete_member(&asked, seat).await);
    }

    #[tokio::test]
    async fn two_owners_who_turn_each_other_out_do_not_both_succeed() {
        let trial = Trial::new().await;
        let (ann, bob) = (trial.user("ann").await, trial.user("bob").await);
        let project = trial.project("Lab", ann).await;
        let (ann_in, bob_in) = (Seat { project, user: ann }, trial.seat(project, bob, Role::Owner).await);
        let (by_ann, by_bob) = (trial.by(ann).await, trial.by(bob).await);
        let first = trial.app.member_deletion(&by_ann, bob_in).await.unwrap();
        let second = trial.app.member_setting(&by_bob, ann_in, Role::Reader).await.unwrap();
        trial.commit(&by_ann, first).await.unwrap();
        assert!(matches!(
            trial.commit(&by_bob, second).await,
            Err(CommitError::Stale { .. })
        ));
        assert_eq!(trial.members("project", project.0).await.len(), 1);
    }

    #[tokio::test]
    async fn nobody_is_made_a_member_while_their_account_is_changed() {
        let trial = Trial::new().await;
        let (admin, bob) = (trial.by(trial.admin).await, trial.user("bob").await);
        let seat = Seat {
            project: trial.project("Lab", trial.admin).await,
            user: bob,
        };
        let addition = trial.app.member_setting(&admin, seat, Role::Member).await.unwrap();
        let account = trial.app.get::<Account>("user", bob.0).await.unwrap();
        let mut batch = renkei_store::Batch::new();
        batch.delete(&account);
        trial.app.store.state.commit(batch).await.unwrap();
        assert!(matches!(
            trial.commit(&admin, addition).await,
            Err(CommitError::Stale { .. })
        ));
        assert_eq!(
            refused(trial.app.set_member(&admin, seat, Role::Member).await).kind,
            ProblemKind::NotFound
        );
    }

    #[tokio::test]
    async fn an_account_that_was_disabled_gets_no_role_and_can_lose_one() {
        let trial = Trial::new().await;
        let admin = trial.by(trial.admin).await;
        let old = trial.account("old", |user| user.enabled = false).await;
        let project = trial.project("Lab", trial.admin).await;
        let problem = refused(
            trial
                .app
                .set_member(&admin, Seat { project, user: old }, Role::Reader)
                .await,
        );
        assert_eq!(problem.kind, ProblemKind::Conflict);
        let bob = trial.user("bob").await;
        let seat = trial.seat(project, bob, Role::Member).await;
        let account = trial.app.get::<Account>("user", bob.0).await.unwrap();
        let mut new = account.value.clone();
        new.user.enabled = false;
        let mut batch = renkei_store::Batch::new();
        batch.update(&account, &new);
        trial.app.store.state.commit(batch).await.unwrap();
        assert_eq!(
            refused(trial.app.set_member(&admin, seat, Role::Operator).await).kind,
            ProblemKind::Conflict
        );
        done(trial.app.set_member(&admin, seat, Role::Reader).await);
    }

    #[tokio::test]
    async fn only_owners_change_members_and_all_members_see_them() {
        let trial = Trial::new().await;
        let (ann, bob) = (trial.user("ann").await, trial.user("bob").await);
        let project = trial.project("Lab", ann).await;
        let seat = trial.seat(project, bob, Role::Operator).await;
        let asked = trial.by(bob).await;
        assert_eq!(
            refused(trial.app.set_member(&asked, seat, Role::Owner).await).kind,
            ProblemKind::Forbidden
        );
        assert_eq!(
            trial
                .app
                .members(&asked, project, None, &first_page())
                .await
                .unwrap()
                .items
                .len(),
            2
        );
        let one = trial
            .app
            .members(&asked, project, Some(bob), &first_page())
            .await
            .unwrap();
        assert_eq!(one.items.iter().map(|member| member.user).collect::<Vec<_>>(), [bob]);
        let stranger = trial.by(trial.user("eve").await).await;
        let problem = refused(trial.app.members(&stranger, project, None, &first_page()).await);
        assert_eq!(problem.kind, ProblemKind::NotFound);
    }

    #[tokio::test]
    async fn a_member_who_was_seen_and_is_gone_is_not_made_anew() {
        let trial = Trial::new().await;
        let (admin, bob) = (trial.by(trial.admin).await, trial.user("bob").await);
        let project = trial.project("Lab", trial.admin).await;
        let seat = trial.seat(project, bob, Role::Member).await;
        let was = trial.app.member(&admin, seat).await.unwrap();
        done(trial.app.delete_member(&admin, seat).await);
        let problem = refused(trial.app.set_member(&seen(admin, &was), seat, Role::Reader).await);
        assert_eq!(problem.kind, ProblemKind::Changed);
    }
    #[tokio::test]
    async fn no_account_is_deleted_beside_a_membership_that_it_gets() {
        let trial = Trial::new().await;
        let bob = trial.user("bob").await;
        let seen = trial.app.get::<Account>("user", bob.0).await.unwrap();
        trial
            .seat(trial.project("Lab", trial.admin).await, bob, Role::Reader)
            .await;
        let mut deletion = renkei_store::Batch::new();
        deletion.delete(&seen);
        let late = trial.app.store.state.commit(deletion).await;
        assert!(matches!(late, Err(CommitError::Stale { .. })));
    }
}
