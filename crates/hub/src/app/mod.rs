//! What the hub does, one file a noun: each verb reads what it needs, decides, and commits.
//!
//! Nothing of HTTP is known here, and nothing of SQL. A verb gets who asks ([`Asked`]) and what is asked, and gives an
//! [`Answer`] or a [`Problem`]. Its decision is made again when a row that it has read was changed before the commit.

pub mod acl;
pub mod audit;
pub mod authority;
mod catalog;
mod clock;
pub mod decision;
pub mod dnat;
mod draw;
pub mod first;
pub mod global_ip;
pub mod host;
pub mod image;
pub mod invitation;
pub mod jwt;
pub mod lease;
pub mod list;
pub mod manifest;
pub mod mdx;
pub mod member;
pub mod operation;
pub mod organization;
pub mod place;
pub mod preset;
pub mod project;
pub mod queue;
pub mod quota;
pub mod recovery;
mod remembered;
pub mod segment;
pub mod session;
mod signing_key;
pub mod site;
pub mod subject;
pub mod template;
pub mod token;
#[cfg(test)]
mod trial;
pub mod user;
pub mod verify;
pub mod vm;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use renkei_policy::{Actor, Caller, MasterKey, Resource};
use renkei_store::{Batch, CommitError, Noun, StateError, Store, Stored};
use renkei_types::action::Action;
use renkei_types::change::Plan;
use renkei_types::event::Doer;
use renkei_types::freeze::{Freeze, NewFreeze};
use renkei_types::problem::{Problem, ProblemKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use uuid::Uuid;

pub use self::decision::Decision;

/// A password that is checked takes 19 MiB and a processor: more at once would only make all of them wait.
const CHECKS_AT_ONCE: usize = 4;

/// How long a request is tried again while others change the same rows.
const PATIENCE: Duration = Duration::from_secs(10);

/// The hub's application.
#[derive(Clone)]
pub struct App {
    /// Where everything is kept.
    pub store: Store,
    /// Seals what is kept and must be read again.
    pub master_key: MasterKey,
    /// Passwords that are checked at once.
    checks: Arc<Semaphore>,
    /// With what tokens of the mdx dialect are signed, as it was read some seconds ago.
    keys: Arc<signing_key::Keys>,
    /// Whose tokens were renewed in the last seconds.
    standings: Arc<jwt::Standings>,
    /// The hub's own authority, once it was read.
    authority: Arc<authority::Remembered>,
    /// Where this hub takes agents, once it does.
    agents_url: Arc<OnceLock<String>>,
    /// Who waits for whom.
    queues: Arc<queue::Queues>,
    /// Where new ids come from.
    draws: Arc<draw::Draws>,
    clock: Arc<clock::Clock>,
}

/// Whether a change is to be made, or only told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Make it.
    #[default]
    Apply,
    /// Say what would happen.
    Plan,
}

/// Who asks, and how.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who, with what the credential may be used for.
    pub caller: Caller,
    /// The same for the audit.
    pub doer: Doer,
    /// When.
    pub now: Timestamp,
    /// Whether it is to be done.
    pub mode: Mode,
    /// The version that the caller has seen.
    pub seen: Option<u64>,
    /// So that the same request is done once.
    pub once: Option<Once>,
}

/// A caller's `Idempotency-Key`, and what it came with.
#[derive(Clone, Debug)]
pub struct Once {
    /// A hash of the key.
    pub key: String,
    /// A hash of method, path and body that only whoever has the key can compute.
    pub request: String,
}

/// What came of a change that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// It is done.
    Done(T),
    /// It would be this.
    Planned(Plan),
}

/// An object and the version that an `If-Match` has to name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned<T> {
    /// Grows with each change.
    pub version: u64,
    /// The object.
    pub value: T,
}

impl<T: PartialEq> Versioned<T> {
    /// Just made.
    pub fn first(value: T) -> Self {
        Self { version: 1, value }
    }

    /// What `stored` becomes by a change to `value`.
    pub fn after(stored: &Stored<T>, value: T) -> Self {
        let changed = u64::from(stored.value != value);
        Self {
            version: stored.version + changed,
            value,
        }
    }
}

impl<T> From<Stored<T>> for Versioned<T> {
    fn from(stored: Stored<T>) -> Self {
        Self {
            version: stored.version,
            value: stored.value,
        }
    }
}

impl Asked {
    /// Refuses what the caller may not do.
    pub fn may(&self, action: Action, resource: &Resource<'_>) -> Result<(), Problem> {
        renkei_policy::may(&self.caller, action, resource, self.now).map_err(crate::problem::denied)
    }

