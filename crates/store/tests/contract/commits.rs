//! Batches: versions, keys, all or nothing.

use renkei_store::batch::{LARGEST_BATCH, LARGEST_BODY, LONGEST_KEY};
use renkei_store::error::{CommitError, Retry, Unfit};
use renkei_store::noun::attempt::Attempt;
use renkei_store::{Batch, EventQuery, Store};
use renkei_testkit::seed::Rng;
use renkei_types::project::Project;
use uuid::Uuid;

use crate::bench::{Bench, event, insert, project, row};

fn attempt(of: &str) -> Attempt {
    Attempt {
        id: Uuid::now_v7(),
        of: of.to_owned(),
        failures: 0.into(),
        last: jiff::Timestamp::from_second(1).unwrap(),
    }
}

pub async fn a_row_is_kept_as_it_was_given(bench: Bench) {
    let new = project("Lab");
    insert(&bench.a, std::slice::from_ref(&new)).await;
    let found = row::<Project>(&bench.b, new.id.0).await;
    assert_eq!((found.version, &found.value), (1, &new));
    let found = bench.b.state.find::<Project>("name", "lab").await.unwrap().unwrap();
    assert_eq!(found.value, new);
    assert!(bench.a.state.get::<Project>(Uuid::now_v7()).await.unwrap().is_none());
}

pub async fn versions_grow_by_one(bench: Bench) {
    let new = project("Lab");
    insert(&bench.a, std::slice::from_ref(&new)).await;
    for version in 1..4 {
        let old = row::<Project>(&bench.b, new.id.0).await;
        assert_eq!(old.version, version);
        let mut batch = Batch::new();
        let description = format!("{version}");
        batch.update(
            &old,
            &Project {
                description,
                ..old.value.clone()
            },
        );
        bench.a.state.commit(batch).await.unwrap();
    }
    assert_eq!(row::<Project>(&bench.a, new.id.0).await.description, "3");
}

pub async fn what_is_gone_is_gone(bench: Bench) {
    let new = project("Lab");
    insert(&bench.a, std::slice::from_ref(&new)).await;
    let old = row::<Project>(&bench.a, new.id.0).await;
    let mut batch = Batch::new();
    batch.delete(&old);
    bench.a.state.commit(batch.clone()).await.unwrap();
    assert!(bench.b.state.find::<Project>("name", "lab").await.unwrap().is_none());
    let again = bench.b.state.commit(batch).await.unwrap_err();
    assert!(matches!(again, CommitError::Stale { table: "project", id } if id == new.id.0));
    // Its name is free.
    insert(&bench.b, &[project("lab")]).await;
}

pub async fn a_stale_row_stops_the_whole_batch(bench: Bench) {
    let (first, second) = (project("first"), project("second"));
    insert(&bench.a, &[first.clone(), second.clone()]).await;
    let old = row::<Project>(&bench.a, first.id.0).await;
    let mut batch = Batch::new();
    batch.touch(&old);
    bench.b.state.commit(batch).await.unwrap();

    let other = row::<Project>(&bench.a, second.id.0).await;
    let mut batch = Batch::new();
    batch.delete(&other);
    batch.insert(&project("third"));
    batch.append(event("project", first.id.0));
    batch.update(&old, &old.value);
    let error = bench.a.state.commit(batch).await.unwrap_err();
    assert!(
        matches!(error, CommitError::Stale { table: "project", id } if id == first.id.0),
        "{error}"
    );
    assert_eq!(error.retry(), Retry::Decide);
    assert_eq!(names(&bench.b).await, ["first", "second"]);
    assert_eq!(row::<Project>(&bench.b, first.id.0).await.version, 2);
    let query = EventQuery {
        limit: 9,
        ..EventQuery::default()
    };
    assert!(bench.a.read.events(&query).await.unwrap().is_empty());
}

async fn names(store: &Store) -> Vec<String> {
    let rows = store.state.all::<Project>(None, 100).await.unwrap();
    rows.iter().map(|row| row.name.to_string()).collect()
}

