//! Whatever happens on the way, in the end what is meant is so: random manifests, crashes of agent and host at any call, lost
//! frames, full disks, slow, failing and hanging drivers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use renkei_host::contract::intent as meant;
use renkei_host::fake::{Does, Fake, Rule, Script};
use renkei_host::{Console, Driver, DriverError, Form, Machine, Record, Step, Verb};
use renkei_site::{Agent, Keep, KeepError, Kept, MemoryKeep, Who};
use renkei_types::agent::{
    self, DiskSource, FromAgent, FromHub, Held, MachineIntent, Manifest, Part, SegmentIntent, VERSION,
};
use renkei_types::host::Capacity;
use renkei_types::id::{HostId, SegmentId, VmId};
use renkei_types::operation::Generation;
use renkei_types::vm::{Power, Stop};
use uuid::Uuid;

/// Calls that are left before the process dies; what is called after that has no effect.
#[derive(Clone)]
struct Fuse(Arc<AtomicI64>);

impl Fuse {
    fn burnt(&self) -> bool {
        self.0.fetch_sub(1, Ordering::Relaxed) <= 0
    }
}

struct Mortal<T> {
    inner: T,
    fuse: Fuse,
}

impl Driver for Mortal<Fake> {
    fn which(&self) -> agent::Driver {
        self.inner.which()
    }

    fn capacity(&self) -> Capacity {
        self.inner.capacity()
    }

    fn free_disk_gib(&mut self) -> u64 {
        self.inner.free_disk_gib()
    }

    fn look(&mut self, now: Timestamp) -> Result<Vec<Machine>, DriverError> {
        self.inner.look(now)
    }

    fn begin(&mut self, step: Step, now: Timestamp) -> Result<(), DriverError> {
        if self.fuse.burnt() {
            return Err(DriverError::transient("dead"));
        }
        self.inner.begin(step, now)
    }

    fn networks(&mut self, meant: &BTreeMap<SegmentId, SegmentIntent>) -> BTreeMap<SegmentId, Generation> {
        self.inner.networks(meant)
    }

    fn console(&mut self, id: VmId) -> Result<Console, DriverError> {
        self.inner.console(id)
    }

    fn console_log(&mut self, id: VmId) -> Result<Vec<u8>, DriverError> {
        self.inner.console_log(id)
    }
}

impl Keep for Mortal<MemoryKeep> {
    fn load(&mut self) -> Result<Kept, KeepError> {
        self.inner.load()
    }

    fn save(&mut self, kept: &Kept) -> Result<(), KeepError> {
        if self.fuse.burnt() {
            return Err(KeepError::Memory);
        }
        self.inner.save(kept)
    }
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    /// What is meant for a machine changes.
    Mean(usize, Change),
    /// The hub no longer names a machine.
    Forget(usize),
    /// Time passes, seconds.
    Pass(u8),
    /// The agent dies after so many more calls that would have had an effect, within so many seconds.
    Die(u8, u8),
    /// The host starts anew.
    Boot,
    /// The connection breaks and is made again.
    Reconnect,
    /// The driver behaves in another way.
    Behave(Verb, Does),
    /// A guest ends without anybody's doing.
    Crash(usize),
}

#[derive(Clone, Debug)]
enum Change {
    Power(Power, Stop),
    Reboot,
    Reset,
    Size(u32),
    Name(u8),
    Keep,
    Gone,
}

