//! Opens lanes and replaces lost ones, as many as the tuner wants.
//!
//! Beside it: the first guess of how many pay, and what limits them. What a lane does is its own business.

mod bottleneck;
pub mod estimate;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use renkei_plan::LaneId;
use renkei_plan::tune::{Bounds, Lanes, Load, MOST_LANES, Tuner};
use renkei_ssh::sftp::Sftp;
use renkei_ssh::{ConnectErrorKind, Connection, Logins};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::bottleneck::{Gauge, Reach};
use super::lane::item::Ends;
use super::lane::{self, LaneEnd, sync};
use super::server::{Line, LineError, Server};
use super::shared::Shared;
use super::stop::StopReason;
use super::trouble::chain;
use crate::event::Event;
use crate::request::{Request, Tuning};

/// How often the number of lanes is looked at.
const TICK: Duration = Duration::from_millis(50);
/// How often progress is told.
const TELL: Duration = Duration::from_millis(200);
/// First and longest pause after a failed attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// A connection that lives so long works, also if nothing needed to be done.
const STEADY: Duration = Duration::from_secs(10);

/// The servers of one leg.
#[derive(Clone)]
pub struct Route {
    pub source: Option<Arc<Server>>,
    pub target: Option<Arc<Server>>,
}

impl Route {
    /// Its servers.
    pub fn servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        self.source.iter().chain(self.target.iter())
    }

    /// Takes sessions that are open already, and opens what is missing.
    pub async fn first_lines(&self) -> Result<Lines, LineError> {
        let adopt = |server: &Option<Arc<Server>>| server.as_ref().and_then(|server| server.first());
        let lines = Lines {
            source: adopt(&self.source),
            target: adopt(&self.target),
        };
        let missing =
            (self.source.is_some() && lines.source.is_none()) || (self.target.is_some() && lines.target.is_none());
        if missing { Lines::open(self).await } else { Ok(lines) }
    }

    /// The longer of the round-trip times.
    pub fn rtt(&self) -> Option<Duration> {
        self.servers().map(|server| server.rtt()).max().flatten()
    }
}

/// Sessions for one lane, opened but not yet at work.
#[derive(Default)]
pub struct Lines {
    pub source: Option<Line>,
    pub target: Option<Line>,
}

impl Lines {
    /// Opens what the route needs, both ends at once.
    pub async fn open(route: &Route) -> Result<Self, LineError> {
        let open = |server: Option<Arc<Server>>| async move {
            match server {
                Some(server) => server.open_for_lane().await.map(Some),
                None => Ok(None),
            }
        };
        // Within one server a single session has both files, so that the server can copy by itself.
        if let (true, Some(server)) = (route.is_within_one(), &route.source) {
            let line = server.open_for_lane().await?;
            return Ok(Self {
                source: Some(line.clone()),
                target: Some(line),
            });
        }
        let (source, target) = tokio::join!(open(route.source.clone()), open(route.target.clone()));
        Ok(Self {
            source: source?,
            target: target?,
        })
    }

    fn ends(&self, lane: LaneId, route: &Route) -> Ends {
        let sftp = |line: &Option<Line>| line.as_ref().map(|line| line.sftp.clone());
        let handles = route.servers().filter_map(|server| server.max_handles()).min();
        Ends::new(lane, (sftp(&self.source), sftp(&self.target)), handles)
    }

    fn all(&self) -> impl Iterator<Item = &Line> {
        self.source.iter().chain(&self.target)
    }

    /// Stands for the connection that the lane is on; between two servers that to the target.
    fn connection(&self) -> Option<*const Connection> {
        let line = self.target.as_ref().or(self.source.as_ref())?;
        Some(Arc::as_ptr(&line.connection))
    }

    /// Whether the sessions have begun.
    fn are_started(&self) -> bool {
        self.all().all(|line| line.sftp.is_ready())
    }

    /// Why one of the sessions did not begin.
    fn start_error(&self) -> Option<LineError> {
        self.all().find_map(|line| line.sftp.start_error()).map(LineError::from)
    }

