//! The world of a run: hubs over one database, hosts with agents, the wires between them, and what goes wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use renkei_store::Store;
use renkei_store::open::Aside;
use renkei_store::simulation::Faults;
use renkei_types::agent::{FromAgent, FromHub};
use renkei_types::id::HostId;
use renkei_types::site::Site;
use uuid::Uuid;

use crate::Database;
use crate::check::{Broken, Watch};
use crate::client::{Client, SITE};
use crate::dice::Dice;
use crate::host::{Host, Steps};
use crate::hub::{Died, Hub, at_once};
use crate::time::{Agenda, Clock};
use crate::trace::{Detail, Trace};
use crate::trouble::Trouble;

/// Hubs over the one database.
pub const HUBS: usize = 2;
/// Hosts of the one site.
pub const HOSTS: usize = 3;
/// How long things go wrong.
pub const STORM: Duration = Duration::from_secs(400);
/// How long it may take afterwards until all is so: longer than any deadline, and than the time in which a duty is given up.
pub const CALM: Duration = Duration::from_secs(9000);

/// What happens.
#[derive(Debug)]
pub enum Happening {
    /// A hub looks whether there is something to tell its agents. With the life of the hub: what was to happen dies with it.
    HubTick(usize, u64),
    /// A hub does what it does by itself.
    Work(usize, u64),
    /// A hub starts again.
    HubStart(usize),
    /// An agent looks and takes its next steps.
    AgentTick(usize, u64),
    /// An agent starts again.
    AgentStart(usize),
    /// An agent without a connection dials.
    Dial(usize, u64),
    /// A frame arrives at a hub.
    ToHub(u64, Box<FromAgent>),
    /// A frame arrives at an agent.
    ToAgent(u64, Box<FromHub>),
    /// Somebody asks for something.
    Ask,
    /// Something goes wrong.
    Trouble,
    /// A hub that died, or a wire that broke, is noticed by the other end.
    Noticed(u64),
    /// An operator says that a host is off for good.
    Fence(usize),
    /// A host that was off starts.
    Return(usize),
}

/// A connection.
#[derive(Clone, Debug)]
struct Wire {
    hub: usize,
    host: usize,
    /// What was sent later does not arrive earlier.
    to_hub: Duration,
    to_agent: Duration,
}

/// See the module.
pub struct World {
    pub(crate) clock: Clock,
    pub(crate) dice: Dice,
    pub(crate) agenda: Agenda<Happening>,
    pub(crate) store: Store,
    /// The same, as it is: for those who check.
    pub(crate) truth: Store,
    pub(crate) hubs: Vec<Option<Hub>>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) client: Client,
    pub(crate) trace: Trace,
    pub(crate) steps: Steps,
    pub(crate) aside: Option<Aside>,
    pub(crate) set_back: bool,
    pub(crate) database: Database,
    /// Whether things go wrong.
    pub(crate) storm: bool,
    /// What must never be, as soon as it is.
    pub(crate) broken: Option<Broken>,
    /// Who watches what happens.
    pub(crate) watch: Watch,
    lives: BTreeMap<(bool, usize), u64>,
    wires: BTreeMap<u64, Wire>,
    wire_count: u64,
}

