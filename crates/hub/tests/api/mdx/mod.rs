//! The API of mdx, on the wire.

pub mod checklist;
pub mod lab;
pub mod looking;
pub mod session;
pub mod stage;
pub mod table;
pub mod transport;

use serde_json::{Value, json};

use crate::client::{Client, Reply, text};
use crate::world::{PASSWORD, World};

/// Somebody with a token of our own, shown as the dialect shows tokens.
pub fn by(world: &World, who: &str) -> Client {
    let client = world.running.client();
    if who == "nobody" {
        return client;
    }
    client.with("authorization", &format!("JWT {}", world.secret(who)))
}

/// Somebody with a signed token.
pub fn with(world: &World, token: &str) -> Client {
    world.running.client().with("authorization", &format!("JWT {token}"))
}

/// A signed token of `member`.
pub async fn sign_in(world: &World) -> String {
    let reply = login(world, "member", PASSWORD).await;
    text(&reply.is(200), "token").to_owned()
}

pub async fn login(world: &World, name: &str, password: &str) -> Reply {
    let body = json!({"username": name, "password": password});
    world.running.client().post("/api/login/", body).await
}

pub async fn refresh(world: &World, token: &str) -> Reply {
    with(world, token).post("/api/refresh/", json!({"token": token})).await
}

/// The text that a client shows of a refusal, whichever field it stands in.
pub fn told(reply: &Reply) -> String {
    match reply.json() {
        Value::Object(fields) => fields.values().map(ToString::to_string).collect(),
        other => other.to_string(),
    }
}
