//! What can be asked of a machine.

use jiff::SignedDuration;
use renkei_types::operation::Operation;

/// The verbs of operations on machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Make it from a template.
    Deploy,
    /// Make it from another one.
    Clone,
    /// Start it.
    PowerOn,
    /// Ask the guest to stop.
    Shutdown,
    /// Stop it at once.
    PowerOff,
    /// Ask the guest to start anew.
    Reboot,
    /// Start it anew at once.
    Reset,
    /// Change its size, disks or adapters.
    Reconfigure,
    /// Stop it with its memory kept.
    Suspend,
    /// Go on with the memory that was kept.
    Resume,
    /// Make an image and a template of its first disk.
    Save,
    /// Destroy it.
    Destroy,
    /// The hub's own: a spot machine gives way.
    Deallocate,
    /// The hub's own: its disk moves to another host, as the one that has it is being emptied.
    Move,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Deploy,
        Self::Clone,
        Self::PowerOn,
        Self::Shutdown,
        Self::PowerOff,
        Self::Reboot,
        Self::Reset,
        Self::Reconfigure,
        Self::Suspend,
        Self::Resume,
        Self::Save,
        Self::Destroy,
        Self::Deallocate,
        Self::Move,
    ];

    /// As operations have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "vm:deploy",
            Self::Clone => "vm:clone",
            Self::PowerOn => "vm:power_on",
            Self::Shutdown => "vm:shutdown",
            Self::PowerOff => "vm:power_off",
            Self::Reboot => "vm:reboot",
            Self::Reset => "vm:reset",
            Self::Reconfigure => "vm:reconfigure",
            Self::Suspend => "vm:suspend",
            Self::Resume => "vm:resume",
            Self::Save => "vm:save",
            Self::Destroy => "vm:destroy",
            Self::Deallocate => "vm:deallocate",
            Self::Move => "vm:move",
        }
    }

    /// That of an operation.
    pub fn of(operation: &Operation) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == operation.verb)
    }

    /// How long it may take once its host is told; as long as it takes without.
    pub fn limit(self) -> Option<SignedDuration> {
        match self {
            Self::Deploy | Self::Clone => Some(SignedDuration::from_mins(30)),
            Self::Save | Self::Move => Some(SignedDuration::from_hours(2)),
            Self::Destroy => None,
            Self::PowerOn
            | Self::Shutdown
            | Self::PowerOff
            | Self::Reboot
            | Self::Reset
            | Self::Reconfigure
            | Self::Suspend
            | Self::Resume
            | Self::Deallocate => Some(SignedDuration::from_mins(10)),
        }
    }

    /// Whether it takes away: then it is never set back, and goes on until it is so.
    pub fn takes_away(self) -> bool {
        matches!(self, Self::Destroy | Self::Deallocate)
    }

    /// Whether it takes the place of an operation that is open.
    pub fn supersedes(self) -> bool {
        matches!(self, Self::Destroy | Self::PowerOff)
    }
}