impl World {
    /// A world in which nothing has happened yet.
    pub fn new(seed: u64, detail: Detail, database: Database) -> Result<Self, Died> {
        let (clock, mut dice, steps) = (Clock::new(), Dice::new(seed), Steps::default());
        let time = clock.clone();
        let faults = Faults {
            crashed: 5,
            ..Faults::many(dice.next())
        };
        let quiet = Faults::none(dice.next());
        let store = Store::simulated(quiet, Arc::new(move || time.since_1970()));
        let hosts: Vec<HostId> = (1..=HOSTS as u128).map(|host| HostId(Uuid::from_u128(host))).collect();
        let client = at_once(Client::begin(&store, dice.next(), (&hosts, clock.now())))?;
        store.fail(faults);
        let truth = store.for_onlooker().unwrap_or_else(|| store.clone());
        let hosts: Vec<Host> = hosts.into_iter().map(|id| Host::new(id, dice.next(), &steps)).collect();
        for host in &hosts {
            for other in hosts.iter().filter(|other| other.id != host.id) {
                host.fake.beside(other.id, &other.fake);
            }
        }
        let mut world = Self {
            agenda: Agenda::new(clock.clone()),
            clock,
            dice,
            store,
            truth,
            hubs: (0..HUBS).map(|_| None).collect(),
            hosts,
            client,
            trace: Trace::new(detail),
            steps,
            aside: None,
            set_back: false,
            database,
            storm: true,
            broken: None,
            watch: Watch::default(),
            lives: BTreeMap::new(),
            wires: BTreeMap::new(),
            wire_count: 0,
        };
        for hub in 0..HUBS {
            world.agenda.put(Duration::ZERO, Happening::HubStart(hub));
        }
        for host in 0..HOSTS {
            world.agenda.put(Duration::ZERO, Happening::AgentStart(host));
        }
        world.soon(2000, Happening::Ask);
        world.soon(20_000, Happening::Trouble);
        Ok(world)
    }

    /// Lets the next thing happen.
    pub fn step(&mut self) -> Option<()> {
        let happening = self.agenda.next()?;
        self.happen(happening);
        self.bury_agents();
        Some(())
    }

    /// Nothing goes wrong any more, nobody asks for anything, and whatever is down comes up.
    pub fn calm(&mut self) {
        self.storm = false;
        self.store.fail(Faults::none(0));
        self.note("calm");
        for which in 0..self.hosts.len() {
            if let Some(host) = self.hosts.get(which) {
                host.frailty(0);
                host.fake.behave(Host::sound());
            }
            self.soon(10_000, Happening::Return(which));
        }
    }

    /// A host's computer is off, until it comes back.
    pub(crate) fn switch_off(&mut self, which: usize) {
        if let Some(host) = self.hosts.get_mut(which) {
            host.reboot();
            host.off = true;
        }
        self.note(format_args!("host {which} is off"));
        self.kill_agent(which);
        self.soon(80_000, Happening::Fence(which));
        self.soon(200_000, Happening::Return(which));
    }

    fn fence(&mut self, which: usize) {
        let now = self.clock.now();
        let Some(host) = self.hosts.get(which).filter(|host| host.off).map(|host| host.id) else {
            return;
        };
        for hub in 0..HUBS {
            if let Some(told) = self.hub(hub, |hub| at_once(Client::fence(&hub.app, host, now))) {
                if let Some(host) = self.hosts.get_mut(which) {
                    host.fenced |= told == "yes";
                }
                self.note(format_args!("host {which} is fenced: {told}"));
                return;
            }
        }
    }

    fn bring_back(&mut self, which: usize) {
        let off = self
            .hosts
            .get_mut(which)
            .is_some_and(|host| std::mem::take(&mut host.off));
        if off {
            self.note(format_args!("host {which} is on again"));
            self.soon(2000, Happening::AgentStart(which));
        }
    }

    /// How long nothing has gone wrong.
    pub(crate) fn storm_is_over_for(&self) -> SignedDuration {
        let since = self.clock.elapsed().saturating_sub(STORM);
        SignedDuration::try_from(since).unwrap_or(SignedDuration::MAX)
    }

    /// What people do when the storm is over.
    pub fn recover(&mut self) {
        let now = self.clock.now();
        let client = std::mem::take(&mut self.client);
        let told = self.hub(0, |hub| {
            at_once(client.open_hosts(&hub.app))?;
            let site = at_once(hub.app.store.state.get::<Site>(SITE.0))?;
            match site.ok().flatten().is_some_and(|site| site.value.recovery.is_some()) {
                true => at_once(client.recovered(&hub.app, now)).map(Some),
                false => Ok(None),
            }
        });
        self.client = client;
        if let Some((told, difference)) = told.flatten() {
            self.note(format_args!("the site goes on: {told}"));
            if let Some(difference) = difference {
                Watch::recovered(self, &difference);
            }
        }
        Watch::remember(self);
    }

    pub(crate) fn note(&mut self, what: impl std::fmt::Display) {
        self.trace.note(self.clock.elapsed(), what);
    }

