//! How the fake driver misbehaves.

use std::net::IpAddr;

use renkei_types::host::Capacity;
use renkei_types::vm::Power;
use serde::{Deserialize, Serialize};

use crate::machine::Lasting;
use crate::step::Verb;

/// What a fake host has and how it behaves; the file `fake.json` for real processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// What it has, in place of what it was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// The first that fits counts, for each kind of thing that it does.
    pub rules: Vec<Rule>,
    /// Whether networks become so.
    pub networks: Networks,
}

/// Whether networks become so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Networks {
    /// At once.
    #[default]
    Confirmed,
    /// What is so stays, nothing else becomes so.
    Stuck,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// For the machine with this name; for all without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// For this step; for all without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Verb>,
    /// Only so many times; always without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What happens.
    pub does: Does,
}

/// What happens by a rule. `Takes`, `Fails`, `Refuses` and `Hangs` are about steps, the others about machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Does {
    /// The step takes time, milliseconds.
    Takes(u64),
    /// It is begun and comes to nothing.
    Fails(Trouble),
    /// It cannot be begun.
    Refuses(Trouble),
    /// It never ends.
    Hangs,
    /// The machine is not there any more.
    Forgets,
    /// It is shown as if this were so.
    Lies(Power),
    /// The guest uses other addresses than it was given.
    Uses {
        /// At which adapter.
        adapter: u8,
        /// Which.
        addresses: Vec<IpAddr>,
    },
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    /// For people.
    pub message: String,
    /// Whether a retry may help.
    pub lasting: Lasting,
}

impl Rule {
    /// For every machine and step, always.
    pub fn always(does: Does) -> Self {
        Self {
            machine: None,
            step: None,
            times: None,
            does,
        }
    }

    /// For this machine only.
    #[must_use]
    pub fn on(mut self, machine: &str) -> Self {
        self.machine = Some(machine.to_owned());
        self
    }

    /// For this step only.
    #[must_use]
    pub fn at(mut self, step: Verb) -> Self {
        self.step = Some(step);
        self
    }

    /// Only so many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Whether it is about this machine.
    pub(super) fn fits(&self, machine: &str) -> bool {
        self.machine.as_deref().is_none_or(|name| name == machine)
    }
}

impl Does {
    /// A step comes to nothing, and a retry may help.
    pub fn fails(message: &str) -> Self {
        Self::Fails(Trouble {
            message: message.to_owned(),
            lasting: Lasting::Transient,
        })
    }

    /// A step comes to nothing for good.
    pub fn fails_for_good(message: &str) -> Self {
        Self::Fails(Trouble {
            message: message.to_owned(),
            lasting: Lasting::Permanent,
        })
    }
}
