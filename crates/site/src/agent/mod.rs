//! The agent without I/O: frames and ticks in, frames and steps of the driver out.
//!
//! Whoever calls it carries frames, keeps the time, and logs [`Agent::notes`]. A frame that is lost with its connection costs nothing:
//! the next connection begins with a listing of all that there is.

mod accept;
mod report;
mod session;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use renkei_host::{Console, Driver, DriverError, Machine, Step, chain};
use renkei_types::agent::{FromAgent, FromHub, Hello, MachineSeen, OLDEST, VERSION};
use renkei_types::id::{HostId, SegmentId, VmId};
use renkei_types::operation::Generation;

use self::accept::{Page, Pages};
use self::session::{Session, State};
use crate::fruitless::Fruitless;
use crate::keep::{Keep, KeepError, Kept, Marks};
use crate::reconcile::{Powering, Question, Then, reconcile};
use crate::trouble::Trouble;

/// Who an agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The host's id, as its certificate says.
    pub host: HostId,
    /// Differs from one start of the host to the next.
    pub boot_id: String,
    /// The agent's own version, for people.
    pub version: String,
}

/// See the module.
#[derive(Debug)]
pub struct Agent<D, K> {
    who: Who,
    driver: D,
    keep: K,
    kept: Kept,
    troubles: BTreeMap<VmId, Trouble>,
    fruitless: BTreeMap<VmId, Fruitless>,
    /// What was seen at the latest look that came to something; nothing before the first.
    sight: Option<Sight>,
    session: Session,
    pages: Pages,
    notes: Vec<String>,
    pace: SignedDuration,
}

/// What there is.
#[derive(Clone, Debug, Default)]
struct Sight {
    machines: BTreeMap<VmId, MachineSeen>,
    segments: BTreeMap<SegmentId, Generation>,
    free_disk_gib: u64,
}

/// How often is looked in one tick at most, as long as steps are begun: a step that is over at once is followed by the next one.
const ROUNDS: usize = 4;
/// While something is under way.
const BUSY: SignedDuration = SignedDuration::from_millis(100);
/// Otherwise.
const IDLE: SignedDuration = SignedDuration::from_secs(1);

impl<D: Driver, K: Keep> Agent<D, K> {
    /// Goes on where the one before has ended.
    ///
    /// # Errors
    /// If what was kept cannot be read.
    pub fn new(who: Who, driver: D, mut keep: K) -> Result<Self, KeepError> {
        let kept = keep.load()?;
        Ok(Self {
            who,
            driver,
            keep,
            kept,
            troubles: BTreeMap::new(),
            fruitless: BTreeMap::new(),
            sight: None,
            session: Session::default(),
            pages: Pages::default(),
            notes: Vec::new(),
            pace: IDLE,
        })
    }

    /// There is a connection: what to say first.
    pub fn connected(&mut self, now: Timestamp) -> Vec<FromAgent> {
        self.session = Session::default();
        self.session.state = State::Greeted;
        self.pages = Pages::default();
        vec![FromAgent::Hello(Hello {
            versions: (OLDEST, VERSION),
            host: self.who.host,
            boot_id: self.who.boot_id.clone(),
            agent: self.who.version.clone(),
            held: self.kept.held.clone(),
            capacity: self.driver.capacity(),
            driver: self.driver.which(),
            now,
        })]
    }

    /// The connection is gone. What was last told goes on to be meant.
    pub fn disconnected(&mut self) {
        self.session = Session::default();
        self.pages = Pages::default();
    }

