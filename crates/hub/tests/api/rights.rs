//! What takes rights away: freezes, ends, scopes, and what nobody may take.

use jiff::{SignedDuration, Timestamp};
use renkei_store::Batch;
use renkei_types::project::Project;
use serde_json::{Value, json};

use crate::client::{Client, text};
use crate::hub::{Running, until_some};
use crate::world::World;

/// What is frozen can be seen and not changed, and everybody who meets it reads why.
pub async fn a_freeze_stops_changes_and_tells_why(running: Running) {
    let world = World::new(running).await;
    let (admin, owner) = (world.by("admin"), world.by("owner"));
    let lab = world.path("/api/v1/projects/{id}");
    for path in ["/api/v1/organizations/{id}/freeze", "/api/v1/projects/{id}/freeze"] {
        let path = world.path(path);
        admin.put(&path, json!({"reason": "an incident"})).await.is(200);
        owner.get(&lab).await.is(200);
        for who in [&owner, &admin] {
            let problem = who.patch(&lab, json!({"contact": "x"})).await.is(423);
            assert!(text(&problem, "title").contains("an incident"), "{problem}");
        }
        owner
            .put(
                &world.path("/api/v1/projects/{id}/members/{user}"),
                json!({"role": "reader"}),
            )
            .await
            .is(423);
        admin.delete(&path).await.is(200);
        owner.patch(&lab, json!({"contact": "x"})).await.is(200);
    }
}

/// A frozen token does nothing, its user's others do; a frozen user does nothing at all.
pub async fn a_frozen_token_is_not_its_user(running: Running) {
    let world = World::new(running).await;
    let (admin, member) = (world.by("admin"), world.by("member"));
    let token = member
        .post("/api/v1/tokens", json!({"name": "nightly", "scopes": ["*"]}))
        .await
        .is(201);
    let program = world.running.client().token(text(&token, "secret"));
    let path = format!("/api/v1/tokens/{}/freeze", text(&token["token"], "id"));
    admin.put(&path, json!({"reason": "found in a log"})).await.is(200);
    let problem = program.get("/api/v1/whoami").await.is(423);
    assert!(text(&problem, "title").contains("found in a log"));
    member.get("/api/v1/whoami").await.is(200);
    member.delete(&path).await.is(403);
    admin.delete(&path).await.is(200);
    let user = world.path("/api/v1/users/{id}/freeze");
    admin.put(&user, json!({"reason": "an incident"})).await.is(200);
    for who in [&program, &member] {
        who.get("/api/v1/whoami").await.is(423);
    }
    let soon = (Timestamp::now() + SignedDuration::from_secs(2)).to_string();
    admin
        .put(&user, json!({"reason": "an incident", "until": soon}))
        .await
        .is(200);
    let thawed = until_some("the freeze to end", || async {
        (program.get("/api/v1/whoami").await.status == 200).then_some(())
    });
    thawed.await;
    for (body, field) in [
        (json!({"reason": ""}), "reason"),
        (json!({"reason": "x".repeat(501)}), "reason"),
        (json!({"reason": "x", "until": "1999-01-01T00:00:00Z"}), "until"),
    ] {
        admin.put(&user, body).await.refuses(400, field);
    }
}

/// A project that is over can be read, and only administrators change it.
pub async fn an_expired_project_can_only_be_read(running: Running) {
    let world = World::new(running).await;
    let project = world
        .running
        .hub
        .app
        .get::<Project>("project", world.project.0)
        .await
        .unwrap();
    let mut over = project.value.clone();
    over.expires = Some(Timestamp::now() - SignedDuration::from_secs(1));
    let mut batch = Batch::new();
    batch.update(&project, &over);
    world.store().state.commit(batch).await.unwrap();
    let lab = world.path("/api/v1/projects/{id}");
    let owner = world.by("owner");
    owner.get(&lab).await.is(200);
    owner.patch(&lab, json!({"contact": "x"})).await.is(403);
    owner.delete(&lab).await.is(403);
    let later = json!({"expires": "2099-01-01T00:00:00Z"});
    owner.patch(&lab, later.clone()).await.is(403);
    world.by("admin").patch(&lab, later).await.is(200);
    owner.patch(&lab, json!({"contact": "x"})).await.is(200);
}

async fn issue(world: &World, by: &Client, new: Value) -> Client {
    let issued = by.post("/api/v1/tokens", new).await.is(201);
    world.running.client().token(text(&issued, "secret"))
}

