//! Users and their passwords.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use renkei_policy::Resource;
use renkei_policy::limit::{self, Key};
use renkei_policy::password::{self, PasswordHash};
use renkei_store::Stored;
use renkei_store::noun::token::Credential;
use renkei_store::noun::user::Account;
use renkei_types::action::Action;
use renkei_types::freeze::NewFreeze;
use renkei_types::id::UserId;
use renkei_types::member::Member;
use renkei_types::name::UserName;
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::token::TokenKind;
use renkei_types::user::{KnownUser, NewPassword, NewUser, User, UserPatch};
use uuid::Uuid;

use super::decision::Draft;
use super::list::{self, Paging};
use super::{Answer, App, Asked, Mode, Versioned};

const NOUN: &str = UserId::NOUN;

impl App {
    /// Those whose accounts the caller may see, in the order of their names.
    pub async fn users(&self, asked: &Asked, name: Option<&UserName>, paging: &Paging) -> Result<Page<User>, Problem> {
        asked.may(Action::UserRead, &Resource::List)?;
        let equals = name.map(|name| ("name", name.to_string())).into_iter().collect();
        let only = list::only(asked.actor()?.users(), |id| id.0);
        let page = self.page::<Account>(paging, Some("name"), equals, only).await?;
        Ok(Page {
            items: page.items.into_iter().map(|account| account.user).collect(),
            next: page.next,
        })
    }

    /// One.
    pub async fn user(&self, asked: &Asked, id: UserId) -> Result<Versioned<User>, Problem> {
        asked.may(Action::UserRead, &Resource::User(id))?;
        Ok(shown(self.get::<Account>(NOUN, id.0).await?))
    }

    /// Whom a name means, for those who make members.
    pub async fn known_user(&self, asked: &Asked, name: &UserName) -> Result<KnownUser, Problem> {
        let found = self.find::<Account>("name", name.as_str()).await?;
        // Who may look up nobody learns nothing of who is there.
        let id = found.as_ref().map_or(UserId(Uuid::nil()), |found| found.value.user.id);
        asked.may(Action::UserRead, &Resource::UserName(id))?;
        let Some(found) = found else {
            return Err(Problem::new(
                ProblemKind::NotFound,
                format!("there is no user `{name}`"),
            ));
        };
        let User {
            id, name, full_name, ..
        } = found.value.user;
        Ok(KnownUser { id, name, full_name })
    }

    /// What those are called who did something that the caller may see.
    pub async fn user_names(&self, users: BTreeSet<UserId>) -> Result<BTreeMap<UserId, String>, Problem> {
        let mut names = BTreeMap::new();
        for id in users {
            let found = self.store.state.get::<Account>(id.0).await;
            if let Some(account) = found.map_err(|error| super::state(&error))? {
                names.insert(id, account.value.user.name.to_string());
            }
        }
        Ok(names)
    }

    /// Makes one.
    pub async fn create_user(&self, asked: &Asked, new: NewUser) -> Result<Answer<Versioned<User>>, Problem> {
        let answer = async {
            asked.may(Action::UserAdminister, &Resource::Hub)?;
            bounded(Some(&new.full_name), Some(&new.email))?;
            let hash = match new.password.clone() {
                Some(chosen) => Some(hashed(asked, chosen, &new.name, "password").await?),
                None => None,
            };
            self.decide(asked, || async {
                if self.find::<Account>("name", new.name.as_str()).await?.is_some() {
                    return Err(super::taken(NOUN, new.name.as_str()));
                }
                let user = User {
                    id: UserId(Uuid::now_v7()),
                    name: new.name.clone(),
                    full_name: new.full_name.clone(),
                    email: new.email.clone(),
                    administrator: new.administrator,
                    enabled: true,
                    created: asked.now,
                    freeze: None,
                };
                let must_change = hash.is_some();
                let account = Account {
                    user: user.clone(),
                    password: hash.clone(),
                    must_change,
                    token_epoch: 0,
                };
                let mut draft = Draft::new();
                draft.create(&account);
                Ok(draft.answer(Versioned::first(user)))
            })
            .await
        };
        asked.told(answer.await)
    }

