//! What a hub stands on goes away for a while: its disk, its database, its connections, its clock. Each is told clearly, nothing that was
//! answered is wrong, and it goes on by itself when the trouble is over.

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use renkei_testkit::{Postgres, wait};
use serde_json::json;

use crate::api::{PATIENCE, Question, Reply};
use crate::at_rest;
use crate::reality::STRANGER;
use crate::stand::{Setting, Stand};
use crate::work::Worker;

/// Small enough to be filled soon, bytes.
const DISK: u64 = 48 << 20;

pub fn deploy(stand: &Stand, name: &str) -> Question {
    let asked = json!({"project": stand.ids.project, "name": name, "template": stand.ids.template});
    Question::post("vms", asked)
}

/// Asks for a machine and waits until it runs.
pub fn deployed(stand: &Stand, question: &Question) -> String {
    let answer = stand.api.done(question);
    let ended = stand.api.end_of(answer["operations"][0]["id"].as_str().unwrap());
    assert_eq!(ended["state"], "done", "{ended}");
    let id = answer["vms"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(stand.reality().machines()[&id]["machine"]["power"], "on");
    id
}

/// What one hub answers now; whatever that is, it answers.
fn now(stand: &Stand, question: &Question) -> Reply {
    stand
        .api
        .try_once(question)
        .unwrap_or_else(|error| panic!("{question:?}: {error}"))
}

fn names(stand: &Stand, path: &str) -> Vec<String> {
    let listed = stand.api.list(path);
    listed
        .iter()
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}

/// The disk is a file system in memory that only the hub sees, and whoever looks through its process.
#[test]
fn a_full_disk_is_told_and_what_was_refused_has_not_happened() {
    let stand = Stand::with(&Setting {
        disk: Some(DISK),
        ..Setting::default()
    });
    let machine = deployed(&stand, &deploy(&stand, "before"));
    let there = format!("/proc/{}/root{}", stand.hubs[0].pid(), stand.disk().display());
    let fill = Path::new(&there).join("fill");
    let mut file = std::fs::File::create(&fill).unwrap();
    let full = loop {
        if let Err(error) = file.write_all(&[0; 4096]) {
            break error;
        }
    };
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
    let mut kept = Vec::new();
    let refused = loop {
        let name = format!("org-{}", kept.len());
        let question = Question::post("organizations", json!({"name": name, "description": "x".repeat(2000)}));
        match now(&stand, &question) {
            Reply { status: 201, .. } => kept.push(name),
            Reply { status: 503, body } => break (question, name, body),
            other => panic!("{other:?}"),
        }
        assert!(kept.len() < 10_000, "the disk is never full");
    };
    let (question, name, told) = refused;
    assert!(told["title"].as_str().unwrap().contains("disk is full"), "{told}");
    // What there is can be looked at, and goes on.
    let expected = |more: &[String]| {
        let mut names: Vec<String> = [&["cs".to_owned()], &kept[..], more].concat();
        names.sort_unstable();
        names
    };
    assert_eq!(names(&stand, "organizations"), expected(&[]));
    assert_eq!(stand.api.get(&format!("vms/{machine}"))["seen"]["power"], "on");
    // As soon as there is room, the same question is answered.
    drop(file);
    std::fs::remove_file(&fill).unwrap();
    stand.api.done(&question);
    assert_eq!(names(&stand, "organizations"), expected(&[name]));
    deployed(&stand, &deploy(&stand, "after"));
    at_rest::nobody_panicked(&stand);
    stand.hubs[0].stop();
}

#[test]
fn a_database_that_goes_away_is_told_and_found_again() {
    let mut server = Postgres::start().unwrap();
    let stand = Stand::start(1, Some(&server.url(&server.create().unwrap())));
    let machine = deployed(&stand, &deploy(&stand, "before"));
    server.stop();
    let question = deploy(&stand, "after");
    let look = Question::get("vms");
    std::thread::scope(|scope| {
        // Each takes its time until it gives up.
        for asked in [&question, &look] {
            let stand = &stand;
            scope.spawn(move || {
                let reply = now(stand, asked);
                assert_eq!(reply.status, 503, "{reply:?}");
                let title = reply.body["title"].as_str().unwrap();
                assert!(title.contains("database does not answer"), "{reply:?}");
            });
        }
        scope.spawn(|| assert_eq!(stand.health("/readyz"), 503));
        scope.spawn(|| assert_eq!(stand.health("/healthz"), 200));
    });
    assert_eq!(stand.reality().machines()[&machine]["machine"]["power"], "on");
    server.start_again().unwrap();
    wait::until("the hub to be ready", || stand.health("/readyz") == 200).unwrap();
    deployed(&stand, &question);
    assert_eq!(names(&stand, "vms"), ["after", "before"]);
    at_rest::the_stranger_is_safe(&stand, &[STRANGER]);
    at_rest::administration_is_content(&stand);
    at_rest::nobody_panicked(&stand);
}

#[test]
fn a_database_that_is_killed_while_a_script_works_loses_nothing() {
    let mut server = Postgres::start().unwrap();
    let stand = Stand::start(2, Some(&server.url(&server.create().unwrap())));
    let over = AtomicBool::new(false);
    let ledger = std::thread::scope(|scope| {
        let script = scope.spawn(|| Worker::new(&stand, "ann").until(&over));
        for _ in 0..4 {
            let changes = stand.api.changes() + 6;
            let more = wait::until_some("some changes", PATIENCE, || {
                (stand.api.changes() >= changes).then_some(())
            });
            server.crash().unwrap();
            more.unwrap_or_else(|error| panic!("{error}: {}", script.is_finished()));
        }
        over.store(true, SeqCst);
        script.join().unwrap()
    });
    at_rest::check(&stand, &[ledger]);
}

/// Both directions of every connection go silent, and nobody closes any.
#[test]
fn an_agent_whose_connection_is_half_open_is_missed_and_comes_back() {
    let stand = Stand::start(1, None);
    let machine = deployed(&stand, &deploy(&stand, "before"));
    stand.front.stall();
    let stopped = stand.api.done(&Question::verb(format!("vms/{machine}/power-off")));
    let host = stand.api.list("hosts")[0]["id"].as_str().unwrap().to_owned();
    stand.wait_for("the host to be missed", &format!("hosts/{host}"), |host| {
        host["state"] == "unreachable"
    });
    let path = format!("operations/{}", stopped["id"].as_str().unwrap());
    let waits = stand.wait_for("the operation to say what it waits for", &path, |operation| {
        operation["waiting"].is_object()
    });
    assert!(
        waits["waiting"]["what"].as_str().unwrap().contains("`node-1`"),
        "{waits}"
    );
    assert_eq!(waits["state"], "running", "{waits}");
    // It runs on, whatever the hub means.
    assert_eq!(stand.reality().machines()[&machine]["machine"]["power"], "on");
    stand.front.resume();
    let ended = stand.api.end_of(stopped["id"].as_str().unwrap());
    assert_eq!(ended["state"], "done", "{ended}");
    assert_eq!(stand.reality().machines()[&machine]["machine"]["power"], "off");
    stand.wait_for("the host to be ready", &format!("hosts/{host}"), |host| {
        host["state"] == "ready"
    });
    at_rest::nobody_panicked(&stand);
}

#[test]
fn clocks_an_hour_apart_change_nothing() {
    let stand = Stand::start(1, None);
    let mut number = 0;
    let mut works = |what: &str| {
        number += 1;
        let machine = deployed(&stand, &deploy(&stand, &format!("vm-{number}")));
        let gone = stand.api.done(&Question::delete(format!("vms/{machine}")));
        let ended = stand.api.end_of(gone["id"].as_str().unwrap());
        assert_eq!(ended["state"], "done", "{what}: {ended}");
    };
    works("the same clock");
    let hub = &stand.hubs[0];
    for (role, clock) in [
        (&stand.agent, "+3600"),
        (&stand.agent, "-3600"),
        (hub, "+3600"),
        (hub, "-3600"),
    ] {
        role.stop();
        role.by_clock(Some(clock));
        role.start();
        works(&format!("{} at {clock}", role.name));
        role.stop();
        role.by_clock(None);
        role.start();
    }
    works("the same clock again");
    at_rest::the_stranger_is_safe(&stand, &[STRANGER]);
    at_rest::administration_is_content(&stand);
    at_rest::nobody_panicked(&stand);
}

/// Two hubs whose clocks differ by an hour agree about a host, and the duty to give places passes on.
#[test]
fn a_hub_whose_clock_is_ahead_and_that_is_killed_is_replaced() {
    let server = Postgres::start().unwrap();
    let stand = Stand::with(&Setting {
        hubs: 2,
        database: Some(server.url(&server.create().unwrap())),
        ..Setting::default()
    });
    let [ahead, right] = &stand.hubs[..] else {
        panic!("two hubs")
    };
    right.stop();
    ahead.stop();
    ahead.by_clock(Some("+3600"));
    ahead.start();
    deployed(&stand, &deploy(&stand, "by-the-one"));
    right.start();
    // They answer by turns, and to neither is the host silent.
    for _ in 0..4 {
        let hosts = stand.api.list("hosts");
        assert!(
            !hosts.is_empty() && hosts.iter().all(|host| host["state"] == "ready"),
            "{hosts:?}"
        );
    }
    ahead.kill();
    deployed(&stand, &deploy(&stand, "by-the-other"));
    at_rest::nobody_panicked(&stand);
}
