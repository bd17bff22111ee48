//! A driver that only pretends: machines in memory, or in a folder, that outlive the agent's process, and that misbehave as a
//! [`Script`] says. Time comes only from `now`.

mod begin;
mod console;
mod script;
mod world;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use renkei_types::agent::{self, DiskSource, SegmentIntent};
use renkei_types::host::Capacity;
use renkei_types::id::{HostId, ImageId, SegmentId, VmId};
use renkei_types::operation::Generation;
use renkei_types::vm::Power;

pub use script::{Does, Networks, Rule, Script, Trouble};
use world::{Changed, World};

use crate::console::Console;
use crate::driver::{Driver, DriverError};
use crate::machine::Machine;
use crate::step::{Act, Step, Verb};

/// The file with the machines, in the driver's folder.
pub const MACHINES: &str = "machines.json";
/// The file with the script, in the driver's folder. It is read at each look.
pub const SCRIPT: &str = "fake.json";

/// What a host has if nobody says.
const HAS: Capacity = Capacity {
    vcpus: 16,
    memory_mib: 64 * 1024,
    disk_gib: 1000,
    gpus: 0,
};

/// A handle: its clones are the same host.
#[derive(Clone, Debug)]
pub struct Fake {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    world: World,
    script: Script,
    folder: Option<PathBuf>,
    neighbours: BTreeMap<HostId, Fake>,
    reason: String,
    has: Capacity,
}

impl Fake {
    /// A host in memory.
    pub fn in_memory(script: Script) -> Self {
        Self::of(World::default(), script, None)
    }

    /// A host whose machines lie in a folder. The folder must be there; its files need not.
    ///
    /// # Errors
    /// If a file cannot be read or is not understood; names it.
    pub fn in_folder(folder: &Path) -> Result<Self, DriverError> {
        let world = read(&folder.join(MACHINES))?.unwrap_or_default();
        let script = read(&folder.join(SCRIPT))?.unwrap_or_default();
        Ok(Self::of(world, script, Some(folder.to_owned())))
    }

    fn of(world: World, script: Script, folder: Option<PathBuf>) -> Self {
        let inner = Inner {
            world,
            script,
            folder,
            neighbours: BTreeMap::new(),
            reason: "machines are only pretended".to_owned(),
            has: HAS,
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    /// Says why it is this driver, and what would change that.
    #[must_use]
    pub fn because(self, reason: &str) -> Self {
        reason.clone_into(&mut self.lock().reason);
        self
    }

    /// Has this, unless the script says otherwise.
    #[must_use]
    pub fn having(self, capacity: Capacity) -> Self {
        self.lock().has = capacity;
        self
    }

    /// Another host of the site, from which disks are copied.
    pub fn beside(&self, host: HostId, other: &Self) {
        self.lock().neighbours.insert(host, other.clone());
    }

    /// Behaves in another way from now on. Rules count anew.
    pub fn behave(&self, script: Script) {
        let mut inner = self.lock();
        inner.world.used.clear();
        inner.script = script;
    }

    /// The guest ends by itself.
    pub fn halt(&self, id: VmId) {
        self.change(id, |machine| {
            machine.stop(Power::Off);
            machine.halted = true;
        });
    }

    /// The machine ends without the guest's doing.
    pub fn crash(&self, id: VmId) {
        self.change(id, |machine| machine.stop(Power::Off));
    }

    /// The host starts anew: what ran is off, what was under way is not any more.
    pub fn boot(&self) {
        let mut inner = self.lock();
        for made in inner.world.machines.values_mut() {
            made.work = None;
            if made.machine.power == Power::On {
                made.machine.stop(Power::Off);
            }
        }
        inner.world.hang_up();
    }

    /// The machine is not there any more, by nobody's order.
    pub fn lose(&self, id: VmId) {
        self.lock().world.machines.remove(&id);
    }

    /// Writes onto a machine's first disk. Nothing, if it is not there.
    pub fn write(&self, id: VmId, text: &str) {
        if let Some(made) = self.lock().world.machines.get_mut(&id) {
            text.clone_into(&mut made.disk);
        }
    }

    /// What is on a machine's first disk.
    pub fn disk(&self, id: VmId) -> Option<String> {
        let inner = self.lock();
        let whole = inner.world.machines.get(&id).filter(|made| made.machine.whole);
        whole.map(|made| made.disk.clone())
    }

    /// What is in an image that was made here.
    pub fn image(&self, image: ImageId) -> Option<String> {
        self.lock().world.images.get(&image).cloned()
    }

    /// How often a step was carried out with a machine.
    pub fn carried_out(&self, id: VmId, verb: Verb) -> u64 {
        let inner = self.lock();
        let of_machine = inner.world.carried_out.get(&id);
        of_machine.and_then(|of| of.get(&verb)).copied().unwrap_or(0)
    }

    /// All machines as they are, whatever the script shows of them.
    pub fn truth(&self) -> BTreeMap<VmId, Machine> {
        let inner = self.lock();
        let machines = inner.world.machines.iter();
        machines.map(|(id, made)| (*id, made.machine.clone())).collect()
    }

    fn change(&self, id: VmId, change: impl FnOnce(&mut Machine)) {
        let mut inner = self.lock();
        if let Some(made) = inner.world.machines.get_mut(&id) {
            made.work = None;
            change(&mut made.machine);
        }
        inner.world.hang_up();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What will be on a new disk.
    fn source(&self, intent: &agent::MachineIntent) -> Result<String, DriverError> {
        let (machine, host) = match &intent.source {
            DiskSource::Template { name, image } => {
                let mut inner = self.lock();
                inner.world.disks += 1;
                let saved = image.and_then(|image| inner.world.images.get(&image).cloned());
                return Ok(saved.unwrap_or_else(|| format!("{name}, disk {}", inner.world.disks)));
            }
            DiskSource::Machine { vm, host } => (*vm, *host),
            DiskSource::Move { host } => (intent.id, *host),
        };
        if let Some(disk) = self.disk(machine).filter(|_| machine != intent.id) {
            return Ok(disk);
        }
        let neighbour = self.lock().neighbours.get(&host).cloned();
        match neighbour {
            // Another process: its disks cannot be read here.
            None => Ok(format!("copy of {machine} at {host}")),
            Some(neighbour) => neighbour
                .disk(machine)
                .ok_or_else(|| DriverError::transient(format!("host {host} has no disk of machine {machine} to copy"))),
        }
    }
}

impl Inner {
    fn capacity(&self) -> Capacity {
        self.script.capacity.unwrap_or(self.has)
    }

    /// Machines are only as safe as a rename: they are pretended ones, which may be lost with the computer's power.
    fn save(&self) -> Result<(), DriverError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let path = folder.join(MACHINES);
        let failed = |error: io::Error| DriverError::transient(format!("cannot write `{}`: {error}", path.display()));
        let text = serde_json::to_vec(&self.world).map_err(|error| failed(error.into()))?;
        let beside = folder.join(format!("{MACHINES}.new"));
        let mut file = std::fs::File::create(&beside).map_err(failed)?;
        file.write_all(&text).map_err(failed)?;
        std::fs::rename(&beside, &path).map_err(failed)
    }

    fn reread(&mut self) -> Result<(), DriverError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let script = read(&folder.join(SCRIPT))?.unwrap_or_default();
        if script != self.script {
            self.script = script;
            self.world.used.clear();
        }
        Ok(())
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, DriverError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let message = format!("cannot read `{}`: {error}", path.display());
            return Err(DriverError::transient(message));
        }
    };
    let read = serde_json::from_slice(&text);
    read.map(Some)
        .map_err(|error| DriverError::permanent(format!("`{}` is not understood: {error}", path.display())))
}

