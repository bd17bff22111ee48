//! The trait of all drivers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_types::agent::{self, SegmentIntent};
use renkei_types::host::Capacity;
use renkei_types::id::{SegmentId, VmId};
use renkei_types::operation::Generation;

use crate::console::Console;
use crate::machine::{Lasting, Machine};
use crate::step::Step;

/// What makes machines so. Nothing here waits: a step is begun, and what became of it is seen later. Machines outlive the driver
/// and its process.
pub trait Driver: Send {
    /// What it is, and why it is this one.
    fn which(&self) -> agent::Driver;

    /// What the host has.
    fn capacity(&self) -> Capacity;

    /// Free disk for machines, GiB.
    fn free_disk_gib(&mut self) -> u64;

    /// All machines that there are, whole or not.
    ///
    /// # Errors
    /// If it cannot be said. Then nothing is known: an empty list would say that all are lost.
    fn look(&mut self, now: Timestamp) -> Result<Vec<Machine>, DriverError>;

    /// Begins a step, and forgets the fault of the one before. A step that is so already, or under way, does nothing more.
    /// `Act::PowerOff`, `Act::Destroy` and `Act::Abandon` end what is under way; other steps are refused meanwhile.
    ///
    /// # Errors
    /// If it cannot be begun. What goes wrong later is in [`Machine::fault`].
    fn begin(&mut self, step: Step, now: Timestamp) -> Result<(), DriverError>;

    /// Makes networks so, and says which generation of each is so. Those that are not named stay as they are.
    fn networks(&mut self, meant: &BTreeMap<SegmentId, SegmentIntent>) -> BTreeMap<SegmentId, Generation>;

    /// Opens the serial console of a machine that runs. A console that was opened before has to be dropped first.
    ///
    /// # Errors
    /// If there is no such machine, or it does not run; names it.
    fn console(&mut self, id: VmId) -> Result<Console, DriverError>;

    /// What a machine said on its console, at most [`LONGEST_LOG`](crate::LONGEST_LOG) bytes, the latest at the end; also of a machine
    /// that is off.
    ///
    /// # Errors
    /// If there is no such machine, or its log cannot be read; names it.
    fn console_log(&mut self, id: VmId) -> Result<Vec<u8>, DriverError>;
}

/// Why a step was not begun, or nothing can be seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DriverError {
    /// For people; names the machine or file.
    pub message: String,
    /// Whether a retry may help.
    pub lasting: Lasting,
}

impl DriverError {
    /// A retry may help.
    pub fn transient(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            lasting: Lasting::Transient,
        }
    }

    /// A retry does not help.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            lasting: Lasting::Permanent,
        }
    }
}

impl<D: Driver + ?Sized> Driver for Box<D> {
    fn which(&self) -> agent::Driver {
        (**self).which()
    }

    fn capacity(&self) -> Capacity {
        (**self).capacity()
    }

    fn free_disk_gib(&mut self) -> u64 {
        (**self).free_disk_gib()
    }

    fn look(&mut self, now: Timestamp) -> Result<Vec<Machine>, DriverError> {
        (**self).look(now)
    }

    fn begin(&mut self, step: Step, now: Timestamp) -> Result<(), DriverError> {
        (**self).begin(step, now)
    }

    fn networks(&mut self, meant: &BTreeMap<SegmentId, SegmentIntent>) -> BTreeMap<SegmentId, Generation> {
        (**self).networks(meant)
    }

    fn console(&mut self, id: VmId) -> Result<Console, DriverError> {
        (**self).console(id)
    }

    fn console_log(&mut self, id: VmId) -> Result<Vec<u8>, DriverError> {
        (**self).console_log(id)
    }
}
