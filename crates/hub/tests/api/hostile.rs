//! What no program should send: it is refused with the field's name, bounded in time and size, and never a fault of the hub.

use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Client, Reply};
use crate::hub::Running;
use crate::world::World;

async fn raw(client: &Client, method: Method, path: &str, body: impl Into<Bytes>) -> Reply {
    client
        .with("content-type", "application/json")
        .send(method, path, body.into())
        .await
}

/// Bodies that are too large, too deep, or no JSON.
pub async fn a_body_is_bounded_and_json(running: Running) {
    let world = World::new(running).await;
    let admin = world.by("admin");
    let path = "/api/v1/organizations";
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(1024 * 1024));
    raw(&admin, Method::POST, path, large).await.is(413);
    for body in [
        "[".repeat(100_000),
        format!("{{\"name\": {}1{}}}", "[".repeat(5000), "]".repeat(5000)),
        "{\"name\": \"x\"} {}".to_owned(),
        "{\"name\": \"x\"".to_owned(),
        "nul".to_owned(),
        "{\"name\": \"\\ud800\"}".to_owned(),
        "{\"name\": \"x\", \"name\": \"y\"}".to_owned(),
        "{\"name\": \"x\", \"colour\": \"red\"}".to_owned(),
        "1e999".to_owned(),
        String::new(),
        " ".to_owned(),
    ] {
        raw(&admin, Method::POST, path, body).await.is(400);
    }
    raw(&admin, Method::POST, path, vec![0xff, 0xfe]).await.is(400);
    raw(&admin, Method::POST, path, b"{\"name\": \"\xff\"}".to_vec())
        .await
        .is(400);
    let text = admin.with("content-type", "text/plain");
    text.send(Method::POST, path, "{\"name\": \"x\"}".into()).await.is(415);
    admin.send(Method::POST, path, "{\"name\": \"x\"}".into()).await.is(415);
    // Who is not known is not told what else is wrong.
    raw(&world.running.client(), Method::POST, path, "nul").await.is(401);
    raw(&admin, Method::DELETE, &world.path("/api/v1/sites/{id}"), "{}")
        .await
        .is(400);
}

