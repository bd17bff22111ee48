//! PostgreSQL behind a proxy that cuts connections, and PostgreSQL that crashes.

use std::sync::Arc;
use std::time::Duration;

use renkei_store::Store;
use renkei_testkit::seed::Rng;
use renkei_testkit::{Postgres, TcpProxy};

use crate::ledger::{Ledger, Told, compare, enter, prepare};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(future)
}

/// Commits while every connection is cut at a random moment after each commit began.
#[test]
fn a_connection_that_is_cut_around_commit_costs_no_truth() {
    let server = Postgres::start().unwrap();
    let proxy = Arc::new(TcpProxy::start(server.address()).unwrap());
    let name = server.create().unwrap();
    block_on(async {
        let direct = Store::open(&server.url(&name).parse().unwrap()).await.unwrap();
        let counter = prepare(&direct).await;
        let through = server.url_through(proxy.address(), &name).parse().unwrap();
        let hubs = [
            Store::open(&through).await.unwrap(),
            Store::open(&through).await.unwrap(),
        ];
        let tasks: Vec<_> = (0..)
            .zip(hubs)
            .map(|(hub, store)| {
                let proxy = proxy.clone();
                tokio::spawn(async move {
                    let mut rng = Rng::for_purpose(&format!("hub {hub}"));
                    let mut ledger = Ledger::new();
                    for number in 0..crate::cuts() {
                        let name = format!("{hub}.{number}");
                        // A batch takes one to three milliseconds here.
                        let moment = Duration::from_micros(rng.within(0..5000));
                        let cut = async {
                            tokio::time::sleep(moment).await;
                            proxy.reset_all();
                        };
                        let (told, ()) = tokio::join!(enter(&store, counter, &name), cut);
                        ledger.insert(name, told);
                    }
                    ledger
                })
            })
            .collect();
        let mut ledger = Ledger::new();
        for task in tasks {
            ledger.extend(task.await.unwrap());
        }
        let done = compare(&direct, counter, &ledger).await;
        let unknown = ledger.values().filter(|told| **told == Told::Unknown).count();
        println!(
            "{} batches, {done} done, {unknown} unknown, {} cuts",
            ledger.len(),
            proxy.resets()
        );
        assert_eq!(unknown, 0, "a server that can be reached says what happened");
        assert!(done > 0 && proxy.resets() > 0);
    });
}

#[test]
fn a_server_that_crashes_is_found_again() {
    let mut server = Postgres::start().unwrap();
    let name = server.create().unwrap();
    block_on(async {
        let url = server.url(&name).parse().unwrap();
        let store = Store::open(&url).await.unwrap();
        let counter = prepare(&store).await;
        let mut ledger = Ledger::new();
        for number in 0..3 {
            let name = format!("{number}");
            ledger.insert(name.clone(), enter(&store, counter, &name).await);
            server.crash().unwrap();
        }
        let told = enter(&store, counter, "last").await;
        assert_eq!(told, Told::Done, "one that comes after the crash is served");
        ledger.insert("last".to_owned(), told);
        assert_eq!(compare(&store, counter, &ledger).await, 4);
    });
}

/// The notification of a commit reaches the other hub, also after its connection was lost.
#[test]
fn hubs_wake_one_another_also_after_a_cut() {
    let server = Postgres::start().unwrap();
    let proxy = TcpProxy::start(server.address()).unwrap();
    let name = server.create().unwrap();
    block_on(async {
        let direct = Store::open(&server.url(&name).parse().unwrap()).await.unwrap();
        let counter = prepare(&direct).await;
        let through = server.url_through(proxy.address(), &name).parse().unwrap();
        let other = Store::open(&through).await.unwrap();
        let mut changes = other.state.changes();
        for round in 0..3 {
            changes.borrow_and_update();
            assert_eq!(enter(&direct, counter, &format!("{round}")).await, Told::Done);
            let woken = tokio::time::timeout(renkei_testkit::wait::PATIENCE, changes.changed()).await;
            woken.unwrap().unwrap();
            proxy.reset_all();
        }
    });
}
