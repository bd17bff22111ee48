//! Events as they happen.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::{Bytes, Incoming};
use renkei_testkit::wait::PATIENCE;
use serde_json::{Value, json};

use crate::client::{Client, text};
use crate::hub::Running;
use crate::world::World;

/// A stream that is being read.
struct Stream {
    body: Incoming,
    read: String,
}

impl Stream {
    async fn open(client: &Client, path: &str) -> Self {
        let answer = client.open(Method::GET, path, Bytes::new()).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let body = answer.into_body();
        let read = String::new();
        Self { body, read }
    }

    /// The next event; none when the stream has ended.
    async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some((event, rest)) = self.read.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.read = rest;
                if let Some(event) = parse(&event) {
                    return Some(event);
                }
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await;
            let frame = frame.expect("a stream is silent").transpose().ok().flatten()?;
            self.read.push_str(std::str::from_utf8(frame.data_ref()?).unwrap());
        }
    }
}

/// The event of some lines; none for what only keeps the stream alive.
fn parse(lines: &str) -> Option<Value> {
    let field = |name: &str| lines.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let data: Value = serde_json::from_str(field("data:")?).unwrap();
    assert_eq!(field("id:").unwrap(), data["id"].to_string());
    assert_eq!(field("event:").unwrap(), data["noun"]);
    Some(data)
}

async fn change(client: &Client, world: &World, word: &str) {
    let path = world.path("/api/v1/projects/{id}");
    client.patch(&path, json!({"contact": word})).await.is(200);
}

fn word(event: &Value) -> &str {
    text(&event["after"], "contact")
}

/// A stream that broke goes on after the last event seen: none is missing, none comes twice.
pub async fn a_stream_goes_on_where_it_broke(running: Running) {
    let world = World::new(running).await;
    let (owner, reader) = (world.by("owner"), world.by("reader"));
    let path = format!("/api/v1/events/stream?project={}", world.project);
    let mut live = Stream::open(&reader, &path).await;
    change(&owner, &world, "a").await;
    let first = live.next().await.unwrap();
    assert_eq!(word(&first), "a");
    drop(live);
    for letter in ["b", "c"] {
        change(&owner, &world, letter).await;
    }
    let last = first["id"].to_string();
    let mut again = Stream::open(&reader.with("last-event-id", &last), &path).await;
    assert_eq!(word(&again.next().await.unwrap()), "b");
    assert_eq!(word(&again.next().await.unwrap()), "c");
    change(&owner, &world, "d").await;
    assert_eq!(word(&again.next().await.unwrap()), "d");
    let mut all = Stream::open(&world.by("admin"), "/api/v1/events/stream?after=0").await;
    for id in 1..=5 {
        assert_eq!(all.next().await.unwrap()["id"], id);
    }
    reader
        .with("last-event-id", "x")
        .get(&path)
        .await
        .refuses(400, "Last-Event-ID");
}

/// Whoever may no longer see the events is told nothing more.
pub async fn a_stream_ends_with_the_right_to_see_it(running: Running) {
    let world = World::new(running).await;
    let (owner, reader, member) = (world.by("owner"), world.by("reader"), world.by("member"));
    let path = format!("/api/v1/events/stream?project={}", world.project);
    let mut revoked = Stream::open(&reader, &path).await;
    let mut sent_away = Stream::open(&member, &path).await;
    reader.delete("/api/v1/sessions/current").await.is(204);
    assert_eq!(revoked.next().await, None);
    let seat = world.path("/api/v1/projects/{id}/members/{user}");
    owner.delete(&seat).await.is(204);
    change(&owner, &world, "secret").await;
    assert_eq!(sent_away.next().await, None);
    member.get(&path).await.is(404);
}

/// A hub that stops ends its streams.
pub async fn a_hub_that_stops_ends_its_streams(running: Running) {
    let world = World::new(running).await;
    let mut open = Stream::open(&world.by("admin"), "/api/v1/events/stream").await;
    world.running.hub.stop();
    assert_eq!(open.next().await, None);
}

/// A stream without events says now and then that it is there.
pub async fn a_silent_stream_is_kept_alive(running: Running) {
    let world = World::new(running).await;
    let mut open = Stream::open(&world.by("admin"), "/api/v1/events/stream").await;
    let frame = tokio::time::timeout(Duration::from_secs(20), open.body.frame()).await;
    let frame = frame.unwrap().unwrap().unwrap();
    assert!(frame.data_ref().unwrap().starts_with(b":"));
}