pub async fn a_key_is_there_once(bench: Bench) {
    insert(&bench.a, &[project("Lab"), project("other")]).await;
    let mut batch = Batch::new();
    batch.insert(&project("new"));
    batch.insert(&project("LAB"));
    let error = bench.b.state.commit(batch).await.unwrap_err();
    let taken = matches!(&error, CommitError::Taken { table: "project", index: "name", key } if key == "lab");
    assert!(taken && !error.is_transient(), "{error}");

    let other = bench.b.state.find::<Project>("name", "other").await.unwrap().unwrap();
    let mut batch = Batch::new();
    let name = "lab".parse().unwrap();
    batch.update(
        &other,
        &Project {
            name,
            ..other.value.clone()
        },
    );
    assert!(matches!(
        bench.b.state.commit(batch).await,
        Err(CommitError::Taken { .. })
    ));

    let mut batch = Batch::new();
    let same = row::<Project>(&bench.a, other.id.0).await.value;
    batch.insert(&same);
    let error = bench.a.state.commit(batch).await.unwrap_err();
    assert!(matches!(error, CommitError::Taken { index: "id", .. }), "{error}");
    assert_eq!(names(&bench.a).await, ["Lab", "other"]);
}

pub async fn a_key_can_go_from_one_row_to_the_next(bench: Bench) {
    let (first, second) = (project("first"), project("second"));
    insert(&bench.a, &[first.clone(), second.clone()]).await;
    let mut batch = Batch::new();
    let (first, second) = (
        row::<Project>(&bench.a, first.id.0).await,
        row::<Project>(&bench.a, second.id.0).await,
    );
    batch.delete(&first);
    let name = first.name.clone();
    batch.update(
        &second,
        &Project {
            name,
            ..second.value.clone()
        },
    );
    batch.insert(&project("second"));
    bench.a.state.commit(batch).await.unwrap();
    assert_eq!(names(&bench.b).await, ["first", "second"]);
    let found = bench.b.state.find::<Project>("name", "first").await.unwrap().unwrap();
    assert_eq!(found.id, second.id);
}

pub async fn an_expectation_is_proved(bench: Bench) {
    let (seen, gone) = (project("seen"), project("gone"));
    insert(&bench.a, &[seen.clone(), gone.clone()]).await;
    let (seen, gone) = (
        row::<Project>(&bench.a, seen.id.0).await,
        row::<Project>(&bench.a, gone.id.0).await,
    );
    let mut batch = Batch::new();
    batch.expect(&seen);
    batch.insert(&project("new"));
    bench.a.state.commit(batch).await.unwrap();
    assert_eq!(row::<Project>(&bench.b, seen.id.0).await.version, 1);

    let mut batch = Batch::new();
    batch.delete(&gone);
    bench.b.state.commit(batch).await.unwrap();
    let mut batch = Batch::new();
    batch.expect(&seen);
    batch.expect(&gone);
    let error = bench.a.state.commit(batch).await.unwrap_err();
    assert!(
        matches!(error, CommitError::Stale { id, .. } if id == gone.id.0),
        "{error}"
    );
}

pub async fn a_touch_changes_the_version_only(bench: Bench) {
    let new = project("Lab");
    insert(&bench.a, std::slice::from_ref(&new)).await;
    let old = row::<Project>(&bench.a, new.id.0).await;
    let mut batch = Batch::new();
    batch.touch(&old);
    bench.a.state.commit(batch).await.unwrap();
    let found = bench.b.state.find::<Project>("name", "lab").await.unwrap().unwrap();
    assert_eq!((found.version, found.value), (2, new));
}

pub async fn a_row_named_twice_is_changed_once(bench: Bench) {
    let new = project("Lab");
    insert(&bench.a, std::slice::from_ref(&new)).await;
    let old = row::<Project>(&bench.a, new.id.0).await;
    let mut batch = Batch::new();
    let description = "changed".to_owned();
    batch.touch(&old);
    batch.update(
        &old,
        &Project {
            description,
            ..old.value.clone()
        },
    );
    batch.expect(&old);
    batch.touch(&old);
    bench.a.state.commit(batch).await.unwrap();
    let found = row::<Project>(&bench.a, new.id.0).await;
    assert_eq!((found.version, found.description.as_str()), (2, "changed"));
}

