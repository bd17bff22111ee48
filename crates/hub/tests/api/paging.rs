//! Lists that are longer than a page, while others make and delete what is in them.

use std::collections::BTreeSet;

use renkei_store::Batch;
use renkei_types::id::ProjectId;
use serde_json::Value;
use uuid::Uuid;

use crate::client::{Client, text};
use crate::hub::Running;
use crate::world::{World, project};

/// The names of each page of a list; `meanwhile` happens after each.
async fn pages(client: &Client, list: &str, mut meanwhile: impl AsyncFnMut(usize)) -> Vec<Vec<Value>> {
    let (mut pages, mut path) = (Vec::new(), list.to_owned());
    let after = if list.contains("/events") { "before" } else { "after" };
    loop {
        let page = client.get(&path).await.is(200);
        pages.push(page["items"].as_array().unwrap().clone());
        meanwhile(pages.len()).await;
        let Some(next) = page["next"].as_str() else {
            return pages;
        };
        path = format!("{list}&{after}={next}");
    }
}

/// What was there all the time is on exactly one page, whatever comes and goes between two pages.
pub async fn what_is_there_all_the_time_is_listed_once(running: Running) {
    let world = World::new(running).await;
    let make = async |names: Vec<String>| {
        let mut batch = Batch::new();
        for name in names {
            batch.insert(&project(ProjectId(Uuid::now_v7()), world.organization, &name));
        }
        world.store().state.commit(batch).await.unwrap();
    };
    // Names whose order differs between people and bytes: the pages must not follow one and the cursor the other.
    let scripts = ["a-", "A_", "é", "Ω", "計", "z ", "0"];
    let name = |number: usize| format!("{}{number:03}", scripts[number % scripts.len()]);
    make((0..250).map(name).collect()).await;
    let there: BTreeSet<String> = (0..250).map(name).collect();
    let admin = world.by("admin");
    let listed = pages(&admin, "/api/v1/projects?limit=40", async |page| {
        make(scripts.iter().map(|script| format!("{script}new{page}")).collect()).await;
    });
    let listed: Vec<String> = listed
        .await
        .concat()
        .iter()
        .map(|item| text(item, "name").to_owned())
        .collect();
    let once: BTreeSet<&String> = listed.iter().collect();
    assert_eq!(once.len(), listed.len(), "one is on two pages: {listed:?}");
    assert!(
        there.iter().all(|name| once.contains(name)),
        "one is on no page: {listed:?}"
    );
    let folded: Vec<String> = listed.iter().map(|name| name.to_lowercase()).collect();
    assert!(folded.is_sorted(), "{folded:?}");
}

/// Events come newest first, without gap, and later ones do not shift the pages.
pub async fn events_are_listed_once_while_more_happen(running: Running) {
    let world = World::new(running).await;
    let admin = world.by("admin");
    let happen = async || {
        let patch = serde_json::json!({"description": Uuid::now_v7().to_string()});
        admin.patch(&world.path("/api/v1/projects/{id}"), patch).await.is(200);
    };
    for _ in 0..25 {
        happen().await;
    }
    let events = pages(&admin, "/api/v1/events?limit=7", async |_| happen().await)
        .await
        .concat();
    let ids: Vec<i64> = events.iter().map(|event| event["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (1..=26).rev().collect::<Vec<i64>>());
    let operations = pages(&admin, "/api/v1/operations?limit=7", async |_| ()).await.concat();
    let ids: BTreeSet<&str> = operations.iter().map(|operation| text(operation, "id")).collect();
    assert_eq!((ids.len(), operations.len()), (30, 30));
}
