//! Batches whose traces tell whether they happened: each makes a row with a name of its own, counts in a row that all share, and
//! appends an event.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_store::error::{CommitError, Retry};
use renkei_store::noun::duty::Duty;
use renkei_store::noun::quota::QuotaRow;
use renkei_store::{Batch, EventQuery, Store};
use renkei_types::event::{Doer, Event};
use renkei_types::id::{ProjectId, QuotaId, SiteId};
use renkei_types::quota::Amounts;
use uuid::Uuid;

/// What whoever committed was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Done,
    NotDone,
    Unknown,
}

/// Names, and what was told of them.
pub type Ledger = BTreeMap<String, Told>;

/// Makes the row in which all count.
pub async fn prepare(store: &Store) -> Uuid {
    let counter = QuotaRow {
        called: String::new(),
        id: QuotaId(Uuid::now_v7()),
        project: ProjectId(Uuid::nil()),
        site: SiteId(Uuid::nil()),
        limit: Amounts::default(),
    };
    let mut batch = Batch::new();
    batch.insert(&counter);
    loop {
        match store.state.commit(batch.clone()).await {
            Ok(()) | Err(CommitError::Taken { index: "id", .. }) => return counter.id.0,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
}

/// Commits one batch under `name`; what was told. A decision whose rows could not be read is not done.
pub async fn enter(store: &Store, counter: Uuid, name: &str) -> Told {
    let Ok(Some(row)) = store.state.get::<QuotaRow>(counter).await else {
        return Told::NotDone;
    };
    let mut counted = row.value.clone();
    counted.limit.vms += 1;
    let duty = Duty {
        id: Uuid::now_v7(),
        name: name.to_owned(),
        holder: Uuid::nil(),
        until: Timestamp::UNIX_EPOCH,
    };
    let mut batch = Batch::new();
    batch.insert(&duty);
    batch.update(&row, &counted);
    batch.append(Event {
        id: 0,
        at: Timestamp::UNIX_EPOCH,
        by: Doer::default(),
        action: "duty:write".to_owned(),
        noun: "duty".to_owned(),
        object: duty.id,
        object_name: duty.name,
        project: None,
        organization: None,
        before: None,
        after: None,
    });
    match store.state.commit(batch).await {
        Ok(()) => Told::Done,
        Err(error) => match error.retry() {
            Retry::Decide | Retry::Later => Told::NotDone,
            Retry::Look => Told::Unknown,
            Retry::Never => panic!("a name that nobody else has: {error}"),
        },
    }
}

/// Compares what was told with what is there; gives how many batches happened.
pub async fn compare(store: &Store, counter: Uuid, ledger: &Ledger) -> u64 {
    for (name, told) in ledger {
        let there = store.state.find::<Duty>("name", name).await.unwrap().is_some();
        match told {
            Told::Done => assert!(there, "{name} was done and is not there"),
            Told::NotDone => assert!(!there, "{name} was not done and is there"),
            Told::Unknown => {}
        }
    }
    let row = store.state.get::<QuotaRow>(counter).await.unwrap().unwrap();
    let done = u64::from(row.limit.vms);
    assert_eq!(row.version, done + 1, "each batch changed the counter once");
    let rows = store.state.all::<Duty>(None, u32::MAX).await.unwrap();
    assert_eq!(rows.len() as u64, done, "each batch made one row");
    let limit = u32::MAX;
    let query = EventQuery {
        limit,
        ..EventQuery::default()
    };
    let events = store.read.events(&query).await.unwrap();
    assert_eq!(events.len() as u64, done, "each batch made one event");
    assert!(
        (1..).zip(&events).all(|(id, event)| event.id == id),
        "events have no gaps"
    );
    done
}