pub async fn two_versions_of_a_row_are_stale(bench: Bench) {
    let new = project("Lab");
    insert(&bench.a, std::slice::from_ref(&new)).await;
    let old = row::<Project>(&bench.a, new.id.0).await;
    let mut batch = Batch::new();
    batch.touch(&old);
    bench.a.state.commit(batch).await.unwrap();
    let mut torn = Batch::new();
    torn.touch(&row::<Project>(&bench.a, new.id.0).await);
    torn.expect(&old);
    assert!(matches!(
        bench.a.state.commit(torn).await,
        Err(CommitError::Stale { .. })
    ));
    assert_eq!(row::<Project>(&bench.a, new.id.0).await.version, 2);
}

pub async fn what_no_database_can_keep_is_refused_by_name(bench: Bench) {
    let refused = async |row: &Attempt| {
        let mut batch = Batch::new();
        batch.insert(row);
        match bench.a.state.commit(batch).await.unwrap_err() {
            CommitError::Unfit(unfit) => unfit,
            other => panic!("{other}"),
        }
    };
    let nul = attempt("account:a\0b");
    assert!(matches!(refused(&nul).await, Unfit::Nul { table: "attempt", index: "of", id } if id == nul.id));
    let long = refused(&attempt(&"x".repeat(LONGEST_KEY + 1))).await;
    assert!(matches!(long, Unfit::LongKey { length, .. } if length == LONGEST_KEY + 1));
    insert(&bench.a, &[attempt(&random_text(LONGEST_KEY))]).await;

    let mut batch = Batch::new();
    let description = "x".repeat(LARGEST_BODY);
    batch.insert(&Project {
        description,
        ..project("large")
    });
    let error = bench.a.state.commit(batch).await.unwrap_err();
    assert!(
        matches!(error, CommitError::Unfit(Unfit::LargeBody { table: "project", .. })),
        "{error}"
    );

    let mut batch = Batch::new();
    (0..=LARGEST_BATCH).for_each(|_| batch.append(event("project", Uuid::nil())));
    let error = bench.a.state.commit(batch).await.unwrap_err();
    assert!(matches!(error, CommitError::Unfit(Unfit::LargeBatch { .. })), "{error}");
    let mut batch = Batch::new();
    batch.append(event("pro\0ject", Uuid::nil()));
    assert!(matches!(
        bench.a.state.commit(batch).await,
        Err(CommitError::Unfit(Unfit::Nul { .. }))
    ));
    assert!(bench.a.state.find::<Attempt>("of", "a\0").await.unwrap().is_none());
}

/// Text that no database can make shorter, so that the longest key is long in its index too.
fn random_text(bytes: usize) -> String {
    let mut rng = Rng::for_purpose("a long key");
    (0..bytes)
        .map(|_| char::from(b'!' + (rng.next_u64() % 90) as u8))
        .collect()
}

pub async fn any_text_comes_back_as_it_was(bench: Bench) {
    let texts = [
        "nul \0 nul",
        "\u{1b}[2J\r\n\t",
        "計算 ｶﾅ が か\u{3099}",
        "\u{202e}\u{feff}\u{fffd}",
        "🧪👩‍🔬",
        "\u{10ffff}",
        "\\u0000 \"'; DROP TABLE hub; --",
    ];
    for (place, text) in texts.iter().enumerate() {
        let mut new = project(&format!("{place}"));
        new.description = (*text).to_owned();
        insert(&bench.a, std::slice::from_ref(&new)).await;
        assert_eq!(row::<Project>(&bench.b, new.id.0).await.value, new);
        let key = text.replace('\0', "");
        let new = attempt(&key);
        insert(&bench.a, std::slice::from_ref(&new)).await;
        let found = bench.b.state.find::<Attempt>("of", &key).await.unwrap().unwrap();
        assert_eq!(found.value, new);
    }
}