    /// The caller, unless frozen.
    pub fn actor(&self) -> Result<&Actor, Problem> {
        self.caller.actor(self.now).map_err(crate::problem::denied)
    }

    /// What a plan would have been refused for before there was a decision is told by it too.
    fn told<T>(&self, answer: Result<Answer<T>, Problem>) -> Result<Answer<T>, Problem> {
        match answer {
            Err(problem) if self.mode == Mode::Plan && is_refusal(problem.kind) => Ok(Answer::Planned(Plan {
                refused: vec![problem],
                ..Plan::default()
            })),
            answer => answer,
        }
    }

    /// Refuses to change what has changed since the caller has seen it.
    pub fn unchanged(&self, version: u64) -> Result<(), Problem> {
        match self.seen {
            Some(seen) if seen != version => Err(Problem::new(
                ProblemKind::Changed,
                format!("it was changed meanwhile: `If-Match` names version {seen}, it is at {version}"),
            )
            .hint("read it again, and decide whether the change is still wanted")),
            _ => Ok(()),
        }
    }

    /// Refuses to make what the caller has seen.
    pub fn not_there(&self) -> Result<(), Problem> {
        match self.seen {
            Some(seen) => Err(Problem::new(
                ProblemKind::Changed,
                format!("it was deleted meanwhile: `If-Match` names version {seen}, and there is none"),
            )
            .hint("leave `If-Match` away to make it anew")),
            None => Ok(()),
        }
    }
}

impl App {
    /// What a hub over `store` does, with a master key that is gone with it: only for what is not kept.
    pub fn new(store: Store) -> Self {
        // A system without random bytes leaves a hub that seals nothing, and says so when it should.
        Self::with_key(store, MasterKey::generate().unwrap_or_default())
    }

    /// What a hub over `store` does, which was sealed with `master_key`.
    pub fn with_key(store: Store, master_key: MasterKey) -> Self {
        Self {
            store,
            master_key,
            checks: Arc::new(Semaphore::new(CHECKS_AT_ONCE)),
            keys: Arc::default(),
            standings: Arc::default(),
            authority: Arc::default(),
            agents_url: Arc::default(),
            queues: Arc::default(),
            draws: Arc::default(),
            clock: Arc::default(),
        }
    }

    /// The time now, which all hubs over a database agree on.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Asks the database for its time.
    pub async fn look_at_clock(&self) -> Result<(), StateError> {
        let before = Timestamp::now();
        let told = self.store.clock().await?;
        if let Some(ahead) = self.clock.hear(told, (before, Timestamp::now())) {
            tracing::warn!(
                ahead = %format_args!("{ahead:#}"),
                "this computer's clock differs from the database's, whose time is taken; set it"
            );
        }
        Ok(())
    }

    /// The same over a store of the simulator's: its ids come from `seed`.
    pub fn seeded(store: Store, seed: u64) -> Self {
        Self {
            draws: Arc::new(draw::Draws::seeded(seed)),
            ..Self::new(store)
        }
    }

    /// A new id: a UUID version 7 of this moment.
    pub fn draw(&self, now: Timestamp) -> Uuid {
        self.draws.draw(now)
    }

    /// Makes a decision until it can be committed: `decision` reads and decides, and has no other effect.
    pub async fn decide<T, F, Made>(&self, asked: &Asked, decision: F) -> Result<Answer<T>, Problem>
    where
        T: Serialize + DeserializeOwned,
        F: Fn() -> Made,
        Made: Future<Output = Result<Decision<T>, Problem>>,
    {
        let started = Instant::now();
        loop {
            if let Some(earlier) = self.earlier(asked).await? {
                return Ok(Answer::Done(earlier));
            }
            let made = decision().await;
            // The same request may have been done by another hub just now, and be in the way of itself.
            if made.is_err()
                && let Some(earlier) = self.earlier(asked).await?
            {
                return Ok(Answer::Done(earlier));
            }
            let decision = match made {
                Ok(decision) => decision,
                Err(problem) => return asked.told(Err(problem)),
            };
            if asked.mode == Mode::Plan {
                return Ok(Answer::Planned(decision.into_plan()));
            }
            let (batch, answer) = decision.into_batch(asked)?;
            match self.commit(batch).await {
                Ok(()) => return Ok(Answer::Done(answer)),
                // Somebody else was first: what they wrote is there already.
                Err(CommitError::Stale { .. } | CommitError::Taken { .. }) if started.elapsed() < PATIENCE => {}
                Err(error) => return Err(crate::problem::commit(&error)),
            }
        }
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        if batch.is_empty() {
            Ok(())
        } else {
            self.store.state.commit(batch).await
        }
    }

