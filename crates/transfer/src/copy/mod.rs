//! One copy from beginning to end.
//!
//! Connect, find what the sources and the target are, decide where things land, then leg by leg (one for each place that
//! sources come from): walk, move, finish directories. Everything that can be tried again is tried again below here; what
//! reaches this module ends the copy or is one file's failure.

mod endpoint;
mod fleet;
mod lane;
mod ledger;
mod leg;
mod proof;
mod resume;
mod server;
mod shared;
mod stop;
mod trouble;
mod walk;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use renkei_plan::journal::End as JournalEnd;
use renkei_plan::tune::{Lanes, Tuner};
use renkei_ssh::{Dialer, Prompt};

use self::endpoint::landing::{self, Standing, Target};
use self::endpoint::places::{self, Place, TargetFound, TargetSide};
use self::endpoint::publish::TempNames;
use self::endpoint::same;
use self::endpoint::sources::{self, Found};
use self::fleet::{Route, estimate};
use self::lane::through;
use self::ledger::Ledger;
pub use self::proof::check::verify;
use self::proof::{Proof, Settlement};
pub use self::resume::drop::resume_drop;
use self::resume::log::Log;
use self::resume::opening;
use self::server::sessions::Attendance;
use self::server::silence;
use self::server::{Line, LineError, Server};
use self::shared::{Parts, Shared};
pub use self::stop::Stop;
use self::stop::StopReason;
use self::trouble::{Trouble, chain};
use self::walk::{Placed, Walk};
use crate::event::{Bottleneck, Ending, Event, Observer, Summary, Verified};
use crate::filter::Filters;
use crate::local::root::Links;
use crate::request::{Existing, Location, Request};

/// Carries out a copy. It never fails as a whole: the summary says how it ended and why.
pub async fn copy(request: Request, prompt: Arc<dyn Prompt>, observer: Arc<dyn Observer>, stop: Stop) -> Summary {
    let ledger = Arc::new(Ledger::new(observer));
    let copy = Copy {
        request,
        prompt,
        ledger: Arc::clone(&ledger),
        stop: stop.clone(),
        log: OnceLock::new(),
    };
    let end = tokio::select! {
        end = copy.go() => end,
        // Whatever is being done is dropped; what was acknowledged is in the journal.
        () = stop.interrupted() => End::because(Ending::Interrupted, "interrupted"),
    };
    let end = copy.close(end);
    ledger.event(Event::Progress(ledger.progress(Bottleneck::Unknown)));
    summarise(&ledger, &stop, end)
}

/// How a copy ended before its time.
struct End {
    ending: Ending,
    cause: Option<String>,
    journal: Option<String>,
    verified: Verified,
}

impl End {
    fn because(ending: Ending, cause: impl Into<String>) -> Self {
        Self {
            ending,
            cause: Some(cause.into()),
            journal: None,
            verified: Verified::No,
        }
    }
}

fn summarise(ledger: &Ledger, stop: &Stop, end: End) -> Summary {
    let failed = ledger.failed.load(Relaxed);
    let ending = match (stop.reason(), end.ending) {
        // Too late to be ended in the middle.
        (_, Ending::Complete) if failed == 0 => Ending::Complete,
        (Some(StopReason::Interrupted), _) => Ending::Interrupted,
        (Some(StopReason::Lost), _) => Ending::Lost,
        (_, Ending::Complete) if failed > 0 => Ending::SomeFailed,
        (_, ending) => ending,
    };
    Summary {
        ending,
        bytes: ledger.bytes.load(Relaxed),
        resumed_bytes: ledger.resumed_bytes.load(Relaxed),
        sent_bytes: ledger.sent_bytes.load(Relaxed),
        files: ledger.copied.load(Relaxed),
        skipped: ledger.skipped.load(Relaxed),
        deleted: ledger.deleted.load(Relaxed),
        elapsed: ledger.now(),
        data_elapsed: ledger.data_elapsed(),
        retries: ledger.retries.load(Relaxed),
        requests: ledger.requests.load(Relaxed),
        failures: ledger.failures(),
        failed,
        verified: end.verified,
        journal: end.journal,
        notes: ledger.notes(),
        cause: end.cause,
    }
}

struct Copy {
    request: Request,
    prompt: Arc<dyn Prompt>,
    ledger: Arc<Ledger>,
    stop: Stop,
    /// Once the journal is open.
    log: OnceLock<Arc<Log>>,
}

/// Servers by who they are, so that two names of one are one.
struct Servers {
    known: Vec<(renkei_ssh::Identity, Arc<Server>)>,
}

