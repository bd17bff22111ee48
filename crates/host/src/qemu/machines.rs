//! What the driver knows of its machines, shared between the looks and the threads that carry steps out.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use renkei_types::agent::SegmentIntent;
use renkei_types::id::{SegmentId, VmId};
use renkei_types::operation::Generation;

use super::Settings;
use super::accel::Found;
use super::disk::Stop;
use super::kept::{Kept, failed};
use super::process::Process;
use super::running::Running;
use crate::driver::DriverError;
use crate::images::Images;
use crate::machine::StepFault;
use crate::network::Network;
use crate::step::Verb;

/// The first of the users that QEMU's processes are: far from those that systems give out (useradd(8), systemd's "Users, Groups,
/// UIDs and GIDs").
pub(super) const FIRST_USER: u32 = 2_000_000_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Machines {
    pub settings: Settings,
    pub images: Images,
    pub network: Mutex<Network>,
    pub segments: Mutex<BTreeMap<SegmentId, SegmentIntent>>,
    pub accel: Mutex<Option<Found>>,
    entries: Mutex<BTreeMap<VmId, Entry>>,
}

/// A machine.
#[derive(Debug)]
pub(super) struct Entry {
    pub kept: Kept,
    /// The step that is under way.
    pub work: Option<Work>,
    /// Why the last one came to nothing.
    pub fault: Option<StepFault>,
    /// Its QEMU.
    pub running: Option<Arc<Running>>,
    /// Held by whoever works at it: a step that is given up comes to its end before the next one begins.
    pub turn: Arc<Mutex<()>>,
}

/// A step that is under way.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub verb: Verb,
    pub generation: Generation,
    pub since: Timestamp,
    pub stop: Arc<Stop>,
}

impl Work {
    /// Gives it up.
    pub fn give_up(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Entry {
    fn new(kept: Kept) -> Self {
        Self {
            kept,
            work: None,
            fault: None,
            running: None,
            turn: Arc::default(),
        }
    }
}

impl Machines {
    /// Finds what there is: the folders, and the processes that another agent has started.
    pub fn open(settings: Settings, images: Images, network: Network) -> Result<Self, DriverError> {
        let folder = settings.machines();
        fs::create_dir_all(&folder).map_err(failed("make", &folder))?;
        let mut entries = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(failed("read", &folder))? {
            let entry = entry.map_err(failed("read", &folder))?;
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok()).map(VmId);
            // A folder without its record is one that was only begun.
            if let (Some(id), Some(kept)) = (id, Kept::read(&entry.path())?) {
                if kept.id != id {
                    let path = entry.path();
                    let told = format!("`{}` is the folder of machine {}, not of {id}", path.display(), kept.id);
                    return Err(DriverError::permanent(told));
                }
                entries.insert(id, Entry::new(kept));
            }
        }
        let found = Process::find(entries.keys().copied());
        let found = found.map_err(|error| DriverError::transient(format!("cannot see what runs: {error}")))?;
        for (id, process) in found {
            if let Some(entry) = entries.get_mut(&id) {
                entry.running = Some(Arc::new(Running::new(settings.machine(id), process)));
            }
        }
        Ok(Self {
            settings,
            images,
            network: Mutex::new(network),
            segments: Mutex::default(),
            accel: Mutex::default(),
            entries: Mutex::new(entries),
        })
    }

    /// Says once more of the machines that run what their adapters may use: an older agent, or somebody by hand, may have said otherwise.
    pub fn plug_running(&self) {
        let entries = self.entries();
        for (id, entry) in entries.iter().filter(|(_, entry)| entry.running.is_some()) {
            for adapter in &entry.kept.form.adapters {
                // What is refused now is as it was, and the machine goes on with that.
                let _ = lock(&self.network).plug(*id, adapter, entry.kept.user);
            }
        }
    }

    pub fn entries(&self) -> MutexGuard<'_, BTreeMap<VmId, Entry>> {
        lock(&self.entries)
    }

    /// The folder of a machine.
    pub fn folder(&self, id: VmId) -> PathBuf {
        self.settings.machine(id)
    }

    /// What lies beside a machine's disks.
    pub fn kept(&self, id: VmId) -> Result<Kept, DriverError> {
        let entries = self.entries();
        entries.get(&id).map(|entry| entry.kept.clone()).ok_or_else(|| gone(id))
    }

    /// Changes what lies beside a machine's disks, on the disk first.
    pub fn keep(&self, id: VmId, change: impl FnOnce(&mut Kept)) -> Result<(), DriverError> {
        let mut entries = self.entries();
        let entry = entries.get_mut(&id).ok_or_else(|| gone(id))?;
        let mut kept = entry.kept.clone();
        change(&mut kept);
        if kept != entry.kept {
            kept.write(&self.settings.machine(id))?;
            entry.kept = kept;
        }
        Ok(())
    }

    /// Takes a machine in of which nothing is there yet.
    pub fn enter(entries: &mut BTreeMap<VmId, Entry>, kept: Kept) {
        entries.insert(kept.id, Entry::new(kept));
    }

    /// A machine's QEMU, if it runs.
    pub fn running(&self, id: VmId) -> Option<Arc<Running>> {
        let entries = self.entries();
        let running = entries.get(&id).and_then(|entry| entry.running.clone());
        running.filter(|running| running.lives())
    }

    /// A user that no other machine here has.
    pub fn free_user(entries: &BTreeMap<VmId, Entry>) -> u32 {
        let taken = |user: &u32| entries.values().any(|entry| entry.kept.user == *user);
        (FIRST_USER..).find(|user| !taken(user)).unwrap_or(FIRST_USER)
    }
}

/// There is no such machine any more.
fn gone(id: VmId) -> DriverError {
    DriverError::permanent(format!("there is no machine {id}"))
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