    /// The hub has said something.
    pub fn frame(&mut self, frame: FromHub, now: Timestamp) -> Vec<FromAgent> {
        match (frame, self.session.state) {
            (FromHub::Welcome { version, .. }, State::Greeted) if (OLDEST..=VERSION).contains(&version) => {
                self.session.state = State::Open;
                self.tick(now)
            }
            (FromHub::Welcome { version, .. }, State::Greeted) => {
                self.note(format!(
                    "the hub speaks version {version} of the protocol, which this agent does not"
                ));
                Vec::new()
            }
            (FromHub::Manifest(page), State::Open) => match self.pages.add(&self.kept, page) {
                Page::More => Vec::new(),
                Page::Known => self.tick(now),
                Page::Refused(why) => vec![self.refused(why)],
                Page::Whole(kept) => match self.accept(*kept) {
                    Ok(()) => self.tick(now),
                    Err(error) => {
                        let why = format!("it cannot be kept: {}", chain(&error));
                        self.note(why.clone());
                        vec![self.refused(why)]
                    }
                },
            },
            (FromHub::Heard { report }, State::Open) => {
                if self.session.heard(report) {
                    self.known_to_hub();
                }
                Vec::new()
            }
            (FromHub::Closed { why }, _) => {
                self.note(format!("the hub ends the connection: {why}"));
                Vec::new()
            }
            // Whoever carries the frames dials.
            (FromHub::Stream(_), _) => Vec::new(),
            // Late, twice, or before its time.
            (FromHub::Welcome { .. } | FromHub::Manifest(_) | FromHub::Heard { .. }, _) => Vec::new(),
        }
    }

    /// Looks, takes the next steps, and tells what has changed. What is told of a machine is what was decided upon: it is never seen to
    /// be off before the generation is told that wants it off, so that whoever sees it may ask for the next thing.
    pub fn tick(&mut self, now: Timestamp) -> Vec<FromAgent> {
        for _ in 0..ROUNDS {
            match self.look(now) {
                Ok(machines) => {
                    let began = self.steps(&machines, now);
                    self.sight(&machines);
                    if !began {
                        break;
                    }
                }
                Err(error) => {
                    self.note(error);
                    break;
                }
            }
        }
        self.tell(now)
    }

    /// Opens the console of a machine, as its driver does.
    ///
    /// # Errors
    /// If there is no such machine, or it does not run; names it.
    pub fn console(&mut self, id: VmId) -> Result<Console, DriverError> {
        self.driver.console(id)
    }

    /// What a machine said last on its console.
    ///
    /// # Errors
    /// If there is no such machine, or its log cannot be read; names it.
    pub fn console_log(&mut self, id: VmId) -> Result<Vec<u8>, DriverError> {
        self.driver.console_log(id)
    }

    /// How long to wait before the next tick.
    pub fn pace(&self) -> SignedDuration {
        self.pace
    }

