//! A simulated host: a fake driver that outlives its agent, and what the agent has kept.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use renkei_host::fake::{Fake, Script};
use renkei_host::{Console, Driver, DriverError, Machine, Step, Verb};
use renkei_site::{Agent, Keep, KeepError, Kept, MemoryKeep, Who};
use renkei_types::agent::SegmentIntent;
use renkei_types::host::Capacity;
use renkei_types::id::{HostId, SegmentId, VmId};
use renkei_types::operation::Generation;
use std::collections::BTreeMap;

use crate::dice::Dice;

/// The steps that agents have begun since the last look.
pub type Steps = Arc<Mutex<Vec<(HostId, VmId, Verb, Generation)>>>;

/// What every host has: room for a few machines only, so that they wait and give way.
pub const CAPACITY: Capacity = Capacity {
    vcpus: 1,
    memory_mib: 9 * 1024,
    disk_gib: 100,
    gpus: 0,
};

/// A host. Its agent comes and goes.
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// Its machines.
    pub fake: Fake,
    /// The agent, while its process runs.
    pub agent: Option<Agent<Watched, Frail>>,
    /// The connection of the agent.
    pub wire: Option<u64>,
    /// How far its clock is ahead.
    pub ahead: SignedDuration,
    /// Whether the computer is off.
    pub off: bool,
    /// Whether an operator has said that it stays off. Should it come back all the same, it goes on with what it heard last.
    pub fenced: bool,
    /// Grows with each start of the host.
    boots: u64,
    keep: Frail,
    steps: Steps,
}

impl Host {
    /// How every host behaves when nothing goes wrong.
    pub fn sound() -> Script {
        Script {
            capacity: Some(CAPACITY),
            ..Script::default()
        }
    }

    /// A host without an agent.
    pub fn new(id: HostId, seed: u64, steps: &Steps) -> Self {
        let mut dice = Dice::new(seed);
        Self {
            id,
            fake: Fake::in_memory(Self::sound()),
            agent: None,
            wire: None,
            // An hour, at most, either way.
            ahead: SignedDuration::from_secs(dice.below(7200) as i64 - 3600),
            off: false,
            fenced: false,
            boots: 1,
            keep: Frail::new(dice),
            steps: Arc::clone(steps),
        }
    }

    /// The agent's process starts.
    pub fn start(&mut self) {
        let who = Who {
            host: self.id,
            boot_id: format!("boot-{}", self.boots),
            version: "simulated".to_owned(),
        };
        let driver = Watched {
            host: self.id,
            fake: self.fake.clone(),
            steps: Arc::clone(&self.steps),
            process: self.keep.clone(),
        };
        self.keep.revive();
        self.agent = Agent::new(who, driver, self.keep.clone()).ok();
    }

    /// Whether the agent's process died at a save.
    pub fn died(&self) -> bool {
        self.keep.is_dead()
    }

    /// The agent's process ends at once.
    pub fn kill(&mut self) {
        self.agent = None;
    }

    /// The computer starts anew.
    pub fn reboot(&mut self) {
        self.kill();
        self.fake.boot();
        self.boots += 1;
    }

    /// How often saving kills the agent, of a thousand times.
    pub fn frailty(&self, of_thousand: u64) {
        self.keep.lock().of_thousand = of_thousand;
    }
}

/// A keep at which the agent's process dies now and then, before or after it has saved.
#[derive(Clone, Debug)]
pub struct Frail {
    inner: MemoryKeep,
    state: Arc<Mutex<Frailty>>,
}

#[derive(Debug)]
struct Frailty {
    dice: Dice,
    of_thousand: u64,
    dead: bool,
}

impl Frail {
    fn new(dice: Dice) -> Self {
        let state = Frailty {
            dice,
            of_thousand: 0,
            dead: false,
        };
        Self {
            inner: MemoryKeep::default(),
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Frailty> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn revive(&self) {
        self.lock().dead = false;
    }

    fn is_dead(&self) -> bool {
        self.lock().dead
    }
}

impl Keep for Frail {
    fn load(&mut self) -> Result<Kept, KeepError> {
        self.inner.load()
    }

    fn save(&mut self, kept: &Kept) -> Result<(), KeepError> {
        let (dies, before) = {
            let mut state = self.lock();
            let of_thousand = state.of_thousand;
            // Who is dead saves nothing more, however far the rest of the call goes.
            if state.dead {
                return Err(KeepError::Memory);
            }
            state.dead = state.dice.chance(of_thousand);
            (state.dead, state.dice.chance(500))
        };
        if !(dies && before) {
            self.inner.save(kept)?;
        }
        match dies {
            true => Err(KeepError::Memory),
            false => Ok(()),
        }
    }
}

/// The fake driver, with the steps that are begun written down.
#[derive(Debug)]
pub struct Watched {
    host: HostId,
    fake: Fake,
    steps: Steps,
    process: Frail,
}

impl Driver for Watched {
    fn which(&self) -> renkei_types::agent::Driver {
        self.fake.which()
    }

    fn capacity(&self) -> Capacity {
        self.fake.capacity()
    }

    fn free_disk_gib(&mut self) -> u64 {
        self.fake.free_disk_gib()
    }

    fn look(&mut self, now: Timestamp) -> Result<Vec<Machine>, DriverError> {
        self.fake.look(now)
    }

    fn begin(&mut self, step: Step, now: Timestamp) -> Result<(), DriverError> {
        if self.process.is_dead() {
            return Err(DriverError::transient("the agent's process is gone"));
        }
        let begun = (self.host, step.id, step.act.verb(), step.generation);
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).push(begun);
        self.fake.begin(step, now)
    }

    fn networks(&mut self, meant: &BTreeMap<SegmentId, SegmentIntent>) -> BTreeMap<SegmentId, Generation> {
        self.fake.networks(meant)
    }

    fn console(&mut self, id: VmId) -> Result<Console, DriverError> {
        self.fake.console(id)
    }

    fn console_log(&mut self, id: VmId) -> Result<Vec<u8>, DriverError> {
        self.fake.console_log(id)
    }
}
