//! Sessions of the mdx dialect: signing in, and a new token after each call.
//!
//! Its clients renew their token after every call, so that renewing writes nothing and reads nothing but what this hub has
//! read of the account within the last two seconds. A renewed token stays valid until its own end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use renkei_policy::jwt::{self, Claims, Session};
use renkei_policy::secret;
use renkei_store::noun::user::Account;
use renkei_types::id::{TokenId, UserId};
use renkei_types::problem::{Problem, ProblemKind};

use super::App;
use super::session::{Knock, session_event};
use crate::problem::unauthenticated;

/// How old what a renewal rests on may be.
const FRESH: Duration = Duration::from_secs(2);

/// Accounts as this hub has read them in the last seconds.
#[derive(Debug, Default)]
pub(super) struct Standings(Mutex<HashMap<UserId, Standing>>);

/// What decides whether an account's tokens are renewed. A freeze does not: whoever is frozen shall be told so by what they
/// ask for, and the clients show nothing but a refused renewal if that is refused.
#[derive(Clone, Copy, Debug)]
struct Standing {
    read: Instant,
    enabled: bool,
    epoch: u64,
}

impl App {
    /// A signed token for whoever knows the password. Limits are those of any other way to sign in.
    pub async fn sign_in_mdx(&self, knock: Knock) -> Result<String, Problem> {
        let (doer, now) = (knock.doer.clone(), knock.now);
        let welcome = self.welcome(knock).await?;
        let mut batch = self.begun(&welcome).await?;
        let account = &welcome.account.value;
        if account.must_change {
            self.begin_session(batch).await?;
            let name = &account.user.name;
            let problem = Problem::new(
                ProblemKind::Invalid,
                "this password was given to you: choose your own first",
            );
            return Err(problem.hint(format!(
                "`renkei login --user {name}` asks for one; then sign in here again"
            )));
        }
        let claims = Claims::new(
            Session {
                user: account.user.id,
                username: account.user.name.to_string(),
                email: account.user.email.clone(),
                epoch: account.token_epoch,
            },
            now,
        );
        let token = self.signed(&claims, now).await?;
        batch.append(session_event(account, TokenId(claims.jti), &doer, now));
        self.begin_session(batch).await?;
        Ok(token)
    }

    /// The next token of the same session. A token of our own is its own next one.
    pub async fn refresh(&self, text: &str, now: Timestamp) -> Result<String, Problem> {
        if text.starts_with(secret::PREFIX) {
            self.verify(text, now).await?;
            return Ok(text.to_owned());
        }
        let claims = self.claims(text).await?;
        if claims.expires() <= now {
            return Err(unauthenticated(format!(
                "the credential expired at {}",
                claims.expires()
            )));
        }
        let standing = self.standing(claims.user_id).await?;
        if !standing.enabled {
            return Err(unauthenticated("the account is disabled"));
        }
        if standing.epoch != claims.epoch {
            return Err(unauthenticated("the session was ended by a new password"));
        }
        let next = claims.renewed(now).map_err(|over| unauthenticated(over.to_string()))?;
        self.signed(&next, now).await
    }

    /// What a token says that a key of this hub has signed.
    pub(super) async fn claims(&self, text: &str) -> Result<Claims, Problem> {
        let refused = |error: jwt::NotAJwt| unauthenticated(error.to_string());
        let key = self.public_key(jwt::kid(text).map_err(refused)?).await?;
        jwt::verify(text, &key).map_err(refused)
    }

    async fn signed(&self, claims: &Claims, now: Timestamp) -> Result<String, Problem> {
        let key = self.signing_key(now).await?;
        key.sign(claims)
            .map_err(|error| Problem::new(ProblemKind::Internal, error.to_string()))
    }

    async fn standing(&self, user: UserId) -> Result<Standing, Problem> {
        if let Some(standing) = self.standings.get(user) {
            return Ok(standing);
        }
        // Before the look, so that what it finds is never believed for longer.
        let read = Instant::now();
        let found = self.store.state.get::<Account>(user.0).await;
        let Some(account) = found.map_err(|error| super::state(&error))? else {
            return Err(unauthenticated("the user of this token is gone"));
        };
        let standing = Standing {
            read,
            enabled: account.value.user.enabled,
            epoch: account.value.token_epoch,
        };
        self.standings.keep(user, standing);
        Ok(standing)
    }
}

impl Standings {
    fn get(&self, user: UserId) -> Option<Standing> {
        let standings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        standings
            .get(&user)
            .filter(|standing| standing.read.elapsed() < FRESH)
            .copied()
    }

