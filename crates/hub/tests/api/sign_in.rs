//! Signing in: limits, passwords, sessions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::client::{Client, Reply, text};
use crate::hub::Running;
use crate::world::{PASSWORD, World};

const SESSIONS: &str = "/api/v1/sessions";

async fn knock(client: &Client, name: &str, password: &str) -> Reply {
    client.post(SESSIONS, json!({"name": name, "password": password})).await
}

/// A hundred guesses at once are five, and the right password does not help before the time is over.
pub async fn a_hundred_guesses_at_once_are_few(running: Running) {
    let world = World::new(running).await;
    let client = world.running.client();
    let guesses: Vec<_> = (0..100)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { knock(&client, "member", &format!("wrong password {number}")).await })
        })
        .collect();
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for guess in guesses {
        let reply = guess.await.unwrap();
        if reply.status == 429 {
            assert!((1..=900).contains(&reply.header("retry-after").parse::<u32>().unwrap()));
        }
        *statuses.entry(reply.status).or_default() += 1;
    }
    // Five are free, and some more are checked if the hundred take seconds.
    assert!((5..20).contains(&statuses[&401]), "{statuses:?}");
    assert_eq!(statuses[&401] + statuses[&429], 100);
}

/// Nobody learns whether there is such a user.
pub async fn a_wrong_name_looks_like_a_wrong_password(running: Running) {
    let world = World::new(running).await;
    let client = world.running.client();
    let told = |reply: Reply| {
        let mut problem = reply.is(401);
        problem["request"] = Value::Null;
        problem
    };
    let wrong = told(knock(&client, "member", "wrong wrong wrong").await);
    assert_eq!(told(knock(&client, "nobody", "wrong wrong wrong").await), wrong);
    assert_eq!(told(knock(&client, "reader", "has no password").await), wrong);
    assert_eq!(told(knock(&client, "MEMBER\u{0}", PASSWORD).await), wrong);
}

/// A disabled user is nobody, with the right password too.
pub async fn a_disabled_user_does_not_come_in(running: Running) {
    let world = World::new(running).await;
    let client = world.running.client();
    let path = world.path("/api/v1/users/{id}");
    world.by("admin").patch(&path, json!({"enabled": false})).await.is(200);
    knock(&client, "member", PASSWORD).await.is(401);
    world.by("admin").patch(&path, json!({"enabled": true})).await.is(200);
    knock(&client, "member", PASSWORD).await.is(201);
}

/// A new password ends sessions, and leaves tokens of programs.
pub async fn a_new_password_ends_the_sessions(running: Running) {
    let world = World::new(running).await;
    let member = world.by("member");
    let token = json!({"name": "nightly", "scopes": ["*"]});
    let token = member.post("/api/v1/tokens", token).await.is(201);
    let program = world.running.client().token(text(&token, "secret"));
    let other = knock(&world.running.client(), "member", PASSWORD).await.is(201);
    let other = world.running.client().token(text(&other, "secret"));
    let path = world.path("/api/v1/users/{id}/password");
    let new = "eleven boats of straw";
    member
        .put(&path, json!({"current": PASSWORD, "new": new}))
        .await
        .is(200);
    member.get("/api/v1/whoami").await.is(401);
    other.get("/api/v1/whoami").await.is(401);
    program.get("/api/v1/whoami").await.is(200);
    knock(&world.running.client(), "member", PASSWORD).await.is(401);
    knock(&world.running.client(), "member", new).await.is(201);
    // Whoever gets a password from another has to choose one.
    let given = "twelve boats of straw";
    world.by("admin").put(&path, json!({"new": given})).await.is(200);
    let session = knock(&world.running.client(), "member", given).await.is(201);
    let begun = world.running.client().token(text(&session, "secret"));
    assert_eq!(begun.get("/api/v1/whoami").await.is(200)["must_change_password"], true);
    begun.get(&world.path("/api/v1/projects/{id}")).await.is(403);
}

/// Who has found a session cannot try passwords with it.
pub async fn the_current_password_cannot_be_guessed(running: Running) {
    let world = World::new(running).await;
    let member = world.by("member");
    let path = world.path("/api/v1/users/{id}/password");
    let mut statuses = Vec::new();
    for number in 0..8 {
        let guess = json!({"current": format!("wrong password {number}"), "new": "eleven boats of straw"});
        let plan = if number % 2 == 0 { "" } else { "?plan=true" };
        statuses.push(member.put(&format!("{path}{plan}"), guess).await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
}
