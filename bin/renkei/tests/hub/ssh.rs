//! Logging in to machines: a pretended one that says it has the address of a real sshd, and what is told where there is no way.

use renkei_testkit::Sshd;
use renkei_testkit::wait;
use serde_json::{Value, json};

use super::host::wait_for_agents;
use super::support::{Hub, Person};

/// A hub whose host pretends that `here` uses the address of this computer; its administrator, with two machines.
fn lab(user: &str) -> (Hub, Person) {
    let capacity = json!({"vcpus": 4, "memory_mib": 8192, "disk_gib": 100, "gpus": 0});
    let uses = json!({"machine": "here", "does": {"uses": {"adapter": 1, "addresses": ["127.0.0.1"]}}});
    let hub = Hub::start_on(&json!({"capacity": capacity, "rules": [uses]}).to_string());
    let admin = hub.administrator();
    wait_for_agents(&hub.url, 1);
    admin.done(&["org", "create", "cs"]);
    admin.done(&["project", "create", "lab", "--org", "cs"]);
    let most = ["--vms", "5", "--vcpus", "10", "--memory", "8G", "--disk", "20G"];
    let words = [
        "quota",
        "set",
        "local",
        "-p",
        "lab",
        "--segments",
        "1",
        "--global-ips",
        "1",
    ];
    admin.done(&[&words[..], &most].concat());
    admin.done(&["segment", "create", "net", "-p", "lab"]);
    let words = [
        "template",
        "create",
        "tiny",
        "--public",
        "--min-disk",
        "1G",
        "--login-username",
        user,
    ];
    admin.done(&words);
    for name in ["there", "here"] {
        admin.done(&["vm", "deploy", name, "-p", "lab", "-t", "tiny", "--wait"]);
    }
    (hub, admin)
}

fn plan(admin: &Person, name: &str) -> Value {
    admin.json(&["vm", "ssh", name])
}

#[test]
fn it_becomes_ssh_to_the_machine() {
    let sshd = Sshd::stock().unwrap();
    let (_hub, admin) = lab(sshd.user());
    let seen = || admin.done(&["vm", "show", "here"]).contains("127.0.0.1");
    wait::until("the address to be seen", seen).unwrap();
    let known = tempfile::NamedTempFile::new().unwrap();
    let options = [
        format!("UserKnownHostsFile={}", known.path().display()),
        "StrictHostKeyChecking=accept-new".to_owned(),
        "BatchMode=yes".to_owned(),
        "HashKnownHosts=no".to_owned(),
    ];
    let (port, key) = (sshd.port().to_string(), sshd.identity().display().to_string());
    let mut words = vec!["vm", "ssh", "here", "--port", &port, "-i", &key];
    for option in &options {
        words.extend(["-o", option]);
    }
    words.extend(["--", "echo", "it is $LOGNAME;", "exit 7"]);
    let outcome = admin.run(&words);
    assert_eq!(
        outcome.code(),
        Some(7),
        "the code is that of the command: {}",
        outcome.text()
    );
    assert_eq!(outcome.stdout, format!("it is {}\n", sshd.user()));
    for told in [
        "no outside address leads to vm `here`",
        "renkei dnat create GLOBAL_IP 127.0.0.1 -p lab -s net",
    ] {
        assert!(outcome.stderr.contains(told), "{}", outcome.text());
    }
    let id = admin.json(&["vm", "show", "here"])["id"].as_str().unwrap().to_owned();
    let hosts = std::fs::read_to_string(known.path()).unwrap();
    assert!(
        hosts.starts_with(&format!("{id} ")),
        "the machine is known by its id: {hosts}"
    );
}

#[test]
fn an_outside_address_is_taken_if_something_may_enter_there() {
    let (_hub, admin) = lab("ada");
    let own = plan(&admin, "there");
    let inner = own["address"].as_str().unwrap().to_owned();
    assert_eq!(own["command"][0], "ssh");
    admin.done(&["global-ip", "add", "203.0.113.7", "--site", "local"]);
    admin.done(&["dnat", "create", "203.0.113.7", &inner, "-p", "lab", "-s", "net"]);
    let closed = admin.refused(1, &["vm", "ssh", "there"]);
    let rule = [
        "acl",
        "create",
        "net",
        "-p",
        "lab",
        "--from",
        "192.0.2.1",
        "--to",
        &inner,
        "--ports",
        "22",
    ];
    let hint = format!("`renkei {}`", rule.join(" ").replace("192.0.2.1", "YOUR_ADDRESS"));
    assert!(
        closed.contains("nothing may enter there by port 22") && closed.contains(&hint),
        "{closed}"
    );
    admin.done(&rule);
    let outside = plan(&admin, "there");
    assert_eq!(outside["address"], "203.0.113.7");
    let command: Vec<&str> = outside["command"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        command.ends_with(&["-p", "22", "-l", "ada", "--", "203.0.113.7"]),
        "{command:?}"
    );
}

#[test]
fn a_machine_that_does_not_run_is_told_with_the_way_to_start_it() {
    let (_hub, admin) = lab("ada");
    admin.done(&["vm", "power-off", "there", "--wait"]);
    let told = admin.refused(1, &["vm", "ssh", "there", "-p", "lab"]);
    assert!(
        told.contains("vm `there` is stopped") && told.contains("`renkei vm power-on there`"),
        "{told}"
    );
}