/// A token for one project knows nothing else, whoever has it.
pub async fn a_token_for_one_project_knows_nothing_else(running: Running) {
    let world = World::new(running).await;
    let admin = world.by("admin");
    let scoped = json!({"name": "nightly", "scopes": ["*"], "project": world.project});
    let program = issue(&world, &admin, scoped).await;
    let lab = world.path("/api/v1/projects/{id}");
    program.patch(&lab, json!({"contact": "x"})).await.is(200);
    let projects = program.get("/api/v1/projects").await.is(200);
    assert_eq!(projects["items"].as_array().unwrap().len(), 1);
    for list in ["organizations", "sites"] {
        let list = program.get(&format!("/api/v1/{list}")).await.is(200);
        assert_eq!(list["items"], json!([]));
    }
    let other = admin.get("/api/v1/projects?name=elsewhere").await.is(200);
    let other = format!("/api/v1/projects/{}", text(&other["items"][0], "id"));
    program.get(&other).await.is(404);
    program.get(&world.path("/api/v1/organizations/{id}")).await.is(404);
    program.get(&world.path("/api/v1/users/{id}")).await.is(404);
    program.get(&world.path("/api/v1/tokens/{id}")).await.is(404);
    program.post("/api/v1/sites", json!({"name": "osaka"})).await.is(403);
    program.get("/api/v1/events").await.is(403);
    program.get("/api/v1/audit/head").await.is(403);
    program
        .post("/api/v1/tokens", json!({"name": "wider", "scopes": ["*"]}))
        .await
        .is(404);
    assert_eq!(
        program.get("/api/v1/tokens").await.is(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let gone = json!({"name": "x", "scopes": ["*"], "project": world.user("admin")});
    world.by("member").post("/api/v1/tokens", gone).await.is(404);
}

/// A token does what its scopes say, and hands on no more.
pub async fn a_token_does_what_its_scopes_say(running: Running) {
    let world = World::new(running).await;
    let owner = world.by("owner");
    let lab = world.path("/api/v1/projects/{id}");
    let reading = issue(&world, &owner, json!({"name": "reading", "scopes": ["*:read"]})).await;
    reading.get(&lab).await.is(200);
    let problem = reading.patch(&lab, json!({"contact": "x"})).await.is(403);
    assert!(text(&problem, "title").contains("project:write"), "{problem}");
    let narrow = issue(
        &world,
        &owner,
        json!({"name": "narrow", "scopes": ["token:write", "project:read"]}),
    )
    .await;
    narrow.get(&world.path("/api/v1/projects/{id}/members")).await.is(403);
    narrow
        .post("/api/v1/tokens", json!({"name": "wider", "scopes": ["*"]}))
        .await
        .is(403);
    let later = (Timestamp::now() + SignedDuration::from_hours(24 * 300)).to_string();
    let longer = json!({"name": "longer", "scopes": ["project:read"], "expires": later});
    narrow.post("/api/v1/tokens", longer).await.is(403);
    narrow
        .post("/api/v1/tokens", json!({"name": "same", "scopes": ["project:read"]}))
        .await
        .is(201);
    for (scopes, field) in [
        (json!([]), "scopes"),
        (json!(["moon:read"]), "scopes[0]"),
        (json!("*"), "scopes"),
    ] {
        owner
            .post("/api/v1/tokens", json!({"name": "x", "scopes": scopes}))
            .await
            .refuses(400, field);
    }
    let too_long = json!({"name": "x", "scopes": ["*"], "expires": "2099-01-01T00:00:00Z"});
    owner.post("/api/v1/tokens", too_long).await.refuses(400, "expires");
}

/// Who is in a project may leave it, and nobody else is put out by that.
pub async fn a_member_may_leave(running: Running) {
    let world = World::new(running).await;
    let seat = |who: &str| format!("/api/v1/projects/{}/members/{}", world.project, world.user(who));
    let reader = world.by("reader");
    reader.delete(&seat("member")).await.is(403);
    let plan = reader.delete(&format!("{}?plan=true", seat("reader"))).await.is(200);
    assert_eq!(
        (&plan["refused"], &plan["changes"][0]["name"]),
        (&json!([]), &json!("reader"))
    );
    reader.delete(&seat("reader")).await.is(204);
    reader.delete(&seat("reader")).await.is(404);
    world.by("stranger").delete(&seat("stranger")).await.is(404);
    world.by("admin").delete(&seat("frozen")).await.is(204);
    world.by("owner").delete(&seat("owner")).await.is(409);
    // In a frozen project nothing changes.
    let freeze = world.path("/api/v1/projects/{id}/freeze");
    world.by("admin").put(&freeze, json!({"reason": "x"})).await.is(200);
    let operator = world.by("operator");
    operator.delete(&seat("operator")).await.is(423);
}

/// There is always an owner of a project and an administrator who can do something.
pub async fn the_last_one_stays(running: Running) {
    let world = World::new(running).await;
    let admin = world.by("admin");
    let seat = |who: &str| format!("/api/v1/projects/{}/members/{}", world.project, world.user(who));
    admin.delete(&seat("frozen")).await.is(204);
    admin.delete(&seat("owner")).await.is(409);
    admin.put(&seat("owner"), json!({"role": "reader"})).await.is(409);
    admin.put(&seat("member"), json!({"role": "owner"})).await.is(200);
    // Both at once: one of them stays.
    let (owner, member) = (world.by("owner"), world.by("member"));
    let (own, other) = (seat("owner"), seat("member"));
    let (one, two) = tokio::join!(owner.delete(&other), member.delete(&own));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert!(matches!(statuses, [204, 403 | 404 | 409]), "{statuses:?}");

    let me = format!("/api/v1/users/{}", world.user("admin"));
    admin.patch(&me, json!({"administrator": false})).await.is(409);
    admin.patch(&me, json!({"enabled": false})).await.is(409);
    admin.put(&format!("{me}/freeze"), json!({"reason": "x"})).await.is(409);
    admin.delete(&me).await.is(409);
    let warden = format!("/api/v1/users/{}", world.user("warden"));
    admin.patch(&warden, json!({"administrator": true})).await.is(200);
    let second = world.by("warden");
    let down = || json!({"administrator": false});
    let (one, two) = tokio::join!(admin.patch(&me, down()), second.patch(&warden, down()));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
}
