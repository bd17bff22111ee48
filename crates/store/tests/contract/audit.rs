//! The chain over the events.

use renkei_store::{Batch, Store};
use uuid::Uuid;

use crate::bench::{Bench, event};

async fn append(store: &Store, count: usize) {
    let mut batch = Batch::new();
    (0..count).for_each(|_| batch.append(event("project", Uuid::nil())));
    store.state.commit(batch).await.unwrap();
}

pub async fn the_chain_grows_and_holds(bench: Bench) {
    assert_eq!(bench.a.audit.head().await.unwrap().length, 0);
    append(&bench.a, 25).await;
    assert_eq!(bench.a.audit.chain(10).await.unwrap(), 10);
    let early = bench.b.audit.head().await.unwrap();
    assert_eq!((early.length, early.at.is_some()), (10, true));
    assert_eq!(bench.b.audit.chain(10).await.unwrap(), 10);
    let mut looked_at = 0;
    let verified = bench.a.audit.verify(|count| looked_at = count).await.unwrap();
    assert_eq!((verified.length, verified.unchained, looked_at), (20, 5, 25));
    assert_eq!(verified.hash, bench.a.audit.head().await.unwrap().hash);
    assert_eq!(bench.a.audit.chain(100).await.unwrap(), 5);
    let head = bench.a.audit.head().await.unwrap();
    let verified = bench.a.audit.verify(|_| {}).await.unwrap();
    assert_eq!((verified.length, verified.hash), (head.length, head.hash.clone()));
    assert_ne!(head.hash, early.hash);
}

pub async fn two_hubs_lengthen_one_chain(bench: Bench) {
    append(&bench.a, 60).await;
    let tasks = (0..12).map(|task| {
        let store = if task % 2 == 0 {
            bench.a.clone()
        } else {
            bench.b.clone()
        };
        tokio::spawn(async move { store.audit.chain(7).await.unwrap() })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    assert_eq!(sum, 60);
    assert_eq!(bench.b.audit.verify(|_| {}).await.unwrap().length, 60);
}
