//! Schemas of the tests' own, so that every way between three of them is gone.

use renkei_store::migration::{self, ALL, Migration, NoWay};
use renkei_store::noun::duty::Duty;
use renkei_store::open::OpenError;
use renkei_store::{Batch, CommitError, DatabaseUrl, Store};
use uuid::Uuid;

use crate::place::{Place, on_both};

const LIST: &[Migration] = &[
    Migration {
        schema: 1,
        up: "CREATE TABLE first (id {serial}, name {key}); INSERT INTO first VALUES (7, 'a;b')",
        down: "DROP TABLE first",
    },
    Migration {
        schema: 2,
        up: "CREATE TABLE second (id {serial}, name {key}); INSERT INTO second SELECT id + 1, name FROM first",
        down: "DROP TABLE second",
    },
    Migration {
        schema: 3,
        up: "ALTER TABLE second ADD COLUMN size BIGINT NOT NULL DEFAULT 5",
        down: "ALTER TABLE second DROP COLUMN size",
    },
];

async fn open(place: &Place, list: &[Migration]) -> Result<u32, OpenError> {
    Store::open_with(&place.url, list).await.map(|store| store.schema())
}

fn no_way<T: std::fmt::Debug>(outcome: Result<T, OpenError>) -> NoWay {
    match outcome.unwrap_err() {
        OpenError::Schema(no_way) => no_way,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_schema_goes_forward_to_the_last() {
    for from in 0..=3 {
        on_both(|place| async move {
            if from > 0 {
                assert_eq!(open(&place, &LIST[..from]).await.unwrap(), from as u32);
            }
            assert_eq!(open(&place, LIST).await.unwrap(), 3);
            assert_eq!(place.number("SELECT id + size FROM second").await.unwrap(), 13);
            assert_eq!(place.number("SELECT schema FROM hub").await.unwrap(), 3);
        });
    }
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    on_both(|place| async move {
        open(&place, LIST).await.unwrap();
        let refused = no_way(open(&place, &LIST[..2]).await);
        assert_eq!(refused, NoWay::Newer { found: 3, known: 2 });
        assert_eq!(place.number("SELECT schema FROM hub").await.unwrap(), 3);
        assert_eq!(no_way(Store::roll_back_with(&place.url, &LIST[..2]).await), refused);
    });
}

#[test]
fn there_is_a_way_back_until_the_schema_is_finalised() {
    on_both(|place| async move {
        let first = Store::open_with(&place.url, &LIST[..1]).await.unwrap();
        let run = first.identity().await.unwrap().run;
        open(&place, LIST).await.unwrap();
        assert_eq!(Store::roll_back_with(&place.url, LIST).await.unwrap(), 1);
        assert!(place.number("SELECT id FROM second").await.is_err());
        assert_eq!(place.number("SELECT id FROM first").await.unwrap(), 7);
        // The older version works again, and it is still the same database.
        let older = Store::open_with(&place.url, &LIST[..1]).await.unwrap();
        assert_eq!(older.identity().await.unwrap().run, run);

        open(&place, LIST).await.unwrap();
        assert_eq!(Store::finalise_with(&place.url, LIST).await.unwrap(), 3);
        let refused = no_way(Store::roll_back_with(&place.url, LIST).await);
        assert_eq!(refused, NoWay::Final { schema: 3 });
        assert_eq!(place.number("SELECT id + size FROM second").await.unwrap(), 13);
    });
}

#[test]
fn a_new_database_has_nothing_to_go_back_to() {
    on_both(|place| async move {
        open(&place, LIST).await.unwrap();
        assert_eq!(
            no_way(Store::roll_back_with(&place.url, LIST).await),
            NoWay::Final { schema: 3 }
        );
    });
}

#[test]
fn a_step_that_fails_leaves_the_database_as_it_was() {
    on_both(|place| async move {
        open(&place, &LIST[..1]).await.unwrap();
        let (up, down) = ("CREATE TABLE third (id {serial}); INSERT INTO nothing VALUES (1)", "");
        let broken = [LIST[0], LIST[1], Migration { schema: 3, up, down }];
        assert!(matches!(open(&place, &broken).await, Err(OpenError::Database(_))));
        assert!(place.number("SELECT id FROM second").await.is_err());
        assert!(place.number("SELECT count(*) FROM third").await.is_err());
        assert_eq!(open(&place, LIST).await.unwrap(), 3);
    });
}

#[test]
fn hubs_that_start_together_migrate_once() {
    on_both(|place| async move {
        let hubs: Vec<_> = (0..6)
            .map(|_| {
                let url = place.url.clone();
                tokio::spawn(async move { Store::open_with(&url, LIST).await.unwrap().identity().await.unwrap() })
            })
            .collect();
        let mut seen = Vec::new();
        for hub in hubs {
            seen.push(hub.await.unwrap());
        }
        assert!(seen.iter().all(|identity| *identity == seen[0]), "{seen:?}");
        assert_eq!(place.number("SELECT count(*) FROM first").await.unwrap(), 1);
    });
}

#[test]
fn the_real_schema_goes_back_and_forth() {
    on_both(|place| async move {
        drop(Store::open(&place.url).await.unwrap());
        place.run("UPDATE hub SET finalised = 0").await.unwrap();
        assert_eq!(Store::roll_back(&place.url).await.unwrap(), 0);
        assert!(place.number("SELECT count(*) FROM event").await.is_err());
        drop(Store::open(&place.url).await.unwrap());
        assert_eq!(place.number("SELECT count(*) FROM event").await.unwrap(), 0);
    });
}

#[test]
fn what_is_not_ours_is_not_touched() {
    on_both(|place| async move {
        if let DatabaseUrl::Sqlite(path) = &place.url {
            // Not even made.
            assert!(Store::roll_back(&place.url).await.is_err());
            assert!(!path.exists());
            std::fs::write(path, "").unwrap();
        }
        assert_eq!(no_way(Store::roll_back(&place.url).await), NoWay::Empty);
        assert_eq!(no_way(Store::finalise(&place.url).await), NoWay::Empty);
        assert_eq!(Store::look(&place.url).await.unwrap(), None);
        assert!(place.number("SELECT count(*) FROM hub").await.is_err());
    });
}

/// Two programs over one database, of which only one knows the new schema.
#[test]
fn what_was_opened_before_a_migration_writes_nothing_after_it() {
    on_both(|place| async move {
        let (up, down) = ("CREATE TABLE later (id {serial})", "DROP TABLE later");
        let known = migration::last(ALL);
        let found = known + 1;
        let schema = found;
        let list = [ALL, &[Migration { schema, up, down }]].concat();
        let older = Store::open(&place.url).await.unwrap();
        let commit = async |store: &Store, with: fn(&mut Batch)| {
            let mut batch = Batch::new();
            with(&mut batch);
            store.state.commit(batch).await
        };
        let row = |batch: &mut Batch| {
            let (id, name, holder) = (Uuid::now_v7(), Uuid::now_v7().to_string(), Uuid::nil());
            let until = jiff::Timestamp::UNIX_EPOCH;
            batch.insert(&Duty {
                id,
                name,
                holder,
                until,
            });
        };
        commit(&older, row).await.unwrap();
        let newer = Store::open_with(&place.url, &list).await.unwrap();
        let refused = commit(&older, row).await.unwrap_err();
        assert!(
            matches!(refused, CommitError::Schema { found: f, known: k } if (f, k) == (found, known)),
            "{refused:?}"
        );
        let identity = older.identity().await.unwrap();
        assert_eq!((identity.schema, older.schema()), (found, known));
        commit(&newer, row).await.unwrap();
        assert_eq!(place.number("SELECT count(*) FROM duty").await.unwrap(), 2);
        let (standing, looked) = Store::look(&place.url).await.unwrap().unwrap();
        assert_eq!((standing.schema, standing.finalised, looked), (found, known, identity));
        // Gone back, it is ours again.
        assert_eq!(Store::roll_back_with(&place.url, &list).await.unwrap(), known);
        commit(&older, row).await.unwrap();
        assert!(commit(&newer, row).await.is_err());
    });
}
