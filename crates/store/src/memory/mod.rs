//! The implementation in memory: a few maps. What the simulator runs on: no tokio, no thread, every answer at once.

mod past;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use renkei_types::event::{ChainHead, Event};
use tokio::sync::watch;
use uuid::Uuid;

use crate::audit::{self, Hash, Kept};
use crate::batch::{Act, Batch, Entry};
use crate::error::{CommitError, Outcome, StateError};
use crate::judge::{Look, judge};
use crate::migration;
use crate::noun::Kind;
use crate::open::Identity;
use crate::read::EventQuery;
use crate::simulation::{Clock, Dice, Fate, Faults};
use crate::sql::{Found, Page};
use past::{Commit, Past, Then};

/// A database in memory; clones are the same one, as the same reader sees it.
#[derive(Clone)]
pub(crate) struct Memory {
    shared: Arc<Shared>,
    reader: Reader,
}

/// Who reads from a simulated one.
#[derive(Clone)]
enum Reader {
    /// A hub. What it has read at some moment never goes back, as both databases promise; microseconds since 1970.
    Behind(Arc<AtomicU64>),
    /// Somebody who looks from outside, and sees what is there.
    Now,
}

struct Shared {
    tables: Mutex<Tables>,
    bell: watch::Sender<u64>,
    clock: Clock,
}

#[derive(Default)]
struct Tables {
    rows: BTreeMap<&'static str, BTreeMap<Uuid, Row>>,
    /// Table, position of the index, key.
    keys: BTreeMap<(&'static str, usize), BTreeMap<String, BTreeSet<Uuid>>>,
    events: Vec<(Event, String)>,
    links: Vec<(Hash, i64)>,
    identity: Identity,
    simulated: Option<Simulated>,
}

/// What was kept at a moment.
#[derive(Clone)]
pub struct Aside {
    rows: BTreeMap<&'static str, BTreeMap<Uuid, Row>>,
    keys: BTreeMap<(&'static str, usize), BTreeMap<String, BTreeSet<Uuid>>>,
    events: Vec<(Event, String)>,
    links: Vec<(Hash, i64)>,
    identity: Identity,
}

impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aside")
    }
}

/// What only a simulated database has.
struct Simulated {
    dice: Dice,
    past: Past,
    /// When to ring.
    due: BTreeSet<Duration>,
}

#[derive(Clone)]
struct Row {
    version: u64,
    keys: Vec<Option<String>>,
    body: String,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

impl Memory {
    pub fn new() -> Self {
        let since = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::with(Tables::of(Uuid::now_v7()), Arc::new(since))
    }

    pub fn simulated(faults: Faults, clock: Clock) -> Self {
        let mut dice = Dice::new(faults);
        let run = dice.id();
        let (past, due) = Default::default();
        let simulated = Some(Simulated { dice, past, due });
        let tables = Tables {
            simulated,
            ..Tables::of(run)
        };
        Self::with(tables, clock)
    }

    fn with(tables: Tables, clock: Clock) -> Self {
        let (tables, bell) = (Mutex::new(tables), watch::Sender::new(0));
        let shared = Arc::new(Shared { tables, bell, clock });
        let reader = Reader::Behind(Arc::default());
        Self { shared, reader }
    }

    /// The same database for one more hub, which has read nothing yet.
    pub fn for_another(&self) -> Self {
        let shared = Arc::clone(&self.shared);
        let reader = Reader::Behind(Arc::default());
        Self { shared, reader }
    }

    /// The same database for somebody who looks from outside: no read of it is old, and none has a part in what is drawn.
    pub fn for_onlooker(&self) -> Self {
        let shared = Arc::clone(&self.shared);
        let reader = Reader::Now;
        Self { shared, reader }
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.bell.subscribe()
    }

    /// Rings if it is time; when the next time is.
    pub fn ring(&self) -> Option<Duration> {
        let now = (self.shared.clock)();
        let mut tables = self.tables();
        let simulated = tables.simulated.as_mut()?;
        let later = simulated.due.split_off(&(now + Duration::from_nanos(1)));
        let due = std::mem::replace(&mut simulated.due, later);
        let next = simulated.due.first().copied();
        drop(tables);
        if !due.is_empty() {
            self.shared.bell.send_modify(|count| *count += 1);
        }
        next
    }

    pub fn identity(&self) -> Identity {
        self.tables().identity
    }

