//! An agent with a hub that is played by hand.

use jiff::{SignedDuration, Timestamp};
use renkei_host::contract::intent as meant;
use renkei_host::fake::{Does, Fake, Rule, Script};
use renkei_host::{Driver as _, Verb};
use renkei_site::{Agent, MemoryKeep, Who};
use renkei_types::agent::{
    DiskSource, FromAgent, FromHub, Held, MachineIntent, MachineSeen, Manifest, Part, Report, VERSION,
};
use renkei_types::id::{HostId, VmId};
use renkei_types::operation::Generation;
use renkei_types::vm::Power;
use uuid::Uuid;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const ID: VmId = VmId(Uuid::from_u128(1));

struct Bench {
    fake: Fake,
    keep: MemoryKeep,
    agent: Agent<Fake, MemoryKeep>,
    now: Timestamp,
}

fn agent(fake: &Fake, keep: &MemoryKeep, boot: &str) -> Agent<Fake, MemoryKeep> {
    let who = Who {
        host: HostId(Uuid::from_u128(3)),
        boot_id: boot.to_owned(),
        version: "test".to_owned(),
    };
    Agent::new(who, fake.clone(), keep.clone()).unwrap()
}

fn bench(rules: Vec<Rule>) -> Bench {
    let fake = Fake::in_memory(Script {
        rules,
        ..Script::default()
    });
    let keep = MemoryKeep::default();
    Bench {
        agent: agent(&fake, &keep, "boot"),
        fake,
        keep,
        now: NOW,
    }
}

fn intent(generation: u64, part: Part) -> MachineIntent {
    let source = DiskSource::Template {
        name: "t".to_owned(),
        image: None,
    };
    MachineIntent {
        generation: Generation(generation),
        part,
        power: Power::On,
        ..meant(ID, source)
    }
}

fn held(epoch: u64, version: u64) -> Held {
    Held {
        epoch,
        version,
        digest: format!("{epoch}.{version}"),
    }
}

fn manifest(is: Held, follows: Held, intents: &[MachineIntent]) -> Manifest {
    Manifest {
        is,
        follows,
        machines: intents.iter().map(|intent| (intent.id, intent.generation)).collect(),
        segments: Default::default(),
        intents: intents.to_vec(),
        networks: Vec::new(),
        last: true,
    }
}

fn reports(frames: &[FromAgent]) -> Vec<&Report> {
    fn report(frame: &FromAgent) -> Option<&Report> {
        match frame {
            FromAgent::Report(report) => Some(report),
            _ => None,
        }
    }
    frames.iter().filter_map(report).collect()
}

impl Bench {
    /// Connects, is welcomed, lists, and is confirmed.
    fn connect(&mut self) -> Vec<FromAgent> {
        let hello = self.agent.connected(self.now);
        assert!(matches!(hello[..], [FromAgent::Hello(_)]), "{hello:?}");
        let (version, now) = (VERSION, self.now);
        let listing = self.agent.frame(FromHub::Welcome { version, now }, self.now);
        self.confirm(&listing);
        listing
    }

    fn confirm(&mut self, frames: &[FromAgent]) {
        if let Some(last) = reports(frames).last() {
            self.agent.frame(FromHub::Heard { report: last.number }, self.now);
        }
    }

    fn tell(&mut self, manifest: Manifest) -> Vec<FromAgent> {
        self.agent.frame(FromHub::Manifest(manifest), self.now)
    }

    /// Lets time pass, and says what was told meanwhile.
    fn pass(&mut self, seconds: usize) -> Vec<FromAgent> {
        let mut told = Vec::new();
        for _ in 0..seconds {
            self.now += SignedDuration::from_secs(1);
            let frames = self.agent.tick(self.now);
            self.confirm(&frames);
            told.extend(frames);
        }
        told
    }

    fn refused(&mut self, manifest: Manifest) -> String {
        let frames = self.tell(manifest);
        let [FromAgent::Refused { why, .. }] = &frames[..] else {
            panic!("{frames:?}")
        };
        why.clone()
    }
}

