//! What is odd about the client's requests.

use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::{by, told};
use crate::hub::Running;
use crate::world::World;

/// With and without a slash at the end, and never a redirect.
pub async fn both_forms_of_a_path_are_the_same(running: Running) {
    let world = World::new(running).await;
    let member = by(&world, "member");
    let project = world.project;
    for path in [
        "/api/project/assigned".to_owned(),
        format!("/api/project/{project}/summary"),
        format!("/api/project/{project}/resources"),
        format!("/api/user/project/{project}"),
        format!("/api/history/project/{project}"),
        format!("/api/task/{}", world.operation),
    ] {
        let (bare, slashed) = (member.get(&path).await, member.get(&format!("{path}/")).await);
        let same = |value: Value| value.to_string().replace(&format!("{path}/"), &path);
        assert_eq!(same(bare.is(200)), same(slashed.is(200)), "{path}");
    }
    for path in ["/api/login", "/api/login/"] {
        member.post(path, json!({"username": "member"})).await.is(400);
    }
}

/// Whatever type a body is said to have.
pub async fn a_body_is_read_whatever_it_is_said_to_be(running: Running) {
    let world = World::new(running).await;
    let client = world.running.client();
    let text = format!("{{\"token\": \"{}\", \"colour\": \"red\"}}", world.secret("member"));
    for kind in ["application/json", "text/plain", "application/json; charset=utf-8", "x"] {
        let client = client.with("content-type", kind);
        client
            .send(Method::POST, "/api/refresh/", text.clone().into())
            .await
            .is(200);
    }
    client.send(Method::POST, "/api/refresh/", text.into()).await.is(200);
    for nothing in ["null", "", "{}", " "] {
        let reply = client
            .send(Method::POST, "/api/refresh/", Bytes::from_static(nothing.as_bytes()))
            .await;
        assert_eq!(
            reply.is(400),
            json!({"token": ["This field is required."]}),
            "{nothing:?}"
        );
    }
    let large = format!("{{\"token\": \"{}\"}}", "x".repeat(1024 * 1024));
    client.send(Method::POST, "/api/refresh/", large.into()).await.is(413);
    for junk in ["{", "[1]", "\"x\"", "{\"token\": 3}", "nul"] {
        client.send(Method::POST, "/api/refresh/", junk.into()).await.is(400);
    }
    let deep = "[".repeat(100_000);
    client.send(Method::POST, "/api/refresh/", deep.into()).await.is(400);
    client
        .send(Method::POST, "/api/refresh/", vec![0xff, 0xfe].into())
        .await
        .is(400);
}

/// The root answers, unknown paths and methods are refused in the words of the dialect.
pub async fn what_is_not_there_is_told_as_the_dialect_does(running: Running) {
    let world = World::new(running).await;
    let member = by(&world, "member");
    assert_eq!(world.running.client().get("/").await.status, 200);
    for path in [
        "/api/",
        "/api/vm",
        "/api/x/y/z/",
        "/api/history/vm/x/",
        "/api/project/x/summary/",
    ] {
        assert_eq!(member.get(path).await.is(404)["detail"], "Not found.", "{path}");
    }
    let reply = member.delete("/api/project/assigned/").await;
    assert!(told(&reply).contains("not allowed"), "{}", told(&reply));
    assert_eq!(reply.status, 405);
    // The native API keeps its own words.
    assert_eq!(member.get("/api/v1/nothing").await.is(404)["type"], "not-found");
}

/// Pages are counted until `next` is null; a page can be as large as the client asks for.
pub async fn pages_go_on_until_next_is_null(running: Running) {
    let world = World::new(running).await;
    let owner = by(&world, "owner");
    for number in 0..7 {
        let body = json!({"description": format!("change {number}")});
        world
            .by("owner")
            .patch(&world.path("/api/v1/projects/{id}"), body)
            .await
            .is(200);
    }
    let list = format!("/api/history/project/{}/", world.project);
    let whole = owner.get(&format!("{list}?page=1&page_size=10000")).await.is(200);
    assert_eq!(
        (&whole["count"], &whole["next"], &whole["previous"]),
        (&json!(8), &Value::Null, &Value::Null)
    );
    let mut seen = Vec::new();
    let mut page = 1;
    loop {
        let some = owner.get(&format!("{list}?page={page}&page_size=3")).await.is(200);
        seen.extend(some["results"].as_array().unwrap().clone());
        assert_eq!(some["count"], 8);
        assert_eq!(some["previous"].is_null(), page == 1);
        if some["next"].is_null() {
            break;
        }
        let next = some["next"].as_str().unwrap();
        assert!(
            next.starts_with("http://hub/api/history/") && next.contains(&format!("page={}", page + 1)),
            "{next}"
        );
        page += 1;
    }
    assert_eq!(seen, *whole["results"].as_array().unwrap());
    owner.get(&format!("{list}?page=99&page_size=3")).await.is(404);
    owner.get(&format!("{list}?page=0")).await.is(400);
    owner.get(&format!("{list}?page=x")).await.is(400);
    // The newest first, with the name of who asked.
    let times: Vec<&str> = seen
        .iter()
        .map(|record| record["start_datetime"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted_by(|one, other| one >= other), "{times:?}");
    assert_eq!(seen[0]["user_name"], "owner");
    assert_eq!(seen[0]["type"], "プロジェクトの変更");
}