    /// What it remembers.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// What went wrong since the last call, for the log.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    fn note(&mut self, note: String) {
        // The same fault at each tick is one fault.
        if self.notes.last() != Some(&note) && self.notes.len() < 100 {
            self.notes.push(note);
        }
    }

    fn refused(&mut self, why: String) -> FromAgent {
        FromAgent::Refused {
            held: self.kept.held.clone(),
            why,
        }
    }

    fn accept(&mut self, kept: Kept) -> Result<(), KeepError> {
        self.keep.save(&kept)?;
        self.kept = kept;
        Ok(())
    }

    /// The hub has kept a listing of this connection, and a manifest that comes after it knows what there is here.
    fn known_to_hub(&mut self) {
        if self.kept.boot_id != self.who.boot_id {
            let kept = Kept {
                boot_id: self.who.boot_id.clone(),
                ..self.kept.clone()
            };
            if let Err(error) = self.accept(kept) {
                self.note(chain(&error));
            }
        }
    }

    fn look(&mut self, now: Timestamp) -> Result<BTreeMap<VmId, Machine>, String> {
        let looked = self.driver.look(now);
        let by_id = |machine: Machine| (machine.id, machine);
        looked
            .map(|machines| machines.into_iter().map(by_id).collect())
            .map_err(|error| format!("cannot see what machines there are: {error}"))
    }

    /// Decides for every machine, keeps the marks, and only then begins the steps. Says whether there were any.
    fn steps(&mut self, machines: &BTreeMap<VmId, Machine>, now: Timestamp) -> bool {
        let powering = match self.kept.boot_id == self.who.boot_id && self.pages.is_empty() {
            true => Powering::Allowed,
            false => Powering::Held,
        };
        let mut steps = Vec::new();
        let mut marks: BTreeMap<VmId, Marks> = BTreeMap::new();
        let (mut troubles, mut fruitless) = (BTreeMap::new(), BTreeMap::new());
        for (id, intent) in &self.kept.machines {
            let machine = machines.get(id);
            let trouble = Trouble::seen(self.troubles.remove(id), intent, machine, now);
            let tried = Fruitless::seen(self.fruitless.remove(id), intent, machine);
            let next = reconcile(&Question {
                intent,
                marks: self.kept.marks.get(id),
                machine,
                trouble: trouble.as_ref(),
                fruitless: tried.as_ref(),
                powering,
                now,
            });
            if matches!(next.then, Then::Begin(_) | Then::Wait) {
                fruitless.extend(tried.map(|tried| (*id, tried)));
            }
            if let Then::Begin(act) = next.then {
                let generation = intent.generation;
                steps.push(Step {
                    id: *id,
                    generation,
                    act,
                });
            }
            marks.insert(*id, next.marks);
            troubles.extend(trouble.map(|trouble| (*id, trouble)));
        }
        (self.troubles, self.fruitless) = (troubles, fruitless);
        // What is here and not named may be named again.
        let unnamed = |(id, _): &(&VmId, &Marks)| machines.contains_key(*id) && !self.kept.machines.contains_key(*id);
        marks.extend(
            self.kept
                .marks
                .iter()
                .filter(unnamed)
                .map(|(id, marks)| (*id, marks.clone())),
        );
        if let Err(error) = self.mark(marks) {
            self.note(format!("nothing is done: {}", chain(&error)));
            return false;
        }
        let busy = |machine: &Machine| machine.doing.is_some();
        let under_way = !steps.is_empty() || machines.values().any(busy);
        let began = !steps.is_empty();
        for step in steps {
            let machine = machines.get(&step.id);
            self.begin(step, machine, now);
        }
        self.pace = if under_way { BUSY } else { self.next_attempt(now) };
        began
    }

    fn mark(&mut self, marks: BTreeMap<VmId, Marks>) -> Result<(), KeepError> {
        if marks == self.kept.marks {
            return Ok(());
        }
        // What nothing names and is not here any more has no marks: it is forgotten with them.
        self.kept.unnamed.retain(|id, _| marks.contains_key(id));
        let before = std::mem::replace(&mut self.kept.marks, marks);
        let saved = self.keep.save(&self.kept);
        if saved.is_err() {
            self.kept.marks = before;
        }
        saved
    }

    /// How long it is until a step that has brought nothing is tried again, within what is waited at most.
    fn next_attempt(&self, now: Timestamp) -> SignedDuration {
        let left = self.fruitless.values().filter_map(|fruitless| fruitless.left(now));
        left.min().map_or(IDLE, |left| left.clamp(BUSY, IDLE))
    }

    fn begin(&mut self, step: Step, machine: Option<&Machine>, now: Timestamp) {
        let Some(intent) = self.kept.machines.get(&step.id) else {
            return;
        };
        let (id, generation, verb) = (step.id, step.generation, step.act.verb());
        let begun = self.driver.begin(step, now);
        if begun.is_ok() {
            let old = self.fruitless.remove(&id);
            let tried = Fruitless::begun(old, (generation, verb), machine, now);
            self.fruitless.insert(id, tried);
        }
        let trouble = Trouble::begun(self.troubles.remove(&id), intent, &begun, now);
        self.troubles.extend(trouble.map(|trouble| (id, trouble)));
        if let Err(error) = begun {
            self.note(format!("cannot {verb} machine {id}: {error}"));
        }
    }
}
