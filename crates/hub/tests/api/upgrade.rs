//! A newer hub starts beside this one, and migrates the database.

use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Bytes;
use renkei_store::migration::{self, ALL, Migration};
use renkei_store::{DatabaseUrl, Store};
use renkei_testkit::wait::PATIENCE;
use serde_json::Value;

use crate::client::Client;
use crate::hub::{Running, until_some};
use crate::world::World;

pub async fn an_older_hub_answers_nothing_until_the_schema_is_its_own_again(running: Running, url: DatabaseUrl) {
    let world = World::new(running).await;
    let admin = world.by("admin");
    admin.get("/api/v1/whoami").await.is(200);
    let stream = admin
        .open(Method::GET, "/api/v1/events/stream", Bytes::new())
        .await
        .into_body();

    let known = migration::last(ALL);
    let (schema, up, down) = (known + 1, "CREATE TABLE later (id {serial})", "DROP TABLE later");
    let list = [ALL, &[Migration { schema, up, down }]].concat();
    let newer = Store::open_with(&url, &list).await.unwrap();

    let ready = world.running.client().get("/readyz").await;
    let told = String::from_utf8_lossy(&ready.body).into_owned();
    let expected = format!("schema {schema} now, this hub works with schema {known}");
    assert!(ready.status == 503 && told.contains(&expected), "{told}");
    // Whoever asks for readiness has looked for all.
    let (status, problem) = whoami(&admin).await;
    assert_eq!(status, 503);
    assert!(problem["title"].as_str().unwrap().contains(&expected), "{problem}");
    assert!(problem["hint"].as_str().unwrap().contains("newer version"), "{problem}");
    assert!(problem["request"].is_string());
    let ended = tokio::time::timeout(PATIENCE, stream.collect()).await;
    ended.expect("the stream goes on").unwrap();
    assert_eq!(world.running.client().get("/healthz").await.status, 200);

    drop(newer);
    assert_eq!(Store::roll_back_with(&url, &list).await.unwrap(), known);
    // It looks by itself.
    until_some("the hub to answer again", async || {
        (whoami(&admin).await.0 == 200).then_some(())
    })
    .await;
}

/// Without the suite's check that no answer is a 5xx.
async fn whoami(client: &Client) -> (u16, Value) {
    let answer = client.open(Method::GET, "/api/v1/whoami", Bytes::new()).await;
    let status = answer.status().as_u16();
    assert!(status != 503 || answer.headers().contains_key("retry-after"));
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}