#[test]
fn a_machine_becomes_as_it_is_meant_and_goes_on_so_without_the_hub() {
    let mut bench = bench(Vec::new());
    bench.connect();
    let mut told = bench.tell(manifest(held(1, 1), held(0, 0), &[intent(1, Part::Run)]));
    assert!(matches!(
        bench.tell(manifest(held(1, 1), held(0, 0), &[])).as_slice(),
        [] | [FromAgent::Report(_)]
    ));
    told.extend(bench.pass(3));
    let last = reports(&told)
        .into_iter()
        .rev()
        .find(|report| !report.machines.is_empty())
        .unwrap();
    assert_eq!(
        (last.machines[0].generation, last.machines[0].power),
        (Generation(1), Power::On)
    );
    assert_eq!(last.held, held(1, 1));
    bench.agent.disconnected();
    bench.fake.crash(ID);
    assert_eq!(bench.pass(3), []);
    assert_eq!(bench.fake.truth()[&ID].power, Power::On);
}

#[test]
fn what_is_off_is_never_told_before_the_generation_that_wants_it_off() {
    let mut bench = bench(Vec::new());
    bench.connect();
    bench.tell(manifest(held(1, 1), held(0, 0), &[intent(1, Part::Run)]));
    bench.pass(3);
    let off = MachineIntent {
        power: Power::Off,
        ..intent(2, Part::Run)
    };
    let mut told = bench.tell(manifest(held(1, 2), held(1, 1), &[off]));
    told.extend(bench.pass(3));
    let seen: Vec<_> = reports(&told).into_iter().flat_map(|report| &report.machines).collect();
    let off = |seen: &&MachineSeen| seen.power == Power::Off;
    assert!(seen.iter().copied().any(|seen| off(&seen)), "{seen:?}");
    assert!(
        seen.iter()
            .copied()
            .filter(off)
            .all(|seen| seen.generation == Generation(2)),
        "{seen:?}"
    );
}

#[test]
fn a_manifest_that_does_not_follow_is_refused_and_a_later_epoch_is_not() {
    let mut bench = bench(Vec::new());
    bench.connect();
    bench.tell(manifest(held(2, 5), held(0, 0), &[]));
    assert!(bench.refused(manifest(held(2, 4), held(2, 3), &[])).contains("older"));
    assert!(bench.refused(manifest(held(1, 9), held(1, 8), &[])).contains("older"));
    assert!(bench.refused(manifest(held(2, 7), held(2, 6), &[])).contains("follows"));
    let other = Held {
        digest: "other".to_owned(),
        ..held(2, 5)
    };
    assert!(bench.refused(manifest(other, held(2, 4), &[])).contains("digest"));
    bench.tell(manifest(held(3, 1), held(9, 9), &[]));
    assert_eq!(bench.agent.kept().held, held(3, 1));
}

#[test]
fn a_manifest_counts_when_its_last_page_has_come_and_says_everything() {
    let mut bench = bench(Vec::new());
    bench.connect();
    let whole = manifest(held(1, 1), held(0, 0), &[intent(1, Part::Run)]);
    let first = Manifest {
        intents: Vec::new(),
        last: false,
        ..whole.clone()
    };
    assert_eq!(bench.tell(first.clone()), []);
    assert_eq!(bench.agent.kept().held, Held::default());
    let empty = Manifest { last: true, ..first };
    assert!(bench.refused(empty).contains(&ID.to_string()));
    bench.tell(whole);
    assert_eq!(bench.agent.kept().held, held(1, 1));
}

#[test]
fn what_no_manifest_names_is_kept_and_told_as_unknown() {
    let mut bench = bench(Vec::new());
    bench.connect();
    bench.tell(manifest(held(1, 1), held(0, 0), &[intent(1, Part::Run)]));
    bench.pass(3);
    bench.tell(manifest(held(1, 2), held(1, 1), &[]));
    bench.pass(3);
    assert_eq!(bench.fake.truth()[&ID].power, Power::On);
    let listing = bench.connect();
    let seen = &reports(&listing)[0].machines[0];
    assert!(!seen.known && seen.there && seen.generation == Generation(1));
    assert_eq!(seen.record.as_deref(), Some(&intent(1, Part::Run)));
    // Nor is it forgotten what it is made of when the agent's memory is lost.
    bench.keep = MemoryKeep::default();
    bench.agent = agent(&bench.fake, &bench.keep, "boot");
    let listing = bench.connect();
    let record = reports(&listing)[0].machines[0].record.clone().unwrap();
    assert_eq!((record.vcpus, &record.name[..]), (1, "trial"));
}

