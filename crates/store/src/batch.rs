//! A batch: what one decision rests on and what it changes, all or nothing.

use std::collections::HashMap;

use renkei_types::event::Event;
use uuid::Uuid;

use crate::error::{CommitError, Unfit};
use crate::noun::{Kind, Noun, Stored};

/// The longest key, bytes. PostgreSQL refuses entries of more than 2,704 bytes in a B-tree, and a pair of ids has 73.
pub const LONGEST_KEY: usize = 1024;
/// The largest row or event, bytes of JSON.
pub const LARGEST_BODY: usize = 1 << 20;
/// The most changes and events in one batch: a range of 200 machines has some 2,000.
pub const LARGEST_BATCH: usize = 20_000;

/// What a decision asks the store for.
///
/// A row may be named more than once: what is more than an expectation wins, and the last change of a row stands.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) entries: Vec<Entry>,
    pub(crate) events: Vec<NewEvent>,
    places: HashMap<(&'static str, Uuid), usize>,
    fault: Option<Fault>,
}

/// What the decision says of one row.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub kind: Kind,
    pub id: Uuid,
    pub act: Act,
}

#[derive(Clone, Debug)]
pub(crate) enum Act {
    Expect(u64),
    Insert(Content),
    Update(u64, Content),
    Touch(u64),
    Delete(u64),
}

/// A row without its id and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub keys: Vec<Option<String>>,
    pub body: String,
}

/// An event with its JSON.
#[derive(Clone, Debug)]
pub(crate) struct NewEvent {
    pub event: Event,
    pub body: String,
}

/// What is wrong with a batch before any database has seen it.
#[derive(Clone, Debug)]
enum Fault {
    Unfit(Unfit),
    /// The decision saw two versions of one row.
    Torn(&'static str, Uuid),
    Twice(&'static str, Uuid),
}

impl Act {
    /// The version that it rests on; none for a new row.
    pub fn version(&self) -> Option<u64> {
        match self {
            Self::Insert(_) => None,
            Self::Expect(version) | Self::Update(version, _) | Self::Touch(version) | Self::Delete(version) => {
                Some(*version)
            }
        }
    }

    /// What the row will be, if it is written anew.
    pub fn content(&self) -> Option<&Content> {
        match self {
            Self::Insert(content) | Self::Update(_, content) => Some(content),
            _ => None,
        }
    }

    fn strength(&self) -> u8 {
        match self {
            Self::Expect(_) => 0,
            Self::Touch(_) => 1,
            Self::Update(..) => 2,
            Self::Delete(_) => 3,
            Self::Insert(_) => 4,
        }
    }
}

impl Batch {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The decision has read this row: it must still be so.
    pub fn expect<N: Noun>(&mut self, row: &Stored<N>) {
        self.put::<N>(row.id(), Act::Expect(row.version));
    }

    /// A new row.
    pub fn insert<N: Noun>(&mut self, value: &N) {
        if let Some(content) = self.content(value) {
            self.put::<N>(value.id(), Act::Insert(content));
        }
    }

    /// `row`, if it is still so, becomes `value`.
    ///
    /// # Panics
    /// In debug builds, if the two have different ids.
    pub fn update<N: Noun>(&mut self, row: &Stored<N>, value: &N) {
        debug_assert_eq!(row.id(), value.id(), "an update keeps the id");
        if let Some(content) = self.content(value) {
            self.put::<N>(row.id(), Act::Update(row.version, content));
        }
    }

    /// `row`, if it is still so, gets the next version and stays as it is: whoever else rests on it must decide again.
    pub fn touch<N: Noun>(&mut self, row: &Stored<N>) {
        self.put::<N>(row.id(), Act::Touch(row.version));
    }

    /// `row`, if it is still so, is gone.
    pub fn delete<N: Noun>(&mut self, row: &Stored<N>) {
        self.put::<N>(row.id(), Act::Delete(row.version));
    }

    /// Tells what happened. The event gets its id when the batch is committed.
    pub fn append(&mut self, event: Event) {
        let event = Event { id: 0, ..event };
        let (table, id, index) = ("event", event.object, "noun");
        let outcome = key(table, id, (index, &event.noun)).and_then(|()| json(table, id, &event));
        match outcome {
            Ok(body) => self.events.push(NewEvent { event, body }),
            Err(unfit) => self.refuse(Fault::Unfit(unfit)),
        }
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.events.is_empty() && self.fault.is_none()
    }

    /// What speaks against it before any database has seen it.
    pub(crate) fn check(&self) -> Result<(), CommitError> {
        let changes = self.entries.len() + self.events.len();
        match &self.fault {
            Some(Fault::Unfit(unfit)) => Err(unfit.clone().into()),
            Some(Fault::Torn(table, id)) => Err(CommitError::Stale { table, id: *id }),
            Some(Fault::Twice(table, id)) => Err(CommitError::Taken {
                table,
                index: "id",
                key: id.to_string(),
            }),
            None if changes > LARGEST_BATCH => Err(Unfit::LargeBatch { changes }.into()),
            None => Ok(()),
        }
    }

    fn content<N: Noun>(&mut self, value: &N) -> Option<Content> {
        match content(value) {
            Ok(content) => Some(content),
            Err(unfit) => {
                self.refuse(Fault::Unfit(unfit));
                None
            }
        }
    }

    fn put<N: Noun>(&mut self, id: Uuid, act: Act) {
        let kind = N::KIND;
        let place = *self.places.entry((kind.table, id)).or_insert(self.entries.len());
        let Some(known) = self.entries.get_mut(place) else {
            self.entries.push(Entry { kind, id, act });
            return;
        };
        match (known.act.version(), act.version()) {
            (Some(known), Some(new)) if known != new => self.refuse(Fault::Torn(kind.table, id)),
            (Some(_), Some(_)) if act.strength() >= known.act.strength() => known.act = act,
            (Some(_), Some(_)) => {}
            _ => self.refuse(Fault::Twice(kind.table, id)),
        }
    }

    /// The first fault is the one that is told.
    fn refuse(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }
}

fn content<N: Noun>(value: &N) -> Result<Content, Unfit> {
    let (table, id) = (N::KIND.table, value.id());
    let keys = value.keys();
    debug_assert_eq!(keys.len(), N::KIND.indexes.len(), "a key for each index of `{table}`");
    for (text, index) in keys.iter().zip(N::KIND.indexes) {
        if let Some(text) = text {
            key(table, id, (index.name, text))?;
        }
    }
    let body = json(table, id, value)?;
    Ok(Content { keys, body })
}

/// Whether every database can keep `text` in an index.
fn key(table: &'static str, id: Uuid, (index, text): (&'static str, &str)) -> Result<(), Unfit> {
    match text.len() {
        _ if text.contains('\0') => Err(Unfit::Nul { table, id, index }),
        length if length > LONGEST_KEY => Err(Unfit::LongKey {
            table,
            id,
            index,
            length,
        }),
        _ => Ok(()),
    }
}

/// JSON writes a NUL as `\u0000`, so that a body has none whatever the texts in it.
fn json(table: &'static str, id: Uuid, value: &impl serde::Serialize) -> Result<String, Unfit> {
    let body = serde_json::to_string(value).map_err(|error| Unfit::NoJson {
        table,
        id,
        reason: error.to_string(),
    })?;
    match body.len() {
        length if length > LARGEST_BODY => Err(Unfit::LargeBody { table, id, length }),
        _ => Ok(body),
    }
}
