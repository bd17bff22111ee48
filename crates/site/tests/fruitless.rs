//! An agent over a driver that takes every step gladly and does none of them, in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use renkei_host::contract::intent as meant;
use renkei_host::fake::{Fake, Script};
use renkei_host::{Console, Driver, DriverError, Machine, Step};
use renkei_site::{Agent, MemoryKeep, Who};
use renkei_types::agent::{
    DiskSource, FromAgent, FromHub, Held, MachineIntent, Manifest, Part, SegmentIntent, VERSION,
};
use renkei_types::host::Capacity;
use renkei_types::id::{HostId, SegmentId, VmId};
use renkei_types::operation::Generation;
use renkei_types::vm::Power;
use uuid::Uuid;

const ID: VmId = VmId(Uuid::from_u128(1));

/// A fake driver that does nothing while it is deaf, and counts what it is told.
#[derive(Clone)]
struct Deaf {
    fake: Fake,
    deaf: Arc<AtomicBool>,
    begun: Arc<AtomicUsize>,
}

impl Driver for Deaf {
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
        self.begun.fetch_add(1, Ordering::Relaxed);
        match self.deaf.load(Ordering::Relaxed) {
            true => Ok(()),
            false => self.fake.begin(step, now),
        }
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

#[derive(PartialEq, Eq)]
enum Is {
    Deaf,
    Sound,
}

struct Bench {
    driver: Deaf,
    agent: Agent<Deaf, MemoryKeep>,
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        let driver = Deaf {
            fake: Fake::in_memory(Script::default()),
            deaf: Arc::default(),
            begun: Arc::default(),
        };
        let who = Who {
            host: HostId(Uuid::from_u128(3)),
            boot_id: "boot".to_owned(),
            version: "test".to_owned(),
        };
        let now = Timestamp::UNIX_EPOCH;
        let mut agent = Agent::new(who, driver.clone(), MemoryKeep::default()).unwrap();
        agent.connected(now);
        let version = VERSION;
        for frame in agent.frame(FromHub::Welcome { version, now }, now) {
            if let FromAgent::Report(report) = frame {
                let report = report.number;
                agent.frame(FromHub::Heard { report }, now);
            }
        }
        Self { driver, agent, now }
    }

    fn deaf(&mut self, is: Is) {
        self.driver.deaf.store(is == Is::Deaf, Ordering::Relaxed);
    }

    /// Told to have the machine like this; one version after the other.
    fn meant(&mut self, generation: u64, part: Part) -> Vec<FromAgent> {
        let held = |version| Held {
            epoch: u64::from(version > 0),
            version,
            digest: version.to_string(),
        };
        let source = DiskSource::Template {
            name: "t".to_owned(),
            image: None,
        };
        let intent = MachineIntent {
            generation: Generation(generation),
            part,
            power: Power::On,
            ..meant(ID, source)
        };
        let manifest = Manifest {
            is: held(generation),
            follows: held(generation - 1),
            machines: BTreeMap::from([(ID, intent.generation)]),
            segments: BTreeMap::new(),
            intents: vec![intent],
            networks: Vec::new(),
            last: true,
        };
        self.agent.frame(FromHub::Manifest(manifest), self.now)
    }

    /// Ticks as it wishes to until so much time is over; what was told, and how many steps were begun.
    fn pass(&mut self, time: SignedDuration) -> (Vec<FromAgent>, usize) {
        let (end, before) = (self.now + time, self.begun());
        let mut told = Vec::new();
        loop {
            let next = self.now + self.agent.pace();
            if next > end {
                self.now = end;
                return (told, self.begun() - before);
            }
            self.now = next;
            told.extend(self.agent.tick(next));
        }
    }

    fn begun(&self) -> usize {
        self.driver.begun.load(Ordering::Relaxed)
    }
}

fn doing(told: &[FromAgent]) -> Option<&str> {
    let mut machines = told.iter().filter_map(|frame| match frame {
        FromAgent::Report(report) => report.machines.last(),
        _ => None,
    });
    machines.next_back().and_then(|seen| seen.doing.as_deref())
}

#[test]
fn what_brings_nothing_is_tried_less_and_less_often_and_says_so() {
    let mut bench = Bench::new();
    bench.deaf(Is::Deaf);
    bench.meant(1, Part::Run);
    assert_eq!(bench.begun(), 1, "once, however often is looked in a tick");
    let (told, begun) = bench.pass(SignedDuration::from_mins(10));
    // Eight in the first quarter of a minute, and then every ten seconds, or at the look after that.
    assert!((60..=70).contains(&begun), "{begun}");
    assert_eq!(doing(&told), Some("trying again after: create brings nothing"));
    bench.deaf(Is::Sound);
    bench.pass(SignedDuration::from_secs(12));
    assert_eq!(bench.driver.fake.truth()[&ID].power, Power::On);
}

#[test]
fn another_generation_is_tried_at_once() {
    let mut bench = Bench::new();
    bench.meant(1, Part::Run);
    bench.pass(SignedDuration::from_secs(3));
    bench.driver.fake.crash(ID);
    bench.deaf(Is::Deaf);
    let (told, _) = bench.pass(SignedDuration::from_mins(10));
    assert_eq!(doing(&told), Some("trying again after: start brings nothing"));
    bench.deaf(Is::Sound);
    bench.meant(2, Part::Gone);
    assert!(bench.driver.fake.truth().is_empty());
}
