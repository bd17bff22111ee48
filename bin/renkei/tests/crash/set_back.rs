//! A database that is set back while machines run: nothing that runs is stopped, nothing unknown is destroyed, the administrator is
//! shown what differs, and the site goes on when told to.

use std::collections::BTreeMap;

use renkei_testkit::{Postgres, wait};
use serde_json::{Map, Value, json};

use crate::api::{PATIENCE, Question};
use crate::at_rest;
use crate::reality::STRANGER;
use crate::stand::{Role, Stand};

#[test]
fn a_restored_backup_stops_nothing_and_shows_what_differs() {
    let server = Postgres::start().unwrap();
    let stand = Stand::start(2, Some(&server.url(&server.create().unwrap())));
    let (file, config) = (stand.site().with_file_name("backup"), stand.config());
    let (file, of) = (file.to_str().unwrap(), ["--config", config.to_str().unwrap()]);
    let told = Told::before(&stand);
    stand.told(&[&["admin", "backup", file], &of[..]].concat());
    let told = told.after(&stand);
    stand.hubs.iter().for_each(Role::stop);
    let restored = stand.told(&[&["admin", "restore", file, "--overwrite"], &of[..]].concat());
    assert!(restored.contains("epoch 2 begins"), "{restored}");
    told.goes_on(&stand);
}

#[test]
fn a_database_file_that_is_put_back_by_hand_stops_nothing_and_shows_what_differs() {
    let stand = Stand::start(1, None);
    let file = stand.site().with_file_name("hub.sqlite");
    let away = file.with_file_name("away");
    let told = Told::before(&stand);
    stand.hubs[0].stop();
    // It is whole by itself when the hub has ended.
    assert!(!file.with_file_name("hub.sqlite-wal").exists());
    std::fs::copy(&file, &away).unwrap();
    stand.hubs[0].start();
    let told = told.after(&stand);
    stand.hubs[0].stop();
    std::fs::rename(&away, &file).unwrap();
    told.goes_on(&stand);
}

/// Machines by their names.
struct Told {
    ids: BTreeMap<&'static str, String>,
    /// All that there was when the database was set back.
    reality: Map<String, Value>,
}

impl Told {
    /// What will be known afterwards.
    fn before(stand: &Stand) -> Self {
        let mut told = Self {
            ids: BTreeMap::new(),
            reality: Map::new(),
        };
        for name in ["stays", "destroyed", "stopped", "started"] {
            told.deploy(stand, name);
        }
        told.verb(stand, "started", "power-off");
        told
    }

    /// What will be forgotten.
    fn after(mut self, stand: &Stand) -> Self {
        self.deploy(stand, "forgotten");
        let gone = stand
            .api
            .done(&Question::delete(format!("vms/{}", self.ids["destroyed"])));
        done(stand, &gone);
        self.verb(stand, "stopped", "power-off");
        self.verb(stand, "started", "power-on");
        self.reality = stand.reality().machines();
        let powers: Vec<&Value> = ["stays", "stopped", "started", "forgotten"]
            .map(|name| &self.reality[&self.ids[name]]["machine"]["power"])
            .into();
        assert_eq!(powers, ["on", "off", "on", "on"]);
        self
    }

    fn deploy(&mut self, stand: &Stand, name: &'static str) {
        let asked = json!({"project": stand.ids.project, "name": name, "template": stand.ids.template});
        let answer = stand.api.done(&Question::post("vms", asked));
        self.ids
            .insert(name, answer["vms"][0]["id"].as_str().unwrap().to_owned());
        done(stand, &answer["operations"][0]);
    }

    fn verb(&self, stand: &Stand, name: &str, verb: &str) {
        let answer = stand
            .api
            .done(&Question::verb(format!("vms/{}/{verb}", self.ids[name])));
        done(stand, &answer);
    }

