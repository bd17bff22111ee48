//! A machine as a driver sees it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use renkei_types::agent::{AdapterIntent, MachineIntent};
use renkei_types::id::{ImageId, ProjectId, VmId};
use renkei_types::operation::Generation;
use renkei_types::vm::{Disk, Power};
use serde::{Deserialize, Serialize};

use crate::step::Verb;

/// What there is of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Which.
    pub id: VmId,
    /// What lies beside its disk.
    pub record: Record,
    /// Whether its disks are complete. Until then it can only be made, or destroyed.
    pub whole: bool,
    /// Whether it runs.
    pub power: Power,
    /// Whether it is off because the guest itself ended, and not because it was told to, crashed, or its host stopped.
    pub halted: bool,
    /// What it is made of.
    pub form: Form,
    /// The step that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<Doing>,
    /// Why the last step came to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<StepFault>,
    /// By the adapter's number: the addresses that it uses.
    #[serde(default)]
    pub addresses: BTreeMap<u8, Vec<IpAddr>>,
    /// The latest image that was made of it, with its BLAKE3 tree hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<(ImageId, String)>,
}

/// What lies beside a machine's disk, so that its owner and name can be read without any database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Whose.
    pub project: ProjectId,
    /// Its name.
    pub name: String,
}

/// What changes only while a machine is off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// In the order of their numbers.
    pub disks: Vec<Disk>,
    /// In the order of their numbers.
    pub adapters: Vec<AdapterIntent>,
}

/// A step that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doing {
    /// Which.
    pub verb: Verb,
    /// For the sake of which generation.
    pub generation: Generation,
    /// Since when.
    pub since: Timestamp,
    /// How far, 0 to 100.
    pub progress: u8,
}

/// Why a step came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFault {
    /// Which step.
    pub verb: Verb,
    /// For the sake of which generation it was begun.
    pub generation: Generation,
    /// For people.
    pub message: String,
    /// Whether a retry may help.
    pub lasting: Lasting,
}

/// Whether a retry may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lasting {
    /// It may.
    Transient,
    /// It does not.
    Permanent,
}

impl Record {
    /// As it is meant.
    pub fn of(intent: &MachineIntent) -> Self {
        Self {
            project: intent.project,
            name: intent.name.clone(),
        }
    }
}

impl Form {
    /// As it is meant.
    pub fn of(intent: &MachineIntent) -> Self {
        Self {
            vcpus: intent.vcpus,
            memory_mib: intent.memory_mib,
            disks: intent.disks.clone(),
            adapters: intent.adapters.clone(),
        }
    }
}

impl Machine {
    /// One of which nothing is there yet.
    pub(crate) fn blank(intent: &MachineIntent) -> Self {
        Self {
            id: intent.id,
            record: Record::of(intent),
            whole: false,
            power: Power::Off,
            halted: false,
            form: Form::of(intent),
            doing: None,
            fault: None,
            addresses: BTreeMap::new(),
            saved: None,
        }
    }
}
