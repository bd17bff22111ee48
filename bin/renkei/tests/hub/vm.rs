//! Machines from the command line: from the plan of the first to the end of the last, run by the agent that `renkei up` starts.

use renkei_testkit::renkei::Running;
use renkei_testkit::wait;
use serde_json::{Value, json};

use super::host::wait_for_agents;
use super::support::{Hub, Person};

/// What the pretended host has: the same whatever this computer has.
const CAPACITY: &str = r#"{"capacity": {"vcpus": 4, "memory_mib": 8192, "disk_gib": 100, "gpus": 0}}"#;

/// A hub with one host, and its administrator with a project that may have some machines.
pub fn lab() -> (Hub, Person) {
    let hub = Hub::start_on(CAPACITY);
    let admin = hub.administrator();
    wait_for_agents(&hub.url, 1);
    admin.done(&["org", "create", "cs"]);
    project(&admin, "lab");
    admin.done(&["template", "create", "tiny", "--public", "--min-disk", "1G"]);
    (hub, admin)
}

/// A project with a network and a quota.
fn project(admin: &Person, name: &str) {
    admin.done(&["project", "create", name, "--org", "cs"]);
    let most = ["--vms", "5", "--vcpus", "10", "--memory", "8G", "--disk", "20G"];
    let words = ["quota", "set", "local", "-p", name, "--segments", "1"];
    admin.done(&[&words[..], &most].concat());
    admin.done(&["segment", "create", "net", "-p", name]);
}

/// A machine as the hub shows it.
fn shown(admin: &Person, name: &str) -> Value {
    admin.json(&["vm", "show", name])
}

/// Where a machine stands, as people are told.
pub fn state(admin: &Person, name: &str) -> String {
    let told = admin.done(&["vm", "show", name]);
    let line = told.lines().find_map(|line| line.strip_prefix("state"));
    line.unwrap_or_default().trim().to_owned()
}

/// Asks a machine for something, and is back when it is so.
pub fn ask(admin: &Person, words: &[&str]) {
    admin.done(&[&["vm"], words, &["--wait"]].concat());
}

#[test]
fn a_range_is_planned_deployed_and_destroyed() {
    let (_hub, admin) = lab();
    let words = ["vm", "deploy", "node-[1-2]", "-p", "lab", "-t", "tiny", "--disk", "2G"];
    let plan = admin.done(&[&words[..], &["--plan"]].concat());
    for told in [
        "would create vm `node-1`",
        "would create vm `node-2`",
        "would take 2 vms",
    ] {
        assert!(plan.contains(told), "{plan}");
    }
    assert_eq!(admin.json(&["vm", "list"]), json!([]), "a plan makes nothing");

    let done = admin.run(&[&words[..], &["--wait"]].concat());
    assert_eq!(done.code(), Some(0), "{}", done.text());
    assert!(done.stdout.contains("deploying vm `node-2`, id "), "{}", done.text());
    for (name, issued) in [("node-1", "10.15.0.2"), ("node-2", "10.15.0.3")] {
        assert_eq!(state(&admin, name), "running");
        assert_eq!(
            shown(&admin, name)["meant"]["adapters"][0]["addresses"],
            json!([issued])
        );
    }
    // What the guest uses is told with its first packet, or with a later report.
    let addressed = || {
        let list = admin.done(&["vm", "list", "-p", "lab"]);
        list.contains("10.15.0.2") && list.contains("10.15.0.3")
    };
    wait::until("the addresses to be seen", addressed).unwrap();
    assert!(admin.done(&["lease", "list", "net", "-p", "lab"]).contains("10.15.0.3"));
    let quota = admin.done(&["quota", "list", "-p", "lab"]);
    assert!(quota.contains("2 of 5") && quota.contains("4 GiB of 20 GiB"), "{quota}");

    for name in ["node-1", "node-2"] {
        let unsure = admin.refused(1, &["vm", "destroy", name]);
        assert!(unsure.contains("--yes"), "{unsure}");
        let plan = admin.done(&["vm", "destroy", name, "--plan"]);
        assert_eq!(plan, format!("would destroy vm `{name}`\n"));
        admin.done(&["vm", "destroy", name, "--yes", "--wait"]);
    }
    assert_eq!(admin.json(&["vm", "list"]), json!([]));
    let quota = admin.done(&["quota", "list", "-p", "lab"]);
    assert!(quota.contains("0 of 5"), "what is gone takes nothing: {quota}");
    admin.done(&["segment", "delete", "net", "-p", "lab", "--yes", "--wait"]);
}

#[test]
fn a_machine_does_what_it_is_asked() {
    let (_hub, admin) = lab();
    admin.done(&["vm", "create", "a", "-p", "lab", "-t", "tiny", "--packs", "1", "--wait"]);
    for (words, then) in [
        (&["reboot", "a"][..], "running"),
        (&["reset", "a"], "running"),
        (&["suspend", "a"], "suspended"),
        (&["resume", "a"], "running"),
        (&["shutdown", "a"], "stopped"),
        (&["power-on", "a", "--service-level", "guarantee"], "running"),
        (&["power-off", "a"], "stopped"),
        (
            &["change", "a", "--vcpus", "2", "--memory", "1G", "--disk", "3G"],
            "stopped",
        ),
        (&["power-on", "a"], "running"),
    ] {
        ask(&admin, words);
        assert_eq!(state(&admin, "a"), then, "{words:?}");
    }
    let machine = shown(&admin, "a");
    let shape = &machine["meant"]["shape"];
    assert_eq!(
        (
            &shape["vcpus"],
            &shape["memory_mib"],
            &shape["disks"][0]["gib"],
            &shape["service_level"]
        ),
        (&json!(2), &json!(1024), &json!(3), &json!("guarantee"))
    );
    assert_eq!(
        (&machine["meant"]["reboots"], &machine["meant"]["resets"]),
        (&json!(1), &json!(1))
    );

    ask(&admin, &["change", "a", "--name", "b"]);
    assert_eq!(state(&admin, "b"), "running", "a name changes at any time");
    let history = admin.done(&["operation", "list", "-p", "lab"]);
    for verb in ["vm:deploy", "vm:suspend", "vm:reconfigure", "vm:rename"] {
        assert!(history.contains(verb), "{history}");
    }
}