/// Eight tasks at two hubs count in four rows, two at a time in an order of their own; every success counts.
pub async fn no_update_is_lost_between_two_hubs(bench: Bench) {
    let rows: Vec<Attempt> = (0..4).map(|row| attempt(&row.to_string())).collect();
    insert(&bench.a, &rows).await;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let tasks = (0..8).map(|task| {
        let store = if task % 2 == 0 {
            bench.a.clone()
        } else {
            bench.b.clone()
        };
        tokio::spawn(count(store, ids.clone(), task))
    });
    let tasks: Vec<_> = tasks.collect();
    let mut expected = 0;
    for task in tasks {
        expected += task.await.unwrap();
    }
    let mut sum = 0;
    for id in &ids {
        let row = row::<Attempt>(&bench.a, *id).await;
        let failures = row.failures.as_u64().unwrap();
        assert_eq!(row.version, failures + 1);
        sum += failures;
    }
    assert_eq!(sum, 2 * u64::from(expected));
    let query = EventQuery {
        limit: 10_000,
        ..EventQuery::default()
    };
    let events = bench.b.read.events(&query).await.unwrap();
    assert!(events.iter().map(|event| event.id).eq(1..=i64::from(expected)));
}

/// Gives how many batches were committed.
async fn count(store: Store, ids: Vec<Uuid>, task: usize) -> u32 {
    let mut rng = Rng::for_purpose(&format!("task {task}"));
    let mut done = 0;
    while done < 15 {
        let first = rng.within(0..4) as usize;
        let second = (first + rng.within(1..4) as usize) % 4;
        let mut batch = Batch::new();
        for place in [first, second] {
            let row = row::<Attempt>(&store, ids[place]).await;
            let failures = (row.failures.as_u64().unwrap() + 1).into();
            batch.update(
                &row,
                &Attempt {
                    failures,
                    ..row.value.clone()
                },
            );
        }
        batch.append(event("attempt", ids[first]));
        match store.state.commit(batch).await {
            Ok(()) => done += 1,
            Err(error) => assert_eq!(error.retry(), Retry::Decide, "{error:?}"),
        }
    }
    done
}

/// Each of two hubs may put its own light out as long as it has seen the other's burn: they change different rows, and each rests on
/// the other's.
pub async fn two_hubs_never_put_out_the_last_light(bench: Bench) {
    let lights = [attempt("first"), attempt("second")];
    insert(&bench.a, &lights).await;
    let ids = [lights[0].id, lights[1].id];
    for _ in 0..30 {
        let (first, second) = tokio::join!(put_out(&bench.a, ids[0], ids[1]), put_out(&bench.b, ids[1], ids[0]));
        assert!(!(first && second), "both are out");
        for id in ids {
            let light = row::<Attempt>(&bench.a, id).await;
            let mut batch = Batch::new();
            let failures = 0.into();
            batch.update(
                &light,
                &Attempt {
                    failures,
                    ..light.value.clone()
                },
            );
            bench.a.state.commit(batch).await.unwrap();
        }
    }
}

/// Whether it was put out.
async fn put_out(store: &Store, own: Uuid, other: Uuid) -> bool {
    loop {
        let (own, other) = (row::<Attempt>(store, own).await, row::<Attempt>(store, other).await);
        if other.failures == 1 {
            return false;
        }
        let mut batch = Batch::new();
        let failures = 1.into();
        batch.update(
            &own,
            &Attempt {
                failures,
                ..own.value.clone()
            },
        );
        batch.expect(&other);
        match store.state.commit(batch).await {
            Ok(()) => return true,
            Err(error) => assert_eq!(error.retry(), Retry::Decide, "{error:?}"),
        }
    }
}

pub async fn whoever_waits_is_woken(bench: Bench) {
    let mut changes = bench.a.state.changes();
    changes.borrow_and_update();
    insert(&bench.a, &[project("Lab")]).await;
    let woken = tokio::time::timeout(renkei_testkit::wait::PATIENCE, changes.changed()).await;
    woken.unwrap().unwrap();
}
