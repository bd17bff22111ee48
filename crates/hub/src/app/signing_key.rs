//! The keys with which tokens of the mdx dialect are signed: which one signs, which ones are still believed, and a new one
//! every thirty days. A hub remembers for some seconds what it has read, so that renewing a token asks no database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use renkei_policy::jwt::{self, SigningKey};
use renkei_policy::seal::{NotOpened, Sealed};
use renkei_store::noun::signing_key::SigningKeyRow;
use renkei_store::{Batch, CommitError, Stored};
use renkei_types::event::{Doer, Event};
use renkei_types::problem::{Problem, ProblemKind};
use uuid::Uuid;

use super::App;
use crate::problem::unauthenticated;

/// How long a key signs before another takes its place.
const SIGNS: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long a key is kept after that: as long as its tokens, and an hour for clocks that differ.
const BELIEVED: SignedDuration = SignedDuration::from_hours(jwt::LASTS.as_hours() + 1);
/// How long a hub trusts what it has read.
const TRUSTED: Duration = Duration::from_secs(10);
/// The noun, in events.
const NOUN: &str = "signing_key";

/// When a public key was read, and the key.
type Cached = (Instant, Arc<[u8]>);

/// What a hub has read of the keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    signs: Mutex<Option<(Instant, Arc<SigningKey>)>>,
    public: Mutex<HashMap<Uuid, Cached>>,
}

impl App {
    /// The key that signs now; the first one is made when it is needed.
    pub(super) async fn signing_key(&self, now: Timestamp) -> Result<Arc<SigningKey>, Problem> {
        let remembered = lock(&self.keys.signs).clone();
        if let Some((read, key)) = remembered
            && read.elapsed() < TRUSTED
        {
            return Ok(key);
        }
        let row = match self.signing_row().await? {
            Some(row) => row.value,
            None => self.first_key(now).await?,
        };
        let key = Arc::new(self.opened(&row)?);
        *lock(&self.keys.signs) = Some((Instant::now(), key.clone()));
        Ok(key)
    }

    /// The public half of the key with this id.
    pub(super) async fn public_key(&self, kid: Uuid) -> Result<Arc<[u8]>, Problem> {
        let remembered = lock(&self.keys.public).get(&kid).cloned();
        if let Some((read, key)) = remembered
            && read.elapsed() < TRUSTED
        {
            return Ok(key);
        }
        let found = self.store.state.get::<SigningKeyRow>(kid).await;
        let row = found.map_err(|error| super::state(&error))?;
        let public = row.and_then(|row| STANDARD.decode(&row.value.public).ok());
        let Some(public) = public.map(Arc::<[u8]>::from) else {
            return Err(unauthenticated(
                "this token was signed by a key that is not known any more",
            ));
        };
        let mut keys = lock(&self.keys.public);
        // Keys that are gone do not stay: there are never more than a few.
        keys.retain(|_, (read, _)| read.elapsed() < TRUSTED);
        keys.insert(kid, (Instant::now(), public.clone()));
        Ok(public)
    }

    /// Whether the master key is the one with which the keys of this hub were sealed.
    ///
    /// # Errors
    ///
    /// [`NotOpened`] names the key that is needed.
    pub async fn check_master_key(&self) -> Result<Result<(), NotOpened>, Problem> {
        let signing = self.signing_row().await?;
        let signing = signing.map(|row| (purpose(row.value.id), row.value.private));
        let sealed = [signing, self.sealed_authority().await?];
        for (purpose, sealed) in sealed.into_iter().flatten() {
            if let Ok(sealed) = serde_json::from_value::<Sealed>(sealed)
                && let Err(not_opened) = self.master_key.open(&purpose, &sealed)
            {
                return Ok(Err(not_opened));
            }
        }
        Ok(Ok(()))
    }

    /// Puts a new key in the place of one that has signed for long enough, and forgets those whose tokens have all expired.
    pub(crate) async fn rotate_signing_key(&self, now: Timestamp) -> Result<(), Problem> {
        if let Some(old) = self.signing_row().await?
            && old.value.not_before + SIGNS <= now
        {
            let new = self.new_row(now)?;
            let mut batch = Batch::new();
            let retired = SigningKeyRow {
                retired: Some(now),
                ..old.value.clone()
            };
            batch.update(&old, &retired);
            batch.insert(&new);
            batch.append(event("create", new.id, now));
            self.written(batch).await?;
        }
        let keys = self.store.state.all::<SigningKeyRow>(None, 100).await;
        for key in keys.map_err(|error| super::state(&error))? {
            if key.value.retired.is_some_and(|retired| retired + BELIEVED <= now) {
                let mut batch = Batch::new();
                batch.delete(&key);
                batch.append(event("delete", key.value.id, now));
                self.written(batch).await?;
            }
        }
        Ok(())
    }

    async fn signing_row(&self) -> Result<Option<Stored<SigningKeyRow>>, Problem> {
        self.find("signs", SigningKeyRow::SIGNS).await
    }

