//! A hub from its first administrator on: everything by the API, nothing prepared.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::client::{Client, text};
use crate::hub::{Running, until_some};

/// Signs in; gives somebody with the session's token.
async fn sign_in(client: &Client, name: &str, password: &str) -> Client {
    let issued = client
        .post("/api/v1/sessions", json!({"name": name, "password": password}))
        .await
        .is(201);
    client.token(text(&issued, "secret"))
}

/// Signs in with a first password, and chooses another one.
async fn settle_in(client: &Client, name: &str, first: &str, own: &str) -> Client {
    let begun = sign_in(client, name, first).await;
    let who = begun.get("/api/v1/whoami").await.is(200);
    assert_eq!(who["must_change_password"], true);
    let me = format!("/api/v1/users/{}", text(&who["user"], "id"));
    for path in [
        "/api/v1/projects",
        "/api/v1/users",
        "/api/v1/tokens",
        "/api/v1/events",
        &me,
    ] {
        begun.get(path).await.is(403);
    }
    begun.patch(&me, json!({"full_name": "Somebody Else"})).await.is(403);
    begun
        .post("/api/v1/tokens", json!({"name": "x", "scopes": ["user:write"]}))
        .await
        .is(403);
    let password = format!("{me}/password");
    begun.put(&password, json!({"new": own})).await.refuses(400, "current");
    begun
        .put(&password, json!({"current": own, "new": own}))
        .await
        .refuses(403, "current");
    begun
        .put(&password, json!({"current": first, "new": "short"}))
        .await
        .refuses(400, "new");
    begun
        .put(&password, json!({"current": first, "new": own}))
        .await
        .is(200);
    begun.get("/api/v1/whoami").await.is(401);
    let settled = sign_in(client, name, own).await;
    assert_eq!(
        settled.get("/api/v1/whoami").await.is(200)["must_change_password"],
        false
    );
    settled
}