    fn rtt(&self) -> Duration {
        let rtt = |line: &Line| line.connection.rtt();
        self.all().map(rtt).max().unwrap_or(Duration::from_micros(100))
    }
}

struct Working {
    reset: watch::Sender<bool>,
    lines: Lines,
}

/// Limits from outside.
pub fn bounds(request: &Request) -> Bounds {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    Bounds {
        fixed: request.tuning.connections,
        cores,
        most: MOST_LANES,
    }
}

/// mscp's smallest chunk: no more connections than there are such parts. What is cut has been counted already.
pub fn worth_a_connection(tuning: &Tuning, load: &mut Load) {
    if let (Some(least), None) = (tuning.min_chunk, tuning.chunks) {
        load.pieces = (load.bytes / least.max(1) + load.files / 64).max(1);
    }
}

/// Takes over what was opened beside the first session; only on a route with one server.
fn opened_beside(route: &Route) -> JoinSet<Result<Lines, LineError>> {
    let mut opening = JoinSet::new();
    let (server, is_source) = match (&route.source, &route.target) {
        (Some(server), None) => (server, true),
        (None, Some(server)) => (server, false),
        _ => return opening,
    };
    for beside in server.take_beside() {
        opening.spawn(async move {
            let line = Some(beside.line().await?);
            Ok(if is_source {
                Lines {
                    source: line,
                    target: None,
                }
            } else {
                Lines {
                    source: None,
                    target: line,
                }
            })
        });
    }
    opening
}

/// Runs lanes until the plan is complete or the copy is stopped.
pub struct Fleet {
    shared: Arc<Shared>,
    route: Route,
    tuner: Tuner,
    lanes: HashMap<LaneId, Working>,
    /// Sessions whose lane was retired: they stay open, and are taken before others are opened.
    spare: Vec<Lines>,
    next: u32,
    ends: JoinSet<(LaneId, LaneEnd)>,
    opening: JoinSet<Result<Lines, LineError>>,
    /// No attempt before this.
    not_before: Duration,
    pause: Duration,
    /// Since when nothing was achieved, with every lane lost at least once.
    futile_since: Option<Duration>,
    /// Since when there has been a lane without a break.
    up_since: Option<Duration>,
    /// What was achieved when that was last looked at.
    achieved: u64,
    last_failure: Option<String>,
    gauge: Gauge,
}

impl Fleet {
    pub fn new(shared: Arc<Shared>, route: Route) -> Self {
        let bounds = bounds(&shared.request);
        let opening = opened_beside(&route);
        Self {
            shared,
            route,
            tuner: Tuner::new(bounds),
            lanes: HashMap::new(),
            spare: Vec::new(),
            next: 0,
            ends: JoinSet::new(),
            opening,
            not_before: Duration::ZERO,
            pause: FIRST_PAUSE,
            futile_since: None,
            up_since: None,
            achieved: 0,
            last_failure: None,
            gauge: Gauge::default(),
        }
    }

    /// Why nothing works, when the copy ended as lost.
    pub fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    /// Puts sessions to work.
    pub fn join(&mut self, lines: Lines) {
        let id = LaneId(self.next);
        self.next += 1;
        self.shared.plan().lane_up(id, lines.rtt(), self.shared.now());
        let (reset, is_reset) = watch::channel(false);
        let work = lane::work(Arc::clone(&self.shared), lines.ends(id, &self.route), is_reset);
        self.ends.spawn(async move { (id, work.await) });
        self.lanes.insert(id, Working { reset, lines });
        self.tell_connections();
    }

    /// Lanes whose sessions have begun. The others have work already: its first requests travel with what begins them.
    fn up(&self) -> u32 {
        self.lanes.values().filter(|lane| lane.lines.are_started()).count() as u32
    }

