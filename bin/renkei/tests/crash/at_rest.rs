//! What must be so when nobody asks any more and everything runs: what was answered holds, what is meant is so, and nothing is left
//! over.

use std::collections::{BTreeMap, BTreeSet};

use renkei_testkit::wait;
use serde_json::{Value, json};

use crate::api::{PATIENCE, Question};
use crate::reality::STRANGER;
use crate::stand::Stand;
use crate::work::{Ledger, Machine};

/// Checks all of it.
pub fn check(stand: &Stand, ledgers: &[Ledger]) {
    everything_ends(stand);
    operations(stand, ledgers);
    let machines: BTreeMap<&String, &Machine> = ledgers.iter().flat_map(|ledger| &ledger.machines).collect();
    let meant = intent(stand);
    answers_hold(&meant, &machines);
    answered_as_gone(stand, ledgers);
    reality_agrees(stand, &meant);
    nothing_was_done_twice(stand, &machines);
    networks_agree(stand, ledgers);
    quota_adds_up(stand, &meant);
    the_stranger_is_safe(stand, &[STRANGER]);
    administration_is_content(stand);
    nobody_panicked(stand);
}

/// Until no operation is open.
fn everything_ends(stand: &Stand) {
    for state in ["running", "cancelling"] {
        let path = format!("operations?state={state}");
        stand.wait_for("every operation to end", &path, |page| page["items"] == json!([]));
    }
}

/// What the script has heard of came to a good end: hosts here never fail.
fn operations(stand: &Stand, ledgers: &[Ledger]) {
    for told in ledgers.iter().flat_map(|ledger| &ledger.operations) {
        let operation = stand.api.get(&format!("operations/{}", told.id));
        let state = operation["state"].as_str().unwrap();
        let fits = state == "done" || told.overtaken && state == "superseded";
        assert!(fits, "{}: {operation}", told.verb);
    }
}

/// All machines as `renkei vm list` tells.
fn intent(stand: &Stand) -> BTreeMap<String, Value> {
    let listed = stand.json(&["vm", "list"]);
    let listed = listed.as_array().expect("a list");
    let id = |vm: &Value| vm["id"].as_str().unwrap().to_owned();
    listed.iter().map(|vm| (id(vm), vm.clone())).collect()
}

fn answers_hold(meant: &BTreeMap<String, Value>, machines: &BTreeMap<&String, &Machine>) {
    let living = machines.iter().filter(|(_, machine)| !machine.gone);
    let living: BTreeMap<_, _> = living.collect();
    let unasked: Vec<_> = meant.keys().filter(|id| !living.contains_key(id)).collect();
    assert!(
        unasked.is_empty(),
        "nobody asked for these, or they were to be gone: {unasked:?}"
    );
    for (id, machine) in living {
        let vm = meant.get(*id).unwrap_or_else(|| panic!("lost: {id} {machine:?}"));
        let found = (
            vm["name"].as_str().unwrap(),
            vm["meant"]["power"].as_str().unwrap(),
            vm["meant"]["shape"]["vcpus"].as_u64().unwrap(),
        );
        assert_eq!(found, (machine.name.as_str(), machine.power, machine.vcpus), "{vm}");
        assert_eq!(vm["meant"]["generation"], vm["seen"]["generation"], "{vm}");
        assert_eq!(vm["meant"]["power"], vm["seen"]["power"], "{vm}");
        assert_eq!(
            (&vm["operation"], &vm["seen"]["fault"]),
            (&Value::Null, &Value::Null),
            "{vm}"
        );
    }
}

/// What was destroyed is not known any more.
fn answered_as_gone(stand: &Stand, ledgers: &[Ledger]) {
    let gone = |path: String| {
        let reply = stand.api.ask(&Question::get(path.clone()));
        assert_eq!(reply.status, 404, "{path}: {reply:?}");
    };
    for ledger in ledgers {
        let machines = ledger.machines.iter().filter(|(_, machine)| machine.gone);
        machines.for_each(|(id, _)| gone(format!("vms/{id}")));
        let rules = ledger.rules.iter().filter(|(_, (_, there))| !there);
        rules.for_each(|(id, _)| gone(format!("acls/{id}")));
    }
}

fn reality_agrees(stand: &Stand, meant: &BTreeMap<String, Value>) {
    let mut found = stand.reality().machines();
    found.remove(STRANGER);
    let ids: Vec<&String> = found.keys().collect();
    assert_eq!(
        ids,
        meant.keys().collect::<Vec<_>>(),
        "what there is, and what is meant"
    );
    for (id, made) in &found {
        let (machine, vm) = (&made["machine"], &meant[id]);
        assert_eq!(made["work"], Value::Null, "{made}");
        assert_eq!(machine["whole"], true, "{made}");
        assert_eq!(machine["power"], vm["meant"]["power"], "{made} {vm}");
        assert_eq!(machine["form"]["vcpus"], vm["meant"]["shape"]["vcpus"], "{made} {vm}");
        assert_eq!(machine["record"]["name"], vm["name"], "{made} {vm}");
    }
}

