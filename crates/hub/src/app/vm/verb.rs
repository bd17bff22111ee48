//! What can be asked of a machine, and when.

use jiff::SignedDuration;
use renkei_store::noun::vm::VmRow;
use renkei_types::operation::Operation;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::vm::Meant;
use renkei_types::vm::{Power, ServiceLevel, Stop, VmState};

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

/// A verb that needs nothing else to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Start it; what it may count on from now on, if that changes.
    PowerOn(Option<ServiceLevel>),
    /// Ask the guest to stop.
    Shutdown,
    /// Stop it at once.
    PowerOff,
    /// Ask the guest to start anew.
    Reboot,
    /// Start it anew at once.
    Reset,
    /// Stop it with its memory kept.
    Suspend,
    /// Go on with the memory that was kept.
    Resume,
    /// Destroy it.
    Destroy,
}

impl Act {
    /// Its verb.
    pub fn verb(self) -> Verb {
        match self {
            Self::PowerOn(_) => Verb::PowerOn,
            Self::Shutdown => Verb::Shutdown,
            Self::PowerOff => Verb::PowerOff,
            Self::Reboot => Verb::Reboot,
            Self::Reset => Verb::Reset,
            Self::Suspend => Verb::Suspend,
            Self::Resume => Verb::Resume,
            Self::Destroy => Verb::Destroy,
        }
    }

    /// What is meant then. A tombstone is another matter: see [`super::outcome::destroy`].
    pub fn meant(self, was: &Meant) -> Meant {
        let mut meant = was.clone();
        match self {
            Self::PowerOn(level) => {
                meant.power = Power::On;
                meant.shape.service_level = level.unwrap_or(was.shape.service_level);
            }
            Self::Resume => meant.power = Power::On,
            Self::Suspend => meant.power = Power::Suspended,
            Self::Shutdown => (meant.power, meant.stop) = (Power::Off, Stop::Shutdown),
            Self::PowerOff => (meant.power, meant.stop) = (Power::Off, Stop::PowerOff),
            Self::Reboot => (meant.power, meant.reboots) = (Power::On, was.reboots + 1),
            Self::Reset => (meant.power, meant.resets) = (Power::On, was.resets + 1),
            Self::Destroy => {}
        }
        meant
    }
}

/// Whether a verb goes with where the machine stands, with its open operation, and with those that are copied from it.
pub fn allowed(row: &VmRow, open: Option<&Operation>, verb: Verb) -> Result<(), Problem> {
    let (vm, state) = (&row.vm, row.vm.state());
    let conflict = |title: String| Problem::new(ProblemKind::Conflict, title);
    if state == VmState::Destroying {
        return Err(conflict(format!("machine `{}` is being destroyed", vm.name)));
    }
    if let Some(open) = open.filter(|_| !verb.supersedes()) {
        let title = format!(
            "machine `{}` has an open operation: {} ({})",
            vm.name, open.verb, open.id
        );
        return Err(conflict(title).hint("wait until it ends, or cancel it"));
    }
    let stands = match verb {
        Verb::Deploy | Verb::Clone | Verb::Destroy | Verb::Deallocate | Verb::Move => true,
        Verb::PowerOff => match state {
            VmState::Stopped | VmState::Deallocated => open.is_some(),
            VmState::Lost | VmState::Destroying => false,
            VmState::Deploying | VmState::Running | VmState::Suspended => true,
        },
        Verb::Shutdown | Verb::Reboot | Verb::Reset | Verb::Suspend => state == VmState::Running,
        Verb::Resume => state == VmState::Suspended,
        Verb::PowerOn | Verb::Reconfigure | Verb::Save => {
            matches!(state, VmState::Stopped | VmState::Deallocated)
        }
    };
    if !stands {
        let title = format!("machine `{}` is {state}: it must be {}", vm.name, needs(verb));
        return Err(conflict(title).field("state").hint(next(state)));
    }
    let moves = matches!(verb, Verb::Destroy | Verb::Reconfigure | Verb::PowerOn);
    match row.pinned_by.first() {
        Some(clone) if moves => {
            let title = format!("machine `{clone}` is being cloned from machine `{}`", vm.name);
            Err(conflict(title).hint("wait until the clone is whole, or destroy it"))
        }
        _ => Ok(()),
    }
}

fn needs(verb: Verb) -> &'static str {
    match verb {
        Verb::PowerOn | Verb::Reconfigure | Verb::Save | Verb::Clone => "stopped",
        Verb::Resume => "suspended",
        Verb::PowerOff => "running or suspended",
        _ => "running",
    }
}

fn next(state: VmState) -> &'static str {
    match state {
        VmState::Deploying => "wait until it is deployed",
        VmState::Running => "shut it down first",
        VmState::Stopped | VmState::Deallocated => "power it on first",
        VmState::Suspended => "resume it, or power it off",
        VmState::Lost => "ask the operators of the site, or destroy it",
        VmState::Destroying => "wait until it is gone",
    }
}
