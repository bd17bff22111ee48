use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use renkei_store::noun::contact::Contact;
use renkei_store::noun::manifest::Issued;
use renkei_store::noun::vm::VmRow;
use renkei_store::simulation::Faults;
use renkei_store::{Batch, Store};
use renkei_types::agent::{self, Driver, Part};
use renkei_types::host::{Capacity, Host, HostState};
use renkei_types::id::StreamId;
use renkei_types::operation::Generation;
use renkei_types::vm::Power;
use serde_json::json;

use super::*;
use crate::app::manifest::{self, Change};

const HUB: Uuid = Uuid::from_u128(0xb0b);

/// A hub with a site, and a host that is connected or not.
struct World {
    app: App,
    site: SiteId,
    host: HostId,
}

/// What an agent does with frames: no more than the protocol says.
#[derive(Debug, Default)]
struct Agent {
    held: Held,
    machines: BTreeMap<VmId, (Generation, Power)>,
    pages: Vec<agent::Manifest>,
    report: u64,
    heard: u64,
    closed: Option<String>,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn machine(number: u128) -> VmId {
    VmId(Uuid::from_u128(number))
}

impl World {
    async fn new() -> Self {
        Self::over(Store::memory()).await
    }

    async fn over(store: Store) -> Self {
        let app = App::seeded(store, 7);
        let (site, host) = (SiteId(Uuid::from_u128(1)), HostId(Uuid::from_u128(2)));
        let world = Self { app, site, host };
        let mut batch = Batch::new();
        batch.insert(&Site {
            id: site,
            name: "kashiwa".parse().unwrap(),
            description: String::new(),
            operators: Default::default(),
            gateway: None,
            recovery: None,
            created: at(0),
        });
        batch.insert(&Host {
            id: host,
            site,
            name: "h1".parse().unwrap(),
            state: HostState::Ready,
            capacity: Capacity::default(),
            settings: Default::default(),
            driver: String::new(),
            driver_reason: String::new(),
            address: None,
            version: String::new(),
            created: at(0),
        });
        manifest::first(&mut batch, host, site);
        world.app.store.state.commit(batch).await.unwrap();
        world
    }

    /// A machine is meant so, and the host's manifest says it.
    async fn mean(&self, vm: VmId, generation: u64, power: Power) {
        let row: VmRow = serde_json::from_value(json!({"vm": {
            "id": vm, "project": Uuid::from_u128(9), "site": self.site, "name": format!("m{}", vm.0.as_u128()),
            "host": self.host, "source": {"template": Uuid::from_u128(8)}, "os_type": "Linux", "made": true,
            "meant": {"generation": generation, "power": power, "shape": {"vcpus": 1, "memory_mib": 1, "disks": [],
                "service_level": "spot"}, "adapters": []},
            "seen": {"generation": 0}, "created": at(0),
        }}))
        .unwrap();
        let mut batch = Batch::new();
        match self.app.store.state.get::<VmRow>(vm.0).await.unwrap() {
            Some(old) => batch.update(&old, &row),
            None => batch.insert(&row),
        }
        let old = self.app.manifest(self.host).await.unwrap();
        let mut new = old.value.clone();
        let run = Change::Run(Generation(generation), manifest::takes(&row.vm.meant));
        manifest::change(&mut new.machines, vm, run);
        manifest::issue(&self.app, &mut batch, &old, new).await.unwrap();
        self.app.store.state.commit(batch).await.unwrap();
    }

    fn hello(&self, agent: &Agent) -> Hello {
        Hello {
            versions: (agent::OLDEST, agent::VERSION),
            host: self.host,
            boot_id: "boot".to_owned(),
            agent: "0.1.0".to_owned(),
            held: agent.held.clone(),
            capacity: Capacity::default(),
            driver: Driver::default(),
            now: at(0),
        }
    }