    /// Puts something on the agenda within so many milliseconds.
    pub(crate) fn soon(&mut self, millis: u64, what: Happening) {
        let after = Duration::from_millis(self.dice.below(millis) + 1);
        self.agenda.put(after, what);
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.clock.now();
        match happening {
            Happening::HubTick(hub, life) if self.lives_as(true, hub) == life => {
                let told = self.hub(hub, |hub| hub.tick(now));
                for (wire, frame) in told.into_iter().flatten() {
                    self.send_to_agent(wire, frame);
                }
                self.soon(1000, Happening::HubTick(hub, life));
            }
            Happening::Work(hub, life) if self.lives_as(true, hub) == life => {
                self.hub(hub, |hub| hub.work(now));
                Watch::look(self);
                self.soon(1500, Happening::Work(hub, life));
            }
            Happening::HubStart(hub) => self.start_hub(hub),
            Happening::AgentTick(host, life) if self.lives_as(false, host) == life => self.tick_agent(host, life),
            Happening::AgentStart(host) => self.start_agent(host),
            Happening::Dial(host, life) if self.lives_as(false, host) == life => self.dial(host),
            Happening::ToHub(wire, frame) => self.hear_at_hub(wire, *frame),
            Happening::ToAgent(wire, frame) => self.hear_at_agent(wire, *frame),
            Happening::Noticed(wire) => self.cut(wire),
            Happening::Fence(host) => self.fence(host),
            Happening::Return(host) => self.bring_back(host),
            Happening::Ask if self.storm => {
                self.ask();
                self.soon(12_000, Happening::Ask);
            }
            Happening::Trouble if self.storm => {
                Trouble::strike(self);
                self.soon(40_000, Happening::Trouble);
            }
            // Of a life that is over.
            Happening::HubTick(..)
            | Happening::Work(..)
            | Happening::AgentTick(..)
            | Happening::Dial(..)
            | Happening::Ask
            | Happening::Trouble => {}
        }
    }

    fn lives_as(&self, hub: bool, which: usize) -> u64 {
        self.lives.get(&(hub, which)).copied().unwrap_or(0)
    }

    fn ask(&mut self) {
        let up: Vec<usize> = (0..HUBS)
            .filter(|hub| self.hubs.get(*hub).is_some_and(Option::is_some))
            .collect();
        let Some(at) = self.dice.pick(&up).copied() else {
            return;
        };
        let now = self.clock.now();
        let mut client = std::mem::take(&mut self.client);
        let asked = self.hub(at, |hub| at_once(client.ask(&hub.app, now)));
        self.client = client;
        match asked {
            Some(what) => self.note(format_args!("hub {at}: {what}")),
            None => self.note(format_args!("hub {at} died over a request")),
        }
    }

    /// Lets a hub do something; nothing came of it if it is down, or died of it.
    pub(crate) fn hub<T>(&mut self, which: usize, does: impl FnOnce(&mut Hub) -> Result<T, Died>) -> Option<T> {
        let hub = self.hubs.get_mut(which)?.as_mut()?;
        match does(hub) {
            Ok(done) => Some(done),
            Err(Died) => {
                self.note(format_args!("hub {which} died"));
                self.kill_hub(which);
                None
            }
        }
    }

    pub(crate) fn kill_hub(&mut self, which: usize) {
        if let Some(hub) = self.hubs.get_mut(which) {
            *hub = None;
        }
        *self.lives.entry((true, which)).or_default() += 1;
        // Its computer resets the connections, or says nothing more: then the agents notice after a while.
        let wires: Vec<u64> = self
            .wires
            .iter()
            .filter(|(_, wire)| wire.hub == which)
            .map(|(id, _)| *id)
            .collect();
        for wire in wires {
            self.soon(30_000, Happening::Noticed(wire));
        }
        self.soon(20_000, Happening::HubStart(which));
    }

    fn start_hub(&mut self, which: usize) {
        let (seed, now) = (self.dice.next(), self.clock.now());
        let started = Hub::start(&self.store, seed, now);
        let Some(place) = self.hubs.get_mut(which).filter(|hub| hub.is_none()) else {
            return;
        };
        *place = Some(started);
        let life = self.lives_as(true, which);
        self.note(format_args!("hub {which} starts"));
        self.soon(1000, Happening::HubTick(which, life));
        self.soon(1000, Happening::Work(which, life));
    }