/// Values of the wrong kind: the field is named.
pub async fn a_wrong_value_is_named(running: Running) {
    let world = World::new(running).await;
    let admin = world.by("admin");
    let organization = world.organization;
    let long = "x".repeat(2001);
    let project = |name: &str, value: Value| {
        let mut body = json!({"organization": organization, "name": "survey"});
        body[name] = value;
        body
    };
    let quota = world.path("/api/v1/projects/{id}/quotas/{site}");
    let seat = world.path("/api/v1/projects/{id}/members/{user}");
    let lab = world.path("/api/v1/projects/{id}");
    let cases: Vec<(Method, &str, Value, &str)> = vec![
        (
            Method::POST,
            "/api/v1/projects",
            project("organization", json!("x")),
            "organization",
        ),
        (Method::POST, "/api/v1/projects", project("type", json!("huge")), "type"),
        (Method::POST, "/api/v1/projects", project("name", json!("a/b")), "name"),
        (Method::POST, "/api/v1/projects", project("name", json!("")), "name"),
        (
            Method::POST,
            "/api/v1/projects",
            project("name", json!("x".repeat(65))),
            "name",
        ),
        (
            Method::POST,
            "/api/v1/projects",
            project("name", json!("a\u{0}b")),
            "name",
        ),
        (Method::POST, "/api/v1/projects", project("name", json!(["a"])), "name"),
        (
            Method::POST,
            "/api/v1/projects",
            project("description", json!("a\u{0}b")),
            "description",
        ),
        (
            Method::POST,
            "/api/v1/projects",
            project("description", json!(long)),
            "description",
        ),
        (
            Method::POST,
            "/api/v1/projects",
            project("contact", json!("x".repeat(255))),
            "contact",
        ),
        (
            Method::POST,
            "/api/v1/projects",
            project("institution", json!(3)),
            "institution",
        ),
        (
            Method::POST,
            "/api/v1/projects",
            project("expires", json!("tomorrow")),
            "expires",
        ),
        (
            Method::POST,
            "/api/v1/projects",
            project("expires", json!("1999-01-01T00:00:00Z")),
            "expires",
        ),
        (
            Method::POST,
            "/api/v1/projects",
            project("expires", json!("99999-01-01T00:00:00Z")),
            "expires",
        ),
        (
            Method::POST,
            "/api/v1/projects",
            project("owner", json!(organization)),
            "owner",
        ),
        (
            Method::POST,
            "/api/v1/projects",
            project("colour", json!("red")),
            "colour",
        ),
        (
            Method::PATCH,
            lab.as_str(),
            json!({"name": null, "contact": 3}),
            "contact",
        ),
        (Method::PUT, quota.as_str(), json!({"limit": {"vms": -1}}), "limit.vms"),
        (Method::PUT, quota.as_str(), json!({"limit": {"vms": 1.5}}), "limit.vms"),
        (
            Method::PUT,
            quota.as_str(),
            json!({"limit": {"segments": (1_u32 << 30) + 1}}),
            "limit.segments",
        ),
        (
            Method::PUT,
            quota.as_str(),
            json!({"limit": {"memory_mib": 1e30}}),
            "limit.memory_mib",
        ),
        (
            Method::PUT,
            quota.as_str(),
            json!({"limit": {"moons": 1}}),
            "limit.moons",
        ),
        (
            Method::PUT,
            quota.as_str(),
            json!({"limit": {"memory_mib": (1_u64 << 40) + 1}}),
            "limit.memory_mib",
        ),
        (
            Method::PUT,
            quota.as_str(),
            json!({"limit": {"disk_gib": i64::MAX}}),
            "limit.disk_gib",
        ),
        (Method::PUT, seat.as_str(), json!({"role": "king"}), "role"),
        (Method::POST, "/api/v1/users", json!({"name": "Capital"}), "name"),
        (
            Method::POST,
            "/api/v1/users",
            json!({"name": "short", "password": "short"}),
            "password",
        ),
        (
            Method::POST,
            "/api/v1/users",
            json!({"name": "long", "password": "x".repeat(257)}),
            "password",
        ),
        (
            Method::POST,
            "/api/v1/users",
            json!({"name": "nul", "full_name": "\u{0}"}),
            "full_name",
        ),
        (
            Method::POST,
            "/api/v1/users",
            json!({"name": "mail", "email": "x".repeat(255)}),
            "email",
        ),
        (
            Method::POST,
            "/api/v1/sites",
            json!({"name": "osaka", "operators": [organization]}),
            "operators",
        ),
        (
            Method::POST,
            "/api/v1/sites",
            json!({"name": "osaka", "operators": ["x"]}),
            "operators[0]",
        ),
        (
            Method::POST,
            "/api/v1/sessions",
            json!({"name": "x", "password": 3}),
            "password",
        ),
    ];
    for (method, path, body, field) in cases {
        let reply = admin.ask(method, path, Some(body.clone())).await;
        let problem = reply.is(400);
        assert_eq!(problem["field"], field, "{body}: {problem}");
    }
    // As large as it may be.
    let most = json!({"limit": {"vms": 1_u32 << 30, "memory_mib": 1_u64 << 40, "disk_gib": 1_u64 << 40}});
    admin.put(&quota, most.clone()).await.is(200);
    assert_eq!(
        admin.get(&quota).await.is(200)["limit"]["disk_gib"],
        most["limit"]["disk_gib"]
    );
}

