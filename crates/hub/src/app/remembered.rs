//! What was made of rows, for as long as a queue is.
//!
//! Much is derived from many live rows each time: what is in use of a quota, which addresses of a network are taken, what hosts have.
//! Nothing of that is counted up and down anywhere. But a row of the same version is the same row, so that whoever is next in a queue
//! reads only those that have changed: of the others it is enough to know that they are there, and in which version.
//!
//! A version can come a second time, with something else in it, when a database is set back beside a running hub, or when a machine
//! that had no row any more is taken back under its id. So nothing is remembered longer than reads may be old (ADR 7), and never
//! without somebody in the queue; nor is a row written that was not read by the decision itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use renkei_store::{Noun, Stored};
use renkei_types::problem::Problem;
use uuid::Uuid;

use super::{App, state};

/// So old may be what is remembered, from the moment when all of it was read.
const OLDEST: Duration = Duration::from_secs(2);
/// Fewer are read again at once: to ask for their versions, and then for those that have changed, is one question more.
const MANY: usize = 200;
/// With more than these that have changed all are read: that is a few statements, whatever their number.
const FEW: usize = 100;

/// What was made of the rows of one noun with one key in an index.
#[derive(Debug)]
pub struct Remembered<T>(Mutex<Option<Arc<Known<T>>>>);

#[derive(Debug)]
struct Known<T> {
    /// Nothing of it was read before.
    since: Instant,
    /// By a row's id: the version that was read, and what was made of it.
    rows: BTreeMap<Uuid, (u64, T)>,
}