    /// Ends the process of an agent, and lets another one start later.
    pub(crate) fn kill_agent(&mut self, which: usize) {
        *self.lives.entry((false, which)).or_default() += 1;
        let wire = self.hosts.get_mut(which).and_then(|host| {
            host.kill();
            host.wire
        });
        if let Some(wire) = wire {
            self.soon(30_000, Happening::Noticed(wire));
        }
        if let Some(host) = self.hosts.get_mut(which) {
            host.wire = None;
        }
        self.soon(20_000, Happening::AgentStart(which));
    }

    /// Agents whose process died over a save.
    fn bury_agents(&mut self) {
        for which in 0..self.hosts.len() {
            if self
                .hosts
                .get(which)
                .is_some_and(|host| host.agent.is_some() && host.died())
            {
                self.note(format_args!("agent {which} died"));
                self.kill_agent(which);
            }
        }
    }

    fn start_agent(&mut self, which: usize) {
        let life = self.lives_as(false, which);
        let stands = |host: &&mut Host| host.agent.is_none() && !host.off;
        let Some(host) = self.hosts.get_mut(which).filter(stands) else {
            return;
        };
        host.start();
        self.note(format_args!("agent {which} starts"));
        self.soon(1000, Happening::AgentTick(which, life));
        self.soon(1000, Happening::Dial(which, life));
    }

    fn tick_agent(&mut self, which: usize, life: u64) {
        let Some(host) = self.hosts.get_mut(which) else {
            return;
        };
        let now = self.clock.skewed(host.ahead);
        let Some(agent) = &mut host.agent else {
            return;
        };
        let (frames, pace) = (agent.tick(now), agent.pace());
        let wire = host.wire;
        if host.died() {
            return;
        }
        for frame in frames {
            self.send_to_hub(wire, frame);
        }
        self.note_steps();
        let pace = u64::try_from(pace.as_millis()).unwrap_or(1000);
        let after = Duration::from_millis(pace + self.dice.below(pace + 1));
        self.agenda.put(after, Happening::AgentTick(which, life));
    }

    fn dial(&mut self, which: usize) {
        let life = self.lives_as(false, which);
        let up: Vec<usize> = (0..HUBS)
            .filter(|hub| self.hubs.get(*hub).is_some_and(Option::is_some))
            .collect();
        let Some(at) = self.dice.pick(&up).copied() else {
            return self.soon(5000, Happening::Dial(which, life));
        };
        self.wire_count += 1;
        let id = self.wire_count;
        let Some(host) = self.hosts.get_mut(which).filter(|host| host.wire.is_none()) else {
            return;
        };
        host.wire = Some(id);
        let (host_id, now) = (host.id, self.clock.skewed(host.ahead));
        let frames = host
            .agent
            .as_mut()
            .map(|agent| agent.connected(now))
            .unwrap_or_default();
        let wire = Wire {
            hub: at,
            host: which,
            to_hub: Duration::ZERO,
            to_agent: Duration::ZERO,
        };
        self.wires.insert(id, wire);
        self.hub(at, |hub| {
            hub.accept(id, host_id);
            Ok(())
        });
        self.note(format_args!("agent {which} connects to hub {at}"));
        for frame in frames {
            self.send_to_hub(Some(id), frame);
        }
    }

    /// A frame is mostly there within some milliseconds, sometimes within seconds, and sometimes its wire breaks.
    fn delay(&mut self) -> Duration {
        let most = if self.storm && self.dice.chance(30) { 8000 } else { 50 };
        Duration::from_millis(self.dice.below(most) + 1)
    }

    fn send_to_hub(&mut self, wire: Option<u64>, frame: FromAgent) {
        let (delay, at) = (self.delay(), self.clock.elapsed());
        let breaks = self.storm && self.dice.chance(3);
        let twice = self.storm && self.dice.chance(10);
        let Some(id) = wire else { return };
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        wire.to_hub = wire.to_hub.max(at + delay);
        let after = wire.to_hub - at;
        if breaks {
            return self.agenda.put(after, Happening::Noticed(id));
        }
        if twice {
            self.agenda.put(after, Happening::ToHub(id, Box::new(frame.clone())));
        }
        self.agenda.put(after, Happening::ToHub(id, Box::new(frame)));
    }