    /// Changes one.
    pub async fn change_user(
        &self,
        asked: &Asked,
        id: UserId,
        patch: UserPatch,
    ) -> Result<Answer<Versioned<User>>, Problem> {
        let answer = async {
            bounded(patch.full_name.as_deref(), patch.email.as_deref())?;
            asked.may(Action::UserWrite, &Resource::User(id))?;
            // The answer tells all of the account. Whoever has to choose a password first may only do that.
            asked.may(Action::UserRead, &Resource::User(id))?;
            if patch.administrator.is_some() || patch.enabled.is_some() {
                asked.may(Action::UserAdminister, &Resource::User(id))?;
            }
            self.change_account(asked, id, |user| {
                let UserPatch {
                    full_name,
                    email,
                    administrator,
                    enabled,
                } = patch.clone();
                User {
                    full_name: full_name.unwrap_or_else(|| user.full_name.clone()),
                    email: email.unwrap_or_else(|| user.email.clone()),
                    administrator: administrator.unwrap_or(user.administrator),
                    enabled: enabled.unwrap_or(user.enabled),
                    ..user.clone()
                }
            })
            .await
        };
        asked.told(answer.await)
    }

    /// Deletes one, with all tokens, who is in no project any more.
    pub async fn delete_user(&self, asked: &Asked, id: UserId) -> Result<Answer<()>, Problem> {
        let answer = async {
            asked.may(Action::UserAdminister, &Resource::User(id))?;
            self.decide(asked, || async {
                let old = self.get::<Account>(NOUN, id.0).await?;
                asked.unchanged(old.version)?;
                if let Some(member) = self.every::<Member>("user", &id.to_string()).await?.first() {
                    let name = &old.value.user.name;
                    let title = format!("user `{name}` is still a member of project `{}`", member.value.project);
                    return Err(
                        Problem::new(ProblemKind::Conflict, title).hint("take the user out of its projects first")
                    );
                }
                let mut draft = Draft::new();
                if is_key_holder(&old.value) {
                    self.another_administrator(&mut draft, id).await?;
                }
                for token in self.every::<Credential>("user", &id.to_string()).await? {
                    draft.delete(&token);
                }
                draft.delete(&old);
                Ok(draft.answer(()))
            })
            .await
        };
        asked.told(answer.await)
    }

    /// Sets a password; ends the user's sessions. The tokens of programs go on.
    pub async fn set_password(
        &self,
        asked: &Asked,
        id: UserId,
        new: NewPassword,
    ) -> Result<Answer<Versioned<User>>, Problem> {
        let answer = async {
            asked.may(Action::UserWrite, &Resource::User(id))?;
            let own = asked.actor()?.user == id;
            if !own {
                asked.may(Action::UserAdminister, &Resource::User(id))?;
            }
            let account = self.get::<Account>(NOUN, id.0).await?;
            if own {
                self.current_password(asked, &account.value, new.current.clone())
                    .await?;
            }
            let hash = hashed(asked, new.new.clone(), &account.value.user.name, "new").await?;
            self.decide(asked, || async {
                let old = self.get::<Account>(NOUN, id.0).await?;
                asked.unchanged(old.version)?;
                if old.value.password != account.value.password {
                    let problem = Problem::new(ProblemKind::Conflict, "the password was changed at this moment");
                    return Err(problem.hint("sign in again"));
                }
                let mut draft = Draft::new();
                for token in self.every::<Credential>("user", &id.to_string()).await? {
                    if token.value.token.kind == TokenKind::Session {
                        draft.delete(&token);
                    }
                }
                // Whoever sets another one's password knows it: its owner has to choose one.
                let kept = Account {
                    password: Some(hash.clone()),
                    must_change: !own,
                    // Signed tokens have no row that could be deleted.
                    token_epoch: old.value.token_epoch + 1,
                    ..old.value.clone()
                };
                draft.change(&old, &kept);
                Ok(draft.answer(Versioned {
                    version: old.version + 1,
                    value: kept.user,
                }))
            })
            .await
        };
        asked.told(answer.await)
    }

    /// Freezes one, or lifts the freeze.
    pub async fn freeze_user(
        &self,
        asked: &Asked,
        id: UserId,
        freeze: Option<NewFreeze>,
    ) -> Result<Answer<Versioned<User>>, Problem> {
        let answer = async {
            asked.may(Action::Freeze, &Resource::User(id))?;
            let freeze = freeze.map(|freeze| super::freeze(asked, freeze)).transpose()?;
            self.change_account(asked, id, |user| User {
                freeze: freeze.clone(),
                ..user.clone()
            })
            .await
        };
        asked.told(answer.await)
    }