    /// Runs until there is nothing more to do.
    pub async fn run(&mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told = Duration::ZERO;
        loop {
            if self.shared.plan().is_complete() || self.shared.stop.is_stopped() {
                break;
            }
            self.adjust();
            tokio::select! {
                _ = tick.tick() => {}
                () = self.shared.first_found.notified() => {}
                () = self.shared.stop.stopped() => {}
                Some(Ok((id, end))) = self.ends.join_next() => self.ended(id, end),
                Some(Ok(opened)) = self.opening.join_next() => self.opened(opened),
            }
            let now = self.shared.now();
            if now.saturating_sub(told) >= TELL {
                told = now;
                let reach = Reach {
                    lanes: self.up(),
                    rtt: self.route.rtt().unwrap_or_default(),
                    target_is_far: self.route.target.is_some(),
                };
                let bottleneck = self.gauge.guess(&self.shared, reach);
                self.shared
                    .ledger
                    .event(Event::Progress(self.shared.ledger.progress(bottleneck)));
                sync::tick(&self.shared);
                self.shared.log.tick();
                self.shared.log.tell(&self.shared.ledger);
            }
        }
        self.opening.abort_all();
        // Lanes end by themselves when the plan is complete or the switch is thrown.
        while let Some(ended) = self.ends.join_next().await {
            if let Ok((id, end)) = ended {
                self.ended(id, end);
            }
        }
        for lines in std::mem::take(&mut self.spare) {
            self.part(&lines, LaneEnd::Idle);
        }
        self.shared.log.flush();
    }

    /// Compares the lanes with what the tuner wants.
    fn adjust(&mut self) {
        let now = self.shared.now();
        for id in self.shared.plan().stragglers() {
            // What it holds was brought by others; as long as it is outstanding nothing can be renamed.
            if let Some(lane) = self.lanes.get(&id) {
                let _ = lane.reset.send(true);
            }
        }
        let up = self.up();
        let opening = (self.lanes.len() + self.opening.len()) as u32 - up;
        self.up_since = (up > 0).then(|| self.up_since.unwrap_or(now));
        self.tell_connections();
        self.look_for_progress(now);
        if up == 0 {
            let since = *self.futile_since.get_or_insert(now);
            if now.saturating_sub(since) >= self.shared.request.timeout {
                self.shared.stop.throw(StopReason::Lost);
                return;
            }
        }
        if now < self.not_before {
            return;
        }
        let mut load = self.shared.plan().load();
        worth_a_connection(&self.shared.request.tuning, &mut load);
        let rtt = self.route.rtt().unwrap_or(Duration::from_millis(1));
        let target = self.tuner.target(&load, Lanes { up, opening }, rtt, now);
        if target > up + opening {
            // How many log in at the same time is the dialer's to limit.
            let more = target - up - opening;
            for _ in 0..more {
                if let Some(lines) = self.spare.pop() {
                    self.join(lines);
                    continue;
                }
                let route = self.route.clone();
                self.opening.spawn(async move { Lines::open(&route).await });
                if !self.shared.request.tuning.interval.is_zero() {
                    self.not_before = now + self.shared.request.tuning.interval;
                    break;
                }
            }
        } else if target < up && self.shared.ledger.scanned.load(Relaxed) {
            // Before that, little to do may only mean that little was found so far.
            let mut plan = self.shared.plan();
            // A lane that hangs must not be the one that is left.
            let mut ids: Vec<LaneId> = self.lanes.keys().copied().collect();
            ids.sort_unstable_by_key(|&id| (Reverse(plan.heard(id)), id));
            for id in ids.into_iter().skip(target as usize) {
                plan.retire(id);
                self.shared.wake.notify_waiters();
            }
        }
    }

    /// A server that lets everyone in and then drops them must not be tried for ever, nor in haste: only what is achieved
    /// counts, or a connection that stays.
    fn look_for_progress(&mut self, now: Duration) {
        let ledger = &self.shared.ledger;
        let counts = [&ledger.bytes, &ledger.files, &ledger.total_files, &ledger.deleted];
        let achieved = counts.iter().map(|count| count.load(Relaxed)).sum();
        let steady = self.up_since.is_some_and(|since| now.saturating_sub(since) >= STEADY);
        if achieved != self.achieved || steady {
            self.achieved = achieved;
            self.futile_since = None;
            self.pause = FIRST_PAUSE;
        }
    }

