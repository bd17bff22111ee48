//! Backups: whole or refused, from either kind of database into either.

use std::io::Cursor;

use jiff::Timestamp;
use renkei_store::backup::{BackupError, Restored, Summary, Target, Terms, check, restore, write, write_with};
use renkei_store::migration::{self, ALL, Migration, NoWay};
use renkei_store::noun::duty::Duty;
use renkei_store::open::OpenError;
use renkei_store::{Batch, DatabaseUrl, Store};
use renkei_testkit::Postgres;
use renkei_types::event::{Doer, Event};
use uuid::Uuid;

use crate::place::{Place, on_both};

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn terms(target: Target) -> Terms<'static> {
    let (now, list) = (now(), ALL);
    Terms { target, now, list }
}

fn duty(name: String) -> Duty {
    let (id, holder, until) = (Uuid::now_v7(), Uuid::nil(), Timestamp::UNIX_EPOCH);
    Duty {
        id,
        name,
        holder,
        until,
    }
}

fn event(name: &str) -> Event {
    Event {
        id: 0,
        at: now(),
        by: Doer::default(),
        action: "duty:create".to_owned(),
        noun: "duty".to_owned(),
        object: Uuid::now_v7(),
        object_name: name.to_owned(),
        project: None,
        organization: None,
        before: None,
        after: Some(serde_json::json!({"text": "\u{0}\"\\\n\u{2028}連携"})),
    }
}

/// Rows and events, of which all but one are chained.
async fn fill(url: &DatabaseUrl) {
    let store = Store::open(url).await.unwrap();
    for number in 0..150 {
        let name = format!("{number} \"quoted\" \\ 連携 \u{7f}");
        let mut batch = Batch::new();
        batch.append(event(&name));
        batch.insert(&duty(name));
        store.state.commit(batch).await.unwrap();
    }
    store.audit.chain(149).await.unwrap();
}

async fn backup(url: &DatabaseUrl) -> (Vec<u8>, Summary) {
    let mut bytes = Vec::new();
    let summary = write(url, &mut bytes, now()).await.unwrap();
    assert_eq!(summary.bytes, bytes.len() as u64);
    (bytes, summary)
}

async fn restored(url: &DatabaseUrl, bytes: &[u8], target: Target) -> Result<Restored, BackupError> {
    restore(url, &mut Cursor::new(bytes), &terms(target)).await
}

