//! What a fake host has: it outlives the driver.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use renkei_types::id::{ImageId, SegmentId, VmId};
use renkei_types::operation::Generation;
use renkei_types::tree_hash::hash_whole;
use renkei_types::vm::Power;
use serde::{Deserialize, Serialize};

use super::console::Line;
use super::script::{Does, Rule, Script, Trouble};
use crate::machine::{Doing, Form, Machine, Record, StepFault};
use crate::step::{Act, Verb};

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct World {
    pub machines: BTreeMap<VmId, Made>,
    /// What was written into images.
    pub images: BTreeMap<ImageId, String>,
    pub segments: BTreeMap<SegmentId, Generation>,
    /// How many disks were ever made.
    pub disks: u64,
    /// How often the rule with this number has counted.
    pub used: BTreeMap<usize, u32>,
    /// How often each step was carried out with each machine that ever was, for tests.
    pub carried_out: BTreeMap<VmId, BTreeMap<Verb, u64>>,
}

/// A machine that only pretends.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Made {
    pub machine: Machine,
    /// What is on its first disk.
    pub disk: String,
    pub work: Option<Work>,
    /// Its serial console.
    #[serde(default)]
    pub line: Line,
}

/// The step that is under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Work {
    pub act: Act,
    pub generation: Generation,
    pub since: Timestamp,
    /// When it ends; never without.
    pub until: Option<Timestamp>,
    pub fails: Option<Trouble>,
    /// What will be on the disk, if the step is to make one.
    pub disk: String,
}

impl World {
    /// Carries out what is due at `now`.
    pub fn settle(&mut self, script: &Script, now: Timestamp) -> Changed {
        let mut changed = Changed::No;
        let due: Vec<VmId> = self
            .machines
            .iter()
            .filter(|(_, made)| made.is_due(now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            changed = Changed::Yes;
            self.finish(id);
        }
        for (number, rule) in script.rules.iter().enumerate() {
            if rule.does == Does::Forgets {
                changed = changed.or(self.forget(number, rule));
            }
        }
        changed
    }

    fn forget(&mut self, number: usize, rule: &Rule) -> Changed {
        let fits = |made: &Made| made.machine.whole && rule.fits(&made.machine.record.name);
        let gone: Vec<VmId> = self
            .machines
            .iter()
            .filter(|(_, made)| fits(made))
            .map(|(id, _)| *id)
            .collect();
        let mut changed = Changed::No;
        for id in gone {
            if self.uses(number, rule) {
                self.machines.remove(&id);
                changed = Changed::Yes;
            }
        }
        changed
    }

    /// Whether the rule still counts; if so, it has counted once more.
    pub fn uses(&mut self, number: usize, rule: &Rule) -> bool {
        let used = self.used.entry(number).or_default();
        let counts = rule.times.is_none_or(|times| *used < times);
        *used += u32::from(counts && rule.times.is_some());
        counts
    }

    fn finish(&mut self, id: VmId) {
        let Some(made) = self.machines.get_mut(&id) else { return };
        let Some(work) = made.work.take() else { return };
        let verb = work.act.verb();
        if let Some(Trouble { message, lasting }) = work.fails {
            made.machine.fault = Some(StepFault {
                verb,
                generation: work.generation,
                message,
                lasting,
            });
            return;
        }
        *self.carried_out.entry(id).or_default().entry(verb).or_default() += 1;
        let machine = &mut made.machine;
        match work.act {
            Act::Create(intent) => {
                machine.record = Record::of(&intent);
                machine.form = Form::of(&intent);
                machine.whole = true;
                made.disk = work.disk;
            }
            Act::Label(record) => machine.record = record,
            Act::Start | Act::Reboot | Act::Reset => {
                machine.run();
                made.line
                    .say(format!("{} has started\r\n", machine.record.name).as_bytes());
            }
            Act::Resume => machine.run(),
            Act::Shutdown | Act::PowerOff => machine.stop(Power::Off),
            Act::Suspend => machine.stop(Power::Suspended),
            Act::Reconfigure(form) => machine.form = form,
            Act::Save(image) => {
                machine.saved = Some((image, hash_whole(made.disk.as_bytes()).to_string()));
                self.images.insert(image, made.disk.clone());
            }
            Act::Abandon => {}
            Act::Destroy => {
                self.machines.remove(&id);
            }
        }
    }
}

/// Whether anything has to be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Yes,
    No,
}

impl Changed {
    fn or(self, other: Self) -> Self {
        if self == Self::Yes { self } else { other }
    }
}

impl Made {
    fn is_due(&self, now: Timestamp) -> bool {
        self.work
            .as_ref()
            .is_some_and(|work| work.until.is_some_and(|until| until <= now))
    }

    /// As it is seen.
    pub fn seen(&self, script: &Script, now: Timestamp) -> Machine {
        let mut machine = self.machine.clone();
        machine.doing = self.work.as_ref().map(|work| work.doing(now));
        for rule in script.rules.iter().filter(|rule| rule.fits(&machine.record.name)) {
            match &rule.does {
                Does::Lies(power) => machine.power = *power,
                Does::Uses { adapter, addresses } if machine.power == Power::On => {
                    machine.addresses.insert(*adapter, addresses.clone());
                }
                _ => {}
            }
        }
        machine
    }
}

impl Work {
    fn doing(&self, now: Timestamp) -> Doing {
        let passed = now.duration_since(self.since).max(SignedDuration::ZERO).as_millis();
        let whole = self
            .until
            .map(|until| until.duration_since(self.since).as_millis().max(1));
        let progress = whole.map_or(0, |whole| passed.saturating_mul(100) / whole).min(99);
        Doing {
            verb: self.act.verb(),
            generation: self.generation,
            since: self.since,
            progress: u8::try_from(progress).unwrap_or(99),
        }
    }
}

impl Machine {
    fn run(&mut self) {
        self.power = Power::On;
        self.halted = false;
        let used = |adapter: &renkei_types::agent::AdapterIntent| (adapter.number, adapter.addresses.clone());
        self.addresses = self.form.adapters.iter().map(used).collect();
    }

    pub(super) fn stop(&mut self, power: Power) {
        self.power = power;
        self.halted = false;
        self.addresses.clear();
    }
}