#[test]
fn machines_are_made_from_others() {
    let (_hub, admin) = lab();
    admin.done(&["vm", "deploy", "a", "-p", "lab", "-t", "tiny", "--off", "--wait"]);
    assert_eq!(state(&admin, "a"), "stopped");
    ask(&admin, &["clone", "a", "--as", "copy"]);
    assert_eq!(state(&admin, "copy"), "stopped");
    ask(&admin, &["save", "a", "--as", "gold"]);
    let image = admin.json(&["image", "show", "gold"]);
    assert_eq!(image["state"], "ready", "{image}");
    let templates = admin.json(&["template", "list", "-p", "lab"]);
    let templates = templates.as_array().unwrap();
    let saved = templates
        .iter()
        .find(|one| one["image"] == image["id"])
        .expect("a template of it");
    let template = saved["template_name"].as_str().unwrap();
    admin.done(&["vm", "deploy", "from-gold", "-p", "lab", "-t", template, "--wait"]);
    assert_eq!(state(&admin, "from-gold"), "running");
    for name in ["a", "copy", "from-gold"] {
        admin.done(&["vm", "destroy", name, "--yes", "--wait"]);
    }
    assert_eq!(admin.json(&["vm", "list"]), json!([]));
}

#[test]
fn a_name_is_looked_for_in_the_project_that_was_named() {
    let (_hub, admin) = lab();
    project(&admin, "other");
    for project in ["lab", "other"] {
        admin.done(&["vm", "deploy", "a", "-p", project, "-t", "tiny", "--off", "--wait"]);
    }
    let unclear = admin.refused(1, &["vm", "show", "a"]);
    assert!(
        unclear.contains("`a` may be any of 2 vms") && unclear.contains("-p"),
        "{unclear}"
    );
    admin.done(&["vm", "change", "a", "-p", "other", "--name", "b"]);
    let missing = admin.refused(1, &["vm", "show", "b", "-p", "lab"]);
    assert!(missing.contains("there is no vm `b` in project `lab`"), "{missing}");
    // Once in all projects, it needs none; and the environment names one as the option does.
    assert_eq!(shown(&admin, "b")["name"], "b");
    let mut command = admin.command(admin.program().to_str().unwrap());
    command.env("RENKEI_PROJECT", "lab").args(["vm", "show", "b"]);
    let outcome = Running::start(command).unwrap().finish().unwrap();
    assert_eq!(outcome.code(), Some(1), "{}", outcome.text());
    assert_eq!(admin.json(&["vm", "list", "-p", "lab"]).as_array().unwrap().len(), 1);
}

#[test]
fn what_cannot_be_is_named_with_the_next_step() {
    let (_hub, admin) = lab();
    let deploy = ["vm", "deploy", "a", "-p", "lab", "-t", "tiny"];
    for (words, told) in [
        (&["--vcpus", "1000", "--memory", "1G"][..], "no host has more than 64"),
        (&["--memory", "1G", "--vcpus", "11"], "vcpus"),
        (&["--disk", "21G"], "disk"),
        (&["--segment", "nope"], "there is no segment `nope`"),
        (&["--preset", "nope"], "there is no preset `nope`"),
        (&["--key", "/nonexistent/key.pub"], "/nonexistent/key.pub"),
        (&["--address", "10.15.7.255"], "10.15.7.255"),
    ] {
        let refused = admin.refused(1, &[&deploy[..], words].concat());
        assert!(refused.contains(told), "{words:?}: {refused}");
    }
    for (words, told) in [
        (
            &["vm", "deploy", "a", "-p", "nope", "-t", "tiny"][..],
            "there is no project `nope`",
        ),
        (
            &["vm", "deploy", "a", "-p", "lab", "-t", "nope"],
            "there is no template `nope`",
        ),
        (&["vm", "deploy", "a b", "-p", "lab", "-t", "tiny"], "`a b`"),
        (&["vm", "deploy", "a-[2-1]", "-p", "lab", "-t", "tiny"], "2-1"),
        (&["vm", "deploy", "a-[1-300]", "-p", "lab", "-t", "tiny"], "200"),
        (&["vm", "show", "nope"], "there is no vm `nope`"),
    ] {
        let refused = admin.refused(1, words);
        assert!(
            refused.contains(told) && refused.contains("hint: "),
            "{words:?}: {refused}"
        );
    }
    assert_eq!(admin.json(&["vm", "list"]), json!([]), "nothing half done remains");

    admin.done(&[&deploy[..], &["--wait"]].concat());
    for (words, told) in [
        (
            &["vm", "resume", "a"][..],
            "machine `a` is running: it must be suspended",
        ),
        (&["vm", "power-on", "a"], "shut it down first"),
        (&["vm", "save", "a", "--as", "gold"], "it must be stopped"),
        (&["vm", "change", "a", "--disk", "2G"], "shut it down first"),
    ] {
        let refused = admin.refused(1, words);
        assert!(
            refused.contains(told) && refused.contains("hint: "),
            "{words:?}: {refused}"
        );
    }
    let taken = admin.refused(1, &deploy);
    assert!(taken.contains("`a`") && taken.contains("hint: "), "{taken}");
}
