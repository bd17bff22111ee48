//! What decisions are made from: a few verbs, the same over SQLite, PostgreSQL and memory.
//!
//! It does not list for people: that is [`Read`](crate::read::Read), whose answers are never an input of a decision.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::batch::Batch;
use crate::error::{CommitError, Outcome, StateError};
use crate::memory::Memory;
use crate::noun::{Kind, Noun, Stored};
use crate::open::Identity;
use crate::sql::{self, Database, Found, Order, Page};

/// The rows, each with its version, and the one way to change them.
#[derive(Clone, Debug)]
pub struct State(Implementation);

#[derive(Clone, Debug)]
enum Implementation {
    Sql(Database),
    Memory(Memory),
}

impl State {
    pub(crate) fn sql(database: Database) -> Self {
        Self(Implementation::Sql(database))
    }

    pub(crate) fn memory(memory: Memory) -> Self {
        Self(Implementation::Memory(memory))
    }

    /// The row with this id.
    pub async fn get<N: Noun>(&self, id: Uuid) -> Result<Option<Stored<N>>, StateError> {
        let found = match &self.0 {
            Implementation::Memory(memory) => memory.get(&N::KIND, id)?,
            Implementation::Sql(database) => sql::get(database.pool(), &N::KIND, id).await?,
        };
        found.map(|found| stored(&N::KIND, found)).transpose()
    }

    /// The row with `key` in a unique index.
    pub async fn find<N: Noun>(&self, index: &'static str, key: &str) -> Result<Option<Stored<N>>, StateError> {
        let kind = N::KIND;
        if !kind.indexes.iter().any(|known| known.name == index && known.unique) {
            return Err(unknown(&kind, index));
        }
        let mut rows = self.scan(index, key, None, 1).await?;
        Ok(rows.pop())
    }

    /// Rows with `key` in an index, in the order of their ids, after `after`, at most `limit`.
    pub async fn scan<N: Noun>(
        &self,
        index: &'static str,
        key: &str,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Stored<N>>, StateError> {
        let page = Page {
            equals: vec![(index, key)],
            after: after.map(|id| ("", id)),
            limit,
            ..Page::default()
        };
        self.page(page).await
    }

    /// All rows, in the order of their ids, after `after`, at most `limit`.
    pub async fn all<N: Noun>(&self, after: Option<Uuid>, limit: u32) -> Result<Vec<Stored<N>>, StateError> {
        let page = Page {
            after: after.map(|id| ("", id)),
            limit,
            ..Page::default()
        };
        self.page(page).await
    }

    /// The id and the version of every row: whoever watches many of them reads only those that have changed.
    pub async fn versions<N: Noun>(&self) -> Result<Vec<(Uuid, u64)>, StateError> {
        match &self.0 {
            Implementation::Memory(memory) => memory.versions(&N::KIND, None),
            Implementation::Sql(database) => sql::versions(database.pool(), &N::KIND, None).await,
        }
    }

    /// The same of the rows with `key` in an index.
    pub async fn versions_of<N: Noun>(&self, index: &'static str, key: &str) -> Result<Vec<(Uuid, u64)>, StateError> {
        let kind = N::KIND;
        if kind.position(index).is_none() {
            return Err(unknown(&kind, index));
        }
        let of = Some((index, key));
        match &self.0 {
            Implementation::Memory(memory) => memory.versions(&kind, of),
            Implementation::Sql(database) => sql::versions(database.pool(), &kind, of).await,
        }
    }

    /// The rows with these ids, as far as they are there.
    pub async fn some<N: Noun>(&self, ids: &[Uuid]) -> Result<Vec<Stored<N>>, StateError> {
        /// A statement has so many values at most.
        const AT_ONCE: usize = 200;
        let mut rows = Vec::with_capacity(ids.len());
        for ids in ids.chunks(AT_ONCE) {
            let page = Page {
                ids: Some(ids),
                limit: u32::MAX,
                ..Page::default()
            };
            rows.append(&mut self.page(page).await?);
        }
        Ok(rows)
    }

    /// Does all of it or nothing.
    ///
    /// Once this was polled, the batch may be committed even if the future is dropped.
    pub async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        batch.check()?;
        if batch.is_empty() {
            return Ok(());
        }
        match &self.0 {
            Implementation::Memory(memory) => match memory.commit(&batch) {
                Some(outcome) => outcome,
                // The simulated hub dies here: whoever polls it drops it.
                None => std::future::pending().await,
            },
            Implementation::Sql(database) => {
                let (answer, outcome) = oneshot::channel();
                let gone = |outcome| CommitError::unavailable(outcome, "the database is being closed");
                let ordered = database.order(Order::Commit(batch, answer)).await;
                ordered.map_err(|_| gone(Outcome::NotDone))?;
                outcome.await.map_err(|_| gone(Outcome::Unknown))?
            }
        }
    }

