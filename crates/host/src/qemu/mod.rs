//! The driver that runs machines in QEMU: a process, a user and, where it can be had, a control group for each.
//!
//! A machine is a folder: its disks (qcow2, the first one an overlay of an image), what lies beside them ([`kept`]), its seed, its sockets
//! and the log of its console. [`Qemu`] looks, and begins steps in threads of their own ([`steps`]); QEMU is told what to do over its
//! monitor ([`monitor`]). Guests are never children that end with the agent: a new one finds them by their processes ([`process`]).
//! What it does not do: it makes no networks ([`crate::network`]) and no templates ([`crate::images`]).

mod accel;
mod cgroup;
mod command;
mod console;
mod disk;
mod kept;
mod launch;
mod machines;
mod monitor;
mod process;
mod running;
mod seed;
mod steps;

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use renkei_types::agent::{self, SegmentIntent};
use renkei_types::host::Capacity;
use renkei_types::id::{SegmentId, VmId};
use renkei_types::network::Mac;
use renkei_types::operation::Generation;
use renkei_types::vm::Power;

pub use self::accel::Accel;
use self::kept::{Kept, failed};
use self::machines::{Entry, Machines, Work, lock};
use self::monitor::Run;
use self::steps::Carried;
use crate::allowed::{Goes, allowed};
use crate::chain::chain;
use crate::console::Console;
use crate::driver::{Driver, DriverError};
use crate::images::Images;
use crate::machine::{Doing, Machine, StepFault};
use crate::network::{self, Network};
use crate::step::{Act, Step};

/// What the driver is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where machines are.
    pub folder: PathBuf,
    /// Where the images are that they are made from.
    pub images: PathBuf,
    /// The network namespace that holds their adapters.
    pub network: network::Settings,
    /// What the host has.
    pub capacity: Capacity,
    /// What carries processors out; found out without.
    pub accel: Option<Accel>,
}

impl Settings {
    fn machines(&self) -> PathBuf {
        self.folder.join("machines")
    }

    fn machine(&self, id: VmId) -> PathBuf {
        self.machines().join(id.to_string())
    }

    /// Where a machine's folder is while it is being removed.
    fn going(&self, id: VmId) -> PathBuf {
        self.folder.join(format!("going-{id}"))
    }
}

/// See the module.
#[derive(Debug)]
pub struct Qemu {
    machines: Arc<Machines>,
    networks: Option<Networks>,
    seen: Option<(Instant, BTreeMap<Mac, Vec<IpAddr>>)>,
}

/// Networks as they were looked at last: programs do that, and what they said is good for a while.
#[derive(Debug)]
struct Networks {
    at: Instant,
    meant: BTreeMap<SegmentId, SegmentIntent>,
    so: BTreeMap<SegmentId, Generation>,
}

/// Networks that are as they were meant are looked at again after this long: somebody may have changed them by hand.
const LOOKED_AT_AGAIN: Duration = Duration::from_secs(5);
/// Addresses that guests use are asked for so often at most.
const SEEN_AGAIN: Duration = Duration::from_millis(500);

impl Qemu {
    /// Finds the machines that there are.
    ///
    /// # Errors
    /// If a folder cannot be used, a record is damaged, or the network namespace cannot be made; names it.
    pub fn open(settings: Settings) -> Result<Self, DriverError> {
        let permanent = |error: &dyn std::error::Error| DriverError::permanent(chain(error));
        fs::create_dir_all(&settings.folder).map_err(failed("make", &settings.folder))?;
        let images = Images::open(&settings.images).map_err(|error| permanent(&error))?;
        let network = Network::open(&settings.network).map_err(|error| permanent(&error))?;
        let machines = Machines::open(settings, images, network)?;
        machines.plug_running();
        Ok(Self {
            machines: Arc::new(machines),
            networks: None,
            seen: None,
        })
    }