    /// Connects, and lists what the agent has.
    async fn connect(&self, agent: &mut Agent, second: i64) -> Link {
        let mut link = Link::new(HUB, self.host);
        (agent.report, agent.heard, agent.closed) = (0, 0, None);
        let hello = FromAgent::Hello(self.hello(agent));
        let frames = link.frame(&self.app, hello, at(second)).await;
        agent.take(frames);
        self.tell(&mut link, agent, (Listing::Last, second)).await;
        link
    }

    async fn tell(&self, link: &mut Link, agent: &mut Agent, (listing, second): (Listing, i64)) {
        let report = agent.tell(listing);
        let frames = link.frame(&self.app, report, at(second)).await;
        agent.take(frames);
    }

    async fn tick(&self, link: &mut Link, agent: &mut Agent, second: i64) {
        let frames = link.tick(&self.app, at(second)).await;
        agent.take(frames);
    }

    async fn contact(&self) -> Stored<Contact> {
        let contact = self.app.store.state.get::<Contact>(self.host.0).await.unwrap();
        contact.unwrap()
    }

    async fn site(&self) -> Stored<Site> {
        self.app.get::<Site>(SiteId::NOUN, self.site.0).await.unwrap()
    }

    async fn epoch(&self) -> u32 {
        self.app.store.identity().await.unwrap().epoch
    }
}

impl Agent {
    fn take(&mut self, frames: Vec<FromHub>) {
        for frame in frames {
            match frame {
                FromHub::Welcome { version, .. } => assert_eq!(version, agent::VERSION),
                FromHub::Heard { report } => self.heard = report,
                FromHub::Closed { why } => self.closed = Some(why),
                FromHub::Manifest(page) => self.page(page),
                FromHub::Stream(stream) => panic!("nobody asked for {stream:?}"),
            }
        }
    }

    fn page(&mut self, page: agent::Manifest) {
        assert!(page.follows == self.held || page.is.epoch > self.held.epoch, "{page:?}");
        let last = page.last;
        self.pages.push(page);
        if !last {
            return;
        }
        let pages = std::mem::take(&mut self.pages);
        let intents = pages.iter().flat_map(|page| &page.intents);
        self.machines
            .extend(intents.map(|intent| (intent.id, (intent.generation, intent.power))));
        let page = pages.last().unwrap();
        self.machines.retain(|id, _| page.machines.contains_key(id));
        for (id, generation) in &page.machines {
            assert_eq!(self.machines[id].0, *generation);
        }
        self.held = page.is.clone();
    }