/// The rows of a backup, without what a restore adds.
fn rows(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let rows = text.lines().filter(|line| line.starts_with('['));
    rows.filter(|line| !line.contains("hub:restore"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_backup_of_either_database_restores_into_either() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = Postgres::start().unwrap();
    let sqlite = |name: &str| DatabaseUrl::Sqlite(folder.path().join(name));
    let postgres = || server.url(&server.create().unwrap()).parse::<DatabaseUrl>().unwrap();
    let sources = [sqlite("source"), postgres()];
    for (number, source) in sources.iter().enumerate() {
        runtime.block_on(fill(source));
        for target in [sqlite(&format!("target {number}")), postgres()] {
            println!("{source} to {target}");
            runtime.block_on(async {
                let (bytes, summary) = backup(source).await;
                let known = Store::open(source).await.unwrap();
                let (before, head) = (known.identity().await.unwrap(), known.audit.head().await.unwrap());
                let Restored { from, identity } = restored(&target, &bytes, Target::Empty).await.unwrap();
                assert_eq!(from, summary);
                assert_eq!((identity.epoch, from.header.events), (before.epoch + 1, 150));
                assert_ne!(identity.run, before.run);
                let store = Store::open(&target).await.unwrap();
                assert_eq!(store.identity().await.unwrap(), identity);
                // The past is the same, to the last byte, and what was done is told after it.
                assert_eq!(store.audit.head().await.unwrap(), head);
                assert_eq!(store.audit.chain(10).await.unwrap(), 2);
                assert_eq!(store.audit.verify(|_| ()).await.unwrap().length, 151);
                let mut batch = Batch::new();
                batch.append(event("later"));
                store.state.commit(batch).await.unwrap();
                drop(store);
                let again = backup(&target).await.0;
                let (old, new) = (rows(&bytes), rows(&again));
                assert!(
                    old.iter()
                        .filter(|row| !row.contains("duty:create"))
                        .all(|row| new.contains(row))
                );
                assert_eq!(old.len(), 150 + 150 + 149);
                assert_eq!(new.len(), 151 + 150 + 151);
            });
        }
    }
}

#[test]
fn a_backup_that_was_cut_or_changed_anywhere_is_refused_and_nothing_is_made() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let source = DatabaseUrl::Sqlite(folder.path().join("source"));
    runtime.block_on(async {
        let store = Store::open(&source).await.unwrap();
        let mut batch = Batch::new();
        batch.append(event("one"));
        batch.insert(&duty("one".to_owned()));
        store.state.commit(batch).await.unwrap();
        let (bytes, summary) = backup(&source).await;
        assert_eq!(check(bytes.as_slice()).unwrap(), summary);
        for length in 0..bytes.len() {
            assert!(check(&bytes[..length]).is_err(), "cut to {length}");
        }
        for place in 0..bytes.len() {
            for bit in [0x01, 0x20] {
                let mut changed = bytes.clone();
                changed[place] ^= bit;
                assert!(check(changed.as_slice()).is_err(), "byte {place}");
            }
        }
        let longer = [bytes.as_slice(), b"\n"].concat();
        assert!(matches!(check(longer.as_slice()), Err(BackupError::Damaged { .. })));
        assert!(matches!(check(&b"PGDMP"[..]), Err(BackupError::Foreign)));
        let target = DatabaseUrl::Sqlite(folder.path().join("target"));
        let cut = restored(&target, &bytes[..bytes.len() - 1], Target::Empty)
            .await
            .unwrap_err();
        assert!(cut.to_string().contains("damaged at line"), "{cut}");
        assert!(!folder.path().join("target").exists());
    });
}

#[test]
fn what_is_there_is_overwritten_only_if_asked_for() {
    on_both(|place| async move {
        fill(&place.url).await;
        let bytes = backup(&place.url).await.0;
        let store = Store::open(&place.url).await.unwrap();
        let mut batch = Batch::new();
        batch.append(event("later"));
        batch.insert(&duty("later".to_owned()));
        store.state.commit(batch).await.unwrap();
        let before = store.identity().await.unwrap();
        let raised = store.raise_epoch(before.run, 6).await.unwrap();
        // While somebody has it open nothing happens.
        let refused = restored(&place.url, &bytes, Target::Any).await.unwrap_err();
        assert!(matches!(refused, BackupError::InUse { .. }), "{refused:?}");
        assert_eq!(store.identity().await.unwrap(), raised);
        drop(store);
        let refused = loop {
            match restored(&place.url, &bytes, Target::Empty).await.unwrap_err() {
                // Connections end a moment after the store.
                BackupError::InUse { .. } => tokio::task::yield_now().await,
                other => break other,
            }
        };
        assert!(
            matches!(refused, BackupError::Occupied { events: 151, epoch: 7 }),
            "{refused:?}"
        );
        let done = restored(&place.url, &bytes, Target::Any).await.unwrap();
        assert_eq!(done.identity.epoch, 8);
        let store = Store::open(&place.url).await.unwrap();
        assert_eq!(store.state.find::<Duty>("name", "later").await.unwrap(), None);
        assert_eq!(store.state.all::<Duty>(None, 1000).await.unwrap().len(), 150);
    });
}

/// Batches of two rows and an event are committed all the time: a backup has all of a batch or nothing of it.
#[test]
fn a_backup_is_of_one_moment_while_hubs_go_on() {
    on_both(|place| async move {
        let store = Store::open(&place.url).await.unwrap();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let writing = tokio::spawn(async move {
            for number in 0.. {
                let mut batch = Batch::new();
                batch.append(event("pair"));
                batch.insert(&duty(format!("left {number}")));
                batch.insert(&duty(format!("right {number}")));
                store.state.commit(batch).await.unwrap();
                if *stopped.borrow() {
                    return;
                }
            }
        });
        let mut seen = 0;
        while seen < 100 {
            let (bytes, summary) = backup(&place.url).await;
            let rows = rows(&bytes);
            let count = |word: &str| rows.iter().filter(|row| row.contains(word)).count() as u64;
            assert_eq!(count("\"left "), summary.header.events);
            assert_eq!(count("\"right "), summary.header.events);
            assert_eq!(count("duty:create"), summary.header.events);
            seen = summary.header.events;
        }
        stop.send(true).unwrap();
        writing.await.unwrap();
    });
}

#[test]
fn an_older_backup_goes_forward_and_a_newer_one_is_refused_with_both_numbers() {
    on_both(|place| async move {
        let known = migration::last(ALL);
        let (schema, up, down) = (
            known + 1,
            "ALTER TABLE duty ADD COLUMN size BIGINT; UPDATE duty SET size = 5",
            "ALTER TABLE duty DROP COLUMN size",
        );
        let list = [ALL, &[Migration { schema, up, down }]].concat();
        fill(&place.url).await;
        let older = backup(&place.url).await.0;
        drop(Store::open_with(&place.url, &list).await.unwrap());
        let mut newer = Vec::new();
        write_with(&place.url, &mut newer, now(), &list).await.unwrap();
        // Whoever does not know the schema does not know what to write either.
        let refused = write(&place.url, &mut Vec::new(), now()).await.unwrap_err();
        let BackupError::Open(OpenError::Schema(refused)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(refused, NoWay::Newer { found: schema, known });
        let folder = tempfile::tempdir().unwrap();
        let target = DatabaseUrl::Sqlite(folder.path().join("hub"));
        let refused = restored(&target, &newer, Target::Empty).await.unwrap_err();
        assert!(
            matches!(refused, BackupError::Schema { found, known: k } if (found, k) == (schema, known)),
            "{refused:?}"
        );
        let terms = Terms {
            list: &list,
            ..terms(Target::Empty)
        };
        let done = restore(&target, &mut Cursor::new(&older), &terms).await.unwrap();
        assert_eq!((done.from.header.schema, done.identity.schema), (known, schema));
        let place = Place { url: target };
        assert_eq!(place.number("SELECT sum(size) FROM duty").await.unwrap(), 750);
        // Restored is not finalised.
        assert_eq!(Store::roll_back_with(&place.url, &list).await.unwrap(), known);
    });
}

#[test]
fn nothing_is_no_database() {
    on_both(|place| async move {
        if let DatabaseUrl::Sqlite(path) = &place.url {
            assert!(write(&place.url, &mut Vec::new(), now()).await.is_err());
            assert!(!path.exists());
            std::fs::write(path, "").unwrap();
        }
        let refused = write(&place.url, &mut Vec::new(), now()).await.unwrap_err();
        assert!(
            matches!(refused, BackupError::Open(OpenError::Schema(NoWay::Empty))),
            "{refused:?}"
        );
    });
}