fn nothing_was_done_twice(stand: &Stand, machines: &BTreeMap<&String, &Machine>) {
    for (id, done) in stand.reality().carried_out() {
        let machine = machines
            .get(&id)
            .unwrap_or_else(|| panic!("nobody asked for {id}: {done}"));
        let times = |verb: &str| done[verb].as_u64().unwrap_or(0);
        assert!(
            times("create") <= 1 && times("destroy") <= 1,
            "{id} {machine:?}: {done}"
        );
        assert!(machine.gone || times("create") == 1, "{id} {machine:?}: {done}");
        let bounds = (machine.reboots, machine.resets);
        assert!(
            times("reboot") <= bounds.0 && times("reset") <= bounds.1,
            "{id} {machine:?}: {done}"
        );
    }
}

fn networks_agree(stand: &Stand, ledgers: &[Ledger]) {
    let path = format!("projects/{}/segments", stand.ids.project);
    let mut asked: Vec<&str> = vec![&stand.ids.segment];
    let all = ledgers.iter().flat_map(|ledger| &ledger.segments);
    asked.extend(all.filter(|(_, there)| **there).map(|(id, _)| id.as_str()));
    asked.sort_unstable();
    let mut last = (Value::Null, Value::Null);
    let agreed = wait::until_some("networks to be as they are meant", PATIENCE, || {
        let segments = stand.api.list(&path);
        let mut ids: Vec<&str> = segments.iter().map(|segment| segment["id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        let seen = segments.iter().all(|segment| segment["generation"] == segment["seen"]);
        let meant = segments.iter();
        let meant = meant.map(|segment| {
            (
                segment["id"].as_str().unwrap().to_owned(),
                segment["generation"].clone(),
            )
        });
        last = (
            Value::Object(meant.collect()),
            Value::Object(stand.reality().segments()),
        );
        (seen && ids == asked && last.0 == last.1).then_some(())
    });
    agreed.unwrap_or_else(|error| panic!("{error}: asked {asked:?}, meant {}, there {}", last.0, last.1));
    let found: Vec<Value> = stand.api.list(&format!("projects/{}/acls", stand.ids.project));
    let mut found: Vec<&str> = found.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    let rules = ledgers.iter().flat_map(|ledger| &ledger.rules);
    let mut asked: Vec<&str> = rules
        .filter(|(_, (_, there))| *there)
        .map(|(id, _)| id.as_str())
        .collect();
    found.sort_unstable();
    asked.sort_unstable();
    assert_eq!(found, asked, "rules");
}

/// What is in use is what there is.
fn quota_adds_up(stand: &Stand, meant: &BTreeMap<String, Value>) {
    let quota = stand
        .api
        .get(&format!("projects/{}/quotas/{}", stand.ids.project, stand.ids.site));
    let shapes = || meant.values().map(|vm| &vm["meant"]["shape"]);
    let sum = |field: &str| shapes().map(|shape| shape[field].as_u64().unwrap()).sum::<u64>();
    let disks = shapes().flat_map(|shape| shape["disks"].as_array().unwrap());
    let segments = stand.api.list(&format!("projects/{}/segments", stand.ids.project));
    let expected = json!({
        "vms": meant.len(),
        "vcpus": sum("vcpus"),
        "memory_mib": sum("memory_mib"),
        "disk_gib": disks.map(|disk| disk["gib"].as_u64().unwrap()).sum::<u64>(),
        "global_ips": 0,
        "segments": segments.len(),
    });
    assert_eq!(quota["used"], expected, "{quota}");
}

/// A machine that no manifest names is kept, and told: these are all of them.
pub fn the_stranger_is_safe(stand: &Stand, unknown: &[&str]) {
    let found = stand.reality().machines();
    let stranger = &found[STRANGER];
    assert_eq!(
        (&stranger["disk"], &stranger["machine"]["power"]),
        (&json!("precious"), &json!("on"))
    );
    let hosts = stand.api.list("hosts");
    let path = format!("hosts/{}/unknown", hosts[0]["id"].as_str().unwrap());
    let unknown: BTreeSet<&str> = unknown.iter().copied().collect();
    stand.wait_for("unknown machines to be listed", &path, |page| {
        let listed = page["items"].as_array().unwrap().iter();
        listed.map(|vm| vm["id"].as_str().unwrap()).collect::<BTreeSet<_>>() == unknown
    });
}

/// `renkei admin doctor`, and `renkei admin audit verify`.
pub fn administration_is_content(stand: &Stand) {
    let config = stand.config();
    let config = ["--config", config.to_str().unwrap()];
    let findings = stand.json(&[&["admin", "doctor"], &config[..]].concat());
    for finding in findings.as_array().expect("findings") {
        assert_ne!(finding["health"], "problem", "{findings}");
    }
    let told = stand.told(&[&["admin", "audit", "verify"], &config[..]].concat());
    assert!(told.contains(" holds"), "{told}");
}

pub fn nobody_panicked(stand: &Stand) {
    for role in stand.hubs.iter().chain([&stand.agent]) {
        let log = role.log();
        assert!(!log.contains("panicked at"), "{}: {log}", role.name);
    }
}