    /// As the databases do it: only in the run that was seen.
    pub fn raise_epoch(&self, seen: Uuid, heard: u32) -> Identity {
        let mut tables = self.tables();
        if tables.identity.run == seen {
            let run = match &mut tables.simulated {
                Some(simulated) => simulated.dice.id(),
                None => Uuid::now_v7(),
            };
            let epoch = tables.identity.epoch.max(heard).saturating_add(1);
            tables.identity = Identity {
                epoch,
                run,
                ..tables.identity
            };
        }
        tables.identity
    }

    pub fn get(&self, kind: &Kind, id: Uuid) -> Result<Option<Found>, StateError> {
        let mut tables = self.tables();
        let moment = self.moment(&mut tables);
        let row = tables.then(moment).row(kind.table, id, tables.now(kind, id));
        Ok(row.map(|row| row.found(id)))
    }

    pub fn page(&self, kind: &Kind, page: &Page<'_>) -> Result<Vec<Found>, StateError> {
        let mut tables = self.tables();
        let moment = self.moment(&mut tables);
        Ok(tables.page(kind, page, &tables.then(moment)))
    }

    pub fn versions(&self, kind: &Kind, of: Option<(&'static str, &str)>) -> Result<Vec<(Uuid, u64)>, StateError> {
        let all = Page {
            equals: of.into_iter().collect(),
            limit: u32::MAX,
            ..Page::default()
        };
        let found = self.page(kind, &all)?;
        Ok(found.into_iter().map(|found| (found.id, found.version)).collect())
    }

    /// Which moment a read sees.
    fn moment(&self, tables: &mut Tables) -> Duration {
        let (Some(simulated), Reader::Behind(latest)) = (&mut tables.simulated, &self.reader) else {
            return Duration::MAX;
        };
        let moment = micros((self.shared.clock)().saturating_sub(simulated.dice.age()));
        let before = latest.fetch_max(moment, Ordering::SeqCst);
        Duration::from_micros(before.max(moment))
    }

    /// Whoever commits, or is refused because of what is there, has seen what is there.
    fn has_seen(&self, now: Duration) {
        if let Reader::Behind(latest) = &self.reader {
            latest.fetch_max(micros(now), Ordering::SeqCst);
        }
    }

    /// Nothing when the hub dies of it.
    pub fn commit(&self, batch: &Batch) -> Option<Result<(), CommitError>> {
        let mut tables = self.tables();
        let fate = tables
            .simulated
            .as_mut()
            .map_or(Fate::Done, |simulated| simulated.dice.fate());
        let failed = |outcome| Some(Err(CommitError::unavailable(outcome, "as the seed has it")));
        match fate {
            Fate::Aborted => return failed(Outcome::NotDone),
            Fate::LostAborted => return failed(Outcome::Unknown),
            Fate::Crash => return None,
            Fate::Done | Fate::Lost | Fate::DoneThenCrash => {}
        }
        let now = (self.shared.clock)();
        if fate == Fate::Done {
            self.has_seen(now);
        }
        if let Err(error) = judge(&*tables, batch) {
            return Some(Err(error));
        }
        tables.remember(now, batch);
        for entry in &batch.entries {
            tables.apply(entry);
        }
        for new in &batch.events {
            let id = tables.events.len() as i64 + 1;
            let event = Event {
                id,
                ..new.event.clone()
            };
            tables.events.push((event, new.body.clone()));
        }
        let at_once = tables
            .simulated
            .as_mut()
            .is_none_or(|simulated| simulated.rings_at_once(now));
        drop(tables);
        if at_once {
            self.shared.bell.send_modify(|count| *count += 1);
        }
        match fate {
            Fate::Lost => failed(Outcome::Unknown),
            Fate::DoneThenCrash => None,
            _ => Some(Ok(())),
        }
    }

    /// From now on so much goes wrong.
    pub fn fail(&self, faults: Faults) {
        if let Some(simulated) = &mut self.tables().simulated {
            simulated.dice.fail(faults);
        }
    }

    /// A copy of all that is kept, as a backup or a copied file has it.
    pub fn set_aside(&self) -> Aside {
        let tables = self.tables();
        Aside {
            rows: tables.rows.clone(),
            keys: tables.keys.clone(),
            events: tables.events.clone(),
            links: tables.links.clone(),
            identity: tables.identity,
        }
    }

    /// Everything is as it was when the copy was made.
    pub fn put_back(&self, aside: &Aside) {
        let mut tables = self.tables();
        let simulated = tables.simulated.take().map(|simulated| Simulated {
            past: Past::default(),
            ..simulated
        });
        let Aside {
            rows,
            keys,
            events,
            links,
            identity,
        } = aside.clone();
        *tables = Tables {
            rows,
            keys,
            events,
            links,
            identity,
            simulated,
        };
        drop(tables);
        self.shared.bell.send_modify(|count| *count += 1);
    }

    pub fn events(&self, query: &EventQuery) -> Result<Vec<Event>, StateError> {
        let mut tables = self.tables();
        let moment = self.moment(&mut tables);
        let count = tables.then(moment).events(tables.events.len());
        let (after, before) = (query.after.unwrap_or(0), query.before.unwrap_or(i64::MAX));
        let wanted = |event: &&Event| {
            event.id > after
                && event.id < before
                && query.project.is_none_or(|project| event.project == Some(project))
                && query.object.is_none_or(|object| event.object == object)
                && query.noun.as_ref().is_none_or(|noun| event.noun == *noun)
                && query.user.is_none_or(|user| event.by.user == Some(user))
        };
        let events = tables.events.iter().take(count).map(|(event, _)| event);
        let limit = query.limit as usize;
        Ok(match query.newest_first {
            true => events.rev().filter(wanted).take(limit).cloned().collect(),
            false => events.filter(wanted).take(limit).cloned().collect(),
        })
    }

    pub fn chain(&self, limit: u32) -> Result<u64, StateError> {
        let mut tables = self.tables();
        let tables = &mut *tables;
        let mut hash = tables.links.last().map_or(audit::START, |(hash, _)| *hash);
        let at = self.millis();
        let before = tables.links.len();
        for (event, body) in tables.events.iter().skip(before).take(limit as usize) {
            hash = audit::next(&hash, event.id, body);
            tables.links.push((hash, at));
        }
        Ok((tables.links.len() - before) as u64)
    }

    /// Milliseconds since 1970.
    pub fn millis(&self) -> i64 {
        i64::try_from((self.shared.clock)().as_millis()).unwrap_or(i64::MAX)
    }

    pub fn head(&self) -> ChainHead {
        let tables = self.tables();
        let (hash, at) = tables.links.last().copied().unwrap_or((audit::START, 0));
        audit::head(tables.links.len() as u64, &hash, at)
    }

    pub fn event_count(&self) -> u64 {
        self.tables().events.len() as u64
    }

    pub fn kept(&self, after: u64, limit: u64) -> Vec<Kept> {
        let tables = self.tables();
        let links = tables.links.iter().map(Some).chain(std::iter::repeat(None));
        let all = tables.events.iter().zip(links);
        let some = all.skip(after as usize).take(limit as usize);
        some.map(|((event, body), link)| Kept {
            id: event.id,
            noun: event.noun.clone(),
            object: event.object,
            project: event.project.map(|id| id.0),
            user: event.by.user.map(|id| id.0),
            body: body.clone(),
            hash: link.map(|(hash, _)| hash.to_vec()),
        })
        .collect()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // A panic of another thread was between two commits or before one: `judge` runs before anything changes.
        self.shared.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rounded up: what was committed in this microsecond was there.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX)
}

impl Row {
    fn found(&self, id: Uuid) -> Found {
        let (version, body) = (self.version, self.body.clone());
        Found { id, version, body }
    }
}

impl Look for Tables {
    fn row(&self, table: &'static str, id: Uuid) -> Option<(u64, &[Option<String>])> {
        let row = self.rows.get(table)?.get(&id)?;
        Some((row.version, &row.keys))
    }

