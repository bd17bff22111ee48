//! Signing in with a password, and out again.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use renkei_policy::limit::{self, Failures, Key};
use renkei_policy::password::{self, PasswordHash};
use renkei_policy::secret::Secret;
use renkei_store::noun::attempt::Attempt;
use renkei_store::noun::token::Credential;
use renkei_store::noun::user::Account;
use renkei_store::{Batch, CommitError, Stored};
use renkei_types::action::Scope;
use renkei_types::event::{Doer, Event};
use renkei_types::id::TokenId;
use renkei_types::member::Member;
use renkei_types::name::{Name, UserName};
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::token::{IssuedToken, NewSession, Token, TokenKind};
use renkei_types::user::Whoami;
use uuid::Uuid;

use super::decision::Draft;
use super::{Answer, App, Asked};

/// How long a session lasts.
const LASTS: SignedDuration = SignedDuration::from_hours(12);

/// Somebody at the door.
pub struct Knock {
    /// From where.
    pub address: IpAddr,
    /// For the audit.
    pub doer: Doer,
    /// When.
    pub now: Timestamp,
    /// What was said.
    pub said: NewSession,
}

/// Somebody whose name and password were right.
pub(super) struct Welcome {
    /// Who.
    pub account: Stored<Account>,
    /// Where failures of this account are counted.
    pub key: Key,
}

impl App {
    /// A session for whoever knows the password.
    ///
    /// The attempt is counted for its account before the password is checked: a hundred at once are not a hundred guesses.
    pub async fn sign_in(&self, knock: Knock) -> Result<IssuedToken, Problem> {
        let (doer, now) = (knock.doer.clone(), knock.now);
        let welcome = self.welcome(knock).await?;
        self.open(welcome, &doer, now).await
    }

    /// Whose name and password were said.
    pub(super) async fn welcome(&self, knock: Knock) -> Result<Welcome, Problem> {
        let keys = [Key::account(&knock.said.name), Key::address(knock.address)];
        self.begin(&keys, knock.now).await?;
        let account = self.account_named(&knock.said.name).await?;
        let kept = account.as_ref().and_then(|account| account.value.password.clone());
        let right = self.check(kept, knock.said.password).await?;
        let [key, address_key] = keys;
        match account.filter(|account| right && account.value.user.enabled) {
            Some(account) => Ok(Welcome { account, key }),
            None => {
                self.count(&address_key, knock.now, limit::wrong).await?;
                let problem = Problem::new(ProblemKind::Unauthenticated, "name or password is wrong");
                Err(problem.hint("an administrator can set a new password: `renkei user password NAME`"))
            }
        }
    }

    /// What every session begins with: the account is as it was read, and its failures are forgotten.
    pub(super) async fn begun(&self, welcome: &Welcome) -> Result<Batch, Problem> {
        let mut batch = Batch::new();
        // A new password at this moment ends this session too.
        batch.expect(&welcome.account);
        if let Some(attempt) = self.find::<Attempt>("of", welcome.key.as_str()).await? {
            let failures = serde_json::to_value(limit::right()).unwrap_or_default();
            batch.update(
                &attempt,
                &Attempt {
                    failures,
                    ..attempt.value.clone()
                },
            );
        }
        Ok(batch)
    }

    /// Writes the beginning of a session.
    pub(super) async fn begin_session(&self, batch: Batch) -> Result<(), Problem> {
        match self.store.state.commit(batch).await {
            Ok(()) => Ok(()),
            Err(CommitError::Stale { .. }) => {
                Err(Problem::new(ProblemKind::Conflict, "the account was changed at this moment").hint("sign in again"))
            }
            Err(error) => Err(crate::problem::commit(&error)),
        }
    }

    /// Ends the session, or whatever token was shown.
    pub async fn sign_out(&self, asked: &Asked) -> Result<Answer<()>, Problem> {
        let token = asked.actor()?.credential.token;
        self.decide(asked, || async {
            let credential = self.get::<Credential>(TokenId::NOUN, token.0).await?;
            let mut draft = Draft::new();
            draft.delete(&credential);
            Ok(draft.answer(()))
        })
        .await
    }

    /// Who the caller is.
    pub async fn whoami(&self, asked: &Asked) -> Result<Whoami, Problem> {
        let actor = asked.actor()?;
        let account = self.get::<Account>("user", actor.user.0).await?.value;
        let credential = self
            .get::<Credential>(TokenId::NOUN, actor.credential.token.0)
            .await?
            .value;
        let members = self.every::<Member>("user", &actor.user.to_string()).await?;
        let projects = actor.projects();
        let memberships = members
            .into_iter()
            .map(|member| member.value)
            .filter(|member| projects.has(&member.project));
        Ok(Whoami {
            user: account.user,
            token: credential.token,
            memberships: memberships.collect(),
            must_change_password: account.must_change,
        })
    }

    async fn account_named(&self, name: &str) -> Result<Option<Stored<Account>>, Problem> {
        match name.parse::<UserName>() {
            Ok(name) => self.find::<Account>("name", name.as_str()).await,
            Err(_) => Ok(None),
        }
    }

    /// Whether it is the password. Argon2 takes tens of milliseconds of a processor: not on the threads that answer requests.
    pub(super) async fn check(&self, kept: Option<String>, said: String) -> Result<bool, Problem> {
        let _permit = self.checks.acquire().await;
        let check = tokio::task::spawn_blocking(move || {
            let kept = kept.and_then(|kept| PasswordHash::parse(&kept).ok());
            password::verify(&said, kept.as_ref())
        });
        check
            .await
            .map_err(|_| Problem::new(ProblemKind::Internal, "the password could not be checked"))
    }