    /// The hubs start over the database that was set back.
    fn goes_on(mut self, stand: &Stand) {
        stand.hubs.iter().for_each(Role::start);
        let site = format!("sites/{}", stand.ids.site);
        stand.wait_for("the site to be in recovery", &site, |site| site["recovery"].is_object());
        let shown = stand.told(&["site", "show", "osaka"]);
        assert!(shown.contains("never issued"), "{shown}");
        // What is asked for meanwhile waits.
        let adapter = json!({"segment": stand.ids.segment, "address": "10.15.0.200"});
        let asked = json!({
            "project": stand.ids.project, "name": "meanwhile", "template": stand.ids.template, "adapters": [adapter],
        });
        let meanwhile = stand.api.done(&Question::post("vms", asked));
        self.ids
            .insert("meanwhile", meanwhile["vms"][0]["id"].as_str().unwrap().to_owned());
        let difference = format!("{site}/recovery");
        stand.wait_for("the host to have told what it holds", &difference, |difference| {
            difference["hosts"][0]["listed"] == true
        });
        self.is_listed(&stand.json(&["site", "recovery", "osaka"]));
        let table = stand.told(&["site", "recovery", "osaka"]);
        assert!(
            table.contains("forgotten") && table.contains("to be adopted or destroyed"),
            "{table}"
        );
        assert_eq!(stand.reality().machines(), self.reality, "nothing was touched");

        stand.told(&["site", "recovered", "osaka"]);
        done(stand, &meanwhile["operations"][0]);
        at_rest::the_stranger_is_safe(stand, &[STRANGER, &self.ids["forgotten"]]);
        self.is_well(stand);
        self.is_mended(stand);
        at_rest::administration_is_content(stand);
        at_rest::nobody_panicked(stand);
    }

    fn is_listed(&self, difference: &Value) {
        let machines = difference["machines"].as_array().unwrap();
        let kind = |id: &str| {
            let found = machines.iter().find(|machine| machine["vm"] == id);
            found.map(|machine| machine["kind"].as_str().unwrap())
        };
        for (name, expected) in [
            ("stays", None),
            ("destroyed", Some("missing")),
            ("stopped", Some("later")),
            ("started", Some("later")),
            ("forgotten", Some("unknown")),
        ] {
            assert_eq!(kind(&self.ids[name]), expected, "{name}: {difference}");
        }
        assert_eq!(kind(STRANGER), Some("unknown"), "{difference}");
    }

    /// What ran runs, with the disk that it had, and what is meant is what there is.
    fn is_well(&self, stand: &Stand) {
        let there = stand.reality().machines();
        for (id, made) in &self.reality {
            let (now, was) = (&there[id], made);
            assert_eq!(
                (&now["disk"], &now["machine"]["power"]),
                (&was["disk"], &was["machine"]["power"]),
                "{id}"
            );
        }
        for name in ["stays", "stopped", "started", "meanwhile"] {
            let path = format!("vms/{}", self.ids[name]);
            let vm = stand.wait_for("what is meant to be so", &path, |vm| {
                vm["meant"]["generation"] == vm["seen"]["generation"]
            });
            let power = &there[&self.ids[name]]["machine"]["power"];
            assert_eq!(
                (&vm["meant"]["power"], &vm["seen"]["power"]),
                (power, power),
                "{name}: {vm}"
            );
            assert_eq!(vm["operation"], Value::Null, "{name}: {vm}");
        }
    }

    /// What differs for good is a person's to decide.
    fn is_mended(&mut self, stand: &Stand) {
        let lost = format!("vms/{}", self.ids["destroyed"]);
        stand.wait_for("what is not there to be told", &lost, |vm| vm["lost"] == true);
        let gone = stand.api.done(&Question::delete(&lost));
        done(stand, &gone);
        stand.told(&["host", "adopt", "node-1", &self.ids["forgotten"]]);
        let path = format!("vms/{}", self.ids["forgotten"]);
        stand.wait_for("the adopted machine to run", &path, |vm| vm["seen"]["power"] == "on");
        let waited = wait::until_some("nothing else to be unknown", PATIENCE, || {
            let unknown = stand.json(&["host", "unknown", "node-1"]);
            let unknown = unknown.as_array().expect("a list");
            (unknown.len() == 1 && unknown[0]["id"] == STRANGER).then_some(())
        });
        waited.unwrap();
        // And it can be worked with.
        self.deploy(stand, "later");
        self.verb(stand, "forgotten", "power-off");
        let there = stand.reality().machines();
        assert_eq!(there[&self.ids["forgotten"]]["machine"]["power"], "off");
        assert_eq!(there[&self.ids["stays"]]["machine"]["power"], "on");
    }
}

fn done(stand: &Stand, operation: &Value) {
    let ended = stand.api.end_of(operation["id"].as_str().expect("an operation"));
    assert_eq!(ended["state"], "done", "{ended}");
}