    fn owner(&self, table: &'static str, position: usize, key: &str) -> Option<Uuid> {
        self.keys.get(&(table, position))?.get(key)?.first().copied()
    }
}

impl Simulated {
    /// Whether a commit at `now` is told now; otherwise it is noted when.
    fn rings_at_once(&mut self, now: Duration) -> bool {
        let delay = self.dice.delay();
        if !delay.is_zero() {
            self.due.insert(now + delay);
        }
        delay.is_zero()
    }
}

impl Tables {
    fn of(run: Uuid) -> Self {
        let (schema, epoch) = (migration::last(migration::ALL), 1);
        Self {
            identity: Identity { schema, epoch, run },
            ..Self::default()
        }
    }

    fn now(&self, kind: &Kind, id: Uuid) -> Option<&Row> {
        self.rows.get(kind.table)?.get(&id)
    }

    fn then(&self, moment: Duration) -> Then<'_> {
        let simulated = self.simulated.as_ref();
        simulated.map(|simulated| simulated.past.at(moment)).unwrap_or_default()
    }

    /// The batch has been judged and is about to be applied.
    fn remember(&mut self, at: Duration, batch: &Batch) {
        if self.simulated.is_none() {
            return;
        }
        let changed = batch
            .entries
            .iter()
            .filter(|entry| !matches!(entry.act, Act::Expect(_)));
        let before = changed.map(|entry| (entry.kind.table, entry.id, self.now(&entry.kind, entry.id).cloned()));
        let (rows, events) = (before.collect(), self.events.len());
        if let Some(simulated) = &mut self.simulated {
            simulated.past.remember(Commit { at, rows, events });
        }
    }

