//! What can come in to a machine, from the command line, now and with a plan.

use serde_json::{Value, json};

use super::host::wait_for_agents;
use super::support::{Hub, Person};

/// A project with machine `web` in segment `net`, and an outside address.
fn lab() -> (Hub, Person) {
    let capacity = json!({"vcpus": 4, "memory_mib": 8192, "disk_gib": 100, "gpus": 0});
    let hub = Hub::start_on(&json!({"capacity": capacity, "rules": []}).to_string());
    let admin = hub.administrator();
    wait_for_agents(&hub.url, 1);
    admin.done(&["org", "create", "cs"]);
    admin.done(&["project", "create", "lab", "--org", "cs"]);
    let networks = ["--segments", "1", "--global-ips", "1"];
    let machines = ["--vms", "5", "--vcpus", "10", "--memory", "8G", "--disk", "20G"];
    admin.done(&[&["quota", "set", "local", "-p", "lab"], &networks[..], &machines].concat());
    admin.done(&["global-ip", "add", "198.18.245.7", "--site", "local"]);
    admin.done(&["segment", "create", "net", "-p", "lab"]);
    admin.done(&["template", "create", "tiny", "--public", "--min-disk", "1G"]);
    let named = [
        "vm",
        "deploy",
        "web",
        "-p",
        "lab",
        "-t",
        "tiny",
        "--address",
        "10.15.0.7",
    ];
    admin.done(&[&named[..], &["--wait"]].concat());
    (hub, admin)
}

const RULE: [&str; 10] = [
    "acl",
    "create",
    "net",
    "-p",
    "lab",
    "--to",
    "10.15.0.7",
    "--ports",
    "22",
    "--from",
];
const FROM: &str = "192.0.2.0/24";
const LINE: &str = "tcp 22 of vm `web` by 198.18.245.7 from 192.0.2.0/24\n";

/// What it says to one packet, and its exit code.
fn asked(admin: &Person, words: &[&str]) -> (Option<i32>, String) {
    let outcome = admin.run(&[&["vm", "reach", "web", "-p", "lab"], words].concat());
    (outcome.code(), outcome.stdout)
}

#[test]
fn what_is_open_is_listed_answered_and_told_before_it_changes() {
    let (_hub, admin) = lab();
    let nothing = "closed: no outside address leads to it, and from inside its project no rule lets it in\n";
    assert_eq!(
        asked(&admin, &["--from", "192.0.2.9", "--port", "22"]),
        (Some(1), nothing.to_owned())
    );
    let (code, neighbour) = asked(&admin, &["--from", "10.15.0.9"]);
    assert_eq!(code, Some(0));
    assert_eq!(neighbour, "open: all from 10.15.0.0/21 to 10.15.0.7, by same segment\n");

    let acl = admin.json(&[&RULE[..], &[FROM]].concat());
    let acl = acl["id"].as_str().expect("an id").to_owned();
    let mapping = ["dnat", "create", "198.18.245.7", "10.15.0.7", "-p", "lab", "-s", "net"];
    let told = admin.done(&[&mapping[..], &["--plan"]].concat());
    assert!(told.contains(&format!("would open {LINE}")), "{told}");
    admin.done(&mapping);

    let (code, open) = asked(&admin, &["--from", "192.0.2.9", "--port", "22"]);
    let by = format!("open: tcp 22 from {FROM} to 198.18.245.7, which leads to 10.15.0.7, by rule {acl}\n");
    assert_eq!((code, open), (Some(0), by));
    let closed = (Some(1), "closed: no rule lets it in\n".to_owned());
    for words in [
        ["--from", "192.0.2.9", "--port", "23"],
        ["--from", "192.0.2.9", "--protocol", "udp"],
        ["--from", "192.0.3.9", "--port", "22"],
    ] {
        assert_eq!(asked(&admin, &words), closed, "{words:?}");
    }
    let (code, none) = asked(&admin, &["--from", "2001:db8::1"]);
    assert_eq!((code, none.as_str()), (Some(1), "closed: it has no address of IPv6\n"));

    let list = admin.done(&["vm", "reach", "web", "-p", "lab"]);
    let line = |words: [&str; 6]| {
        let found = list.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "{words:?}: {list}");
    };
    line(["in ", "tcp 22", FROM, "10.15.0.7/32", "198.18.245.7", &acl]);
    line(["out", "all", "10.15.0.7/32", "0.0.0.0/0", "-", "leaves the project"]);
    let shown = admin.json(&["vm", "reach", "web", "-p", "lab"]);
    assert_eq!(shown["addresses"][0]["outside"], json!(["198.18.245.7"]));
    assert!(
        shown["ways"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|way| way["by"] == json!({"rule": acl}))
    );
    let json = admin.json(&["vm", "reach", "web", "-p", "lab", "--from", "192.0.2.9", "--port", "22"]);
    assert_eq!(json.as_array().map(Vec::len), Some(1), "{json}");

    let narrow = admin.done(&["acl", "change", &acl, "--from", "192.0.2.7", "--plan"]);
    let narrower = format!("would close {LINE}would open {}", LINE.replace(FROM, "192.0.2.7/32"));
    assert!(narrow.contains(&narrower), "{narrow}");
    let plan: Value = admin.json(&["acl", "delete", &acl, "--plan"]);
    assert_eq!(plan["closes"][0]["way"]["through"], "198.18.245.7", "{plan}");
    let told = admin.done(&["dnat", "delete", "198.18.245.7", "-p", "lab", "--plan"]);
    assert!(told.contains(&format!("would close {LINE}")), "{told}");
    admin.done(&["acl", "delete", &acl, "--yes"]);
    assert_eq!(asked(&admin, &["--from", "192.0.2.9", "--port", "22"]), closed);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let hub = Hub::start();
    let admin = hub.administrator();
    let unknown = admin.refused(1, &["vm", "reach", "web"]);
    assert!(
        unknown.contains("there is no vm `web`") || unknown.contains("`web`"),
        "{unknown}"
    );
    for words in [
        &["--port", "22"][..],
        &["--protocol", "tcp"],
        &["--from", "here"],
        &["--from", "192.0.2.1", "--port", "0"],
    ] {
        admin.refused(2, &[&["vm", "reach", "web"], words].concat());
    }
}