    /// Counts the attempt, or refuses it because too many failed before.
    pub(super) async fn begin(&self, keys: &[Key; 2], now: Timestamp) -> Result<(), Problem> {
        let [account, address] = keys;
        loop {
            let found = self.find::<Attempt>("of", account.as_str()).await?;
            let address = self.failures(address).await?;
            let begun =
                limit::begin(failures(found.as_ref()), address, now).map_err(|locked| locked_out(locked, now))?;
            if self.keep(found.as_ref(), account, begun.account, now).await? {
                return Ok(());
            }
        }
    }

    /// Changes one count; others may be counting too.
    pub(super) async fn count(
        &self,
        key: &Key,
        now: Timestamp,
        next: fn(Failures, Timestamp) -> Failures,
    ) -> Result<(), Problem> {
        loop {
            let found = self.find::<Attempt>("of", key.as_str()).await?;
            let failures = next(failures(found.as_ref()), now);
            if self.keep(found.as_ref(), key, failures, now).await? {
                return Ok(());
            }
        }
    }

    async fn failures(&self, key: &Key) -> Result<Failures, Problem> {
        let found = self.find::<Attempt>("of", key.as_str()).await?;
        Ok(failures(found.as_ref()))
    }

    /// Whether it could be written; if not, somebody else was first.
    async fn keep(
        &self,
        found: Option<&Stored<Attempt>>,
        key: &Key,
        failures: Failures,
        now: Timestamp,
    ) -> Result<bool, Problem> {
        let failures = serde_json::to_value(failures).unwrap_or_default();
        let mut batch = Batch::new();
        match found {
            Some(found) => batch.update(
                found,
                &Attempt {
                    failures,
                    last: now,
                    ..found.value.clone()
                },
            ),
            None => batch.insert(&Attempt {
                id: Uuid::now_v7(),
                of: key.as_str().to_owned(),
                failures,
                last: now,
            }),
        }
        match self.store.state.commit(batch).await {
            Ok(()) => Ok(true),
            Err(CommitError::Stale { .. } | CommitError::Taken { .. }) => Ok(false),
            Err(error) => Err(crate::problem::commit(&error)),
        }
    }

    async fn open(&self, welcome: Welcome, doer: &Doer, now: Timestamp) -> Result<IssuedToken, Problem> {
        let secret = new_secret()?;
        let mut batch = self.begun(&welcome).await?;
        let account = welcome.account.value;
        let token = Token {
            id: TokenId(Uuid::now_v7()),
            user: account.user.id,
            name: session_name(),
            kind: TokenKind::Session,
            scopes: scopes(account.must_change),
            project: None,
            created: now,
            expires: now + LASTS,
            last_used: None,
            freeze: None,
        };
        batch.insert(&Credential {
            token: token.clone(),
            secret_hash: hash(&secret),
        });
        let after = serde_json::to_value(&token).ok();
        batch.append(Event {
            after,
            ..session_event(&account, token.id, doer, now)
        });
        self.begin_session(batch).await?;
        Ok(IssuedToken {
            token,
            secret: secret.reveal(),
        })
    }
}

/// That somebody has signed in.
pub(super) fn session_event(account: &Account, token: TokenId, doer: &Doer, now: Timestamp) -> Event {
    Event {
        id: 0,
        at: now,
        by: Doer {
            user: Some(account.user.id),
            name: account.user.name.to_string(),
            token: Some(token),
            ..doer.clone()
        },
        action: "session:create".to_owned(),
        noun: TokenId::NOUN.to_owned(),
        object: token.0,
        object_name: session_name().to_string(),
        project: None,
        organization: None,
        before: None,
        after: None,
    }
}

/// Whoever was given a password must choose one first; the session is good for nothing else.
fn scopes(must_change: bool) -> std::collections::BTreeSet<Scope> {
    let words: &[&str] = if must_change { &["user:write"] } else { &["*"] };
    words.iter().filter_map(|word| word.parse().ok()).collect()
}

fn session_name() -> Name {
    "session"
        .parse()
        .unwrap_or_else(|_| unreachable!("a plain word is a name"))
}

/// A count that cannot be read is none.
fn failures(found: Option<&Stored<Attempt>>) -> Failures {
    found
        .and_then(|found| serde_json::from_value(found.value.failures.clone()).ok())
        .unwrap_or_default()
}

fn locked_out(locked: limit::Locked, now: Timestamp) -> Problem {
    let seconds = u32::try_from(locked.until.duration_since(now).as_secs().max(0))
        .unwrap_or(u32::MAX)
        .saturating_add(1);
    let mut problem = Problem::new(ProblemKind::TooMany, "too many failed sign-ins");
    problem.retry_after = Some(seconds);
    problem.hint(format!("wait {seconds} s; an administrator can set a new password"))
}

/// A secret of a token.
pub(super) fn new_secret() -> Result<Secret, Problem> {
    Secret::generate().map_err(|error| Problem::new(ProblemKind::Internal, error.to_string()))
}

/// As it is kept.
pub(super) fn hash(secret: &Secret) -> String {
    secret.hash().as_bytes().iter().fold(String::new(), |mut hex, byte| {
        use std::fmt::Write as _;
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