    /// Changes its value when something was committed, here or (on PostgreSQL) by another hub. The value itself means nothing. It
    /// may also wake without a reason, and a job that does nothing then is right.
    pub fn changes(&self) -> watch::Receiver<u64> {
        match &self.0 {
            Implementation::Memory(memory) => memory.changes(),
            Implementation::Sql(database) => database.changes(),
        }
    }

    pub(crate) async fn identity(&self) -> Result<Identity, StateError> {
        match &self.0 {
            Implementation::Memory(memory) => Ok(memory.identity()),
            Implementation::Sql(database) => Ok(sql::identity(database.pool()).await?),
        }
    }

    pub(crate) async fn clock(&self) -> Result<Timestamp, StateError> {
        let millis = match &self.0 {
            Implementation::Memory(memory) => memory.millis(),
            Implementation::Sql(database) => sql::clock(database.pool()).await?,
        };
        Timestamp::from_millisecond(millis).map_err(|error| StateError::Unavailable(error.into()))
    }

    pub(crate) async fn raise_epoch(&self, seen: Uuid, heard: u32) -> Result<Identity, StateError> {
        match &self.0 {
            Implementation::Memory(memory) => Ok(memory.raise_epoch(seen, heard)),
            Implementation::Sql(database) => {
                let (answer, outcome) = oneshot::channel();
                let gone = || StateError::Unavailable("the database is being closed".into());
                let ordered = database.order(Order::Raise { seen, heard, answer }).await;
                ordered.map_err(|_| gone())?;
                outcome.await.map_err(|_| gone())?
            }
        }
    }

    pub(crate) fn in_memory(&self) -> Option<&Memory> {
        match &self.0 {
            Implementation::Memory(memory) => Some(memory),
            Implementation::Sql(_) => None,
        }
    }

    pub(crate) fn ring(&self) -> Option<Duration> {
        match &self.0 {
            Implementation::Memory(memory) => memory.ring(),
            Implementation::Sql(_) => None,
        }
    }

    /// See [`Store::close`](crate::Store::close).
    pub(crate) async fn close(&self) {
        if let Implementation::Sql(database) = &self.0 {
            database.close().await;
        }
    }

    pub(crate) async fn check(&self) -> Result<(), StateError> {
        match &self.0 {
            Implementation::Memory(_) => Ok(()),
            Implementation::Sql(database) => sql::check(database.pool()).await,
        }
    }

    async fn page<N: Noun>(&self, page: Page<'_>) -> Result<Vec<Stored<N>>, StateError> {
        check(&N::KIND, &page)?;
        let found = match &self.0 {
            Implementation::Memory(memory) => memory.page(&N::KIND, &page)?,
            Implementation::Sql(database) => sql::page(database.pool(), &N::KIND, page).await?,
        };
        found.into_iter().map(|found| stored(&N::KIND, found)).collect()
    }
}

/// Only declared indexes can be asked for.
pub(crate) fn check(kind: &Kind, page: &Page<'_>) -> Result<(), StateError> {
    let asked = page.equals.iter().map(|(index, _)| *index).chain(page.order);
    for index in asked {
        if kind.position(index).is_none() {
            return Err(unknown(kind, index));
        }
    }
    Ok(())
}

fn unknown(kind: &Kind, index: &str) -> StateError {
    let (table, index) = (kind.table, index.to_owned());
    StateError::NoSuchIndex { table, index }
}

pub(crate) fn stored<N: Noun>(kind: &Kind, found: Found) -> Result<Stored<N>, StateError> {
    let value = serde_json::from_str(&found.body).map_err(|error| StateError::Corrupt {
        table: kind.table,
        id: found.id.to_string(),
        source: error.into(),
    })?;
    let version = found.version;
    Ok(Stored { version, value })
}