impl Copy {
    async fn go(&self) -> End {
        let filters = match Filters::new(&self.request.filters) {
            Ok(filters) => filters,
            Err(error) => return End::because(Ending::Usage, chain(&error)),
        };
        let mut servers = Servers { known: Vec::new() };
        let mut sides = Vec::new();
        for location in self.request.sources.iter().chain([&self.request.target]) {
            match self.server(&mut servers, location).await {
                Ok(side) => sides.push(side),
                Err(end) => return end,
            }
        }
        let target_side = match sides.pop().flatten() {
            Some(server) => TargetSide::Far(server),
            None => TargetSide::Near,
        };
        let firsts = match self.connect(&servers).await {
            Ok(firsts) => firsts,
            Err(end) => return end,
        };
        let sources = sources_of(&sides);
        let attendance = self.attendance();
        // The first look travels with what begins the sessions; it counts only if they begin.
        let looking = attendance.keep(
            sources.iter().chain(target_side.server()),
            self.look(&sides, &target_side),
        );
        let mut looking = std::pin::pin!(futures_util::future::maybe_done(looking));
        let begun = tokio::select! {
            biased;
            begun = begin(&firsts) => begun,
            begun = async {
                looking.as_mut().await;
                begin(&firsts).await
            } => begun,
        };
        if let Err(end) = begun {
            return end;
        }
        let ends = sides.iter().map(|side| journal_end(side.as_ref()));
        let ends = ends.chain([journal_end(target_side.server())]).collect();
        let begun = match opening::open(&self.request, ends) {
            Ok(begun) => begun,
            Err(cause) => return End::because(Ending::SomeFailed, cause),
        };
        begun.note.iter().for_each(|note| self.ledger.note(note));
        let log = Arc::clone(self.log.get_or_init(|| Arc::new(begun.log)));
        let journey = Journey {
            sides: &sides,
            target: &target_side,
            filters,
            first_serial: begun.first_serial,
        };
        let all: Vec<_> = servers.known.iter().map(|(_, server)| Arc::clone(server)).collect();
        let copied = tokio::select! {
            copied = async {
                looking.as_mut().await;
                let looked = looking.as_mut().take_output().flatten();
                self.copy_all(journey, looked, &log).await
            } => copied,
            () = silence::lasts(&all, self.request.timeout) => {
                self.stop.throw(StopReason::Lost);
                return End::because(Ending::Lost, "the server is connected and answers nothing");
            }
        };
        futures_util::future::join_all(all.iter().map(|server| server.goodbye())).await;
        match copied {
            Ok(end) => end,
            Err(Refusal::Usage(cause)) => End::because(Ending::Usage, cause),
            Err(Refusal::Trouble(trouble)) if trouble.is_lost() => {
                End::because(Ending::Lost, "the connection was lost")
            }
            Err(Refusal::Trouble(trouble)) => End::because(Ending::SomeFailed, trouble.reason()),
        }
    }

    /// Leaves a journal only where there is something to go on with, and a checkpoint where one was asked for.
    fn close(&self, mut end: End) -> End {
        let Some(log) = self.log.get() else { return end };
        log.flush();
        log.tell(&self.ledger);
        let Some(journal) = log.journal() else { return end };
        let complete = matches!(end.ending, Ending::Complete) && self.ledger.failed.load(Relaxed) == 0;
        let checkpoint = self.request.checkpoint.as_ref();
        if let Some(write) = checkpoint.and_then(|checkpoint| checkpoint.write.as_deref())
            && (!complete || self.request.dry_run)
            && let Err(error) = journal.save_copy(write)
        {
            self.ledger
                .failed_because(write.as_os_str().as_encoded_bytes(), chain(&error));
        }
        let begun = match end.ending {
            Ending::Interrupted | Ending::Lost => log.may_have_begun(),
            _ => log.has_begun(),
        };
        let closed = if self.request.dry_run && log.is_resumed() {
            // Of an earlier run, and none of this one's business.
            Ok(())
        } else if complete && !self.request.dry_run {
            journal.complete()
        } else if begun && !self.request.dry_run {
            end.journal = Some(journal.name().to_owned());
            Ok(())
        } else {
            journal.remove()
        };
        if let Err(error) = closed {
            self.ledger.note(&chain(&error));
        }
        end
    }