impl Driver for Fake {
    fn which(&self) -> agent::Driver {
        agent::Driver {
            name: "fake".to_owned(),
            reason: self.lock().reason.clone(),
        }
    }

    fn capacity(&self) -> Capacity {
        self.lock().capacity()
    }

    fn free_disk_gib(&mut self) -> u64 {
        let inner = self.lock();
        let disks = inner.world.machines.values().flat_map(|made| &made.machine.form.disks);
        let taken: u64 = disks.map(|disk| disk.gib).fold(0, u64::saturating_add);
        // Disks are thin: a tenth is written.
        inner.capacity().disk_gib.saturating_sub(taken / 10)
    }

    fn look(&mut self, now: Timestamp) -> Result<Vec<Machine>, DriverError> {
        let mut inner = self.lock();
        inner.reread()?;
        let Inner { world, script, .. } = &mut *inner;
        if world.settle(script, now) == Changed::Yes {
            world.hang_up();
            inner.save()?;
        }
        let machines = inner.world.machines.values();
        Ok(machines.map(|made| made.seen(&inner.script, now)).collect())
    }

    fn begin(&mut self, step: Step, now: Timestamp) -> Result<(), DriverError> {
        let disk = match &step.act {
            Act::Create(intent) => self.source(intent)?,
            _ => String::new(),
        };
        let mut inner = self.lock();
        inner.reread()?;
        let Inner { world, script, .. } = &mut *inner;
        world.settle(script, now);
        world.hang_up();
        let begun = world.begin(script, step, disk, now);
        inner.save()?;
        begun
    }

    fn networks(&mut self, meant: &BTreeMap<SegmentId, SegmentIntent>) -> BTreeMap<SegmentId, Generation> {
        let mut inner = self.lock();
        if inner.script.networks == Networks::Confirmed {
            let before = inner.world.segments.clone();
            for (id, intent) in meant {
                match intent.tombstone {
                    true => inner.world.segments.remove(id),
                    false => inner.world.segments.insert(*id, intent.generation),
                };
            }
            // What is not kept is not so: it would be gone with the agent.
            if inner.world.segments != before && inner.save().is_err() {
                inner.world.segments = before;
            }
        }
        let is = |(id, intent): (&SegmentId, &SegmentIntent)| match inner.world.segments.get(id) {
            Some(generation) => Some((*id, *generation)),
            None => intent.tombstone.then_some((*id, intent.generation)),
        };
        meant.iter().filter_map(is).collect()
    }

    fn console(&mut self, id: VmId) -> Result<Console, DriverError> {
        self.open_console(id)
    }

    fn console_log(&mut self, id: VmId) -> Result<Vec<u8>, DriverError> {
        Ok(self.lock().world.made(id)?.line.log())
    }
}
