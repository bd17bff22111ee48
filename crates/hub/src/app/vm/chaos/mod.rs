//! Machines whose hosts are told and report in any order, some things late, some twice, some never: what holds whatever happens.

mod host;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use renkei_store::noun::manifest::Entry;
use renkei_store::noun::vm::{Placing, VmRow};
use renkei_types::agent::{MachineSeen, Part};
use renkei_types::id::{HostId, VmId};
use renkei_types::operation::{Operation, OperationState};
use renkei_types::vm::{Meant, Power, Vm, VmState};
use uuid::Uuid;

use self::host::{Dice, Host};
use super::deadline::give_up;
use super::outcome::{Outcome, bury, ended, insist, mean, placed};
use super::seen::{Heard, report};
use super::trial::{machine, operation};
use super::verb::Verb;
use crate::app::manifest;

struct World {
    row: Option<VmRow>,
    operations: Vec<Operation>,
    manifests: Vec<BTreeMap<VmId, Entry>>,
    hosts: Vec<Host>,
    post: Vec<(usize, MachineSeen)>,
    vm: VmId,
    now: Timestamp,
}

const HOSTS: usize = 3;

fn host_id(host: usize) -> HostId {
    HostId(Uuid::from_u128(host as u128 + 1))
}

fn place_of(host: HostId) -> usize {
    usize::try_from(host.0.as_u128() - 1).unwrap()
}

impl World {
    fn new() -> Self {
        let (row, open) = machine(Power::On);
        let vm = row.vm.id;
        Self {
            row: Some(row),
            operations: vec![open],
            manifests: vec![BTreeMap::new(); HOSTS],
            hosts: vec![Host::default(); HOSTS],
            post: Vec::new(),
            vm,
            now: Timestamp::UNIX_EPOCH,
        }
    }

    fn open(&self) -> Option<&Operation> {
        let id = self.row.as_ref()?.vm.operation?;
        self.operations.iter().find(|operation| operation.id == id)
    }

    /// What a transaction would write; every promise is checked here.
    fn commit(&mut self, outcome: Outcome) {
        if let (Some(old), Some(new)) = (&self.row, &outcome.row) {
            assert!(new.generation() >= old.generation(), "generations never fall");
            assert!(new.vm.meant.generation >= old.vm.meant.generation);
            assert!(new.vm.seen.generation >= old.vm.seen.generation);
            assert!(new.vm.seen.generation <= new.vm.meant.generation);
            assert!(new.vm.meant.reboots >= old.vm.meant.reboots, "a counter never falls");
            assert!(
                new.vm.meant.tombstone || !old.vm.meant.tombstone,
                "a tombstone is never undone"
            );
            assert!(new.vm.made || !old.vm.made);
        }
        if let Some(new) = &outcome.operation {
            match self.operations.iter_mut().find(|known| known.id == new.id) {
                Some(known) => {
                    assert!(!known.state.ended() || known == new, "nothing happens after the end");
                    *known = new.clone();
                }
                None => self.operations.push(new.clone()),
            }
        }
        for (host, change) in outcome.manifests {
            manifest::change(&mut self.manifests[place_of(host)], self.vm, change);
        }
        self.row = outcome.row;
        if let Some(ended) = outcome
            .operation
            .filter(|operation| operation.state == OperationState::Failed)
        {
            self.failed_for_good(&ended);
        }
        self.consistent();
    }

    /// Whoever reads "failed" sees no more of it: the host has what was meant before, or was never told of anything else.
    fn failed_for_good(&self, failed: &Operation) {
        let Some(row) = &self.row else {
            for host in &self.hosts {
                assert!(!host.there || host.told.as_ref().is_some_and(|(entry, _)| entry.part == Part::Gone));
            }
            return;
        };
        let host = &self.hosts[place_of(row.vm.host.unwrap())];
        let tried = host
            .fault
            .as_ref()
            .is_some_and(|fault| fault.generation == failed.generation);
        let waited = row.vm.meant.generation > failed.generation;
        assert!(host.so.0 >= failed.generation || tried || waited, "{failed:?}");
    }

    fn consistent(&self) {
        let entry = |host: HostId| self.manifests[place_of(host)].get(&self.vm);
        if let Some(row) = &self.row {
            let (vm, meant) = (&row.vm, &row.vm.meant);
            let parts = match meant.tombstone {
                true => (Part::Gone, Part::Gone),
                false => (Part::Run, Part::Keep),
            };
            for (host, part) in [(vm.host, parts.0), (vm.leaving, parts.1)] {
                if let Some(host) = host {
                    let entry = entry(host).unwrap();
                    assert_eq!((entry.generation, entry.part), (meant.generation, part));
                }
            }
            assert!(
                !(vm.operation.is_none() && row.placing.is_some()),
                "what waits has an operation"
            );
            assert!(self.open().is_none_or(|open| !open.state.ended()));
        }
        let named = |host| {
            self.row
                .as_ref()
                .is_some_and(|row| [row.vm.host, row.vm.leaving].contains(&Some(host)))
        };
        for host in (0..HOSTS).map(host_id).filter(|host| !named(*host)) {
            assert!(
                entry(host).is_none_or(|entry| entry.part == Part::Gone),
                "nobody else has it"
            );
        }
        let open = self
            .operations
            .iter()
            .filter(|operation| !operation.state.ended())
            .count();
        assert!(open <= 1, "one operation at a time");
    }