    fn page(&self, kind: &Kind, page: &Page<'_>, then: &Then<'_>) -> Vec<Found> {
        let row_of = |id: Uuid| then.row(kind.table, id, self.now(kind, id));
        let order = page.order.and_then(|index| kind.position(index));
        let equals: Vec<_> = page
            .equals
            .iter()
            .filter_map(|(index, key)| Some((kind.position(index)?, *key)))
            .collect();
        // The rows from which to choose, the fewest that an index gives.
        let candidates: Vec<Uuid> = match (page.ids, equals.first()) {
            (Some(ids), _) => ids.to_vec(),
            (None, Some((position, key))) => {
                let keys = self.keys.get(&(kind.table, *position));
                let ids = keys.and_then(|keys| keys.get(*key)).into_iter().flatten().copied();
                ids.chain(then.changed(kind.table)).collect()
            }
            (None, None) => {
                let ids = self.rows.get(kind.table).into_iter().flat_map(BTreeMap::keys).copied();
                ids.chain(then.changed(kind.table)).collect()
            }
        };
        let fits = |id: &Uuid| -> Option<(String, Uuid)> {
            let row = row_of(*id)?;
            let equal = |(position, key): &(usize, &str)| row.keys.get(*position)?.as_deref().filter(|own| own == key);
            if !equals.iter().all(|wanted| equal(wanted).is_some()) {
                return None;
            }
            let key = match order {
                Some(position) => row.keys.get(position)?.clone()?,
                None => String::new(),
            };
            let later = match page.after {
                Some((after, last)) if order.is_some() => (key.as_str(), *id) > (after, last),
                Some((_, last)) => *id > last,
                None => true,
            };
            later.then_some((key, *id))
        };
        let sorted: BTreeSet<(String, Uuid)> = candidates.iter().filter_map(fits).collect();
        let first = sorted.into_iter().take(page.limit as usize);
        first.filter_map(|(_, id)| Some(row_of(id)?.found(id))).collect()
    }

    /// The entry has been judged.
    fn apply(&mut self, entry: &Entry) {
        let (table, id) = (entry.kind.table, entry.id);
        let rows = self.rows.entry(table).or_default();
        let old = match &entry.act {
            Act::Expect(_) => return,
            Act::Touch(_) => {
                if let Some(row) = rows.get_mut(&id) {
                    row.version += 1;
                }
                return;
            }
            Act::Delete(_) => rows.remove(&id),
            Act::Insert(content) | Act::Update(_, content) => {
                let version = entry.act.version().unwrap_or(0) + 1;
                let (keys, body) = (content.keys.clone(), content.body.clone());
                rows.insert(id, Row { version, keys, body })
            }
        };
        for (position, key) in old.into_iter().flat_map(|row| row.keys).enumerate() {
            if let (Some(key), Some(keys)) = (key, self.keys.get_mut(&(table, position)))
                && let Some(ids) = keys.get_mut(&key)
            {
                ids.remove(&id);
                if ids.is_empty() {
                    keys.remove(&key);
                }
            }
        }
        for (position, key) in entry
            .act
            .content()
            .into_iter()
            .flat_map(|content| &content.keys)
            .enumerate()
        {
            if let Some(key) = key {
                let keys = self.keys.entry((table, position)).or_default();
                keys.entry(key.clone()).or_default().insert(id);
            }
        }
    }
}
