//! A script: asks for machines and networks, waits or does not, asks some things twice, and remembers each answer that it was given.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use renkei_testkit::seed::Rng;
use serde_json::{Value, json};

use crate::api::{Api, Question};
use crate::stand::{Ids, Stand};

/// The most machines, and networks, that one script has at a time.
const MOST: usize = 4;

/// What was answered.
#[derive(Debug, Default)]
pub struct Ledger {
    pub machines: BTreeMap<String, Machine>,
    /// By id: whether it is there.
    pub segments: BTreeMap<String, bool>,
    /// By id: its segment, and whether it is there.
    pub rules: BTreeMap<String, (String, bool)>,
    pub operations: Vec<Operation>,
}

/// A machine as the last answer says that it is meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    pub name: String,
    pub power: &'static str,
    pub vcpus: u64,
    pub reboots: u64,
    pub resets: u64,
    pub gone: bool,
}

/// An operation that was told.
#[derive(Clone, Debug)]
pub struct Operation {
    pub id: String,
    pub verb: String,
    /// Whether something else was asked for before it had ended.
    pub overtaken: bool,
}

/// Somebody who works.
pub struct Worker<'a> {
    api: &'a Api,
    ids: &'a Ids,
    name: String,
    rng: Rng,
    names: u64,
    ledger: Ledger,
}

/// What can be asked of a machine, by how it is: the verb, and how it is then.
const OF_ON: &[(&str, &str)] = &[
    ("power-off", "off"),
    ("shutdown", "off"),
    ("suspend", "suspended"),
    ("reboot", "on"),
    ("reset", "on"),
];
const OF_SUSPENDED: &[(&str, &str)] = &[("resume", "on"), ("power-off", "off")];
const OF_OFF: &[(&str, &str)] = &[("power-on", "on")];

impl<'a> Worker<'a> {
    pub fn new(stand: &'a Stand, name: &str) -> Self {
        Self {
            api: &stand.api,
            ids: &stand.ids,
            name: name.to_owned(),
            rng: Rng::for_purpose(name),
            names: 0,
            ledger: Ledger::default(),
        }
    }

    /// Works until it is told to stop, and ends what it has begun.
    pub fn until(mut self, stop: &AtomicBool) -> Ledger {
        while !stop.load(SeqCst) {
            self.step();
        }
        self.ledger
    }

    /// Does so many things.
    pub fn steps(mut self, count: usize) -> Ledger {
        (0..count).for_each(|_| self.step());
        self.ledger
    }

    fn step(&mut self) {
        let living: Vec<String> = self.living();
        match self.rng.within(0..12) {
            0..3 if living.len() < MOST => self.deploy(),
            3 => self.segment(),
            4 => self.rule(),
            _ => match self.pick(&living) {
                Some(id) => self.machine(&id),
                None => self.deploy(),
            },
        }
    }

    fn living(&self) -> Vec<String> {
        let machines = self.ledger.machines.iter();
        machines
            .filter(|(_, machine)| !machine.gone)
            .map(|(id, _)| id.clone())
            .collect()
    }

    fn pick(&mut self, of: &[String]) -> Option<String> {
        let at = self.rng.within(0..of.len().max(1) as u64);
        of.get(at as usize).cloned()
    }

    fn odds(&mut self, of: u64) -> bool {
        self.rng.within(0..of) == 0
    }

    fn fresh_name(&mut self) -> String {
        self.names += 1;
        format!("{}-{}", self.name, self.names)
    }

    /// Asks; now and then once more, as if the answer had been lost, for which there must be the same answer and nothing more.
    fn ask(&mut self, question: &Question) -> Value {
        let answer = self.api.done(question);
        if self.odds(4) {
            assert_eq!(
                self.api.done(question),
                answer,
                "the same was asked again: {question:?}"
            );
        }
        answer
    }

    fn deploy(&mut self) {
        let mut name = self.fresh_name();
        if self.odds(3) {
            name += "-[1-3]";
        }
        let (vcpus, on) = (1 + self.rng.within(0..4), !self.odds(4));
        let asked = json!({
            "project": self.ids.project,
            "name": name,
            "template": self.ids.template,
            "size": {"custom": {"vcpus": vcpus, "memory_mib": 1024}},
            "power_on": on,
        });
        let power = if on { "on" } else { "off" };
        let answer = self.ask(&Question::post("vms", asked));
        self.made(&answer, power, vcpus);
    }

    /// Machines that were promised, and operations that will have made them.
    fn made(&mut self, answer: &Value, power: &'static str, vcpus: u64) {
        let mut machines = Vec::new();
        for vm in answer["vms"].as_array().expect("machines") {
            let machine = Machine {
                name: text(&vm["name"]),
                power,
                vcpus,
                reboots: 0,
                resets: 0,
                gone: false,
            };
            self.ledger.machines.insert(text(&vm["id"]), machine);
            machines.push(text(&vm["id"]));
        }
        let operations = answer["operations"].as_array().expect("operations");
        assert_eq!(operations.len(), machines.len(), "{answer}");
        for (id, operation) in machines.iter().zip(operations) {
            self.follow(id, operation);
        }
    }