    fn tell(&mut self, listing: Listing) -> FromAgent {
        self.report += 1;
        let seen = |(id, (generation, power)): (&VmId, &(Generation, Power))| seen(*id, generation.0, *power);
        FromAgent::Report(Report {
            number: self.report,
            held: self.held.clone(),
            listing,
            machines: self.machines.iter().map(seen).collect(),
            segments: BTreeMap::new(),
            free_disk_gib: 77,
            now: at(0),
        })
    }
}

fn seen(id: VmId, generation: u64, power: Power) -> MachineSeen {
    MachineSeen {
        id,
        generation: Generation(generation),
        part: Part::Run,
        there: true,
        project: renkei_types::id::ProjectId(Uuid::from_u128(9)),
        name: "m".to_owned(),
        power,
        doing: None,
        progress: 0,
        fault: None,
        addresses: BTreeMap::new(),
        saved: None,
        known: true,
        record: None,
    }
}

#[tokio::test]
async fn only_agents_that_know_streams_are_asked_for_one() {
    for speaks in agent::OLDEST..=agent::VERSION {
        let world = World::new().await;
        let wanted = Stream {
            id: StreamId(Uuid::from_u128(1)),
            of: stream::Of::Log(VmId(Uuid::from_u128(2))),
            here: true,
            at: Vec::new(),
        };
        let mut link = Link::new(HUB, world.host);
        assert_eq!(link.ask(wanted.clone()), None, "it has not said hello");
        let mut hello = world.hello(&Agent::default());
        hello.versions = (agent::OLDEST, speaks);
        let welcome = link.frame(&world.app, FromAgent::Hello(hello), at(0)).await;
        assert!(matches!(welcome[0], FromHub::Welcome { version, .. } if version == speaks));
        assert_eq!(world.contact().await.value.speaks, speaks);
        let known = (speaks >= stream::SINCE).then(|| FromHub::Stream(wanted.clone()));
        assert_eq!(link.ask(wanted), known, "version {speaks}");
    }
}

#[tokio::test]
async fn whoever_is_not_who_the_certificate_says_is_told_so() {
    let world = World::new().await;
    let good = world.hello(&Agent::default());
    let other = HostId(Uuid::from_u128(5));
    let wrong = |change: fn(&mut Hello)| {
        let mut hello = good.clone();
        change(&mut hello);
        hello
    };
    let cases = [
        (
            world.host,
            wrong(|hello| hello.host = HostId(Uuid::from_u128(6))),
            "certificate",
        ),
        (
            other,
            wrong(|hello| hello.host = HostId(Uuid::from_u128(5))),
            "does not know host",
        ),
        (
            world.host,
            wrong(|hello| hello.versions = (agent::VERSION + 1, agent::VERSION + 2)),
            "upgrade",
        ),
        (
            world.host,
            wrong(|hello| hello.versions = (0, agent::OLDEST - 1)),
            "upgrade",
        ),
        (world.host, wrong(|hello| hello.held = held(u64::MAX, 1)), "cannot be"),
    ];
    for (host, hello, told) in cases {
        let mut link = Link::new(HUB, host);
        let mut agent = Agent::default();
        agent.take(link.frame(&world.app, FromAgent::Hello(hello), at(0)).await);
        assert!(agent.closed.as_ref().unwrap().contains(told), "{:?}", agent.closed);
        assert!(link.is_over() && link.frame(&world.app, agent.tell(Listing::No), at(0)).await.is_empty());
    }
    let mut link = Link::new(HUB, world.host);
    let mut agent = Agent::default();
    agent.take(link.frame(&world.app, Agent::default().tell(Listing::No), at(0)).await);
    assert!(agent.closed.unwrap().contains("hello"));
    assert_eq!(world.site().await.value.recovery, None);
}

fn held(epoch: u64, version: u64) -> Held {
    Held {
        epoch,
        version,
        digest: "d".repeat(64),
    }
}

#[tokio::test]
async fn an_agent_gets_what_it_does_not_hold_and_nothing_else() {
    let world = World::new().await;
    for number in 1..=20 {
        world.mean(machine(number), 1, Power::On).await;
    }
    let mut agent = Agent::default();
    let mut link = world.connect(&mut agent, 0).await;
    assert_eq!(agent.machines.len(), 20);
    assert_eq!(agent.held, world.app.manifest(world.host).await.unwrap().value.is);
    assert!(link.tick(&world.app, at(1)).await.is_empty());
    // Two changes at once, told one after the other without waiting for a word.
    world.mean(machine(3), 2, Power::Off).await;
    let first = link.tick(&world.app, at(1)).await;
    world.mean(machine(4), 2, Power::Off).await;
    let second = link.tick(&world.app, at(1)).await;
    for (frames, vm) in [(&first, machine(3)), (&second, machine(4))] {
        let [FromHub::Manifest(page)] = &frames[..] else {
            panic!("{frames:?}");
        };
        let told: Vec<VmId> = page.intents.iter().map(|intent| intent.id).collect();
        assert_eq!((told, page.machines.len()), (vec![vm], 20));
    }
    agent.take(first);
    agent.take(second);
    // Who holds the latest is told nothing when it comes again.
    let mut again = world.connect(&mut agent, 5).await;
    assert_eq!(agent.closed, None);
    world.mean(machine(5), 2, Power::Off).await;
    world.tick(&mut again, &mut agent, 6).await;
    assert_eq!(agent.machines[&machine(5)], (Generation(2), Power::Off));
}

#[tokio::test]
async fn what_is_lost_or_refused_is_sent_again_whole() {
    let world = World::new().await;
    world.mean(machine(1), 1, Power::On).await;
    let mut agent = Agent::default();
    let mut link = world.connect(&mut agent, 0).await;
    world.tell(&mut link, &mut agent, (Listing::No, 1)).await;
    assert_eq!(link.due(), None);
    world.mean(machine(1), 2, Power::Off).await;
    let lost = link.tick(&world.app, at(2)).await;
    assert_eq!(lost.len(), 1);
    assert_eq!(link.due(), Some(at(2) + AGAIN));
    world.tick(&mut link, &mut agent, 3).await;
    assert_eq!(agent.machines[&machine(1)].0, Generation(1));
    world.tick(&mut link, &mut agent, 17).await;
    assert_eq!(agent.machines[&machine(1)].0, Generation(2));
    let refused = FromAgent::Refused {
        held: agent.held.clone(),
        why: "it was tired".to_owned(),
    };
    world.mean(machine(1), 3, Power::On).await;
    let _ = link.tick(&world.app, at(18)).await;
    assert!(link.frame(&world.app, refused, at(19)).await.is_empty());
    assert_eq!(link.due(), Some(at(19) + SOON));
    world.tick(&mut link, &mut agent, 20).await;
    assert_eq!(agent.machines[&machine(1)].0, Generation(3));
}

#[tokio::test]
async fn a_row_of_another_generation_than_its_manifest_is_waited_for() {
    let world = World::new().await;
    world.mean(machine(1), 1, Power::On).await;
    let row = world.app.store.state.get::<VmRow>(machine(1).0).await.unwrap().unwrap();
    let mut later = row.value.clone();
    later.vm.meant.generation = Generation(2);
    let mut batch = Batch::new();
    batch.update(&row, &later);
    world.app.store.state.commit(batch).await.unwrap();
    let mut agent = Agent::default();
    let mut link = world.connect(&mut agent, 0).await;
    assert!(agent.machines.is_empty());
    assert_eq!(link.due(), Some(at(0) + SOON));
    world.mean(machine(1), 2, Power::On).await;
    world.tick(&mut link, &mut agent, 1).await;
    assert_eq!(agent.machines[&machine(1)].0, Generation(2));
}

#[tokio::test]
async fn reports_are_confirmed_in_their_order_and_heard_once() {
    let world = World::new().await;
    let mut agent = Agent::default();
    let mut link = world.connect(&mut agent, 0).await;
    assert_eq!(agent.heard, 1);
    let second = agent.tell(Listing::No);
    for _ in 0..2 {
        agent.take(link.frame(&world.app, second.clone(), at(1)).await);
        assert_eq!((agent.heard, &agent.closed), (2, &None));
    }
    agent.report += 1;
    world.tell(&mut link, &mut agent, (Listing::No, 2)).await;
    assert!(agent.closed.unwrap().contains("report 3 is missing"));
}

#[tokio::test]
async fn a_heartbeat_writes_one_row_every_ten_seconds() {
    let world = World::new().await;
    let mut agent = Agent::default();
    let mut link = world.connect(&mut agent, 0).await;
    let contact = world.contact().await;
    assert_eq!((contact.value.hub, contact.value.listed), (Some(HUB), true));
    let (host, manifest) = (
        world.app.get::<Host>("host", world.host.0).await.unwrap(),
        world.app.manifest(world.host).await.unwrap(),
    );
    for second in 1..=60 {
        world.tell(&mut link, &mut agent, (Listing::No, second)).await;
    }
    let later = world.contact().await;
    assert_eq!((later.version - contact.version, later.value.heard), (6, at(60)));
    assert_eq!(later.value.free_disk_gib, 77);
    assert_eq!(world.app.get::<Host>("host", world.host.0).await.unwrap(), host);
    assert_eq!(world.app.manifest(world.host).await.unwrap(), manifest);
    link.close(&world.app, at(61)).await;
    let closed = world.contact().await.value;
    assert_eq!((closed.hub, closed.heard), (None, at(60)));
}

#[tokio::test]
async fn whoever_connects_last_has_the_host() {
    let world = World::new().await;
    let (mut old, mut new) = (Agent::default(), Agent::default());
    let mut half_open = world.connect(&mut old, 0).await;
    let mut link = world.connect(&mut new, 5).await;
    world.tell(&mut half_open, &mut old, (Listing::No, 20)).await;
    assert!(old.closed.unwrap().contains("anew"));
    half_open.close(&world.app, at(21)).await;
    world.tell(&mut link, &mut new, (Listing::No, 22)).await;
    assert_eq!(new.closed, None);
    let contact = world.contact().await.value;
    assert_eq!((contact.hub, contact.since), (Some(HUB), at(5)));
}

#[tokio::test]
async fn machines_that_nobody_knows_are_listed_until_somebody_does() {
    let world = World::new().await;
    let mut agent = Agent::default();
    let mut link = world.connect(&mut agent, 0).await;
    agent.machines.insert(machine(9), (Generation(4), Power::On));
    world.tell(&mut link, &mut agent, (Listing::No, 1)).await;
    let unknown = world.contact().await.value.unknown;
    assert_eq!(unknown.iter().map(|seen| seen.id).collect::<Vec<_>>(), [machine(9)]);
    world.mean(machine(9), 4, Power::On).await;
    let due = link.due().unwrap();
    let frames = link.tick(&world.app, due).await;
    agent.take(frames);
    assert!(world.contact().await.value.unknown.is_empty());
}

#[tokio::test]
async fn a_database_that_is_put_back_orders_nothing_until_somebody_has_looked() {
    let world = World::new().await;
    world.mean(machine(1), 1, Power::On).await;
    let mut agent = Agent::default();
    let mut link = world.connect(&mut agent, 0).await;
    let aside = world.app.store.set_aside().unwrap();
    world.mean(machine(1), 2, Power::Off).await;
    world.mean(machine(2), 1, Power::On).await;
    world.tick(&mut link, &mut agent, 1).await;
    world.app.store.put_back(&aside);
    // Work goes on in the old state before anybody comes.
    world.mean(machine(1), 2, Power::On).await;
    let before = world.epoch().await;
    let mut link = world.connect(&mut agent, 10).await;
    assert_eq!(agent.closed, None);
    let site = world.site().await.value;
    assert!(site.recovery.unwrap().reason.contains("never issued"));
    assert!(world.epoch().await > before);
    assert_eq!(
        agent.machines[&machine(1)],
        (Generation(2), Power::Off),
        "nothing was ordered"
    );
    world.mean(machine(1), 3, Power::On).await;
    world.tick(&mut link, &mut agent, 11).await;
    assert_eq!(agent.machines[&machine(1)].0, Generation(2), "nothing was ordered");
    let holding = world.contact().await.value.holding.unwrap();
    assert_eq!(
        holding.machines.keys().copied().collect::<Vec<_>>(),
        [machine(1), machine(2)]
    );
    // Whoever hears of it once more raises nothing once more.
    let epoch = world.epoch().await;
    world.connect(&mut agent, 12).await;
    assert_eq!(world.epoch().await, epoch);
    let issued = world.app.store.state.all::<Issued>(None, 100).await.unwrap();
    let heard = issued.iter().filter(|issued| issued.value.is == agent.held).count();
    assert_eq!(heard, 1);
}

#[tokio::test]
async fn a_database_that_is_put_back_under_a_running_hub_is_noticed_before_anything_is_ordered() {
    for on_its_own in [true, false] {
        let (world, mut agent) = (World::new().await, Agent::default());
        world.mean(machine(1), 1, Power::On).await;
        let mut link = world.connect(&mut agent, 1).await;
        world.tell(&mut link, &mut agent, (Listing::Last, 1)).await;
        let aside = world.app.store.set_aside().unwrap();
        world.mean(machine(1), 2, Power::Off).await;
        world.tick(&mut link, &mut agent, 2).await;
        world.tell(&mut link, &mut agent, (Listing::No, 3)).await;
        let held = agent.held.clone();
        world.app.store.put_back(&aside);
        if on_its_own {
            // The next heartbeat says what is held, and nothing has changed but the database.
            world.tell(&mut link, &mut agent, (Listing::No, 13)).await;
        } else {
            // The same again, and then some: what follows would otherwise be taken for what comes after what is held.
            world.mean(machine(1), 2, Power::Off).await;
            world.mean(machine(1), 3, Power::On).await;
            world.tick(&mut link, &mut agent, 4).await;
        }
        assert!(world.site().await.value.recovery.is_some(), "on its own: {on_its_own}");
        assert!(agent.closed.is_some() && agent.held == held);
    }
}

#[tokio::test]
async fn whoever_is_connected_when_a_recovery_begins_lists_again() {
    let world = World::new().await;
    let mut agent = Agent::default();
    let mut link = world.connect(&mut agent, 0).await;
    let site = world.site().await;
    let mut new = site.value.clone();
    new.recovery = Some(renkei_types::site::Recovery {
        since: at(1),
        reason: "another host has".to_owned(),
    });
    let mut batch = Batch::new();
    batch.update(&site, &new);
    world.app.store.state.commit(batch).await.unwrap();
    world.tick(&mut link, &mut agent, 2).await;
    assert!(agent.closed.as_ref().unwrap().contains("in recovery"));
    world.connect(&mut agent, 3).await;
    let contact = world.contact().await.value;
    assert!(contact.listed && contact.holding.unwrap().recovery == at(1));
}

#[tokio::test]
async fn old_reads_are_no_reason_for_alarm() {
    for seed in 0..60 {
        let clock = Arc::new(AtomicU64::new(1_800_000_000_000));
        let faults = Faults {
            old: 700,
            ..Faults::none(seed)
        };
        let read = clock.clone();
        let now = Arc::new(move || Duration::from_millis(read.load(Ordering::Relaxed)));
        let world = World::over(Store::simulated(faults, now)).await;
        clock.fetch_add(10_000, Ordering::Relaxed);
        world.mean(machine(1), 1, Power::On).await;
        clock.fetch_add(10_000, Ordering::Relaxed);
        let mut agent = Agent::default();
        let mut link = world.connect(&mut agent, 20).await;
        for round in 1..20 {
            let second = 20 + round * 3;
            // All that was read is of now, or older.
            clock.store((1_800_000_000 + second as u64) * 1000, Ordering::Relaxed);
            let generation = agent.machines.get(&machine(1)).map_or(1, |known| known.0.0) + 1;
            if mean_now(&world, generation).await {
                world.tick(&mut link, &mut agent, second).await;
                world.tell(&mut link, &mut agent, (Listing::No, second)).await;
            }
            if agent.closed.is_some() || round % 5 == 0 {
                link = world.connect(&mut agent, second).await;
            }
        }
        assert_eq!(world.site().await.value.recovery, None, "seed {seed}");
        assert_eq!(world.epoch().await, 1, "seed {seed}");
        assert!(agent.held.version > 1, "seed {seed}");
    }
}

/// As [`World::mean`], if what is read for it is of now.
async fn mean_now(world: &World, generation: u64) -> bool {
    let row = world.app.store.state.get::<VmRow>(machine(1).0).await.unwrap();
    let Ok(old) = world.app.manifest(world.host).await else {
        return false;
    };
    let Some(row) = row else { return false };
    let mut later = row.value.clone();
    later.vm.meant.generation = Generation(generation);
    let mut batch = Batch::new();
    batch.update(&row, &later);
    let mut new = old.value.clone();
    let run = Change::Run(Generation(generation), manifest::takes(&later.vm.meant));
    manifest::change(&mut new.machines, machine(1), run);
    manifest::issue(&world.app, &mut batch, &old, new).await.unwrap();
    world.app.store.state.commit(batch).await.is_ok()
}