    fn send_to_agent(&mut self, id: u64, frame: FromHub) {
        let (delay, at) = (self.delay(), self.clock.elapsed());
        let breaks = self.storm && self.dice.chance(3);
        let twice = self.storm && self.dice.chance(10);
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        wire.to_agent = wire.to_agent.max(at + delay);
        let after = wire.to_agent - at;
        if breaks {
            return self.agenda.put(after, Happening::Noticed(id));
        }
        if twice {
            self.agenda.put(after, Happening::ToAgent(id, Box::new(frame.clone())));
        }
        self.agenda.put(after, Happening::ToAgent(id, Box::new(frame)));
    }

    fn hear_at_hub(&mut self, id: u64, frame: FromAgent) {
        let Some(wire) = self.wires.get(&id).cloned() else {
            return;
        };
        let now = self.clock.now();
        self.trace.frame(
            self.clock.elapsed(),
            format_args!("hub {} hears from agent {}: {frame:?}", wire.hub, wire.host),
        );
        let frames = self.hub(wire.hub, |hub| hub.frame(id, frame, now));
        for frame in frames.into_iter().flatten() {
            self.send_to_agent(id, frame);
        }
        self.hang_up_if_over(id);
    }

    fn hear_at_agent(&mut self, id: u64, frame: FromHub) {
        let Some(wire) = self.wires.get(&id).cloned() else {
            return;
        };
        let Some(host) = self.hosts.get_mut(wire.host).filter(|host| host.wire == Some(id)) else {
            return;
        };
        let now = self.clock.skewed(host.ahead);
        let closed = matches!(frame, FromHub::Closed { .. });
        self.trace.frame(
            self.clock.elapsed(),
            format_args!("agent {} hears: {frame:?}", wire.host),
        );
        let Some(agent) = &mut host.agent else { return };
        let frames = agent.frame(frame, now);
        if !host.died() {
            for frame in frames {
                self.send_to_hub(Some(id), frame);
            }
        }
        self.note_steps();
        if closed {
            self.cut(id);
        }
    }

    fn hang_up_if_over(&mut self, id: u64) {
        let over = |hub: &Hub| hub.links.get(&id).is_some_and(renkei_hub::link::Link::is_over);
        let hub = self.wires.get(&id).map(|wire| wire.hub);
        if hub.and_then(|hub| self.hubs.get(hub)?.as_ref()).is_some_and(over) {
            let after = Duration::from_secs(1);
            self.agenda.put(after, Happening::Noticed(id));
        }
    }

    /// A wire is gone, and both ends know.
    pub(crate) fn cut(&mut self, id: u64) {
        let Some(wire) = self.wires.remove(&id) else {
            return;
        };
        let now = self.clock.now();
        self.hub(wire.hub, |hub| hub.lose(id, now));
        let life = self.lives_as(false, wire.host);
        let Some(host) = self.hosts.get_mut(wire.host).filter(|host| host.wire == Some(id)) else {
            return;
        };
        host.wire = None;
        if let Some(agent) = &mut host.agent {
            agent.disconnected();
            self.soon(5000, Happening::Dial(wire.host, life));
        }
    }

    /// Breaks the wire of a host's agent.
    pub(crate) fn break_wire(&mut self, which: usize) {
        if let Some(wire) = self.hosts.get(which).and_then(|host| host.wire) {
            self.cut(wire);
        }
    }

    fn note_steps(&mut self) {
        let begun = std::mem::take(&mut *self.steps.lock().unwrap_or_else(PoisonError::into_inner));
        for (host, vm, verb, generation) in begun {
            let name = self.client.called(vm);
            Watch::step(self, (host, vm), (verb, generation));
            self.note(format_args!(
                "host {}: {verb} {name} for {generation}",
                host.0.as_u128()
            ));
            self.client.stepped(vm, verb);
        }
    }
}