    async fn server(&self, servers: &mut Servers, location: &Location) -> Result<Option<Arc<Server>>, End> {
        let Location::Remote { host, .. } = location else {
            return Ok(None);
        };
        let dialer = Dialer::resolve(host, &self.request.ssh, Arc::clone(&self.prompt))
            .await
            .map_err(unconnected)?;
        let identity = dialer.identity().clone();
        if let Some((_, server)) = servers.known.iter().find(|(known, _)| *known == identity) {
            return Ok(Some(Arc::clone(server)));
        }
        if let Some(startups) = self.request.tuning.startups {
            dialer.set_startups(startups as usize);
        }
        let server = Arc::new(Server::new(dialer, self.stop.clone()));
        servers.known.push((identity, Arc::clone(&server)));
        Ok(Some(server))
    }

    /// The first session of every server, all at once; what begins them is on its way.
    async fn connect(&self, servers: &Servers) -> Result<Vec<Line>, End> {
        let opens = async {
            let opens = servers.known.iter().map(|(_, server)| server.open_early());
            futures_util::future::join_all(opens).await
        };
        tokio::pin!(opens);
        let opened = tokio::select! {
            opened = &mut opens => opened,
            () = self.open_beside(servers) => opens.await,
        };
        opened.into_iter().map(|opened| opened.map_err(unopened)).collect()
    }