    /// Waits until an operation has ended, or overtakes it.
    fn follow(&mut self, vm: &str, operation: &Value) {
        let verb = text(&operation["verb"]);
        let overtakes = !verb.ends_with("destroy") && self.odds(6);
        self.ledger.operations.push(Operation {
            id: text(&operation["id"]),
            verb: verb.clone(),
            overtaken: overtakes,
        });
        if !overtakes {
            self.wait(&text(&operation["id"]));
            return;
        }
        let runs = self.ledger.machines[vm].power == "on";
        match runs && !verb.ends_with("deploy") && self.odds(2) {
            true => self.act(vm, "power-off", "off"),
            false => self.destroy(vm),
        }
    }

    fn wait(&self, id: &str) {
        let last = self.api.end_of(id);
        assert_eq!(last["state"], "done", "{last}");
    }

    fn machine(&mut self, id: &str) {
        let verbs = match self.ledger.machines[id].power {
            "on" => OF_ON,
            "suspended" => OF_SUSPENDED,
            _ => OF_OFF,
        };
        let off = self.ledger.machines[id].power == "off";
        match self.rng.within(0..8) {
            0 => self.destroy(id),
            1 if off => self.resize(id),
            2 if off => self.clone_of(id),
            _ => {
                let (verb, then) = verbs[self.rng.within(0..verbs.len() as u64) as usize];
                self.act(id, verb, then);
            }
        }
    }

    fn act(&mut self, id: &str, verb: &str, then: &'static str) {
        let operation = self.ask(&Question::verb(format!("vms/{id}/{verb}")));
        let machine = self.ledger.machines.get_mut(id).expect("it is known");
        machine.power = then;
        machine.reboots += u64::from(verb == "reboot");
        machine.resets += u64::from(verb == "reset");
        self.follow(id, &operation);
    }

    fn destroy(&mut self, id: &str) {
        let operation = self.ask(&Question::delete(format!("vms/{id}")));
        self.ledger.machines.get_mut(id).expect("it is known").gone = true;
        self.follow(id, &operation);
    }

    fn resize(&mut self, id: &str) {
        let vcpus = 1 + self.rng.within(0..8);
        if self.ledger.machines[id].vcpus == vcpus {
            return;
        }
        let size = json!({"size": {"custom": {"vcpus": vcpus, "memory_mib": 1024}}});
        let operation = self.ask(&Question::patch(format!("vms/{id}"), size));
        self.ledger.machines.get_mut(id).expect("it is known").vcpus = vcpus;
        self.follow(id, &operation);
    }

    fn clone_of(&mut self, id: &str) {
        let vcpus = self.ledger.machines[id].vcpus;
        let name = json!({"name": self.fresh_name()});
        let answer = self.ask(&Question::post(format!("vms/{id}/clone"), name));
        self.made(&answer, "off", vcpus);
    }

    /// Makes a network, or takes one away again.
    fn segment(&mut self) {
        let there = self.segments();
        if there.len() < MOST && self.odds(2) {
            let asked = json!({"name": self.fresh_name()});
            let made = self.ask(&Question::post(
                format!("projects/{}/segments", self.ids.project),
                asked,
            ));
            self.ledger.segments.insert(text(&made["id"]), true);
        } else if let Some(id) = self.pick(&there) {
            let rules = self.ledger.rules.iter();
            let held: Vec<String> = rules
                .filter(|(_, (segment, there))| *segment == id && *there)
                .map(|(rule, _)| rule.clone())
                .collect();
            for rule in held {
                self.remove_rule(&rule);
            }
            self.api.done(&Question::delete(format!("segments/{id}")));
            self.ledger.segments.insert(id, false);
        }
    }

    fn segments(&self) -> Vec<String> {
        let segments = self.ledger.segments.iter();
        segments
            .filter(|(_, there)| **there)
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Makes a rule, or takes one away again.
    fn rule(&mut self) {
        let rules = self.ledger.rules.iter();
        let there: Vec<String> = rules
            .filter(|(_, (_, there))| *there)
            .map(|(id, _)| id.clone())
            .collect();
        let mut segments = self.segments();
        segments.push(self.ids.segment.clone());
        if there.len() < MOST && self.odds(2) {
            let segment = self.pick(&segments).expect("the default one is there");
            let allowed = json!({
                "protocol": "tcp",
                "source": "192.0.2.0/24",
                "destination": "0.0.0.0/0",
                "note": self.fresh_name(),
            });
            let made = self.ask(&Question::post(format!("segments/{segment}/acls"), allowed));
            self.ledger.rules.insert(text(&made["id"]), (segment, true));
        } else if let Some(id) = self.pick(&there) {
            self.remove_rule(&id);
        }
    }

    fn remove_rule(&mut self, id: &str) {
        self.api.done(&Question::delete(format!("acls/{id}")));
        self.ledger.rules.get_mut(id).expect("it is known").1 = false;
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
