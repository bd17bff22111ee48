//! From a credential to somebody who may do things: the one place for every kind of credential.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use renkei_policy::actor;
use renkei_policy::actor::{Actor, Membership, Shown};
use renkei_policy::secret::Secret;
use renkei_store::noun::token::Credential;
use renkei_store::noun::user::Account;
use renkei_types::id::{ProjectId, SiteId, UserId};
use renkei_types::member::Member;
use renkei_types::problem::Problem;
use renkei_types::project::Project;
use renkei_types::site::Site;

use super::App;
use crate::problem::unauthenticated;

/// How far behind `last_used` may be, minutes: a write for each request would cost more than the request.
const USED_EVERY: i64 = 5;

impl App {
    /// Who shows this secret of a token.
    ///
    /// # Errors
    ///
    /// 401 without saying more than its owner may know.
    pub async fn verify(&self, secret: &str, now: Timestamp) -> Result<Actor, Problem> {
        let secret = Secret::parse(secret).map_err(|error| unauthenticated(error.to_string()))?;
        let found = self
            .find::<Credential>("secret_hash", &super::session::hash(&secret))
            .await?;
        let Some(credential) = found else {
            return Err(unauthenticated("this token is not known, or was revoked"));
        };
        let account = self.account_of(credential.value.token.user).await?;
        self.used(&credential, now);
        self.shown(account, Shown::Token(credential.value.token), now).await
    }

    /// Who shows this signed token of the mdx dialect, or a secret as [`App::verify`] takes it.
    ///
    /// # Errors
    ///
    /// 401 without saying more than its owner may know.
    pub async fn verify_mdx(&self, text: &str, now: Timestamp) -> Result<Actor, Problem> {
        if text.starts_with(renkei_policy::secret::PREFIX) {
            return self.verify(text, now).await;
        }
        let claims = self.claims(text).await?;
        let account = self.account_of(claims.user_id).await?;
        self.shown(account, Shown::Jwt(claims), now).await
    }

    async fn account_of(&self, user: UserId) -> Result<Account, Problem> {
        let found = self.store.state.get::<Account>(user.0).await;
        match found.map_err(|error| super::state(&error))? {
            Some(account) => Ok(account.value),
            None => Err(unauthenticated("the user of this token is gone")),
        }
    }

    async fn shown(&self, account: Account, shown: Shown, now: Timestamp) -> Result<Actor, Problem> {
        let facts = self.facts(account).await?;
        Actor::verify(facts, shown, now).map_err(|error| unauthenticated(error.to_string()))
    }

    async fn facts(&self, account: Account) -> Result<actor::Account, Problem> {
        let user = account.user.id;
        Ok(actor::Account {
            user: account.user,
            memberships: self.memberships(user).await?,
            operates: self.operated(user).await?,
            token_epoch: account.token_epoch,
        })
    }

    async fn memberships(&self, user: UserId) -> Result<BTreeMap<ProjectId, Membership>, Problem> {
        let mut memberships = BTreeMap::new();
        for member in self.every::<Member>("user", &user.to_string()).await? {
            let Member { project, role, .. } = member.value;
            let found = self
                .store
                .state
                .get::<Project>(project.0)
                .await
                .map_err(|error| super::state(&error))?;
            if let Some(found) = found {
                memberships.insert(
                    project,
                    Membership {
                        organization: found.value.organization,
                        role,
                    },
                );
            }
        }
        Ok(memberships)
    }

    /// A hub has few sites.
    async fn operated(&self, user: UserId) -> Result<BTreeSet<SiteId>, Problem> {
        let sites = self
            .store
            .state
            .all::<Site>(None, 1000)
            .await
            .map_err(|error| super::state(&error))?;
        let operated = sites.iter().filter(|site| site.value.operators.contains(&user));
        Ok(operated.map(|site| site.value.id).collect())
    }

    /// Notes that a token was shown, beside the request; if somebody else changes the token at that moment, they are right.
    fn used(&self, credential: &renkei_store::Stored<Credential>, now: Timestamp) {
        let last = credential.value.token.last_used;
        if last.is_some_and(|last| now.duration_since(last).as_mins() < USED_EVERY) {
            return;
        }
        let mut new = credential.value.clone();
        new.token.last_used = Some(now);
        let mut batch = renkei_store::Batch::new();
        batch.update(credential, &new);
        let state = self.store.state.clone();
        tokio::spawn(async move {
            if let Err(error) = state.commit(batch).await {
                tracing::debug!(
                    error = crate::problem::chain(&error),
                    "the last use of a token was not noted"
                );
            }
        });
    }
}