/// What is made of a row.
type Make<T, N> = fn(&Stored<N>) -> T;

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Remembered<T> {
    /// What `make` makes of each row with this key in an index, in the order of their ids. One [`Remembered`] is for one noun, one
    /// index, one key and one `make`.
    pub async fn of<N: Noun>(&self, app: &App, of: (&'static str, &str), make: Make<T, N>) -> Result<Vec<T>, Problem> {
        let before = self.known().clone();
        let fresh = before.filter(|known| known.rows.len() >= MANY && known.since.elapsed() < OLDEST);
        let known = match fresh {
            Some(known) => again(app, of, (known, make)).await?,
            None => None,
        };
        let known = match known {
            Some(known) => known,
            None => whole(app, of, make).await?,
        };
        let made = known.rows.values().map(|(_, made)| made.clone()).collect();
        *self.known() = Some(known);
        Ok(made)
    }

    fn known(&self) -> MutexGuard<'_, Option<Arc<Known<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn whole<T, N: Noun>(
    app: &App,
    (index, key): (&'static str, &str),
    make: Make<T, N>,
) -> Result<Arc<Known<T>>, Problem> {
    let since = Instant::now();
    let rows = app.every::<N>(index, key).await?;
    let rows = rows.iter().map(|row| (row.value.id(), (row.version, make(row))));
    Ok(Arc::new(Known {
        since,
        rows: rows.collect(),
    }))
}

/// What is remembered, with what has changed since; nothing if that is too much to be read one by one.
async fn again<T: Clone, N: Noun>(
    app: &App,
    (index, key): (&'static str, &str),
    (known, make): (Arc<Known<T>>, Make<T, N>),
) -> Result<Option<Arc<Known<T>>>, Problem> {
    let versions = app.store.state.versions_of::<N>(index, key).await;
    let versions = versions.map_err(|error| state(&error))?;
    let same = |(id, version): &(Uuid, u64)| known.rows.get(id).filter(|(read, _)| read == version);
    let changed: Vec<Uuid> = versions
        .iter()
        .filter(|row| same(row).is_none())
        .map(|(id, _)| *id)
        .collect();
    if changed.is_empty() && versions.len() == known.rows.len() {
        return Ok(Some(known));
    }
    if changed.len() > FEW {
        return Ok(None);
    }
    let read = app.store.state.some::<N>(&changed).await;
    let read = read.map_err(|error| state(&error))?;
    let kept = versions
        .iter()
        .filter_map(|row| same(row).map(|known| (row.0, known.clone())));
    let mut rows: BTreeMap<Uuid, (u64, T)> = kept.collect();
    // It may have left the index since.
    let read = read.iter().filter(|row| has(&row.value, index, key));
    rows.extend(read.map(|row| (row.value.id(), (row.version, make(row)))));
    let since = known.since;
    Ok(Some(Arc::new(Known { since, rows })))
}

fn has<N: Noun>(row: &N, index: &str, key: &str) -> bool {
    let position = N::KIND.indexes.iter().position(|declared| declared.name == index);
    let found = position.and_then(|position| row.keys().into_iter().nth(position).flatten());
    found.as_deref() == Some(key)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;
    use renkei_store::{Batch, Store};
    use renkei_types::id::{LeaseId, ProjectId, SegmentId};
    use renkei_types::lease::Lease;

    use super::*;

    const SEGMENT: SegmentId = SegmentId(Uuid::from_u128(1));

    fn lease(number: u8, note: &str) -> Lease {
        Lease {
            id: LeaseId(Uuid::from_u128(100 + u128::from(number))),
            segment: SEGMENT,
            project: ProjectId(Uuid::nil()),
            address: [10, 0, 0, number].into(),
            vm: None,
            reserved: true,
            note: note.to_owned(),
            created: Timestamp::UNIX_EPOCH,
        }
    }

    async fn write(app: &App, batch: Batch) {
        app.store.state.commit(batch).await.unwrap();
    }

    async fn notes(app: &App, remembered: &Remembered<String>) -> BTreeSet<String> {
        let key = SEGMENT.to_string();
        let made = remembered.of::<Lease>(app, ("segment", &key), |row| row.value.note.clone());
        made.await.unwrap().into_iter().collect()
    }

    /// Leases with these numbers, each with its own as a note.
    fn insert(batch: &mut Batch, numbers: std::ops::RangeInclusive<u8>) {
        for number in numbers {
            batch.insert(&lease(number, &number.to_string()));
        }
    }

    #[tokio::test]
    async fn what_is_told_is_always_what_is_there() {
        let app = App::new(Store::memory());
        let remembered = Remembered::default();
        assert!(notes(&app, &remembered).await.is_empty());
        let mut batch = Batch::new();
        insert(&mut batch, 1..=240);
        write(&app, batch).await;
        for _ in 0..2 {
            assert_eq!(notes(&app, &remembered).await.len(), 240);
        }
        let rows = app.every::<Lease>("segment", &SEGMENT.to_string()).await.unwrap();
        let mut batch = Batch::new();
        batch.delete(&rows[0]);
        batch.update(&rows[1], &lease(2, "changed"));
        // It goes to another network.
        let elsewhere = Lease {
            segment: SegmentId(Uuid::from_u128(2)),
            ..lease(3, "3")
        };
        batch.update(&rows[2], &elsewhere);
        insert(&mut batch, 241..=250);
        write(&app, batch).await;
        let mut expected: BTreeSet<String> = (4..=250).map(|number: u8| number.to_string()).collect();
        expected.insert("changed".to_owned());
        assert_eq!(notes(&app, &remembered).await, expected);
        let mut batch = Batch::new();
        for row in &rows[3..] {
            let note = "all of them".to_owned();
            batch.update(
                row,
                &Lease {
                    note,
                    ..row.value.clone()
                },
            );
        }
        write(&app, batch).await;
        assert_eq!(notes(&app, &remembered).await.len(), 12);
    }

    #[tokio::test]
    async fn what_is_as_old_as_a_read_may_be_is_read_again() {
        let app = App::new(Store::memory());
        let mut batch = Batch::new();
        insert(&mut batch, 1..=240);
        write(&app, batch).await;
        // As after a database was set back: the same versions, and something else in them.
        let other = |since| {
            let row = |number| (lease(number, "").id.0, (1, "of another past".to_owned()));
            let rows = (1..=240).map(row).collect();
            Remembered(Mutex::new(Some(Arc::new(Known { since, rows }))))
        };
        let now = Instant::now();
        let old = now.checked_sub(OLDEST).expect("this computer runs for longer");
        assert_eq!(notes(&app, &other(old)).await.len(), 240);
        assert_eq!(notes(&app, &other(now + OLDEST)).await.len(), 1);
    }
}
