//! Somebody with the right to write in the database changes the past.

use jiff::Timestamp;
use renkei_store::audit::{Broken, Fault};
use renkei_store::{Batch, Store};
use renkei_types::event::{Doer, Event};
use uuid::Uuid;

use crate::place::on_both;

fn event(number: i64) -> Event {
    Event {
        id: 0,
        at: Timestamp::from_second(number).unwrap(),
        by: Doer::default(),
        action: "site:write".to_owned(),
        noun: "site".to_owned(),
        object: Uuid::now_v7(),
        object_name: format!("number {number}"),
        project: None,
        organization: None,
        before: None,
        after: None,
    }
}

/// Ten events, eight of them chained; then `statement`. What the audit says.
fn after(statement: &'static str, expected: (u64, Fault)) {
    on_both(|place| async move {
        let store = Store::open(&place.url).await.unwrap();
        let mut batch = Batch::new();
        (1..=10).for_each(|number| batch.append(event(number)));
        store.state.commit(batch).await.unwrap();
        assert_eq!(store.audit.chain(8).await.unwrap(), 8);
        assert_eq!(store.audit.verify(|_| {}).await.unwrap().length, 8);
        place.run(statement).await.unwrap();
        match store.audit.verify(|_| {}).await {
            Err(Broken::At { event, fault }) => assert_eq!((event, fault), expected, "{statement}"),
            other => panic!("{statement}: {other:?}"),
        }
    });
}

#[test]
fn a_changed_event_is_found() {
    after(
        "UPDATE event SET body = replace(body, 'number 4', 'number x') WHERE id = 4",
        (4, Fault::Changed),
    );
}

#[test]
fn an_event_that_was_taken_away_is_found() {
    after("DELETE FROM event WHERE id = 5", (5, Fault::Missing));
    after("DELETE FROM event WHERE id = 10", (10, Fault::Missing));
    after(
        "DELETE FROM link WHERE id > 5; DELETE FROM event WHERE id > 5",
        (6, Fault::Missing),
    );
}

#[test]
fn an_event_that_is_hidden_from_searches_is_found() {
    after("UPDATE event SET noun = 'user' WHERE id = 9", (9, Fault::Mislisted));
    after(
        "UPDATE event SET object = (SELECT object FROM event WHERE id = 1) WHERE id = 2",
        (2, Fault::Mislisted),
    );
}

#[test]
fn a_link_that_was_taken_away_is_found() {
    after("DELETE FROM link WHERE id = 3", (3, Fault::Unlinked));
}

#[test]
fn a_link_that_was_changed_is_found() {
    after(
        "UPDATE link SET hash = (SELECT hash FROM link WHERE id = 1) WHERE id = 6",
        (6, Fault::Changed),
    );
}

/// Whoever rewrites the events and the chain shows it to whoever kept a head.
#[test]
fn a_chain_made_anew_has_another_head() {
    on_both(|place| async move {
        let store = Store::open(&place.url).await.unwrap();
        let mut batch = Batch::new();
        (1..=3).for_each(|number| batch.append(event(number)));
        store.state.commit(batch).await.unwrap();
        store.audit.chain(10).await.unwrap();
        let kept = store.audit.head().await.unwrap();
        place
            .run("UPDATE event SET body = replace(body, 'number 2', 'number x') WHERE id = 2")
            .await
            .unwrap();
        place.run("DELETE FROM link").await.unwrap();
        store.audit.chain(10).await.unwrap();
        store.audit.verify(|_| {}).await.unwrap();
        let head = store.audit.head().await.unwrap();
        assert_eq!(head.length, kept.length);
        assert_ne!(head.hash, kept.hash);
    });
}