    /// By the adapter's hardware address: the addresses that guests use. If they cannot be seen now, those of the look before: for that
    /// alone machines are not to be lost sight of.
    fn seen(&mut self) -> BTreeMap<Mac, Vec<IpAddr>> {
        let before = self.seen.take();
        let seen = match before {
            Some((at, seen)) if at.elapsed() < SEEN_AGAIN => (at, seen),
            before => {
                let now = lock(&self.machines.network).seen();
                let last = || before.map(|(_, seen)| seen).unwrap_or_default();
                (Instant::now(), now.unwrap_or_else(|_| last()))
            }
        };
        self.seen.insert(seen).1.clone()
    }

    /// Carries a step out in a thread of its own.
    fn spawn(&self, entry: &mut Entry, step: Step, now: Timestamp) -> Result<(), DriverError> {
        let Step { id, generation, act } = step;
        if let Some(work) = entry.work.take() {
            work.give_up();
        }
        entry.fault = None;
        if act == Act::Abandon {
            return Ok(());
        }
        let work = Work {
            verb: act.verb(),
            generation,
            since: now,
            stop: Arc::default(),
        };
        entry.work = Some(work.clone());
        let (machines, turn) = (Arc::clone(&self.machines), Arc::clone(&entry.turn));
        let thread = std::thread::Builder::new().name(format!("{}", work.verb));
        let spawned = thread.spawn(move || {
            let _turn = lock(&turn);
            let carried = Carried {
                machines: &machines,
                id,
                stop: &work.stop,
            };
            let carried = carried.out(act);
            finish(&machines, id, &work, carried);
        });
        match spawned {
            Ok(_) => Ok(()),
            Err(error) => {
                entry.work = None;
                Err(DriverError::transient(format!("cannot start a thread: {error}")))
            }
        }
    }
}

/// A step has come to its end. One that was given up has nothing more to say.
fn finish(machines: &Machines, id: VmId, work: &Work, carried: Result<(), DriverError>) {
    let mut entries = machines.entries();
    let Some(entry) = entries.get_mut(&id) else { return };
    let current = entry.work.as_ref();
    if !current.is_some_and(|current| Arc::ptr_eq(&current.stop, &work.stop)) {
        return;
    }
    entry.work = None;
    entry.fault = carried.err().map(|error| StepFault {
        verb: work.verb,
        generation: work.generation,
        message: error.message,
        lasting: error.lasting,
    });
}

impl Driver for Qemu {
    fn which(&self) -> agent::Driver {
        agent::Driver {
            name: "qemu".to_owned(),
            reason: launch::found(&self.machines).reason,
        }
    }

    fn capacity(&self) -> Capacity {
        self.machines.settings.capacity
    }

    fn free_disk_gib(&mut self) -> u64 {
        let disk = rustix::fs::statvfs(&self.machines.settings.folder);
        disk.map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize) >> 30)
    }

    fn look(&mut self, _: Timestamp) -> Result<Vec<Machine>, DriverError> {
        let seen = self.seen();
        let mut entries = self.machines.entries();
        let machines = entries.iter_mut();
        Ok(machines
            .map(|(id, entry)| look_at(&self.machines.settings, *id, entry, &seen))
            .collect())
    }

    fn begin(&mut self, step: Step, now: Timestamp) -> Result<(), DriverError> {
        let (id, verb) = (step.id, step.act.verb());
        let mut entries = self.machines.entries();
        if !entries.contains_key(&id) {
            match &step.act {
                Act::Create(intent) => {
                    let user = Machines::free_user(&entries);
                    Machines::enter(&mut entries, Kept::new(intent, user));
                }
                Act::Destroy => return Ok(()),
                _ => return Err(DriverError::permanent(format!("there is no machine {id} to {verb}"))),
            }
        }
        let Some(entry) = entries.get_mut(&id) else {
            return Ok(());
        };
        let machine = entry.machine(&BTreeMap::new());
        let under_way = entry.work.as_ref().map(|work| work.verb);
        if let Act::Save(_) = step.act
            && machine.power != Power::Off
            && under_way.is_none()
        {
            return Err(DriverError::permanent(format!(
                "cannot save machine {id}: it is not off"
            )));
        }
        match allowed(&machine, under_way, &step.act)? {
            Goes::Already => {
                entry.fault = None;
                Ok(())
            }
            Goes::Now => self.spawn(entry, step, now),
        }
    }

    fn networks(&mut self, meant: &BTreeMap<SegmentId, SegmentIntent>) -> BTreeMap<SegmentId, Generation> {
        if let Some(networks) = self.networks.as_ref().filter(|networks| networks.are(meant)) {
            return networks.so.clone();
        }
        let told = meant.iter().filter(|(_, segment)| !segment.tombstone);
        *lock(&self.machines.segments) = told.map(|(id, segment)| (*id, segment.clone())).collect();
        let so = lock(&self.machines.network).segments(meant);
        self.networks = Some(Networks {
            at: Instant::now(),
            meant: meant.clone(),
            so: so.clone(),
        });
        so
    }

    fn console(&mut self, id: VmId) -> Result<Console, DriverError> {
        let entries = self.machines.entries();
        let Some(entry) = entries.get(&id) else {
            return Err(DriverError::permanent(format!("there is no machine {id}")));
        };
        if entry.machine(&BTreeMap::new()).power != Power::On {
            return Err(DriverError::permanent(format!(
                "machine {id} does not run: it has no console"
            )));
        }
        console::open(&self.machines.folder(id))
    }

    fn console_log(&mut self, id: VmId) -> Result<Vec<u8>, DriverError> {
        if !self.machines.entries().contains_key(&id) {
            return Err(DriverError::permanent(format!("there is no machine {id}")));
        }
        console::log(&self.machines.folder(id))
    }
}

