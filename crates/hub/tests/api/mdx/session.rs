//! Signing in and renewing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{login, refresh, sign_in, told, with};
use crate::client::text;
use crate::hub::Running;
use crate::world::{PASSWORD, World};

const ASSIGNED: &str = "/api/project/assigned/";

/// A token has three parts, the middle one with a whole number as `exp`; it opens what its user may see.
pub async fn a_login_gives_a_signed_token(running: Running) {
    let world = World::new(running).await;
    let token = sign_in(&world).await;
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    assert!(claims["exp"].as_i64().unwrap() >= Timestamp::now().as_second() + 3600);
    assert_eq!(
        (&claims["username"], &claims["user_id"]),
        (&json!("member"), &json!(world.user("member")))
    );
    let assigned = with(&world, &token).get(ASSIGNED).await.is(200);
    assert_eq!(assigned[0]["projects"][0]["name"], "lab");
}

/// Several programs start with one token and each renew on their own.
pub async fn old_tokens_stay_valid_beside_new_ones(running: Running) {
    let world = World::new(running).await;
    let first = sign_in(&world).await;
    let second = text(&refresh(&world, &first).await.is(200), "token").to_owned();
    let third = text(&refresh(&world, &first).await.is(200), "token").to_owned();
    for token in [&first, &second, &third] {
        with(&world, token).get(ASSIGNED).await.is(200);
        refresh(&world, token).await.is(200);
    }
}

/// The token may come in the body, in the header, or in both; and renewing works after a call that was refused.
pub async fn a_token_is_renewed_however_it_is_shown(running: Running) {
    let world = World::new(running).await;
    let token = sign_in(&world).await;
    let body = json!({"token": token});
    world.running.client().post("/api/refresh/", body).await.is(200);
    with(&world, &token)
        .ask(Method::POST, "/api/refresh/", None)
        .await
        .is(200);
    with(&world, &token).get("/api/vm/x/").await.is(404);
    refresh(&world, &token).await.is(200);
    world.running.client().post("/api/refresh/", json!({})).await.is(400);
    for junk in ["", "a.b.c", &format!("{token}x"), "renkei_x"] {
        let body = json!({"token": junk});
        let status = world.running.client().post("/api/refresh/", body).await.status;
        assert_eq!(status, if junk.is_empty() { 400 } else { 401 }, "{junk}");
    }
}

/// Limits and refusals are those of the native sign-in.
pub async fn a_wrong_password_is_a_bad_request_and_counts(running: Running) {
    let world = World::new(running).await;
    let wrong = login(&world, "member", "wrong wrong wrong").await;
    assert!(wrong.is(400)["non_field_errors"][0].is_string());
    assert_eq!(login(&world, "nobody", "wrong wrong wrong").await.is(400), wrong.json());
    for _ in 0..4 {
        login(&world, "member", "wrong wrong wrong").await;
    }
    let locked = login(&world, "member", PASSWORD).await;
    assert_eq!(locked.status, 429, "{}", told(&locked));
    assert!(locked.header("retry-after").parse::<u32>().unwrap() > 0);
    let missing = world
        .running
        .client()
        .post("/api/login/", json!({"username": "member"}))
        .await;
    assert_eq!(missing.is(400), json!({"password": ["This field is required."]}));
}

/// Who was given a password is told how to choose one.
pub async fn a_password_that_was_given_must_be_changed_first(running: Running) {
    let world = World::new(running).await;
    let given = "eleven boats of straw";
    let path = world.path("/api/v1/users/{id}/password");
    world.by("admin").put(&path, json!({"new": given})).await.is(200);
    // Right, so it does not count as a failure, however often.
    for _ in 0..8 {
        let reply = login(&world, "member", given).await;
        assert_eq!(reply.status, 400);
        assert!(told(&reply).contains("renkei login --user member"), "{}", told(&reply));
    }
}

/// A disabled user, a new password, a token that has another's signature: 401 in the words of the dialect.
pub async fn what_ends_a_session_ends_its_tokens(running: Running) {
    let world = World::new(running).await;
    let user = world.path("/api/v1/users/{id}");
    let token = sign_in(&world).await;
    world.by("admin").patch(&user, json!({"enabled": false})).await.is(200);
    let reply = with(&world, &token).get(ASSIGNED).await;
    assert!(reply.is(401)["detail"].is_string());
    assert!(reply.header("www-authenticate").starts_with("JWT"));
    login(&world, "member", PASSWORD).await.is(400);
    world.by("admin").patch(&user, json!({"enabled": true})).await.is(200);
    with(&world, &token).get(ASSIGNED).await.is(200);
    let new = json!({"new": "eleven boats of straw"});
    world.by("admin").put(&format!("{user}/password"), new).await.is(200);
    with(&world, &token).get(ASSIGNED).await.is(401);
    // What a hub remembers is at most two seconds old.
    let over = crate::hub::until_some("renewals to end", || async {
        (refresh(&world, &token).await.status == 401).then_some(())
    });
    over.await;
}

/// A frozen user reads why, and a program that shows only what came of the renewal gets that far.
pub async fn a_frozen_user_is_told_why(running: Running) {
    let world = World::new(running).await;
    let token = sign_in(&world).await;
    let freeze = world.path("/api/v1/users/{id}/freeze");
    world
        .by("admin")
        .put(&freeze, json!({"reason": "found in a log"}))
        .await
        .is(200);
    let reply = with(&world, &token).get(ASSIGNED).await;
    assert_eq!(reply.status, 403);
    assert!(told(&reply).contains("found in a log"));
    refresh(&world, &token).await.is(200);
}
