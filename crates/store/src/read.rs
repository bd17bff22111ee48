//! What people look at: lists with filters, cut by key, and events. Never an input of a decision: a list may be older than the
//! latest commit, and nothing proves that it still holds.

use renkei_types::event::Event;
use renkei_types::id::{ProjectId, UserId};
use uuid::Uuid;

use crate::error::StateError;
use crate::memory::Memory;
use crate::noun::{Noun, Stored};
use crate::sql::{self, Database, Page};
use crate::state::{check, stored};

/// Lists.
#[derive(Clone, Debug)]
pub struct Read(Implementation);

#[derive(Clone, Debug)]
enum Implementation {
    Sql(Database),
    Memory(Memory),
}

/// Which rows, and which of them first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Rows that have these keys in these indexes, all of them.
    pub equals: Vec<(&'static str, String)>,
    /// Only these rows; none if it is empty.
    pub ids: Option<Vec<Uuid>>,
    /// After the row with this key (in the index of `order`; otherwise it does not count) and this id.
    pub after: Option<(String, Uuid)>,
    /// In the order of the keys in this index, byte by byte, then of the id, without rows that are not in it. In the order of the
    /// id otherwise.
    pub order: Option<&'static str>,
    /// At most.
    pub limit: u32,
}

/// Which events, and in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// With greater ids.
    pub after: Option<i64>,
    /// With smaller ids.
    pub before: Option<i64>,
    /// In this project.
    pub project: Option<ProjectId>,
    /// Of this object.
    pub object: Option<Uuid>,
    /// Of this noun.
    pub noun: Option<String>,
    /// By this user.
    pub user: Option<UserId>,
    /// At most.
    pub limit: u32,
    /// The greatest id first; the smallest otherwise.
    pub newest_first: bool,
}

impl Read {
    pub(crate) fn sql(database: Database) -> Self {
        Self(Implementation::Sql(database))
    }

    pub(crate) fn memory(memory: Memory) -> Self {
        Self(Implementation::Memory(memory))
    }

    /// A page of rows.
    pub async fn list<N: Noun>(&self, query: &ListQuery) -> Result<Vec<Stored<N>>, StateError> {
        let page = Page {
            equals: query.equals.iter().map(|(index, key)| (*index, key.as_str())).collect(),
            ids: query.ids.as_deref(),
            order: query.order,
            after: query.after.as_ref().map(|(key, id)| (key.as_str(), *id)),
            limit: query.limit,
        };
        check(&N::KIND, &page)?;
        let found = match &self.0 {
            Implementation::Memory(memory) => memory.page(&N::KIND, &page)?,
            Implementation::Sql(database) => sql::page(database.pool(), &N::KIND, page).await?,
        };
        found.into_iter().map(|found| stored(&N::KIND, found)).collect()
    }

    /// Events. Whoever asks again with `after` set to the last id misses none and sees none twice: ids are given in the order in
    /// which events become visible, without gaps.
    pub async fn events(&self, query: &EventQuery) -> Result<Vec<Event>, StateError> {
        match &self.0 {
            Implementation::Memory(memory) => memory.events(query),
            Implementation::Sql(database) => sql::events(database.pool(), query).await,
        }
    }
}