    fn attendance(&self) -> Attendance<'_> {
        Attendance {
            ledger: &self.ledger,
            stop: &self.stop,
            timeout: self.request.timeout,
        }
    }

    /// When the way is known and the local sources are seen to be worth it, the first wave is opened at once.
    async fn open_beside(&self, servers: &Servers) {
        let [(_, server)] = servers.known.as_slice() else {
            return;
        };
        let sources: Vec<Vec<u8>> = self.request.sources.iter().filter_map(local_path).collect();
        if sources.is_empty() || self.request.dry_run {
            return;
        }
        let chunks = self.request.tuning.chunks;
        let look = tokio::task::spawn_blocking(move || estimate::look(&sources, chunks));
        let (rtt, Ok(mut load)) = tokio::join!(server.dialer().reached(), look) else {
            return;
        };
        fleet::worth_a_connection(&self.request.tuning, &mut load);
        let mut tuner = Tuner::new(fleet::bounds(&self.request));
        let wave = tuner.target(&load, Lanes { up: 0, opening: 1 }, rtt, Duration::ZERO);
        server.open_beside(wave.saturating_sub(1));
    }

    /// `looked` is none if nothing worked for too long.
    async fn copy_all(&self, journey: Journey<'_>, looked: Option<Looked>, log: &Arc<Log>) -> Result<End, Refusal> {
        let (sides, side) = (journey.sides, journey.target);
        let sources = sources_of(sides);
        let servers = || sources.iter().chain(side.server());
        let attendance = self.attendance();
        let lost = || Refusal::Trouble(Trouble::Ended);
        let looked = looked.ok_or_else(lost)?;
        let prepared = attendance.keep(servers(), self.prepare(&journey, looked, log)).await;
        let Prepared { legs, proof, temps } = prepared.ok_or_else(lost)??;
        let mut serial = journey.first_serial;
        for (source, placed) in legs {
            let target = side.server().cloned();
            let parts = Parts {
                temps: temps.clone(),
                ledger: Arc::clone(&self.ledger),
                log: Arc::clone(log),
                proof: Arc::clone(&proof),
                stop: self.stop.clone(),
                target: target.clone(),
            };
            let shared = Arc::new(Shared::new(self.request.clone(), parts));
            let walk = Walk::new(Arc::clone(&shared), journey.filters.clone(), serial);
            let end = leg::run(&shared, Route { source, target }, placed, &walk).await;
            serial = walk.next_serial();
            if let Some(end) = end {
                return Ok(end);
            }
        }
        if !self.request.dry_run {
            let tidied = attendance
                .keep(servers(), resume::tidy(&self.ledger, log, side, &mut serial))
                .await;
            tidied.ok_or_else(lost)??;
        }
        let settlement = Settlement {
            request: &self.request,
            ledger: &self.ledger,
            log,
            stop: &self.stop,
            sources: sources.clone(),
            target: side.server().cloned(),
            serial,
        };
        match proof.settle(settlement).await {
            Ok(verified) => Ok(End {
                ending: Ending::Complete,
                cause: None,
                journal: None,
                verified,
            }),
            Err(_) => Ok(End::because(Ending::Lost, "the connection was lost")),
        }
    }

    /// Decides where what was found goes, and puts right what an earlier run left in the middle.
    async fn prepare(&self, journey: &Journey<'_>, looked: Looked, log: &Arc<Log>) -> Result<Prepared, Refusal> {
        let side = journey.target;
        for (path, trouble) in looked.missed {
            self.ledger.failed(&path, &trouble);
        }
        let (found, target) = looked.found?;
        let asked = Target {
            path: &target.path,
            standing: target.standing,
            contents: self.request.contents,
            repeatable: matches!(
                self.request.existing,
                Existing::SkipSameTime | Existing::SkipSameContent
            ) || self.request.delete,
        };
        let arriving: Vec<_> = found.iter().map(|found| found.arriving.clone()).collect();
        let known = opening::landed_before(log, &asked, &arriving);
        let landing = match known.landing {
            Some(landing) => landing,
            None => landing::land(&asked, &arriving).map_err(|error| match error {
                landing::LandingError::Ambiguous { .. } => Refusal::Usage(error.to_string()),
                error => Refusal::Trouble(Trouble::Other {
                    path: target.path.clone(),
                    reason: error.to_string(),
                }),
            })?,
        };
        let distinct: Vec<_> = landing
            .places
            .iter()
            .zip(&found)
            .map(|(place, found)| (place.path.clone(), found.facts.is_dir()))
            .collect();
        sources::check_distinct(&distinct)?;
        log.run(side.durability().await);
        for (index, landed) in (known.first..).zip(&landing.places) {
            if !known.is_written {
                log.landed(index, &landed.path);
            }
        }
        // Before anything is made: killed in between, the next run must know where this one went.
        log.flush();
        if let Some(dir) = &landing.make_dir {
            if self.request.dry_run {
                self.ledger.event(Event::Would {
                    action: "mkdir",
                    path: dir.clone(),
                    bytes: 0,
                });
            } else {
                log.walks();
                side.make_dir(dir).await?;
                log.made();
            }
        }
        if !self.request.dry_run {
            let troubles = resume::put_right(log, resume::left_aside(log, side)).await;
            troubles.iter().for_each(|trouble| self.ledger.note(&trouble.reason()));
        }
        let temps = TempNames::random().map_err(|error| {
            Refusal::Trouble(Trouble::Other {
                path: Vec::new(),
                reason: format!("no random numbers: {error}"),
            })
        })?;
        let proof = Proof::new(&self.request).map_err(|error| Refusal::Usage(chain(&error)))?;
        let proof = Arc::new(proof);
        let mut legs: Vec<Leg> = Vec::new();
        for (index, (found, landed)) in (known.first..).zip(found.into_iter().zip(&landing.places)) {
            let server = found.server.clone();
            let through = target.standing == Standing::Special && !landed.named_by_source;
            let Some(placed) = self.place(index, found, side, (landed, through)).await? else {
                continue;
            };
            proof.placed(&placed, &target.path, &landed.path);
            match legs.last_mut() {
                Some((last, placed_before)) if same_server(last, &server) => placed_before.push(placed),
                _ => legs.push((server, vec![placed])),
            }
        }
        Ok(Prepared { legs, proof, temps })
    }

    /// Finds what the sources are and what stands at the target. Changes nothing and tells nothing.
    async fn look(&self, sides: &[Option<Arc<Server>>], side: &TargetSide) -> Looked {
        let mut missed = Vec::new();
        let found = async {
            let sources = self.find_sources(sides, &mut missed).await?;
            let (Location::Local(typed) | Location::Remote { path: typed, .. }) = &self.request.target;
            Ok((sources, side.find(typed).await?))
        };
        let found = found.await;
        Looked { missed, found }
    }

    async fn find_sources(
        &self,
        sides: &[Option<Arc<Server>>],
        missed: &mut Vec<(Vec<u8>, Trouble)>,
    ) -> Result<Vec<Found>, Refusal> {
        let links = if self.request.follow {
            Links::Follow
        } else {
            Links::Refuse
        };
        let mut found = Vec::new();
        for (typed, (location, side)) in self.request.sources.iter().zip(sides).enumerate() {
            let (Location::Local(path) | Location::Remote { path, .. }) = location;
            let looked = match side {
                None => sources::near(typed, path, links).await,
                Some(server) => sources::far(typed, server, path).await,
            };
            match looked {
                Ok(more) => found.extend(more),
                Err(trouble) if trouble.is_lost() => return Err(trouble.into()),
                // The others are copied all the same.
                Err(trouble) => missed.push((path.clone(), trouble)),
            }
        }
        if found.is_empty() {
            return Err(Refusal::Trouble(Trouble::Other {
                path: Vec::new(),
                reason: "none of the sources can be copied".into(),
            }));
        }
        Ok(found)
    }

    async fn place(
        &self,
        index: u32,
        found: Found,
        side: &TargetSide,
        (landed, through): (&landing::Landed, bool),
    ) -> Result<Option<Placed>, Trouble> {
        let is_dir = found.facts.is_dir();
        let target = match side.place(landed, is_dir).await? {
            Place::At(spot) if !through => spot,
            Place::At(spot) => return self.write_through(&found, side, &spot.path()).await,
            Place::Through(path) => return self.write_through(&found, side, &path).await,
        };
        if let Err(trouble) = same::refuse(&found.spot, &target, is_dir).await {
            self.ledger.failed(&found.spot.path(), &trouble);
            return Ok(None);
        }
        // What stands there is asked only where it matters.
        let near = matches!(side, TargetSide::Near);
        let asked = !is_dir && (near || self.request.existing != Existing::Replace);
        let standing = if asked { places::standing(&target).await? } else { None };
        let ids = (found.facts.id, standing.and_then(|facts| facts.id));
        if let (Some(source), Some(there)) = ids
            && source == there
        {
            let reason = "source and target are the same file".into();
            self.ledger.failed(
                &found.spot.path(),
                &Trouble::Other {
                    path: target.path(),
                    reason,
                },
            );
            return Ok(None);
        }
        Ok(Some(Placed {
            index,
            source: found.spot,
            facts: found.facts,
            target,
            standing,
        }))
    }

    /// A device or FIFO as target: written at once, in order.
    async fn write_through(&self, found: &Found, side: &TargetSide, path: &[u8]) -> Result<Option<Placed>, Trouble> {
        let source = found.spot.path();
        if self.request.dry_run {
            self.ledger.event(Event::Would {
                action: "copy",
                path: path.to_vec(),
                bytes: found.facts.size,
            });
            return Ok(None);
        }
        match through::write(&found.spot, found.facts.size, side, path, &self.ledger).await {
            Ok(bytes) => {
                self.ledger.files.fetch_add(1, Relaxed);
                self.ledger.copied(&source, bytes);
            }
            Err(trouble) if trouble.is_lost() => return Err(trouble),
            Err(trouble) => self.ledger.failed(&source, &trouble),
        }
        Ok(None)
    }
}

