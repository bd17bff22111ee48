//! Chance, and a host that does as it was told, fails, or has not heard yet.

use std::collections::BTreeMap;

use renkei_store::noun::manifest::Entry;
use renkei_types::agent::{MachineSeen, Part};
use renkei_types::id::VmId;
use renkei_types::operation::Generation;
use renkei_types::vm::{Fault, Meant, Power};
use uuid::Uuid;

/// splitmix64.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    pub fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }
}

/// What a host was told, and what it has.
#[derive(Clone, Default)]
pub struct Host {
    pub told: Option<(Entry, Meant)>,
    pub there: bool,
    pub power: Option<Power>,
    /// The latest generation that was so, and as what.
    pub so: (Generation, Option<Part>),
    pub fault: Option<Fault>,
}

impl Host {
    pub fn seen(&self, vm: VmId) -> MachineSeen {
        MachineSeen {
            id: vm,
            generation: self.so.0,
            part: self.so.1.unwrap_or(Part::Run),
            there: self.there,
            project: renkei_types::id::ProjectId(Uuid::nil()),
            name: "m".to_owned(),
            power: self.power.unwrap_or(Power::Off),
            doing: None,
            progress: 0,
            fault: self.fault.clone(),
            addresses: BTreeMap::new(),
            saved: None,
            known: self.told.is_some(),
            record: None,
        }
    }

    /// Makes what it was told so, or says why not.
    pub fn act(&mut self, dice: &mut Dice, sick: bool) {
        let Some((entry, meant)) = self.told.clone() else {
            return;
        };
        if self.so == (entry.generation, Some(entry.part)) {
            return;
        }
        let tried = self.fault.as_ref().map(|fault| fault.generation) == Some(entry.generation);
        // What takes away is tried until it is so.
        if tried && entry.part != Part::Gone {
            return;
        }
        if sick && dice.one_in(8) {
            let message = "no".to_owned();
            self.fault = Some(Fault {
                generation: entry.generation,
                message,
            });
            return;
        }
        match entry.part {
            Part::Run => (self.there, self.power) = (true, Some(meant.power)),
            Part::Keep => self.power = Some(Power::Off),
            Part::Gone => (self.there, self.power) = (false, None),
        }
        self.fault = None;
        self.so = (entry.generation, Some(entry.part));
    }
}