/// Whatever `plan` told is what was written after `before`.
async fn all_as_planned(admin: &Client, plan: &Value, before: i64) {
    let since = format!("/api/v1/events?before={}&limit=1000", i64::MAX);
    let events = admin.get(&since).await.is(200);
    let mut events: Vec<Value> = events["items"].as_array().unwrap().clone();
    events.retain(|event| event["id"].as_i64().unwrap() > before);
    events.reverse();
    let told = |noun: &Value, kind: &str| format!("{}:{kind}", noun.as_str().unwrap());
    let planned: Vec<String> = plan["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| told(&change["noun"], text(change, "kind")))
        .collect();
    let written: Vec<&str> = events.iter().map(|event| text(event, "action")).collect();
    assert_eq!(planned, written);
    for (change, event) in plan["changes"].as_array().unwrap().iter().zip(&events) {
        assert_eq!(change["name"], event["object_name"]);
        for field in change["fields"].as_array().unwrap() {
            let pointer = format!("/{}", text(field, "field").replace('.', "/"));
            let made_anew = ["id", "created", "since", "user", "project"]
                .iter()
                .any(|name| pointer.ends_with(name));
            for side in ["before", "after"] {
                let is = event[side].pointer(&pointer);
                assert_eq!(
                    field.get(side).is_some(),
                    is.is_some(),
                    "{pointer} {side}: {change} {event}"
                );
                assert!(made_anew || field.get(side) == is, "{pointer} {side}: {change} {event}");
            }
        }
    }
}

async fn last_event(admin: &Client) -> i64 {
    let events = admin.get("/api/v1/events?limit=1").await.is(200);
    events["items"][0]["id"].as_i64().unwrap_or(0)
}

/// Asks for a plan, then for the change, and compares.
async fn change(admin: &Client, method: &str, path: &str, body: Option<Value>) -> Value {
    let method: hyper::Method = method.parse().unwrap();
    let before = last_event(admin).await;
    let plan = admin
        .ask(method.clone(), &format!("{path}?plan=true"), body.clone())
        .await
        .is(200);
    assert_eq!(plan["refused"], json!([]), "{method} {path}");
    assert_eq!(last_event(admin).await, before, "a plan has written: {method} {path}");
    let reply = admin.ask(method.clone(), path, body).await;
    assert!((200..300).contains(&reply.status), "{}: {:?}", reply.asked, reply.body);
    all_as_planned(admin, &plan, before).await;
    reply.json()
}

/// Every change, first as a plan: what the plan tells is what happens, and until then nothing does.
pub async fn every_change_does_what_its_plan_has_told(running: Running) {
    let first = running
        .hub
        .app
        .first_administrator(Timestamp::now())
        .await
        .unwrap()
        .unwrap();
    assert!(
        running
            .hub
            .app
            .first_administrator(Timestamp::now())
            .await
            .unwrap()
            .is_none()
    );
    let client = running.client();
    let admin = settle_in(&client, "admin", &first, "seven oars of glass").await;

    let university = change(&admin, "POST", "/api/v1/organizations", Some(json!({"name": "大学"}))).await;
    let university = format!("/api/v1/organizations/{}", text(&university, "id"));
    change(
        &admin,
        "PATCH",
        &university,
        Some(json!({"name": "university", "description": "old"})),
    )
    .await;
    let new = json!({"name": "ann", "password": "a first word for ann"});
    let ann = change(&admin, "POST", "/api/v1/users", Some(new)).await;
    let ann = text(&ann, "id").to_owned();
    let own = settle_in(&client, "ann", "a first word for ann", "nine lamps of salt").await;
    let new = json!({"organization": university.rsplit('/').next(), "name": "lab", "owner": ann});
    let lab = change(&admin, "POST", "/api/v1/projects", Some(new)).await;
    let lab = format!("/api/v1/projects/{}", text(&lab, "id"));
    change(
        &admin,
        "PATCH",
        &lab,
        Some(json!({"type": "dedicated", "expires": "2099-01-01T00:00:00Z"})),
    )
    .await;
    let site = change(
        &admin,
        "POST",
        "/api/v1/sites",
        Some(json!({"name": "kashiwa", "operators": [ann]})),
    )
    .await;
    let site = text(&site, "id").to_owned();
    change(
        &admin,
        "PATCH",
        &format!("/api/v1/sites/{site}"),
        Some(json!({"operators": []})),
    )
    .await;
    let quota = format!("{lab}/quotas/{site}");
    change(
        &admin,
        "PUT",
        &quota,
        Some(json!({"limit": {"vms": 3, "memory_mib": 4096}})),
    )
    .await;
    change(&admin, "PUT", &quota, Some(json!({"limit": {"vms": 4}}))).await;
    let bob = change(&admin, "POST", "/api/v1/users", Some(json!({"name": "bob"}))).await;
    let bob = text(&bob, "id").to_owned();
    let seat = format!("{lab}/members/{bob}");
    change(&admin, "PUT", &seat, Some(json!({"role": "reader"}))).await;
    change(&admin, "PUT", &seat, Some(json!({"role": "operator"}))).await;
    let expires = (Timestamp::now() + SignedDuration::from_hours(48)).to_string();
    let token = json!({"name": "nightly", "scopes": ["*:read"], "expires": expires});
    let token = change(&admin, "POST", "/api/v1/tokens", Some(token)).await;
    let token = format!("/api/v1/tokens/{}", text(&token["token"], "id"));
    for object in [&university, &lab, &format!("/api/v1/users/{bob}"), &token] {
        let freeze = format!("{object}/freeze");
        change(&admin, "PUT", &freeze, Some(json!({"reason": "an incident"}))).await;
        change(&admin, "DELETE", &freeze, None).await;
    }
    own.get(&lab).await.is(200);

    let new = json!({"name": "Ours", "template_name": "ours-1", "project": lab.rsplit('/').next(), "min_disk_gib": 10});
    let template = change(&admin, "POST", "/api/v1/templates", Some(new)).await;
    let template = format!("/api/v1/templates/{}", text(&template, "id"));
    change(&admin, "PATCH", &template, Some(json!({"name": "Our own"}))).await;
    change(&admin, "PUT", &format!("{template}/publication"), None).await;
    change(&admin, "DELETE", &template, None).await;
    let new = json!({"name": "tiny", "vcpus": 1, "memory_mib": 512});
    let preset = change(&admin, "POST", "/api/v1/presets", Some(new)).await;
    let preset = format!("/api/v1/presets/{}", text(&preset, "id"));
    change(&admin, "PATCH", &preset, Some(json!({"vcpus": 2}))).await;
    change(&admin, "DELETE", &preset, None).await;

    change(&admin, "DELETE", &token, None).await;
    change(&admin, "DELETE", &seat, None).await;
    change(
        &admin,
        "PATCH",
        &format!("/api/v1/users/{bob}"),
        Some(json!({"enabled": false})),
    )
    .await;
    change(&admin, "DELETE", &format!("/api/v1/users/{bob}"), None).await;
    change(&admin, "DELETE", &lab, None).await;
    change(&admin, "DELETE", &format!("/api/v1/sites/{site}"), None).await;
    change(&admin, "DELETE", &university, None).await;
    change(
        &admin,
        "DELETE",
        "/api/v1/users/{ann}".replace("{ann}", &ann).as_str(),
        None,
    )
    .await;
    own.get("/api/v1/whoami").await.is(401);
    the_chain_holds(&admin).await;
}

/// Waits until every event is in the chain, and lets it be computed again.
pub async fn the_chain_holds(admin: &Client) {
    let events = last_event(admin).await;
    let chained = until_some("the chain to have every event", || async {
        let head = admin.get("/api/v1/audit/head").await.is(200);
        (head["length"].as_i64() == Some(events)).then_some(head)
    });
    let head = chained.await;
    let verified = admin.get("/api/v1/audit/verification").await.is(200);
    assert_eq!((&verified["whole"], &verified["hash"]), (&json!(true), &head["hash"]));
}