/// What the first look found.
struct Looked {
    /// Sources that cannot be copied.
    missed: Vec<(Vec<u8>, Trouble)>,
    found: Result<(Vec<Found>, TargetFound), Refusal>,
}

/// What one copy works with.
struct Journey<'a> {
    sides: &'a [Option<Arc<Server>>],
    target: &'a TargetSide,
    filters: Filters,
    first_serial: u64,
}

/// Where sources come from, and which.
type Leg = (Option<Arc<Server>>, Vec<Placed>);

/// What is known before anything is moved.
struct Prepared {
    legs: Vec<Leg>,
    proof: Arc<Proof>,
    temps: TempNames,
}

fn journal_end(server: Option<&Arc<Server>>) -> JournalEnd {
    match server {
        None => JournalEnd::Local,
        Some(server) => {
            let identity = server.dialer().identity();
            JournalEnd::Remote {
                user: identity.user.clone().into_bytes(),
                host: identity.host.clone().into_bytes(),
                port: identity.port,
            }
        }
    }
}

fn local_path(location: &Location) -> Option<Vec<u8>> {
    match location {
        Location::Local(path) => Some(path.clone()),
        Location::Remote { .. } => None,
    }
}

enum Refusal {
    Usage(String),
    Trouble(Trouble),
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// The servers among the sources, each once.
fn sources_of(sides: &[Option<Arc<Server>>]) -> Vec<Arc<Server>> {
    let mut servers: Vec<Arc<Server>> = Vec::new();
    for server in sides.iter().flatten() {
        if !servers.iter().any(|known| Arc::ptr_eq(known, server)) {
            servers.push(Arc::clone(server));
        }
    }
    servers
}

fn same_server(a: &Option<Arc<Server>>, b: &Option<Arc<Server>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}

/// Waits until the first sessions have begun.
async fn begin(firsts: &[Line]) -> Result<(), End> {
    let begun = futures_util::future::join_all(firsts.iter().map(Line::started)).await;
    begun.into_iter().collect::<Result<(), _>>().map_err(unopened)
}

fn unopened(error: LineError) -> End {
    match error {
        LineError::Connect(error) => unconnected(error),
        error => End::because(Ending::NotConnected, chain(&error)),
    }
}

fn unconnected(error: renkei_ssh::ConnectError) -> End {
    let mut cause = chain(&error);
    if let Some(hint) = error.hint() {
        cause.push_str("\nhint: ");
        cause.push_str(&hint);
    }
    End::because(Ending::NotConnected, cause)
}
