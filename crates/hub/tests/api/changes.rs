//! What may accompany a change: `?plan=true`, `If-Match`, `Idempotency-Key`.

use serde_json::{Value, json};

use crate::client::text;
use crate::hub::Running;
use crate::world::World;

const ORGANIZATIONS: &str = "/api/v1/organizations";

/// A plan of what would be refused says why, and is no refusal itself.
pub async fn a_plan_tells_why_it_would_be_refused(running: Running) {
    let world = World::new(running).await;
    let refused = |plan: Value| text(&plan["refused"][0], "type").to_owned();
    let admin = world.by("admin");
    let plan = admin
        .post("/api/v1/organizations?plan=true", json!({"name": "University"}))
        .await
        .is(200);
    assert_eq!(refused(plan), "conflict");
    let path = world.path("/api/v1/organizations/{id}?plan=true");
    assert_eq!(refused(admin.delete(&path).await.is(200)), "conflict");
    assert_eq!(
        refused(world.by("owner").patch(&path, json!({})).await.is(200)),
        "forbidden"
    );
    let path = world.path("/api/v1/projects/{id}?plan=true");
    assert_eq!(refused(world.by("reader").delete(&path).await.is(200)), "forbidden");
    assert_eq!(
        refused(admin.with("if-match", "\"9\"").delete(&path).await.is(200)),
        "changed"
    );
    world.by("stranger").delete(&path).await.is(404);
    for (path, body) in [
        ("/api/v1/organizations", json!({"name": "academy"})),
        ("/api/v1/sites", json!({"name": "osaka"})),
        (
            "/api/v1/users",
            json!({"name": "newcomer", "password": "a first word for them"}),
        ),
    ] {
        let plan = world.by("owner").post(&format!("{path}?plan=true"), body).await.is(200);
        assert_eq!(refused(plan), "forbidden", "{path}");
    }
    let path = world.path("/api/v1/users/{id}?plan=true");
    assert_eq!(refused(world.by("owner").delete(&path).await.is(200)), "forbidden");
    // What makes no sense is no plan.
    let over = json!({"name": "x", "scopes": ["*"], "expires": "1999-01-01T00:00:00Z"});
    admin
        .post("/api/v1/tokens?plan=true", over)
        .await
        .refuses(400, "expires");
    let freeze = world.path("/api/v1/tokens/{id}/freeze?plan=true");
    admin.put(&freeze, json!({"reason": " "})).await.refuses(400, "reason");
}

/// What was changed since it was seen is not changed.
pub async fn a_change_of_what_was_not_seen_is_refused(running: Running) {
    let world = World::new(running).await;
    let owner = world.by("owner");
    let path = world.path("/api/v1/projects/{id}");
    let seen = owner.get(&path).await;
    let seen = seen.header("etag");
    let changed = owner
        .with("if-match", seen)
        .patch(&path, json!({"contact": "a@example.org"}))
        .await;
    changed.is(200);
    assert_eq!(owner.get(&path).await.header("etag"), changed.header("etag"));
    owner
        .with("if-match", seen)
        .patch(&path, json!({"contact": "b@example.org"}))
        .await
        .is(412);
    owner.with("if-match", seen).delete(&path).await.is(412);
    owner
        .with("if-match", "*")
        .patch(&path, json!({"contact": "c@example.org"}))
        .await
        .is(200);
    for junk in ["", "3", "\"x\"", "W/\"1\"", "\"-1\"", "\"99999999999999999999\""] {
        owner
            .with("if-match", junk)
            .delete(&path)
            .await
            .refuses(400, "If-Match");
    }
    for (path, body) in [
        ("/api/v1/projects/{id}/members/{user}", json!({"role": "reader"})),
        ("/api/v1/projects/{id}/quotas/{site}", json!({"limit": {}})),
    ] {
        let (admin, path) = (world.by("admin").with("if-match", "\"9\""), world.path(path));
        admin.put(&path, body.clone()).await.is(412);
        admin.delete(&path).await.is(412);
        world.by("admin").delete(&path).await.is(204);
        admin.put(&path, body).await.is(412);
    }
    let admin = world.by("admin").with("if-match", "\"9\"");
    for path in ["organizations", "users", "tokens", "sites"].map(|noun| world.path(&format!("/api/v1/{noun}/{{id}}")))
    {
        admin.delete(&path).await.is(412);
    }
    for path in ["organizations", "users", "tokens"].map(|noun| world.path(&format!("/api/v1/{noun}/{{id}}/freeze"))) {
        admin.put(&path, json!({"reason": "an incident"})).await.is(412);
    }
}

/// The same request with the same key is done once, and answered each time.
pub async fn the_same_request_is_done_once(running: Running) {
    let world = World::new(running).await;
    let admin = world.by("admin").with("idempotency-key", "first");
    let new = || json!({"name": "academy"});
    // A plan is no request that was done.
    admin.post("/api/v1/organizations?plan=true", new()).await.is(200);
    let (one, two) = tokio::join!(admin.post(ORGANIZATIONS, new()), admin.post(ORGANIZATIONS, new()));
    assert_eq!(one.is(201), two.is(201));
    let again = admin.post(ORGANIZATIONS, new()).await;
    assert_eq!((again.is(201), again.header("etag")), (one.json(), one.header("etag")));
    let filtered = "/api/v1/events?noun=organization";
    let events = world.by("admin").get(filtered).await.is(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
    admin.post(ORGANIZATIONS, json!({"name": "other"})).await.is(422);
    admin.post("/api/v1/sites", new()).await.is(422);
    let seat = world.path("/api/v1/projects/{id}/members/{user}");
    admin.put(&seat, json!({"role": "reader"})).await.is(422);
    for junk in ["", "a b", &"x".repeat(256)] {
        let junk = world.by("admin").with("idempotency-key", junk);
        junk.post(ORGANIZATIONS, json!({"name": "other"}))
            .await
            .refuses(400, "Idempotency-Key");
    }
    // A request that was refused is not kept.
    let third = world.by("admin").with("idempotency-key", "third");
    third.post(ORGANIZATIONS, json!({"name": "university"})).await.is(409);
    third.post(ORGANIZATIONS, json!({"name": "third"})).await.is(201);
}

/// A key is its user's own, and no secret is given twice.
pub async fn a_key_is_its_users_own_and_gives_no_secret_again(running: Running) {
    let world = World::new(running).await;
    let new = || json!({"name": "nightly", "scopes": ["*:read"]});
    let keyed = |who: &str| world.by(who).with("idempotency-key", "nightly");
    let first = keyed("member").post("/api/v1/tokens", new()).await.is(201);
    let again = keyed("member").post("/api/v1/tokens", new()).await;
    again.is(409);
    let secret = text(&first, "secret");
    assert!(!String::from_utf8_lossy(&again.body).contains(secret));
    let other = keyed("reader").post("/api/v1/tokens", new()).await.is(201);
    assert_ne!(other["token"]["id"], first["token"]["id"]);
    let tokens = world.by("member").get("/api/v1/tokens").await.is(200);
    let named = |token: &&Value| token["name"] == "nightly";
    assert_eq!(tokens["items"].as_array().unwrap().iter().filter(named).count(), 1);
    world.running.client().token(secret).get("/api/v1/whoami").await.is(200);
}