    /// The host hears what it is to do: row and manifest as they are at one moment.
    fn tell(&mut self, host: usize) {
        let entry = self.manifests[host].get(&self.vm).copied();
        let meant = self.row.as_ref().map(|row| row.vm.meant.clone());
        let fallen = self.hosts[host].told.as_ref().map(|(entry, _)| entry.generation);
        match (entry, meant) {
            (Some(entry), Some(meant)) => {
                assert!(fallen <= Some(entry.generation), "a host is never told less");
                self.hosts[host].told = Some((entry, meant));
            }
            (Some(entry), None) => {
                let meant = self.hosts[host].told.clone().map(|(_, meant)| meant);
                let meant = meant.unwrap_or_else(|| machine(Power::Off).0.vm.meant);
                self.hosts[host].told = Some((entry, meant));
            }
            (None, _) => {
                // Forgotten only when it is gone.
                assert!(!self.hosts[host].there, "no entry is taken away while there is a copy");
                self.hosts[host] = Host::default();
            }
        }
    }

    fn deliver(&mut self, dice: &mut Dice) {
        if self.post.is_empty() {
            return;
        }
        let letter = usize::try_from(dice.below(self.post.len() as u64)).unwrap();
        let (host, seen) = self.post[letter].clone();
        if !dice.one_in(4) {
            self.post.swap_remove(letter);
        }
        self.hear(host, &seen);
    }

    fn hear(&mut self, host: usize, seen: &MachineSeen) {
        let entry = self.manifests[host].get(&self.vm).copied();
        let Some(row) = self.row.clone() else {
            if entry.is_some_and(|entry| super::seen::is_gone(&entry, seen)) {
                self.manifests[host].clear();
            }
            return;
        };
        let host = host_id(host);
        let heard = Heard { host, entry, seen };
        let open = self.open().cloned();
        let outcome = report(&row, open.as_ref(), heard, self.now);
        self.commit(outcome.clone());
        if let (Some(row), None) = (&self.row, &outcome.operation) {
            // The same once more changes nothing.
            let entry = self.manifests[place_of(host)].get(&self.vm).copied();
            let again = report(row, self.open(), Heard { entry, ..heard }, self.now);
            assert_eq!(again.row.as_ref(), Some(row));
            assert_eq!(again.operation, None);
        }
    }

    /// Somebody asks for something, as the verbs do it.
    fn ask(&mut self, dice: &mut Dice) {
        let Some(row) = self.row.clone() else {
            return;
        };
        let state = row.vm.state();
        let now = self.now;
        let verb = match (dice.below(6), state) {
            (0, VmState::Running) => Verb::Reboot,
            (1 | 2, VmState::Running) => Verb::Shutdown,
            (3, VmState::Running) => Verb::PowerOff,
            (0..=3, VmState::Stopped) => Verb::PowerOn,
            (4, _) if state != VmState::Destroying && dice.one_in(30) => Verb::Destroy,
            (5, _) if dice.one_in(5) => {
                if let Some(open) = self.open().cloned() {
                    self.commit(give_up(&row, &open, "cancelled", now));
                }
                return;
            }
            _ => return,
        };
        let superseded = match self.open() {
            Some(open) if verb.supersedes() && open.state == OperationState::Running => {
                Some(ended(open, OperationState::Superseded, now))
            }
            Some(_) => return,
            None => None,
        };
        let mut new = operation(verb, row.vm.id, self.operations.len() as u128);
        if let Some(superseded) = superseded {
            let known = self.operations.iter_mut().find(|known| known.id == superseded.id);
            *known.unwrap() = superseded;
        }
        self.row.as_mut().unwrap().vm.operation = None;
        let (mut asked, manifests) = self.wanted(&row, verb);
        new.generation = asked.generation();
        asked.vm.operation = Some(new.id);
        let gone = asked.vm.meant.tombstone && asked.vm.host.is_none();
        if gone {
            new = ended(&new, OperationState::Done, now);
        }
        self.commit(Outcome {
            row: (!gone).then_some(asked),
            operation: Some(new),
            manifests,
        });
    }

