//! What is written down of what was done, and what is not.

use serde_json::{Value, json};

use crate::client::text;
use crate::hub::{Files, Running, run, sqlite};
use crate::life::the_chain_holds;
use crate::world::{PASSWORD, World};

/// Each change is one event, with who did it, in which request, and how it was before and after.
pub async fn every_change_is_one_event(running: Running) {
    let world = World::new(running).await;
    let (admin, owner) = (world.by("admin"), world.by("owner"));
    let lab = world.path("/api/v1/projects/{id}");
    let before = owner.get(&lab).await.is(200);
    let reply = owner.patch(&lab, json!({"contact": "lab@example.org"})).await;
    let after = reply.is(200);
    // What changes nothing is no event, nor is what was refused, planned or read.
    owner.patch(&lab, json!({"contact": "lab@example.org"})).await.is(200);
    owner
        .patch(&format!("{lab}?plan=true"), json!({"contact": "x"}))
        .await
        .is(200);
    world.by("reader").patch(&lab, json!({"contact": "x"})).await.is(403);
    let events = admin.get("/api/v1/events").await.is(200);
    let events = events["items"].as_array().unwrap();
    assert_eq!(events.len(), 2, "{events:#?}");
    let event = &events[0];
    assert_eq!((&event["before"], &event["after"]), (&before, &after));
    assert_eq!(text(event, "action"), "project:change");
    assert_eq!(text(&event["by"], "name"), "owner");
    assert_eq!(text(&event["by"], "address"), "127.0.0.1");
    assert_eq!(text(&event["by"], "request"), reply.header("x-request-id"));
    assert_eq!(
        (text(event, "project"), text(event, "organization")),
        (text(&after, "id"), text(&after, "organization"))
    );
    // Filters.
    for (filter, count) in [
        (format!("object={}", world.project), 2),
        (format!("user={}", world.user("owner")), 1),
        ("noun=project".to_owned(), 2),
        ("noun=site".to_owned(), 0),
        ("before=2".to_owned(), 1),
    ] {
        let found = admin.get(&format!("/api/v1/events?{filter}")).await.is(200);
        assert_eq!(found["items"].as_array().unwrap().len(), count, "{filter}");
    }
    the_chain_holds(&admin).await;
    let quota = world.path("/api/v1/projects/{id}/quotas/{site}");
    let plan = admin
        .put(&format!("{quota}?plan=true"), json!({"limit": {"vms": 77}}))
        .await
        .is(200);
    assert_eq!(plan["changes"][0]["name"], "lab at kashiwa", "{plan}");
    let fields = plan["changes"][0]["fields"].as_array().unwrap();
    assert!(
        fields.iter().all(|field| text(field, "field").starts_with("limit")),
        "{plan}"
    );
    admin.put(&quota, json!({"limit": {"vms": 77}})).await.is(200);
    let events = admin.get("/api/v1/events?noun=quota").await.is(200);
    assert_eq!(events["items"][0]["object_name"], "lab at kashiwa");
}

/// No password and no secret of a token is anywhere in the database; nor is a hash in what people read.
#[test]
fn no_secret_is_written_down() {
    let files = Files::new();
    let mut secrets = Vec::new();
    run(sqlite(&files), async |running| {
        let world = World::new(running).await;
        let (admin, client) = (world.by("admin"), world.running.client());
        let first = "a first word for them";
        let new = json!({"name": "newcomer", "password": first});
        admin
            .with("idempotency-key", "a-key-of-their-own")
            .post("/api/v1/users", new)
            .await
            .is(201);
        let session = client
            .post("/api/v1/sessions", json!({"name": "newcomer", "password": first}))
            .await
            .is(201);
        client
            .post(
                "/api/v1/sessions",
                json!({"name": "my password as name", "password": "x"}),
            )
            .await
            .is(401);
        client
            .post(
                "/api/v1/sessions",
                json!({"name": "newcomer", "password": "nearly the word"}),
            )
            .await
            .is(401);
        let own = "eleven boats of straw";
        let path = format!("/api/v1/users/{}/password", text(&session["token"], "user"));
        let begun = client.token(text(&session, "secret"));
        begun.put(&path, json!({"current": first, "new": own})).await.is(200);
        let token = json!({"name": "nightly", "scopes": ["*"]});
        let token = admin
            .with("idempotency-key", "t")
            .post("/api/v1/tokens", token)
            .await
            .is(201);
        secrets = [
            first,
            own,
            "my password as name",
            "nearly the word",
            "a-key-of-their-own",
            text(&session, "secret"),
            text(&token, "secret"),
        ]
        .map(str::to_owned)
        .into();
        secrets.push(world.secret("admin").to_owned());
        let read = [
            admin.get("/api/v1/events?limit=1000").await,
            admin.get("/api/v1/users").await,
            admin.get("/api/v1/tokens?all=true").await,
            admin.get("/api/v1/operations").await,
            client.get("/metrics").await,
        ];
        for reply in read {
            let body = String::from_utf8_lossy(&reply.body).into_owned();
            for secret in secrets
                .iter()
                .map(String::as_str)
                .chain(["$argon2", "secret_hash", PASSWORD])
            {
                assert!(!body.contains(secret), "{} tells `{secret}`", reply.asked);
            }
        }
    });
    let written = files.bytes();
    let has = |text: &str| written.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("$argon2id$"), "the hashes were looked for in the wrong place");
    for secret in secrets {
        assert!(!has(&secret), "`{secret}` is in the database");
    }
}

/// An event that somebody changes by hand is found, and named.
#[test]
fn a_changed_event_is_found() {
    let files = Files::new();
    run(sqlite(&files), async |running| {
        let world = World::new(running).await;
        let admin = world.by("admin");
        for contact in ["a", "b", "c"] {
            admin
                .patch(&world.path("/api/v1/projects/{id}"), json!({"contact": contact}))
                .await
                .is(200);
        }
        the_chain_holds(&admin).await;
        let url = format!("sqlite:{}", files.database().display());
        let pool = sqlx::sqlite::SqlitePool::connect(&url).await.unwrap();
        let forge = "UPDATE event SET body = replace(body, '\"contact\":\"b\"', '\"contact\":\"B\"') WHERE id = 3";
        assert_eq!(sqlx::query(forge).execute(&pool).await.unwrap().rows_affected(), 1);
        let verified: Value = admin.get("/api/v1/audit/verification").await.is(200);
        assert_eq!((&verified["whole"], &verified["broken_at"]), (&json!(false), &json!(3)));
        assert_eq!(verified["length"], 2);
        assert!(verified["fault"].is_string());
    });
}
