//! The database in memory, with faults that a seed draws, in virtual time.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use renkei_store::noun::duty::Duty;
use renkei_store::noun::quota::QuotaRow;
use renkei_store::simulation::Faults;
use renkei_store::{EventQuery, Store};
use renkei_testkit::seed::seed;
use uuid::Uuid;

use crate::ledger::{Ledger, Told, compare, enter, prepare};

/// A clock that stands until it is moved.
#[derive(Clone, Default)]
struct Time(Arc<AtomicU64>);

impl Time {
    fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_millis() as u64, SeqCst);
    }

    fn store(&self, faults: Faults) -> Store {
        let time = self.clone();
        Store::simulated(faults, Arc::new(move || Duration::from_millis(time.0.load(SeqCst))))
    }
}

/// Runs what never waits: there is no runtime.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the memory implementation never waits"),
    }
}

/// What one hub was told, the version at which it then saw the counter, and that at which another one did.
type Trace = Vec<(Told, u64, u64)>;

/// One hub writes, another one looks on.
fn run(faults: Faults) -> (Store, Uuid, Ledger, Trace) {
    let time = Time::default();
    let store = time.store(faults);
    let other = store.for_another().unwrap();
    let counter = at_once(prepare(&store));
    let (mut ledger, mut trace) = (Ledger::new(), Vec::new());
    for number in 0..500 {
        time.pass(Duration::from_millis(100));
        let name = format!("{number}");
        let told = at_once(enter(&store, counter, &name));
        ledger.insert(name, told);
        let seen = |store: &Store| {
            let row = at_once(store.state.get::<QuotaRow>(counter)).unwrap();
            row.map_or(0, |row| row.version)
        };
        trace.push((told, seen(&store), seen(&other)));
    }
    time.pass(2 * Faults::OLDEST);
    (store, counter, ledger, trace)
}

#[test]
fn whatever_the_seed_draws_what_was_told_is_true() {
    for seed in seed()..seed() + 20 {
        let (store, counter, ledger, trace) = run(Faults::many(seed));
        let done = at_once(compare(&store, counter, &ledger));
        let count = |told| ledger.values().filter(|other| **other == told).count() as u64;
        assert!(count(Told::Done) <= done && done <= count(Told::Done) + count(Told::Unknown));
        assert!(count(Told::Unknown) > 0 && count(Told::NotDone) > 0);
        assert!(trace.is_sorted_by_key(|(_, own, _)| *own) && trace.is_sorted_by_key(|(_, _, other)| *other));
        let told = trace.iter().filter(|(told, ..)| *told == Told::Done);
        assert!(
            (1..).zip(told).all(|(done, (_, own, _))| *own > done),
            "a hub did not see what it had done"
        );
        assert!(trace.iter().any(|(_, own, other)| other < own), "no read was old");
    }
}

#[test]
fn without_faults_everything_is_done_and_seen() {
    let (_, _, ledger, trace) = run(Faults::none(seed()));
    assert!(ledger.values().all(|told| *told == Told::Done));
    assert!(
        (2..)
            .zip(trace)
            .all(|(version, (_, own, other))| own == version && other == version)
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let trace = |seed| run(Faults::many(seed)).3;
    assert_eq!(trace(seed()), trace(seed()));
    assert_ne!(trace(seed()), trace(seed() + 1));
}

/// A list that is behind is a list that was once right: it never mixes two moments.
#[test]
fn an_old_state_is_one_that_was_there() {
    let time = Time::default();
    let faults = Faults {
        old: 1000,
        ..Faults::none(seed())
    };
    let store = time.store(faults);
    let other = store.for_another().unwrap();
    let counter = at_once(prepare(&store));
    time.pass(2 * Faults::OLDEST);
    let mut ages = std::collections::BTreeSet::new();
    for number in 1..200 {
        // With every read old, the decision itself may rest on what was; then it is stale and tried again.
        while at_once(enter(&store, counter, &format!("{number}"))) != Told::Done {
            time.pass(Duration::from_millis(10));
        }
        time.pass(Duration::from_millis(300));
        let query = EventQuery {
            limit: 1000,
            ..EventQuery::default()
        };
        let events = at_once(other.read.events(&query)).unwrap();
        let rows = at_once(other.state.all::<Duty>(None, 1000)).unwrap();
        assert!(events.len() <= number && rows.len() <= number);
        ages.insert(number - rows.len());
        let names: Vec<usize> = rows.iter().map(|row| row.name.parse().unwrap()).collect();
        assert!(names.iter().copied().eq(1..=rows.len()), "{names:?}");
    }
    assert!(ages.len() > 1, "reads are of different ages: {ages:?}");
}

#[test]
fn a_notification_comes_at_the_latest_when_a_hub_looks_by_itself() {
    let time = Time::default();
    let faults = Faults {
        late: 1000,
        ..Faults::none(seed())
    };
    let store = time.store(faults);
    let mut changes = store.state.changes();
    changes.borrow_and_update();
    at_once(prepare(&store));
    assert!(!changes.has_changed().unwrap());
    let due = store.ring().unwrap();
    assert!(due <= Faults::LATEST);
    time.pass(Faults::LATEST);
    assert_eq!(store.ring(), None);
    assert!(changes.has_changed().unwrap());
}

#[test]
fn what_was_set_aside_comes_back_whole() {
    let time = Time::default();
    let store = time.store(Faults::none(1));
    let counter = at_once(prepare(&store));
    let before = at_once(store.state.get::<QuotaRow>(counter)).unwrap().unwrap();
    let (aside, identity) = (store.set_aside().unwrap(), at_once(store.identity()).unwrap());
    at_once(store.raise_epoch(identity.run, 0)).unwrap();
    let mut batch = renkei_store::Batch::new();
    batch.touch(&before);
    at_once(store.state.commit(batch)).unwrap();
    assert_ne!(
        at_once(store.state.get::<QuotaRow>(counter)).unwrap().unwrap().version,
        before.version
    );
    store.put_back(&aside);
    assert_eq!(at_once(store.state.get::<QuotaRow>(counter)).unwrap().unwrap(), before);
    assert_eq!(at_once(store.identity()).unwrap(), identity);
}

#[test]
fn a_hub_that_dies_at_a_commit_never_hears_of_it_and_half_of_them_happen() {
    let time = Time::default();
    let store = time.store(Faults {
        crashed: 1000,
        ..Faults::none(seed())
    });
    let mut happened = 0;
    for _ in 0..100 {
        let duty = Duty {
            id: Uuid::now_v7(),
            name: Uuid::now_v7().to_string(),
            holder: Uuid::nil(),
            until: jiff::Timestamp::UNIX_EPOCH,
        };
        let mut batch = renkei_store::Batch::new();
        batch.insert(&duty);
        let polled = pin!(store.state.commit(batch)).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        happened += usize::from(at_once(store.state.get::<Duty>(duty.id)).unwrap().is_some());
    }
    assert!((20..80).contains(&happened), "{happened}");
}