    fn opened(&mut self, opened: Result<Lines, LineError>) {
        let now = self.shared.now();
        match opened {
            Ok(lines) => {
                if let Some(lines) = self.unused(lines) {
                    self.join(lines);
                }
            }
            Err(error) => {
                let reason = chain(&error);
                let up = self.up();
                let kind = match &error {
                    LineError::Connect(error) => Some(error.kind()),
                    LineError::Sftp(_) | LineError::Silent | LineError::NotWanted => None,
                };
                let needs_person = self
                    .route
                    .servers()
                    .any(|server| server.dialer().logins() == Logins::NeedsPerson);
                match kind {
                    _ if needs_person && up > 0 => self.tuner.cap(up),
                    Some(ConnectErrorKind::Refused) | None if up > 0 => {
                        self.shared
                            .ledger
                            .note(&format!("the server refuses more connections; going on with {up}"));
                        self.tuner.refused(up, now);
                    }
                    _ if up > 0 => self.tuner.refused(up, now),
                    _ => {}
                }
                self.last_failure = Some(reason.clone());
                if up == 0 {
                    self.shared.ledger.retry(reason);
                }
                self.not_before = now + self.pause;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    /// A session that was opened beside the first may have begun sooner and been taken for it: the one that was left takes
    /// its place here, since two lanes on one session would end together.
    fn unused(&self, lines: Lines) -> Option<Lines> {
        if !lines.all().any(|line| self.has(&line.sftp)) {
            return Some(lines);
        }
        let free =
            |server: &Option<Arc<Server>>| server.as_ref().and_then(|server| server.find(|sftp| !self.has(sftp)));
        let lines = Lines {
            source: free(&self.route.source),
            target: free(&self.route.target),
        };
        (lines.all().count() == self.route.servers().count()).then_some(lines)
    }

    /// Whether a lane works on this session, or did.
    fn has(&self, sftp: &Sftp) -> bool {
        let lanes = self.lanes.values().map(|lane| &lane.lines);
        lanes
            .chain(&self.spare)
            .flat_map(Lines::all)
            .any(|line| line.sftp.is_same(sftp))
    }

    fn ended(&mut self, id: LaneId, end: LaneEnd) {
        let Some(lane) = self.lanes.remove(&id) else { return };
        let start_error = lane.lines.start_error();
        match end {
            LaneEnd::Idle => self.spare.push(lane.lines),
            LaneEnd::Lost | LaneEnd::Overtaken | LaneEnd::Stopped => self.part(&lane.lines, end),
        }
        if let (LaneEnd::Lost, Some(error)) = (end, start_error) {
            self.tell_connections();
            if !self.shared.plan().is_complete() {
                self.opened(Err(error));
            }
            return;
        }
        if self.up() == 0 {
            self.up_since = None;
            if end == LaneEnd::Lost && self.futile_since.is_some() {
                self.not_before = self.shared.now() + self.pause;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
        if end == LaneEnd::Lost {
            self.shared.ledger.retry("a connection was lost and is replaced".into());
        }
        self.tell_connections();
    }

    /// The last of a lane's sessions.
    fn part(&self, lines: &Lines, end: LaneEnd) {
        let part = |server: &Option<Arc<Server>>, line: &Option<Line>| {
            if let (Some(server), Some(line)) = (server, line) {
                self.shared
                    .ledger
                    .requests
                    .fetch_add(line.sftp.requests_sent(), Relaxed);
                if matches!(end, LaneEnd::Lost | LaneEnd::Overtaken) {
                    server.leave(&line.sftp);
                }
            }
        };
        part(&self.route.source, &lines.source);
        if !self.route.is_within_one() {
            part(&self.route.target, &lines.target);
        }
    }

    fn tell_connections(&self) {
        let up = self.lanes.values().filter(|lane| lane.lines.are_started());
        let connections: HashSet<_> = up.clone().filter_map(|lane| lane.lines.connection()).collect();
        let ledger = &self.shared.ledger;
        ledger.connections.store(connections.len() as u32, Relaxed);
        ledger.channels.store(up.count() as u32, Relaxed);
    }
}

impl Route {
    /// Whether source and target are one server.
    pub fn is_within_one(&self) -> bool {
        matches!((&self.source, &self.target), (Some(source), Some(target)) if Arc::ptr_eq(source, target))
    }
}