    /// Makes what may be shown of an account what `changed` says, unless the hub would be left without an administrator.
    async fn change_account(
        &self,
        asked: &Asked,
        id: UserId,
        changed: impl Fn(&User) -> User,
    ) -> Result<Answer<Versioned<User>>, Problem> {
        self.decide(asked, || async {
            let old = self.get::<Account>(NOUN, id.0).await?;
            asked.unchanged(old.version)?;
            let new = Account {
                user: changed(&old.value.user),
                ..old.value.clone()
            };
            let mut draft = Draft::new();
            if is_key_holder(&old.value) && !is_key_holder(&new) {
                self.another_administrator(&mut draft, id).await?;
            }
            draft.change(&old, &new);
            Ok(draft.answer(Versioned::after(&shown_stored(&old), new.user)))
        })
        .await
    }

    /// Refuses whoever does not know the password so far. Counts as signing in does: who has found a session must not find the
    /// password with it.
    async fn current_password(&self, asked: &Asked, account: &Account, said: Option<String>) -> Result<(), Problem> {
        let Some(said) = said else {
            let problem = Problem::new(ProblemKind::Invalid, "the current password is needed").field("current");
            return Err(problem.hint("send it as `current`"));
        };
        let address = asked.doer.address.parse().unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let keys = [Key::account(account.user.name.as_str()), Key::address(address)];
        self.begin(&keys, asked.now).await?;
        let [account_key, address_key] = &keys;
        if self.check(account.password.clone(), said).await? {
            return self.count(account_key, asked.now, |_, _| limit::right()).await;
        }
        self.count(address_key, asked.now, limit::wrong).await?;
        let problem = Problem::new(ProblemKind::Forbidden, "the current password is wrong").field("current");
        Err(problem.hint("an administrator can set a new password"))
    }

    /// A hub without an administrator could never be changed again.
    async fn another_administrator(&self, draft: &mut Draft, except: UserId) -> Result<(), Problem> {
        let mut after = None;
        loop {
            let page = self
                .store
                .state
                .all::<Account>(after, 500)
                .await
                .map_err(|error| super::state(&error))?;
            if let Some(other) = page
                .iter()
                .find(|row| row.value.user.id != except && is_key_holder(&row.value))
            {
                // That one must still be there when this is written.
                draft.expect(other);
                return Ok(());
            }
            match page.last() {
                Some(last) => after = Some(last.value.user.id.0),
                None => break,
            }
        }
        Err(Problem::new(
            ProblemKind::Conflict,
            "this is the last administrator who can do anything",
        )
        .hint("make another user an administrator first"))
    }
}

/// Whether the user can do what only administrators can.
fn is_key_holder(account: &Account) -> bool {
    let User {
        administrator,
        enabled,
        freeze,
        ..
    } = &account.user;
    *administrator && *enabled && freeze.is_none()
}

fn shown(stored: Stored<Account>) -> Versioned<User> {
    Versioned {
        version: stored.version,
        value: stored.value.user,
    }
}

fn shown_stored(stored: &Stored<Account>) -> Stored<User> {
    Stored {
        version: stored.version,
        value: stored.value.user.clone(),
    }
}

fn bounded(full_name: Option<&str>, email: Option<&str>) -> Result<(), Problem> {
    super::text("full_name", full_name.unwrap_or_default(), 254)?;
    super::text("email", email.unwrap_or_default(), 254)
}

/// The new password's hash; nothing is computed for a plan.
async fn hashed(asked: &Asked, chosen: String, name: &UserName, field: &str) -> Result<String, Problem> {
    if let Err(unfit) = password::check_new(&chosen, name) {
        return Err(Problem::new(ProblemKind::Invalid, unfit.to_string()).field(field));
    }
    if asked.mode == Mode::Plan {
        return Ok(String::new());
    }
    match tokio::task::spawn_blocking(move || PasswordHash::new(&chosen)).await {
        Ok(Ok(hash)) => Ok(hash.to_phc()),
        _ => Err(Problem::new(ProblemKind::Internal, "the password could not be hashed")),
    }
}
