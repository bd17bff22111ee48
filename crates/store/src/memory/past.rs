//! What was there a moment ago: what changed rows were before, for as long as a read may be behind.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use uuid::Uuid;

use super::Row;
use crate::simulation::Faults;

/// The latest commits, oldest first.
#[derive(Default)]
pub(super) struct Past(VecDeque<Commit>);

/// One commit, the other way round.
pub(super) struct Commit {
    pub at: Duration,
    /// What each changed row was before; nothing if there was none.
    pub rows: Vec<(&'static str, Uuid, Option<Row>)>,
    /// How many events there were.
    pub events: usize,
}

/// How the state differed at a moment.
#[derive(Default)]
pub(super) struct Then<'a> {
    rows: BTreeMap<(&'static str, Uuid), Option<&'a Row>>,
    events: Option<usize>,
}

impl Past {
    pub fn remember(&mut self, commit: Commit) {
        let now = commit.at;
        self.0.push_back(commit);
        while self.0.front().is_some_and(|first| first.at + Faults::OLDEST < now) {
            self.0.pop_front();
        }
    }

    pub fn at(&self, moment: Duration) -> Then<'_> {
        let mut then = Then::default();
        for commit in self.0.iter().rev().take_while(|commit| commit.at > moment) {
            then.events = Some(commit.events);
            // An earlier commit's is further back and replaces a later one's.
            let rows = commit.rows.iter().map(|(table, id, row)| ((*table, *id), row.as_ref()));
            then.rows.extend(rows);
        }
        then
    }
}

impl<'a> Then<'a> {
    /// The row as it was, given what it is.
    pub fn row(&self, table: &'static str, id: Uuid, now: Option<&'a Row>) -> Option<&'a Row> {
        self.rows.get(&(table, id)).copied().unwrap_or(now)
    }

    /// Rows of a table that were different.
    pub fn changed(&self, table: &'static str) -> impl Iterator<Item = Uuid> {
        let range = (table, Uuid::nil())..=(table, Uuid::max());
        self.rows.range(range).map(|((_, id), _)| *id)
    }

    /// How many of `now` events there were.
    pub fn events(&self, now: usize) -> usize {
        self.events.unwrap_or(now)
    }
}