    fn keep(&self, user: UserId, standing: Standing) {
        let mut standings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // So many at most as there were in the last seconds; a map that has grown is looked through when it is full.
        if standings.len() == standings.capacity() {
            standings.retain(|_, standing| standing.read.elapsed() < FRESH);
        }
        standings.insert(user, standing);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use jiff::SignedDuration;
    use renkei_policy::password::PasswordHash;
    use renkei_store::Batch;
    use renkei_types::event::Doer;
    use renkei_types::token::NewSession;
    use renkei_types::user::{NewPassword, UserPatch};

    use super::super::trial::{Trial, done, refused};
    use super::*;

    const PASSWORD: &str = "nine gates of rain";

    /// A hub in which `ann` has a password.
    async fn trial() -> (Trial, UserId) {
        let trial = Trial::new().await;
        let ann = trial.user("ann").await;
        let account = trial.app.get::<Account>("user", ann.0).await.unwrap();
        let mut batch = Batch::new();
        let hash = PasswordHash::new(PASSWORD).unwrap().to_phc();
        batch.update(
            &account,
            &Account {
                password: Some(hash),
                ..account.value.clone()
            },
        );
        trial.app.store.state.commit(batch).await.unwrap();
        (trial, ann)
    }

    fn knock(now: Timestamp) -> Knock {
        Knock {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            doer: Doer::default(),
            now,
            said: NewSession {
                name: "ann".to_owned(),
                password: PASSWORD.to_owned(),
            },
        }
    }

    fn days(days: i64) -> SignedDuration {
        SignedDuration::from_hours(days * 24)
    }

    /// Another hub over the same database, which remembers nothing.
    fn other(trial: &Trial) -> App {
        App::with_key(trial.app.store.clone(), trial.app.master_key.clone())
    }

    #[tokio::test]
    async fn tokens_of_one_session_are_valid_beside_one_another_at_every_hub() {
        let (trial, ann) = trial().await;
        let now = Timestamp::now();
        let first = trial.app.sign_in_mdx(knock(now)).await.unwrap();
        let second = trial.app.refresh(&first, now).await.unwrap();
        let third = other(&trial).refresh(&first, now).await.unwrap();
        for token in [&first, &second, &third] {
            assert_eq!(other(&trial).verify_mdx(token, now).await.unwrap().user, ann);
        }
    }

    #[tokio::test]
    async fn a_session_is_over_after_thirty_days_however_often_it_was_renewed() {
        let (trial, _) = trial().await;
        let now = Timestamp::now();
        let mut token = trial.app.sign_in_mdx(knock(now)).await.unwrap();
        let mut last = now;
        while let Ok(next) = trial.app.refresh(&token, last + SignedDuration::from_hours(23)).await {
            token = next;
            last += SignedDuration::from_hours(23);
            assert!(last < now + days(30), "it is renewed for ever");
        }
        assert!(last > now + days(29), "it was renewed until {last}");
        let end = now + days(30);
        assert_eq!(refused(trial.app.verify_mdx(&token, end).await).status, 401);
    }

    #[tokio::test]
    async fn a_disabled_user_and_a_new_password_end_it() {
        let (trial, ann) = trial().await;
        let now = Timestamp::now();
        let admin = trial.by(trial.admin).await;
        let token = trial.app.sign_in_mdx(knock(now)).await.unwrap();
        let enabled = |enabled| UserPatch {
            enabled: Some(enabled),
            ..UserPatch::default()
        };
        done(trial.app.change_user(&admin, ann, enabled(false)).await);
        assert_eq!(refused(other(&trial).refresh(&token, now).await).status, 401);
        assert_eq!(refused(trial.app.verify_mdx(&token, now).await).status, 401);
        done(trial.app.change_user(&admin, ann, enabled(true)).await);
        assert!(other(&trial).refresh(&token, now).await.is_ok());
        let new = NewPassword {
            current: None,
            new: "eleven boats of straw".to_owned(),
        };
        done(trial.app.set_password(&admin, ann, new).await);
        assert_eq!(refused(other(&trial).refresh(&token, now).await).status, 401);
        assert_eq!(refused(trial.app.verify_mdx(&token, now).await).status, 401);
    }

    #[tokio::test]
    async fn renewing_writes_nothing() {
        let (trial, _) = trial().await;
        let now = Timestamp::now();
        let token = trial.app.sign_in_mdx(knock(now)).await.unwrap();
        trial.app.refresh(&token, now).await.unwrap();
        let before = *trial.app.store.state.changes().borrow();
        for _ in 0..100 {
            trial.app.refresh(&token, now).await.unwrap();
        }
        assert_eq!(*trial.app.store.state.changes().borrow(), before);
    }

    #[tokio::test]
    async fn what_is_remembered_of_accounts_does_not_grow_without_end() {
        let standings = Standings::default();
        let long_ago = Instant::now().checked_sub(FRESH).unwrap();
        for number in 0..10_000 {
            let standing = Standing {
                read: long_ago,
                enabled: true,
                epoch: 0,
            };
            standings.keep(UserId(uuid::Uuid::from_u128(number)), standing);
        }
        assert!(standings.0.lock().unwrap().len() < 100);
    }

    #[tokio::test]
    async fn a_token_of_our_own_is_its_own_next_one() {
        let (trial, _) = trial().await;
        let now = Timestamp::now();
        let issued = trial.app.sign_in(knock(now)).await.unwrap();
        assert_eq!(trial.app.refresh(&issued.secret, now).await.unwrap(), issued.secret);
        let junk = format!("{}x", issued.secret);
        assert_eq!(refused(trial.app.refresh(&junk, now).await).status, 401);
    }
}