    /// The answer that the same request got before.
    async fn earlier<T: DeserializeOwned>(&self, asked: &Asked) -> Result<Option<T>, Problem> {
        let Some(once) = asked.once.as_ref().filter(|_| asked.mode == Mode::Apply) else {
            return Ok(None);
        };
        decision::earlier(&self.store, asked, once).await
    }

    /// One object, or a 404 that names it.
    pub async fn get<N: Noun>(&self, noun: &str, id: Uuid) -> Result<Stored<N>, Problem> {
        let found = self.store.state.get::<N>(id).await.map_err(|error| state(&error))?;
        found.ok_or_else(|| missing(noun, id))
    }

    /// Whatever has this key in a unique index.
    pub async fn find<N: Noun>(&self, index: &'static str, key: &str) -> Result<Option<Stored<N>>, Problem> {
        self.store
            .state
            .find::<N>(index, key)
            .await
            .map_err(|error| state(&error))
    }

    /// All that have this key in an index. Only for what is few by its nature: members of a project, its quotas.
    pub async fn every<N: Noun>(&self, index: &'static str, key: &str) -> Result<Vec<Stored<N>>, Problem> {
        const AT_ONCE: u32 = 500;
        let mut every: Vec<Stored<N>> = Vec::new();
        loop {
            let after = every.last().map(|last| last.value.id());
            let scan = self.store.state.scan::<N>(index, key, after, AT_ONCE);
            let mut some = scan.await.map_err(|error| state(&error))?;
            let last = some.len() < AT_ONCE as usize;
            every.append(&mut some);
            if last {
                return Ok(every);
            }
        }
    }
}

/// What a plan tells in place of refusing to plan. What makes no sense is no plan either.
fn is_refusal(kind: ProblemKind) -> bool {
    use ProblemKind::{Changed, Conflict, Forbidden, Frozen};
    matches!(kind, Changed | Conflict | Forbidden | Frozen)
}

/// There is no such object, or the caller may not know of it.
pub fn missing(noun: &str, id: Uuid) -> Problem {
    Problem::new(
        ProblemKind::NotFound,
        format!("there is no {noun} `{id}` that you may see"),
    )
}

/// The store could not be read.
pub fn state(error: &StateError) -> Problem {
    crate::problem::state(error)
}

/// Another one has the name.
pub fn taken(noun: &str, name: &str) -> Problem {
    Problem::new(
        ProblemKind::Conflict,
        format!("there is already {} `{name}`", article(noun)),
    )
    .field("name")
    .hint("choose another name; capital letters make no difference")
}

fn article(noun: &str) -> String {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o']);
    format!("{} {noun}", if vowel { "an" } else { "a" })
}

/// Refuses a text that is too long or holds NUL, which PostgreSQL does not keep.
pub fn text(field: &str, text: &str, longest: usize) -> Result<(), Problem> {
    if text.chars().count() > longest {
        let problem = format!("`{field}` has more than {longest} characters");
        return Err(Problem::new(ProblemKind::Invalid, problem).field(field));
    }
    if text.contains('\0') {
        return Err(Problem::new(ProblemKind::Invalid, format!("`{field}` holds a NUL character")).field(field));
    }
    Ok(())
}

/// Refuses a number that is out of bounds.
pub fn within(field: &str, number: u64, bounds: std::ops::RangeInclusive<u64>) -> Result<(), Problem> {
    if bounds.contains(&number) {
        return Ok(());
    }
    let (least, most) = bounds.into_inner();
    let problem = format!("`{field}` is {number}: it must be {least} to {most}");
    Err(Problem::new(ProblemKind::Invalid, problem).field(field))
}

/// A freeze by the caller, from now on.
pub fn freeze(asked: &Asked, new: NewFreeze) -> Result<Freeze, Problem> {
    text("reason", &new.reason, 500)?;
    if new.reason.trim().is_empty() {
        let problem = Problem::new(ProblemKind::Invalid, "a freeze needs a reason").field("reason");
        return Err(problem.hint("say it in the words that those who meet it shall read"));
    }
    if new.until.is_some_and(|until| until <= asked.now) {
        let problem = Problem::new(ProblemKind::Invalid, "`until` is over already").field("until");
        return Err(problem.hint("leave it away for a freeze without an end"));
    }
    Ok(Freeze {
        reason: new.reason,
        by: asked.actor()?.user,
        since: asked.now,
        until: new.until,
    })
}