    async fn first_key(&self, now: Timestamp) -> Result<SigningKeyRow, Problem> {
        let new = self.new_row(now)?;
        let mut batch = Batch::new();
        batch.insert(&new);
        batch.append(event("create", new.id, now));
        self.written(batch).await?;
        // Another hub may have been first.
        match self.signing_row().await? {
            Some(row) => Ok(row.value),
            None => Err(Problem::new(ProblemKind::Unavailable, "there is no signing key yet").hint("try again")),
        }
    }

    fn new_row(&self, now: Timestamp) -> Result<SigningKeyRow, Problem> {
        let key = SigningKey::generate().map_err(|error| internal(&error))?;
        let sealed = self.master_key.seal(&purpose(key.kid()), key.pkcs8());
        Ok(SigningKeyRow {
            id: key.kid(),
            private: serde_json::to_value(sealed.map_err(|error| internal(&error))?).unwrap_or_default(),
            public: STANDARD.encode(key.public()),
            not_before: now,
            retired: None,
        })
    }

    fn opened(&self, row: &SigningKeyRow) -> Result<SigningKey, Problem> {
        let sealed: Sealed = serde_json::from_value(row.private.clone()).map_err(|error| internal(&error))?;
        let pkcs8 = self.master_key.open(&purpose(row.id), &sealed);
        let pkcs8 = pkcs8.map_err(|error| internal(&error))?;
        SigningKey::from_pkcs8(row.id, pkcs8).map_err(|error| internal(&error))
    }

    /// Somebody who did the same at the same moment was right too.
    async fn written(&self, batch: Batch) -> Result<(), Problem> {
        match self.store.state.commit(batch).await {
            Ok(()) | Err(CommitError::Stale { .. } | CommitError::Taken { .. }) => Ok(()),
            Err(error) => Err(crate::problem::commit(&error)),
        }
    }
}

/// What the private half is sealed for: it cannot be put in the place of another's.
fn purpose(kid: Uuid) -> String {
    format!("signing key {kid}")
}

/// The hub did it by itself.
fn event(verb: &str, kid: Uuid, now: Timestamp) -> Event {
    Event {
        id: 0,
        at: now,
        by: Doer::default(),
        action: format!("{NOUN}:{verb}"),
        noun: NOUN.to_owned(),
        object: kid,
        object_name: String::new(),
        project: None,
        organization: None,
        before: None,
        after: None,
    }
}

/// The cause goes to the log: a caller can do nothing about it.
fn internal(error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(error = crate::problem::chain(error), "tokens cannot be signed");
    Problem::new(ProblemKind::Internal, "the hub cannot sign tokens")
        .hint("those who run the hub find the cause in its log")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is remembered is whole after each statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use renkei_policy::MasterKey;
    use renkei_store::Store;

    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * 24 * 3600).unwrap()
    }

    async fn keys(app: &App) -> Vec<SigningKeyRow> {
        let rows = app.store.state.all::<SigningKeyRow>(None, 100).await.unwrap();
        rows.into_iter().map(|row| row.value).collect()
    }

    #[tokio::test]
    async fn two_hubs_that_begin_at_once_sign_with_one_key() {
        let store = Store::memory();
        let master = MasterKey::generate().unwrap();
        let (one, two) = (
            App::with_key(store.clone(), master.clone()),
            App::with_key(store, master),
        );
        let (first, second) = tokio::join!(one.signing_key(at(0)), two.signing_key(at(0)));
        assert_eq!(first.unwrap().kid(), second.unwrap().kid());
        assert_eq!(keys(&one).await.len(), 1);
    }

    #[tokio::test]
    async fn a_new_key_signs_after_thirty_days_and_the_old_one_is_believed_a_day_longer() {
        let app = App::new(Store::memory());
        let first = app.signing_key(at(0)).await.unwrap().kid();
        app.rotate_signing_key(at(29)).await.unwrap();
        assert_eq!(keys(&app).await.len(), 1);
        app.rotate_signing_key(at(30)).await.unwrap();
        // A hub that has just started has nothing remembered.
        let fresh = App::with_key(app.store.clone(), app.master_key.clone());
        assert_ne!(fresh.signing_key(at(30)).await.unwrap().kid(), first);
        app.rotate_signing_key(at(31)).await.unwrap();
        assert!(fresh.public_key(first).await.is_ok());
        app.rotate_signing_key(at(32)).await.unwrap();
        assert_eq!(keys(&app).await.len(), 1);
        let fresh = App::with_key(app.store.clone(), app.master_key.clone());
        assert!(fresh.public_key(first).await.is_err());
    }

    #[tokio::test]
    async fn another_master_key_is_told_by_name() {
        let app = App::new(Store::memory());
        assert!(app.check_master_key().await.unwrap().is_ok());
        app.signing_key(at(0)).await.unwrap();
        assert!(app.check_master_key().await.unwrap().is_ok());
        let other = App::new(app.store.clone());
        let told = other.check_master_key().await.unwrap().unwrap_err().to_string();
        assert!(told.contains(&app.master_key.ids()[0]), "{told}");
        assert!(told.contains(&other.master_key.ids()[0]), "{told}");
    }
}
