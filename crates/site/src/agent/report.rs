//! What the hub is told of each machine.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_host::{Driver, Form, Machine, Record};
use renkei_types::agent::{DiskSource, FromAgent, MachineIntent, MachineSeen, Part};
use renkei_types::id::VmId;
use renkei_types::operation::Generation;
use renkei_types::vm::{Fault, Power, Stop};

use super::{Agent, Sight};
use crate::fruitless::Fruitless;
use crate::keep::{Keep, Marks};
use crate::trouble::Trouble;

/// The longest text of a fault, bytes.
const LONGEST: usize = 4096;

impl<D: Driver, K: Keep> Agent<D, K> {
    pub(super) fn sight(&mut self, machines: &BTreeMap<VmId, Machine>) {
        let mut seen = BTreeMap::new();
        for (id, intent) in &self.kept.machines {
            let known = Known {
                intent,
                marks: self.kept.marks.get(id),
                trouble: self.troubles.get(id),
                fruitless: self.fruitless.get(id),
            };
            seen.insert(*id, known.seen(machines.get(id)));
        }
        for (id, machine) in machines {
            let last = (self.kept.marks.get(id), self.kept.unnamed.get(id));
            seen.entry(*id).or_insert_with(|| unknown(machine, last));
        }
        // What was told as unknown and is gone.
        let before = self.sight.take().unwrap_or_default().machines;
        for (id, old) in before {
            if !old.known && old.there {
                seen.entry(id).or_insert(MachineSeen { there: false, ..old });
            }
        }
        self.sight = Some(Sight {
            machines: seen,
            segments: self.driver.networks(&self.kept.segments),
            free_disk_gib: self.driver.free_disk_gib(),
        });
    }

    pub(super) fn tell(&mut self, now: Timestamp) -> Vec<FromAgent> {
        let Some(sight) = &self.sight else { return Vec::new() };
        self.session.tell(sight, &self.kept.held, now)
    }
}

struct Known<'a> {
    intent: &'a MachineIntent,
    marks: Option<&'a Marks>,
    trouble: Option<&'a Trouble>,
    fruitless: Option<&'a Fruitless>,
}

impl Known<'_> {
    fn seen(&self, machine: Option<&Machine>) -> MachineSeen {
        let intent = self.intent;
        let reached = self.marks.and_then(|marks| marks.reached);
        let beside = machine.map_or_else(|| Record::of(intent), |machine| machine.record.clone());
        let told = self.marks.and_then(|marks| marks.fault.clone());
        let trouble = self.trouble.map(|trouble| trouble.message.clone());
        let trouble = trouble.or_else(|| self.fruitless.and_then(Fruitless::told));
        // A removal is tried for ever, and says meanwhile what is in its way.
        let removal = trouble.as_deref().filter(|_| intent.part == Part::Gone);
        let fault = told.or_else(|| removal.map(|trouble| fault(intent, trouble)));
        let retried = trouble.map(|trouble| format!("trying again after: {trouble}"));
        let doing = machine.and_then(|machine| machine.doing.as_ref());
        MachineSeen {
            id: intent.id,
            generation: reached.map_or(Generation(0), |reached| reached.generation),
            part: reached.map_or(intent.part, |reached| reached.part),
            there: machine.is_some(),
            project: beside.project,
            name: beside.name,
            power: machine.map_or(Power::Off, |machine| machine.power),
            doing: doing.map(|doing| doing.verb.doing().to_owned()).or(retried.map(cut)),
            progress: doing.map_or(0, |doing| doing.progress),
            fault: fault.map(|fault| Fault {
                message: cut(fault.message),
                ..fault
            }),
            addresses: machine.map(|machine| machine.addresses.clone()).unwrap_or_default(),
            saved: machine.and_then(|machine| machine.saved.clone()),
            known: true,
            record: machine.map(|machine| Box::new(record(intent, machine))),
        }
    }
}

/// What was meant for it at last, made of what it is made of by now.
fn record(intent: &MachineIntent, machine: &Machine) -> MachineIntent {
    let form = match machine.whole {
        true => machine.form.clone(),
        false => Form::of(intent),
    };
    MachineIntent {
        vcpus: form.vcpus,
        memory_mib: form.memory_mib,
        disks: form.disks,
        adapters: form.adapters,
        user_data: None,
        ..intent.clone()
    }
}

fn fault(intent: &MachineIntent, message: &str) -> Fault {
    Fault {
        generation: intent.generation,
        message: message.to_owned(),
    }
}

/// A machine that nothing names, with what was done and last meant when something did.
fn unknown(machine: &Machine, (marks, meant): (Option<&Marks>, Option<&MachineIntent>)) -> MachineSeen {
    let reached = marks.and_then(|marks| marks.reached);
    MachineSeen {
        id: machine.id,
        generation: reached.map_or(Generation(0), |reached| reached.generation),
        part: reached.map_or(Part::Run, |reached| reached.part),
        there: true,
        project: machine.record.project,
        name: machine.record.name.clone(),
        power: machine.power,
        doing: machine.doing.as_ref().map(|doing| doing.verb.doing().to_owned()),
        progress: machine.doing.as_ref().map_or(0, |doing| doing.progress),
        fault: None,
        addresses: machine.addresses.clone(),
        saved: machine.saved.clone(),
        known: false,
        record: Some(Box::new(meant.cloned().unwrap_or_else(|| as_it_is(machine)))),
    }
}

/// Nobody remembers what was meant: what it is would have been meant.
fn as_it_is(machine: &Machine) -> MachineIntent {
    let Form {
        vcpus,
        memory_mib,
        disks,
        adapters,
    } = machine.form.clone();
    MachineIntent {
        id: machine.id,
        generation: Generation(0),
        part: Part::Run,
        make: false,
        project: machine.record.project,
        name: machine.record.name.clone(),
        power: machine.power,
        stop: Stop::Shutdown,
        reboots: 0,
        resets: 0,
        vcpus,
        memory_mib,
        disks,
        adapters,
        source: DiskSource::Template {
            name: String::new(),
            image: None,
        },
        key: String::new(),
        user_data: None,
        save: None,
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LONGEST));
    text
}