    fn wanted(&self, row: &VmRow, verb: Verb) -> (VmRow, Vec<(HostId, manifest::Change)>) {
        let mut row = row.clone();
        let was = row.vm.meant.clone();
        row.before.get_or_insert(was.clone());
        let with = |power, reboots| Meant {
            power,
            reboots,
            ..was.clone()
        };
        match verb {
            Verb::Destroy => bury(&row),
            Verb::PowerOn => {
                let generation = row.generation().next();
                let meant = Meant {
                    generation,
                    ..with(Power::On, was.reboots)
                };
                let since = self.now;
                row.placing = Some(Placing { meant, since });
                (row, Vec::new())
            }
            Verb::Reboot => mean(&row, with(Power::On, was.reboots + 1)),
            _ => mean(&row, with(Power::Off, was.reboots)),
        }
    }

    /// Room is found: on a host that has nothing of it, or where its disk is.
    fn place(&mut self, dice: &mut Dice) {
        let Some(row) = self.row.clone().filter(|row| row.placing.is_some()) else {
            return;
        };
        let free = |host: &usize| row.vm.host == Some(host_id(*host)) || self.manifests[*host].is_empty();
        let free: Vec<usize> = (0..HOSTS).filter(free).collect();
        let Some(host) = free.get(usize::try_from(dice.below(HOSTS as u64)).unwrap()) else {
            return;
        };
        let (row, manifests) = placed(&row, host_id(*host));
        let row = Some(row);
        self.commit(Outcome {
            row,
            operation: None,
            manifests,
        });
    }

    /// What takes away and has failed is asked for once more.
    fn insist(&mut self) {
        let Some((row, open)) = self.row.clone().zip(self.open().cloned()) else {
            return;
        };
        let fault = row.vm.seen.fault.as_ref().map(|fault| fault.generation);
        if row.vm.meant.tombstone && fault == Some(row.vm.meant.generation) {
            self.commit(insist(&row, &open, self.now));
        }
    }

    fn step(&mut self, dice: &mut Dice, sick: bool) {
        self.now += SignedDuration::from_secs(1);
        let host = usize::try_from(dice.below(HOSTS as u64)).unwrap();
        match dice.below(7) {
            0 => self.tell(host),
            1 => self.hosts[host].act(dice, sick),
            2 => {
                let seen = self.hosts[host].seen(self.vm);
                self.post.push((host, seen));
            }
            3 => self.deliver(dice),
            4 => self.place(dice),
            5 => self.insist(),
            _ if sick => self.ask(dice),
            _ => {}
        }
    }
}

#[test]
fn whatever_happens_it_ends_well() {
    let mut ends = BTreeMap::<&str, u32>::new();
    for seed in 0..3000 {
        let mut dice = Dice(seed);
        let mut world = World::new();
        for _ in 0..dice.below(400) {
            world.step(&mut dice, true);
        }
        // Nobody asks for more, and nothing fails any more: then all that was meant becomes so.
        for _ in 0..20 {
            for host in 0..HOSTS {
                world.tell(host);
                world.hosts[host].act(&mut dice, false);
                let seen = world.hosts[host].seen(world.vm);
                world.hear(host, &seen);
            }
            world.place(&mut dice);
            world.insist();
        }
        let stuck = world.operations.iter().find(|operation| !operation.state.ended());
        let hosts: Vec<_> = world
            .hosts
            .iter()
            .map(|host| (host.so, host.there, &host.fault))
            .collect();
        assert!(
            stuck.is_none(),
            "seed {seed}: {stuck:?} {:#?} {:?} {hosts:?}",
            world.row,
            world.manifests
        );
        let Some(VmRow { vm, .. }) = &world.row else {
            assert!(world.hosts.iter().all(|host| !host.there), "seed {seed}");
            assert!(world.manifests.iter().all(BTreeMap::is_empty), "seed {seed}");
            *ends.entry("gone").or_default() += 1;
            continue;
        };
        settled(&world, vm, seed);
        *ends
            .entry(if vm.meant.power == Power::On { "on" } else { "off" })
            .or_default() += 1;
    }
    assert!(ends.len() == 3 && ends.values().all(|count| *count > 100), "{ends:?}");
}

fn settled(world: &World, vm: &Vm, seed: u64) {
    let host = place_of(vm.host.unwrap());
    assert_eq!(vm.leaving, None, "seed {seed}");
    assert!(world.hosts[host].there, "seed {seed}");
    let tried = world.hosts[host]
        .fault
        .as_ref()
        .is_some_and(|fault| fault.generation == vm.meant.generation);
    assert!(tried || world.hosts[host].power == Some(vm.meant.power), "seed {seed}");
    let held = world.manifests.iter().filter(|manifest| !manifest.is_empty()).count();
    assert_eq!(held, 1, "seed {seed}");
    let takes = world.manifests[host][&world.vm].takes;
    assert!(tried || takes == manifest::takes(&vm.meant), "seed {seed}");
}
