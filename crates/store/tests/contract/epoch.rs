//! The epoch, and the run that ends with it.

use renkei_types::project::Project;
use uuid::Uuid;

use crate::bench::{Bench, insert, project, row};

pub async fn a_new_epoch_begins_a_new_run_and_keeps_the_rows(bench: Bench) {
    let kept = project("kept");
    insert(&bench.a, std::slice::from_ref(&kept)).await;
    let before = bench.a.identity().await.unwrap();
    assert_eq!((before.epoch, before.schema), (1, bench.a.schema()));
    let after = bench.a.raise_epoch(before.run, 0).await.unwrap();
    assert_eq!((after.epoch, after.schema), (2, before.schema));
    assert_ne!(after.run, before.run);
    assert_eq!(bench.b.identity().await.unwrap(), after);
    assert_eq!(row::<Project>(&bench.b, kept.id.0).await.value, kept);
    insert(&bench.b, &[project("later")]).await;
}

pub async fn the_clock_is_that_of_today(bench: Bench) {
    let (told, now) = (bench.a.clock().await.unwrap(), jiff::Timestamp::now());
    // Its own, on the same machine.
    assert!(
        told.duration_since(now).abs() < jiff::SignedDuration::from_mins(5),
        "{told}"
    );
}

pub async fn hubs_that_see_the_same_raise_it_once(bench: Bench) {
    let seen = bench.a.identity().await.unwrap();
    let tasks = (0..8).map(|task| {
        let store = if task % 2 == 0 { &bench.a } else { &bench.b }.clone();
        tokio::spawn(async move { store.raise_epoch(seen.run, 0).await.unwrap() })
    });
    let tasks: Vec<_> = tasks.collect();
    for task in tasks {
        let told = task.await.unwrap();
        assert_eq!((told.epoch, told), (2, bench.b.identity().await.unwrap()));
    }
    // Of a run that never was nothing follows.
    let told = bench.a.raise_epoch(Uuid::now_v7(), 9).await.unwrap();
    assert_eq!(told.epoch, 2);
}

pub async fn an_epoch_is_greater_than_all_that_was_heard(bench: Bench) {
    let mut identity = bench.a.identity().await.unwrap();
    for (heard, epoch) in [(41, 42), (3, 43), (43, 44), (u32::MAX, u32::MAX)] {
        identity = bench.b.raise_epoch(identity.run, heard).await.unwrap();
        assert_eq!(identity.epoch, epoch);
        assert_eq!(bench.a.identity().await.unwrap(), identity);
    }
}