impl Networks {
    /// Whether these were all made so, not long ago.
    fn are(&self, meant: &BTreeMap<SegmentId, SegmentIntent>) -> bool {
        let made = |(id, segment): (&SegmentId, &SegmentIntent)| self.so.get(id) == Some(&segment.generation);
        self.at.elapsed() < LOOKED_AT_AGAIN && self.meant == *meant && meant.iter().all(made)
    }
}

/// Looks at a machine, and sees to what nobody else does: a guest that has ended by itself leaves a QEMU, one that stands still without
/// a step goes on, and its log is kept short. What of that fails, as on a full disk, is done at a later look.
fn look_at(settings: &Settings, id: VmId, entry: &mut Entry, seen: &BTreeMap<Mac, Vec<IpAddr>>) -> Machine {
    let folder = settings.machine(id);
    if entry.running.as_ref().is_some_and(|running| !running.lives()) && entry.work.is_none() {
        entry.running = None;
    }
    if let Some(running) = entry.running.clone().filter(|_| entry.work.is_none()) {
        match running.run() {
            // Only once it is written down: afterwards nobody could tell it from a crash.
            Run::Ended if entry.halts(&folder) => drop(running.say("quit")),
            Run::Still => drop(running.say("cont")),
            Run::Ended | Run::Running | Run::Gone => {}
        }
    }
    let _ = console::shorten(&folder);
    entry.machine(seen)
}

impl Entry {
    /// Writes down that the guest itself has ended; says whether that is done.
    fn halts(&mut self, folder: &Path) -> bool {
        let kept = Kept {
            halted: true,
            ..self.kept.clone()
        };
        let written = self.kept.halted || kept.write(folder).is_ok();
        if written {
            self.kept = kept;
        }
        written
    }

    /// As it is shown.
    fn machine(&self, seen: &BTreeMap<Mac, Vec<IpAddr>>) -> Machine {
        let kept = &self.kept;
        let power = match &self.running {
            Some(running) if running.lives() => Power::On,
            _ if kept.asleep.is_some() => Power::Suspended,
            _ => Power::Off,
        };
        let adapters = kept.form.adapters.iter().filter(|_| power == Power::On);
        let used = adapters.filter_map(|adapter| Some((adapter.number, seen.get(&adapter.mac)?.clone())));
        Machine {
            id: kept.id,
            record: kept.record.clone(),
            whole: kept.whole,
            power,
            halted: kept.halted && power == Power::Off,
            form: kept.form.clone(),
            doing: self.work.as_ref().map(Work::doing),
            fault: self.fault.clone(),
            addresses: used.collect(),
            saved: kept.saved.clone(),
        }
    }
}

impl Work {
    fn doing(&self) -> Doing {
        Doing {
            verb: self.verb,
            generation: self.generation,
            since: self.since,
            progress: 0,
        }
    }
}