/// Queries and paths.
pub async fn a_wrong_parameter_is_named(running: Running) {
    let world = World::new(running).await;
    let admin = world.by("admin");
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=4294967296", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("after=x", "after"),
        ("after=%00", "after"),
        ("after=", "after"),
        ("name=", "name"),
        ("name=a%00b", "name"),
        ("name=a/b", "name"),
        ("organization=x", "organization"),
    ] {
        admin
            .get(&format!("/api/v1/projects?{query}"))
            .await
            .refuses(400, field);
    }
    for (query, field) in [
        ("before=x", "before"),
        ("before=9223372036854775808", "before"),
        ("noun=a%00b", "noun"),
        ("user=x", "user"),
        ("limit=99999", "limit"),
    ] {
        admin.get(&format!("/api/v1/events?{query}")).await.refuses(400, field);
    }
    admin.get("/api/v1/events?before=-9223372036854775808").await.is(200);
    admin.get("/api/v1/operations?state=asleep").await.refuses(400, "state");
    admin.get("/api/v1/tokens?all=perhaps").await.refuses(400, "all");
    admin
        .delete(&world.path("/api/v1/sites/{id}?plan=perhaps"))
        .await
        .refuses(400, "plan");
    // The places of other lists, and places that were made up.
    let page = admin.get("/api/v1/users?limit=1").await.is(200);
    let next = page["next"].as_str().unwrap();
    for list in ["projects", "tokens", "operations", "sites"] {
        admin.get(&format!("/api/v1/{list}?after={next}")).await.is(200);
    }
    for id in ["x", "%00", "%ff", "..", "' OR 1=1--", "0", &"9".repeat(5000)] {
        let id = id.replace(' ', "%20");
        for noun in ["organizations", "projects", "users", "tokens", "sites", "operations"] {
            let status = admin.get(&format!("/api/v1/{noun}/{id}")).await.status;
            assert!([400, 404].contains(&status), "{noun} {id}: {status}");
        }
    }
    admin.get("/api/v1/projects/x").await.refuses(400, "id");
    admin
        .get(&world.path("/api/v1/projects/{id}/members/x"))
        .await
        .refuses(400, "user");
    admin
        .get(&world.path("/api/v1/projects/{id}/quotas/x"))
        .await
        .refuses(400, "site");
    admin.get("/api/v1/users/named/No%20Body").await.refuses(400, "name");
}

/// Headers.
pub async fn junk_in_headers_is_refused(running: Running) {
    let world = World::new(running).await;
    let client = world.running.client();
    for junk in ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a b", "bearer renkei_x"] {
        client.with("authorization", junk).get("/api/v1/whoami").await.is(401);
    }
    let long = format!("Bearer {}", "x".repeat(10_000));
    client.with("authorization", &long).get("/api/v1/whoami").await.is(401);
    // An id that a caller makes up is not believed.
    let reply = world
        .by("admin")
        .with("x-request-id", "mine")
        .get("/api/v1/whoami")
        .await;
    assert_ne!(reply.header("x-request-id"), "mine");
    let path = world.path("/api/v1/projects/{id}");
    let forwarded = world
        .by("owner")
        .with("x-forwarded-for", "192.0.2.7")
        .with("forwarded", "for=192.0.2.7");
    forwarded.patch(&path, json!({"contact": "x"})).await.is(200);
    let events = world.by("admin").get("/api/v1/events?limit=1").await.is(200);
    assert_eq!(events["items"][0]["by"]["address"], "127.0.0.1");
    for junk in [
        "GARBAGE\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n",
        "\u{0}\u{1}\r\n\r\n",
    ] {
        let answer = talk(&client, junk).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{junk:?}: {answer:?}");
    }
    let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x-a: b\r\n".repeat(500));
    assert!(talk(&client, &many).await.starts_with("HTTP/1.1 431"));
}

/// Sends these bytes and reads until the hub has closed the connection.
async fn talk(client: &Client, bytes: &str) -> String {
    let mut stream = TcpStream::connect(client.address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A hub that has read enough may reset the connection after its answer.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whoever sends a little and waits is not waited for.
pub async fn slow_senders_are_given_up(running: Running) {
    let world = World::new(running).await;
    let client = world.running.client();
    // None of these ends its request; each answer ends because the hub ends the connection.
    assert_eq!(talk(&client, "").await, "");
    assert_eq!(
        talk(&client, "GET /api/v1/whoami HTTP/1.1\r\nhost: a\r\nx-slow: ").await,
        ""
    );
    let head =
        "POST /api/v1/sessions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 40\r\n\r\n";
    let answer = talk(&client, &format!("{head}{{")).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    // An answer was given, and the connection is kept for the next request, for a while.
    let answer = talk(&client, "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Many who say nothing keep nobody else from being answered.
pub async fn idle_connections_are_in_nobodys_way(running: Running) {
    let world = World::new(running).await;
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(TcpStream::connect(world.running.address).await.unwrap());
    }
    world.by("admin").get("/api/v1/whoami").await.is(200);
}