#[test]
fn a_tombstone_destroys_and_is_confirmed() {
    let mut bench = bench(Vec::new());
    bench.connect();
    bench.tell(manifest(held(1, 1), held(0, 0), &[intent(1, Part::Run)]));
    bench.pass(3);
    let mut told = bench.tell(manifest(held(1, 2), held(1, 1), &[intent(2, Part::Gone)]));
    told.extend(bench.pass(3));
    let seen = reports(&told)
        .into_iter()
        .rev()
        .find_map(|report| report.machines.last())
        .unwrap();
    assert_eq!(
        (seen.generation, seen.part, seen.there),
        (Generation(2), Part::Gone, false)
    );
    assert!(bench.fake.truth().is_empty());
}

#[test]
fn a_transient_fault_is_tried_again_and_one_for_good_is_told() {
    let rules = vec![
        Rule::always(Does::fails("the pool is busy")).at(Verb::Create).times(3),
        Rule::always(Does::fails_for_good("no such firmware")).at(Verb::Start),
    ];
    let mut bench = bench(rules);
    bench.connect();
    let mut told = bench.tell(manifest(held(1, 1), held(0, 0), &[intent(1, Part::Run)]));
    told.extend(bench.pass(20));
    let seen: Vec<_> = reports(&told).into_iter().flat_map(|report| &report.machines).collect();
    assert!(
        seen.iter()
            .any(|seen| seen.doing.as_deref() == Some("trying again after: the pool is busy"))
    );
    let fault = seen.last().unwrap().fault.clone().unwrap();
    assert_eq!(
        (fault.generation, fault.message.as_str()),
        (Generation(1), "cannot start: no such firmware")
    );
    bench.fake.behave(Script::default());
    bench.pass(100);
    assert_eq!(bench.fake.truth()[&ID].power, Power::Off, "it is not tried again");
    bench.agent = agent(&bench.fake, &bench.keep, "boot");
    bench.connect();
    bench.pass(100);
    assert_eq!(
        bench.fake.truth()[&ID].power,
        Power::Off,
        "nor after a new start of the agent"
    );
    bench.tell(manifest(held(1, 2), held(1, 1), &[intent(2, Part::Run)]));
    bench.pass(3);
    assert_eq!(bench.fake.truth()[&ID].power, Power::On);
}

#[test]
fn after_a_start_of_the_host_machines_wait_for_the_hub() {
    let mut bench = bench(Vec::new());
    bench.connect();
    bench.tell(manifest(held(1, 1), held(0, 0), &[intent(1, Part::Run)]));
    bench.pass(3);
    bench.fake.boot();
    bench.agent = agent(&bench.fake, &bench.keep, "another boot");
    bench.pass(60);
    assert_eq!(bench.fake.truth()[&ID].power, Power::Off);
    bench.connect();
    bench.pass(3);
    assert_eq!(bench.fake.truth()[&ID].power, Power::On);
}

#[test]
fn a_driver_that_sees_nothing_does_not_make_machines_look_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut fake = Fake::in_folder(folder.path()).unwrap();
    let mut agent = agent(&fake, &MemoryKeep::default(), "boot");
    std::fs::write(folder.path().join(renkei_host::fake::SCRIPT), "{").unwrap();
    assert!(fake.look(NOW).is_err());
    agent.connected(NOW);
    let (version, now) = (VERSION, NOW);
    assert_eq!(agent.frame(FromHub::Welcome { version, now }, NOW), []);
    assert!(agent.notes()[0].contains("cannot see"));
}
