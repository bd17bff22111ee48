//! What the tests of this folder stand on: a hub in memory, with people in it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use renkei_policy::Caller;
use renkei_policy::actor::{Actor, Credential, Membership};
use renkei_store::noun::user::Account;
use renkei_store::{Batch, CommitError, Store};
use renkei_types::action::Scope;
use renkei_types::change::Plan;
use renkei_types::event::Doer;
use renkei_types::id::{OrganizationId, ProjectId, SiteId, TokenId, UserId};
use renkei_types::member::Member;
use renkei_types::organization::Organization;
use renkei_types::problem::Problem;
use renkei_types::project::{NewProject, Project, ProjectType};
use renkei_types::quota::Amounts;
use renkei_types::role::Role;
use renkei_types::site::Site;
use renkei_types::token::TokenKind;
use renkei_types::user::User;
use serde::Serialize;
use uuid::Uuid;

use super::decision::Decision;
use super::member::Seat;
use super::quota::Share;
use super::{Answer, App, Asked, Mode, Versioned};

/// A hub with an organization and an administrator.
pub struct Trial {
    pub app: App,
    pub organization: OrganizationId,
    pub admin: UserId,
}

impl Trial {
    pub async fn new() -> Self {
        let mut trial = Self::over(App::new(Store::memory())).await;
        trial.admin = trial.account("admin", |user| user.administrator = true).await;
        trial
    }

    /// The same over what is there already; the administrator is the one called `admin`, if there is one.
    pub async fn over(app: App) -> Self {
        let organization = OrganizationId(Uuid::now_v7());
        let mut batch = Batch::new();
        batch.insert(&Organization {
            id: organization,
            name: "university".parse().unwrap(),
            description: String::new(),
            created: Timestamp::now(),
            freeze: None,
        });
        app.store.state.commit(batch).await.unwrap();
        let users = app.store.state.all::<Account>(None, 100).await.unwrap();
        let admin = users.iter().find(|account| account.value.user.name.as_str() == "admin");
        let admin = admin.map_or(UserId(Uuid::nil()), |account| account.value.user.id);
        Self {
            app,
            organization,
            admin,
        }
    }

    pub async fn user(&self, name: &str) -> UserId {
        self.account(name, |_| {}).await
    }

    /// One who is there.
    pub async fn named(&self, name: &str) -> UserId {
        let found = self.app.find::<Account>("name", name).await.unwrap();
        found.unwrap().value.user.id
    }

    pub async fn account(&self, name: &str, change: impl FnOnce(&mut User)) -> UserId {
        let mut user = User {
            id: UserId(Uuid::now_v7()),
            name: name.parse().unwrap(),
            full_name: String::new(),
            email: String::new(),
            administrator: false,
            enabled: true,
            created: Timestamp::now(),
            freeze: None,
        };
        change(&mut user);
        let id = user.id;
        let mut batch = Batch::new();
        batch.insert(&Account {
            user,
            password: None,
            must_change: false,
            token_epoch: 0,
        });
        self.app.store.state.commit(batch).await.unwrap();
        id
    }

    /// What `user` asks with a session, as things are now.
    pub async fn by(&self, user: UserId) -> Asked {
        let account = self.app.get::<Account>(UserId::NOUN, user.0).await.unwrap().value.user;
        let now = Timestamp::now();
        let mut memberships = std::collections::BTreeMap::new();
        for Member { project, role, .. } in self.members("user", user.0).await {
            let organization = self
                .app
                .get::<Project>(ProjectId::NOUN, project.0)
                .await
                .unwrap()
                .value
                .organization;
            memberships.insert(project, Membership { organization, role });
        }
        let sites = self.app.store.state.all::<Site>(None, 100).await.unwrap();
        let operated = sites.iter().filter(|site| site.value.operators.contains(&user));
        let credential = Credential {
            token: TokenId(Uuid::now_v7()),
            kind: TokenKind::Session,
            scopes: BTreeSet::from([Scope::everything()]),
            project: None,
            expires: Timestamp::MAX,
            freeze: None,
        };
        let actor = Actor {
            user,
            name: account.name,
            administrator: account.administrator,
            freeze: account.freeze,
            memberships,
            operates: operated.map(|site| site.value.id).collect(),
            credential,
        };
        let doer = Doer {
            user: Some(user),
            ..Doer::default()
        };
        Asked {
            caller: Caller::Known(Box::new(actor)),
            doer,
            now,
            mode: Mode::Apply,
            seen: None,
            once: None,
        }
    }

    /// A project that `owner` owns.
    pub async fn project(&self, name: &str, owner: UserId) -> ProjectId {
        let made = self
            .app
            .create_project(&self.by(self.admin).await, self.wanted(name, owner))
            .await;
        done(made).value.id
    }

    pub fn wanted(&self, name: &str, owner: UserId) -> NewProject {
        NewProject {
            organization: self.organization,
            name: name.parse().unwrap(),
            kind: ProjectType::Shared,
            description: String::new(),
            contact: String::new(),
            institution: String::new(),
            expires: None,
            default_site: None,
            owner: Some(owner),
        }
    }

    pub async fn seat(&self, project: ProjectId, user: UserId, role: Role) -> Seat {
        let seat = Seat { project, user };
        done(self.app.set_member(&self.by(self.admin).await, seat, role).await);
        seat
    }

    pub async fn site(&self, name: &str, operators: &[UserId]) -> SiteId {
        let new = renkei_types::site::NewSite {
            name: name.parse().unwrap(),
            description: String::new(),
            operators: operators.iter().copied().collect(),
        };
        done(self.app.create_site(&self.by(self.admin).await, new).await)
            .value
            .id
    }

    pub async fn quota(&self, project: ProjectId, site: SiteId, vms: u32) -> Share {
        let share = Share { project, site };
        let limit = Amounts {
            vms,
            ..Amounts::default()
        };
        done(self.app.set_quota(&self.by(self.admin).await, share, limit).await);
        share
    }

    /// The memberships with this key.
    pub async fn members(&self, index: &'static str, key: Uuid) -> Vec<Member> {
        let rows = self.app.every::<Member>(index, &key.to_string()).await.unwrap();
        rows.into_iter().map(|row| row.value).collect()
    }

    /// Writes a decision that was made some time ago.
    pub async fn commit<T: Serialize>(&self, asked: &Asked, decision: Decision<T>) -> Result<(), CommitError> {
        let (batch, _) = decision.into_batch(asked).unwrap();
        self.app.store.state.commit(batch).await
    }
}

pub fn planned(asked: Asked) -> Asked {
    Asked {
        mode: Mode::Plan,
        ..asked
    }
}

pub fn done<T: std::fmt::Debug>(answer: Result<Answer<T>, Problem>) -> T {
    match answer.unwrap() {
        Answer::Done(done) => done,
        Answer::Planned(plan) => panic!("only a plan: {plan:?}"),
    }
}

pub fn plan<T: std::fmt::Debug>(answer: Result<Answer<T>, Problem>) -> Plan {
    match answer.unwrap() {
        Answer::Planned(plan) => plan,
        Answer::Done(done) => panic!("it was done: {done:?}"),
    }
}

/// What was refused.
pub fn refused<T: std::fmt::Debug>(answer: Result<T, Problem>) -> Problem {
    answer.unwrap_err()
}

/// The first page.
pub fn first_page() -> super::list::Paging {
    super::list::Paging::new(None, None).unwrap()
}

/// Seen at this version.
pub fn seen<T>(asked: Asked, object: &Versioned<T>) -> Asked {
    Asked {
        seen: Some(object.version),
        ..asked
    }
}
