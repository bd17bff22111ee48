//! A step: the least that can be done with a machine.

use std::fmt;

use renkei_types::agent::MachineIntent;
use renkei_types::id::{ImageId, VmId};
use renkei_types::operation::Generation;
use serde::{Deserialize, Serialize};

use crate::machine::{Form, Record};

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// With which machine.
    pub id: VmId,
    /// For the sake of which generation.
    pub generation: Generation,
    /// What is done.
    pub act: Act,
}

/// What is done in a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Makes disks and side record. The machine is off then. One that is not whole is made from the beginning again.
    Create(Box<MachineIntent>),
    /// Writes the side record anew, whether it runs or not.
    Label(Record),
    /// Starts it.
    Start,
    /// Asks the guest to end. A guest that does not is waited for.
    Shutdown,
    /// Ends it at once.
    PowerOff,
    /// Asks the guest to start anew.
    Reboot,
    /// Starts it anew at once.
    Reset,
    /// Keeps its memory and stops it.
    Suspend,
    /// Lets it go on.
    Resume,
    /// Changes what it is made of. It must be off; no disk becomes smaller or goes away.
    Reconfigure(Form),
    /// Makes an image of its first disk.
    Save(ImageId),
    /// Gives up what is under way, at once. A guest that was asked for something may still do it.
    Abandon,
    /// Ends it and destroys its disks and its side record.
    Destroy,
}

/// The name of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// [`Act::Create`].
    Create,
    /// [`Act::Label`].
    Label,
    /// [`Act::Start`].
    Start,
    /// [`Act::Shutdown`].
    Shutdown,
    /// [`Act::PowerOff`].
    PowerOff,
    /// [`Act::Reboot`].
    Reboot,
    /// [`Act::Reset`].
    Reset,
    /// [`Act::Suspend`].
    Suspend,
    /// [`Act::Resume`].
    Resume,
    /// [`Act::Reconfigure`].
    Reconfigure,
    /// [`Act::Save`].
    Save,
    /// [`Act::Abandon`].
    Abandon,
    /// [`Act::Destroy`].
    Destroy,
}

impl Act {
    /// Its name.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Create(_) => Verb::Create,
            Self::Label(_) => Verb::Label,
            Self::Start => Verb::Start,
            Self::Shutdown => Verb::Shutdown,
            Self::PowerOff => Verb::PowerOff,
            Self::Reboot => Verb::Reboot,
            Self::Reset => Verb::Reset,
            Self::Suspend => Verb::Suspend,
            Self::Resume => Verb::Resume,
            Self::Reconfigure(_) => Verb::Reconfigure,
            Self::Save(_) => Verb::Save,
            Self::Abandon => Verb::Abandon,
            Self::Destroy => Verb::Destroy,
        }
    }
}

impl Verb {
    /// Whether it ends what is under way instead of being refused.
    pub fn interrupts(self) -> bool {
        matches!(self, Self::PowerOff | Self::Abandon | Self::Destroy)
    }

    /// What is being done, for people.
    pub fn doing(self) -> &'static str {
        match self {
            Self::Create => "making its disk",
            Self::Label => "writing its record",
            Self::Start => "starting",
            Self::Shutdown => "waiting for the guest to shut down",
            Self::PowerOff => "powering off",
            Self::Reboot => "waiting for the guest to start anew",
            Self::Reset => "resetting",
            Self::Suspend => "suspending",
            Self::Resume => "resuming",
            Self::Reconfigure => "reconfiguring",
            Self::Save => "saving its disk as an image",
            Self::Abandon => "giving up what was under way",
            Self::Destroy => "destroying",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Create => "create",
            Self::Label => "label",
            Self::Start => "start",
            Self::Shutdown => "shutdown",
            Self::PowerOff => "power off",
            Self::Reboot => "reboot",
            Self::Reset => "reset",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Reconfigure => "reconfigure",
            Self::Save => "save",
            Self::Abandon => "abandon",
            Self::Destroy => "destroy",
        })
    }
}