fn change() -> impl Strategy<Value = Change> {
    let power = prop::sample::select(vec![Power::On, Power::On, Power::Off, Power::Suspended]);
    let stop = prop::sample::select(vec![Stop::Shutdown, Stop::PowerOff]);
    prop_oneof![
        4 => (power, stop).prop_map(|(power, stop)| Change::Power(power, stop)),
        3 => Just(Change::Reboot),
        2 => Just(Change::Reset),
        1 => (1..9_u32).prop_map(Change::Size),
        1 => any::<u8>().prop_map(Change::Name),
        1 => Just(Change::Keep),
        1 => Just(Change::Gone),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let verbs = vec![
        Verb::Create,
        Verb::Start,
        Verb::Shutdown,
        Verb::Reboot,
        Verb::Destroy,
        Verb::Suspend,
    ];
    let does = prop_oneof![
        (0..30_000_u64).prop_map(Does::Takes),
        Just(Does::Hangs),
        Just(Does::fails("for now")),
        Just(Does::fails_for_good("for good")),
        Just(Does::Lies(Power::Off)),
    ];
    prop_oneof![
        8 => (0..MACHINES, change()).prop_map(|(machine, change)| Event::Mean(machine, change)),
        1 => (0..MACHINES).prop_map(Event::Forget),
        8 => (0..90_u8).prop_map(Event::Pass),
        4 => (0..6_u8, 1..20_u8).prop_map(|(calls, seconds)| Event::Die(calls, seconds)),
        1 => Just(Event::Boot),
        2 => Just(Event::Reconnect),
        2 => (prop::sample::select(verbs), does).prop_map(|(verb, does)| Event::Behave(verb, does)),
        1 => (0..MACHINES).prop_map(Event::Crash),
    ]
}

const MACHINES: usize = 3;

/// A hub that says what is meant, and the host with its agent.
struct World {
    fake: Fake,
    keep: MemoryKeep,
    fuse: Fuse,
    agent: Agent<Mortal<Fake>, Mortal<MemoryKeep>>,
    boots: u32,
    now: Timestamp,
    version: u64,
    intents: BTreeMap<VmId, MachineIntent>,
    /// What was meant when a machine was last named.
    unnamed: BTreeMap<VmId, MachineIntent>,
    /// Machines that a tombstone was ever written for.
    tombstones: BTreeSet<VmId>,
    /// Machines that were whole once and were not given up.
    precious: BTreeSet<VmId>,
    connected: bool,
}

fn id(machine: usize) -> VmId {
    VmId(Uuid::from_u128(machine as u128 + 1))
}

impl World {
    fn new() -> Self {
        let fake = Fake::in_memory(Script::default());
        let keep = MemoryKeep::default();
        let fuse = Fuse(Arc::new(AtomicI64::new(i64::MAX)));
        let agent = start(&fake, &keep, &fuse, 0);
        let mut world = Self {
            fake,
            keep,
            fuse,
            agent,
            boots: 0,
            now: Timestamp::UNIX_EPOCH,
            version: 0,
            intents: BTreeMap::new(),
            unnamed: BTreeMap::new(),
            tombstones: BTreeSet::new(),
            precious: BTreeSet::new(),
            connected: false,
        };
        world.connect();
        world
    }

    fn restart(&mut self) {
        self.fuse = Fuse(Arc::new(AtomicI64::new(i64::MAX)));
        self.agent = start(&self.fake, &self.keep, &self.fuse, self.boots);
        self.connect();
    }

    fn connect(&mut self) {
        self.connected = true;
        self.agent.connected(self.now);
        let (version, now) = (VERSION, self.now);
        let frames = self.agent.frame(FromHub::Welcome { version, now }, self.now);
        self.answer(frames);
        self.send();
    }

    fn answer(&mut self, frames: Vec<FromAgent>) {
        for frame in frames {
            if let (FromAgent::Report(report), true) = (&frame, self.connected) {
                self.agent.frame(FromHub::Heard { report: report.number }, self.now);
            }
        }
    }

    /// The hub sends everything that is meant, unless it is held.
    fn send(&mut self) {
        let follows = self.agent.kept().held.clone();
        if !self.connected || follows.version == self.version {
            return;
        }
        let page = Manifest {
            is: Held {
                epoch: 1,
                version: self.version,
                digest: self.version.to_string(),
            },
            follows: Held {
                epoch: 1.min(follows.epoch),
                ..follows
            },
            machines: self
                .intents
                .iter()
                .map(|(id, intent)| (*id, intent.generation))
                .collect(),
            segments: BTreeMap::new(),
            intents: self.intents.values().cloned().collect(),
            networks: Vec::new(),
            last: true,
        };
        let frames = self.agent.frame(FromHub::Manifest(page), self.now);
        self.answer(frames);
    }

    fn pass(&mut self, seconds: u8) {
        for _ in 0..seconds {
            self.now += SignedDuration::from_secs(1);
            let frames = self.agent.tick(self.now);
            self.answer(frames);
            self.send();
            self.look();
        }
    }

    /// What was whole once is only gone by a tombstone.
    fn look(&mut self) {
        let truth = self.fake.truth();
        for precious in &self.precious {
            assert!(
                truth.contains_key(precious),
                "{precious} was destroyed though nothing said so"
            );
        }
        let whole = truth.values().filter(|machine| machine.whole).map(|machine| machine.id);
        self.precious.extend(whole.filter(|id| !self.tombstones.contains(id)));
    }

    fn mean(&mut self, machine: usize, change: &Change) {
        let source = DiskSource::Template {
            name: "t".to_owned(),
            image: None,
        };
        let new = || MachineIntent {
            generation: Generation(0),
            power: Power::On,
            ..meant(id(machine), source)
        };
        // One that was no longer named comes back with what was meant last, in a new generation.
        let last = self.unnamed.remove(&id(machine));
        let intent = self
            .intents
            .entry(id(machine))
            .or_insert_with(|| last.unwrap_or_else(new));
        if intent.part == Part::Gone {
            return;
        }
        // As with the real hub: a size changes while the machine is off, and nothing else does meanwhile.
        let truth = self.fake.truth();
        let whole = truth.get(&intent.id).filter(|machine| machine.whole);
        let resizing = whole.is_some_and(|machine| machine.form != Form::of(intent));
        let off = whole.is_none_or(|machine| machine.power == Power::Off);
        match change {
            Change::Gone => {}
            Change::Size(_) if !off => return,
            _ if resizing => return,
            _ => {}
        }
        self.version += 1;
        intent.generation = Generation(self.version);
        match change {
            Change::Power(power, stop) => (intent.part, intent.power, intent.stop) = (Part::Run, *power, *stop),
            Change::Reboot => intent.reboots += 1,
            Change::Reset => intent.resets += 1,
            Change::Size(vcpus) => (intent.vcpus, intent.power, intent.part) = (*vcpus, Power::Off, Part::Run),
            Change::Name(name) => intent.name = format!("m{name}"),
            Change::Keep => intent.part = Part::Keep,
            Change::Gone => {
                intent.part = Part::Gone;
                self.precious.remove(&id(machine));
                self.tombstones.insert(id(machine));
            }
        }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Mean(machine, change) => {
                self.mean(*machine, change);
                self.send();
            }
            Event::Forget(machine) => {
                if let Some(intent) = self.intents.remove(&id(*machine)) {
                    self.version += 1;
                    self.unnamed.insert(intent.id, intent);
                    self.send();
                }
            }
            Event::Pass(seconds) => self.pass(*seconds),
            Event::Die(calls, seconds) => {
                self.fuse.0.store(i64::from(*calls), Ordering::Relaxed);
                self.pass(*seconds);
                self.restart();
            }
            Event::Boot => {
                self.fake.boot();
                self.boots += 1;
                self.restart();
            }
            Event::Reconnect => {
                self.agent.disconnected();
                self.connected = false;
                self.pass(5);
                self.connect();
            }
            Event::Behave(verb, does) => self.fake.behave(Script {
                rules: vec![Rule::always(does.clone()).at(*verb)],
                ..Script::default()
            }),
            Event::Crash(machine) => self.fake.crash(id(*machine)),
        }
    }

    /// Nothing misbehaves any more, what hangs has ended with a start of the host, and everything is meant once more, as when an
    /// operation is set back.
    fn settle(&mut self) {
        self.fake.behave(Script::default());
        let machines = self.fake.clone().look(self.now).unwrap();
        if machines.iter().any(|machine| machine.doing.is_some()) {
            self.fake.boot();
            self.boots += 1;
        }
        for intent in self.intents.values_mut() {
            self.version += 1;
            intent.generation = Generation(self.version);
        }
        self.restart();
        for _ in 0..8 {
            self.pass(60);
        }
    }

    fn check(&self) {
        let truth = self.fake.truth();
        for (id, intent) in &self.intents {
            let machine = truth.get(id);
            let reached = self.keep.kept().marks[id].reached.map(|reached| reached.generation);
            match (intent.part, machine) {
                (Part::Gone, None) => {}
                // Never made: there is nothing to be kept.
                (Part::Keep, None) => continue,
                (Part::Keep, Some(machine)) => assert_eq!(machine.power, Power::Off),
                (Part::Run, Some(machine)) => {
                    assert_eq!((machine.power, machine.whole), (intent.power, true));
                    assert_eq!(
                        (&machine.record, &machine.form),
                        (&Record::of(intent), &Form::of(intent))
                    );
                }
                (Part::Gone, Some(_)) | (Part::Run, None) => panic!("{intent:?} is not so: {machine:?}"),
            }
            assert_eq!(reached, Some(intent.generation));
        }
        for (id, intent) in &self.intents {
            assert!(
                self.fake.carried_out(*id, Verb::Reboot) <= intent.reboots,
                "a reboot was done twice"
            );
            assert!(
                self.fake.carried_out(*id, Verb::Reset) <= intent.resets,
                "a reset was done twice"
            );
        }
    }
}

fn start(fake: &Fake, keep: &MemoryKeep, fuse: &Fuse, boots: u32) -> Agent<Mortal<Fake>, Mortal<MemoryKeep>> {
    let who = Who {
        host: HostId(Uuid::from_u128(3)),
        boot_id: boots.to_string(),
        version: "test".to_owned(),
    };
    let (inner, fuse_of_driver) = (fake.clone(), fuse.clone());
    let driver = Mortal {
        inner,
        fuse: fuse_of_driver,
    };
    let keep = Mortal {
        inner: keep.clone(),
        fuse: fuse.clone(),
    };
    Agent::new(who, driver, keep).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_meant_is_so(events in prop::collection::vec(event(), 1..60)) {
        let mut world = World::new();
        for event in &events {
            world.happen(event);
        }
        world.settle();
        world.check();
    }
}
