//! The first administrator chooses a password, and gets a token of either kind.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::client::{Ask, Client, text};
use crate::tell;

/// The hub is gone in some minutes, and listens on this machine only.
const PASSWORD: &str = "six hundred small lanterns";

/// Signs in; tells `token` and `mdx_token`.
pub async fn run(hub: &str) -> Result<()> {
    let mut first = String::new();
    std::io::stdin()
        .read_to_string(&mut first)
        .context("no one-time password came")?;
    let first = first.trim();
    let mut connection = Client::new(hub, "").connect().await?;
    let session = |password: &str| Ask::post("/api/v1/sessions", Some(json!({"name": "admin", "password": password})));
    let begun = connection.ask(&session(first)).await?;
    let mut own = Client::new(hub, text(&begun, "secret")?).connect().await?;
    let who = own.ask(&Ask::get("/api/v1/whoami")).await?;
    let path = format!("/api/v1/users/{}/password", text(&who["user"], "id")?);
    own.ask(&Ask::put(path, json!({"current": first, "new": PASSWORD})))
        .await?;
    let issued = connection.ask(&session(PASSWORD)).await?;
    let login = json!({"username": "admin", "password": PASSWORD});
    let dialect = connection.ask(&Ask::post("/api/login/", Some(login))).await?;
    tell(&json!({"token": text(&issued, "secret")?, "mdx_token": text(&dialect, "token")?}));
    Ok(())
}
