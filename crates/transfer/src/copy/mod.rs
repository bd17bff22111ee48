//! One copy from beginning to end.
//!
//! Connect, find what the sources and the target are, decide where things land, then leg by leg (one for each place that
//! sources come from): walk, move, finish directories. Everything that can be tried again is tried again below here; what
//! reaches this module ends the copy or is one file's failure.

mod base;
mod batch;
mod bottleneck;
mod check;
mod claims;
mod estimate;
mod facts;
mod fleet;
mod hash_command;
mod item;
mod landing;
mod lane;
mod large;
mod ledger;
mod log;
mod opening;
mod places;
mod proof;
mod publish;
mod resume;
mod same;
mod seen;
mod server;
mod sessions;
mod shared;
mod sources;
mod spool;
mod stop;
mod sync;
mod through;
mod trouble;
mod verify;
mod walk;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use renkei_plan::journal::{End as JournalEnd, SourceIndex};
use renkei_plan::tune::{Lanes, Tuner};
use renkei_ssh::{Dialer, Prompt};

use self::fleet::{Fleet, Route};
use self::landing::{Standing, Target};
use self::ledger::Ledger;
use self::log::Log;
use self::places::{Place, TargetSide};
use self::publish::TempNames;
use self::server::Server;
use self::shared::{Parts, Shared};
use self::sources::Found;
pub use self::check::verify;
use self::proof::{Proof, Settlement};
pub use self::stop::Stop;
use self::stop::StopReason;
use self::trouble::{Trouble, chain};
use self::walk::{Placed, Rest, Walk};
use crate::event::{Bottleneck, Ending, Event, Observer, Summary, Verified};
use crate::filter::Filters;
use crate::local::root::Links;
use crate::request::{Existing, Location, Request};

/// Carries out a copy. It never fails as a whole: the summary says how it ended and why.
pub async fn copy(request: Request, prompt: Arc<dyn Prompt>, observer: Arc<dyn Observer>, stop: Stop) -> Summary {
    let ledger = Arc::new(Ledger::new(observer));
    let journal = Arc::new(OnceLock::new());
    let copy = Copy {
        request,
        prompt,
        ledger: Arc::clone(&ledger),
        stop: stop.clone(),
        journal: Arc::clone(&journal),
    };
    let mut end = copy.run().await;
    if !matches!(end.ending, Ending::Complete) && ledger.bytes.load(Relaxed) + ledger.copied.load(Relaxed) > 0 {
        end.journal = end.journal.or_else(|| journal.get().cloned());
    }
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
    /// The name of the journal, once it is open.
    journal: Arc<OnceLock<String>>,
}

/// Servers by who they are, so that two names of one are one.
struct Servers {
    known: Vec<(renkei_ssh::Identity, Arc<Server>)>,
}

impl Copy {
    async fn run(self) -> End {
        let stop = self.stop.clone();
        tokio::select! {
            end = self.go() => end,
            // Whatever is being done is dropped; what was acknowledged is in the journal.
            () = stop.interrupted() => End::because(Ending::Interrupted, "interrupted"),
        }
    }

    async fn go(self) -> End {
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
        if let Err(end) = self.connect(&servers).await {
            return end;
        }
        let ends = sides.iter().map(|side| journal_end(side.as_ref()));
        let ends = ends.chain([journal_end(target_side.server())]).collect();
        let begun = match opening::open(&self.request, ends) {
            Ok(begun) => begun,
            Err(cause) => return End::because(Ending::SomeFailed, cause),
        };
        begun.note.iter().for_each(|note| self.ledger.note(note));
        if let Some(name) = &begun.name {
            let _ = self.journal.set(name.clone());
        }
        let log = Arc::new(begun.log);
        let journey = Journey {
            sides: &sides,
            target: &target_side,
            filters,
            first_serial: begun.first_serial,
        };
        let end = match self.copy_all(journey, &log).await {
            Ok(end) => end,
            Err(Refusal::Usage(cause)) => End::because(Ending::Usage, cause),
            Err(Refusal::Trouble(trouble)) => End::because(Ending::SomeFailed, trouble.reason()),
        };
        self.close(log, end)
    }

    /// Removes the journal where nothing is left to go on with.
    fn close(&self, log: Arc<Log>, mut end: End) -> End {
        log.tell(&self.ledger);
        let begun = self.ledger.copied.load(Relaxed) + self.ledger.bytes.load(Relaxed) > 0;
        let complete = matches!(end.ending, Ending::Complete) && self.ledger.failed.load(Relaxed) == 0;
        if let Some(write) = self
            .request
            .checkpoint
            .as_ref()
            .and_then(|checkpoint| checkpoint.write.as_deref())
        {
            if let (false, Some(Err(error))) = (complete, log.journal().map(|journal| journal.save_copy(write))) {
                self.ledger
                    .note(&format!("the checkpoint was not written: {}", chain(&error)));
            }
        }
        let Some(journal) = Arc::into_inner(log).and_then(Log::into_journal) else {
            return end;
        };
        let closed = if complete {
            journal.complete()
        } else if begun || matches!(end.ending, Ending::Lost) {
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

    /// The first session of every server, all at once.
    async fn connect(&self, servers: &Servers) -> Result<(), End> {
        let opens = async {
            let opens = servers.known.iter().map(|(_, server)| server.open());
            futures_util::future::join_all(opens).await
        };
        tokio::pin!(opens);
        let opened = tokio::select! {
            opened = &mut opens => opened,
            () = self.open_beside(servers) => opens.await,
        };
        for opened in opened {
            if let Err(error) = opened {
                return Err(match error {
                    server::LineError::Connect(error) => unconnected(error),
                    error => End::because(Ending::NotConnected, chain(&error)),
                });
            }
        }
        Ok(())
    }

    /// When the way is known and the local sources are seen to be worth it, the first wave is opened at once.
    async fn open_beside(&self, servers: &Servers) {
        let [(_, server)] = servers.known.as_slice() else { return };
        let sources: Vec<Vec<u8>> = self.request.sources.iter().filter_map(local_path).collect();
        if sources.is_empty() || self.request.dry_run {
            return;
        }
        let look = tokio::task::spawn_blocking(move || estimate::look(&sources));
        let (rtt, Ok(load)) = tokio::join!(server.dialer().reached(), look) else { return };
        let mut tuner = Tuner::new(fleet::bounds(&self.request));
        let wave = tuner.target(&load, Lanes { up: 0, opening: 1 }, rtt, Duration::ZERO);
        server.open_beside(wave.saturating_sub(1));
    }

    async fn copy_all(&self, journey: Journey<'_>, log: &Arc<Log>) -> Result<End, Refusal> {
        let Journey {
            sides,
            target: target_side,
            filters,
            first_serial,
        } = journey;
        let found = self.find_sources(sides).await?;
        let (Location::Local(typed) | Location::Remote { path: typed, .. }) = &self.request.target;
        let target = target_side.find(typed).await?;
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
        let landing = match landed_before(log, &asked, &arriving) {
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
        if let Some(dir) = &landing.make_dir {
            if self.request.dry_run {
                self.ledger.event(Event::Would {
                    action: "mkdir",
                    path: dir.clone(),
                    bytes: 0,
                });
            } else {
                target_side.make_dir(dir).await?;
            }
        }
        log.run(target_side.durability());
        let temps = TempNames::random().map_err(|error| {
            Refusal::Trouble(Trouble::Other {
                path: Vec::new(),
                reason: format!("no random numbers: {error}"),
            })
        })?;
        let proof = Proof::new(&self.request).map_err(|error| Refusal::Usage(chain(&error)))?;
        let proof = Arc::new(proof);
        let mut serial = first_serial;
        let mut legs: Vec<(Option<Arc<Server>>, Vec<Placed>)> = Vec::new();
        for (index, (found, landed)) in found.into_iter().zip(&landing.places).enumerate() {
            if !log.is_resumed() {
                log.landed(index as u32, &landed.path);
            }
            let server = found.server.clone();
            let through = target.standing == Standing::Special && !landed.named_by_source;
            let Some(placed) = self.place(index as u32, found, target_side, (landed, through)).await? else {
                continue;
            };
            proof.placed(&placed, &target.path, &landed.path);
            match legs.last_mut() {
                Some((last, placed_before)) if same_server(last, &server) => placed_before.push(placed),
                _ => legs.push((server, vec![placed])),
            }
        }
        for (source, placed) in legs {
            let target = match target_side {
                TargetSide::Near => None,
                TargetSide::Far(server) => Some(Arc::clone(server)),
            };
            let route = Route { source, target };
            let parts = Parts {
                temps: temps.clone(),
                ledger: Arc::clone(&self.ledger),
                log: Arc::clone(log),
                proof: Arc::clone(&proof),
                stop: self.stop.clone(),
            };
            let shared = Arc::new(Shared::new(self.request.clone(), parts));
            resume::put_right(&shared, target_side).await;
            let walk = Walk::new(Arc::clone(&shared), filters.clone(), serial);
            let (end, next) = leg(shared, route, placed, walk).await;
            serial = next;
            if let Some(end) = end {
                return Ok(end);
            }
        }
        let settlement = Settlement {
            request: &self.request,
            ledger: &self.ledger,
            log,
            stop: &self.stop,
            sources: sources_of(sides),
            target: target_side.server().cloned(),
            serial,
        };
        match proof.settle(settlement).await {
            Ok(verified) => Ok(End {
                ending: Ending::Complete,
                cause: None,
                journal: None,
                verified,
            }),
            Err(trouble) => Ok(End::because(Ending::Lost, trouble.reason())),
        }
    }

    async fn find_sources(&self, sides: &[Option<Arc<Server>>]) -> Result<Vec<Found>, Refusal> {
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
                Err(trouble) => self.ledger.failed(path, &trouble),
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
            self.ledger.failed(&found.spot.path(), &Trouble::Other { path: target.path(), reason });
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
            self.ledger.event(Event::Would { action: "copy", path: path.to_vec(), bytes: found.facts.size });
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

/// What one copy works with.
struct Journey<'a> {
    sides: &'a [Option<Arc<Server>>],
    target: &'a TargetSide,
    filters: Filters,
    first_serial: u64,
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

/// Where an unfinished run of the same command had landed: it goes on there, although the target exists by now.
fn landed_before(log: &Log, target: &Target<'_>, sources: &[landing::Arriving]) -> Option<landing::Landing> {
    let places = (0..sources.len()).map(|index| {
        let path = log.with_resume(|resume| resume.landed(SourceIndex(index as u32)).map(<[u8]>::to_vec))??;
        let named_by_source = path != landing::trimmed(target.path) && path != target.path;
        Some(landing::Landed { path, named_by_source })
    });
    let places: Option<Vec<_>> = places.collect();
    Some(landing::Landing {
        make_dir: None,
        places: places?,
    })
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

fn unconnected(error: renkei_ssh::ConnectError) -> End {
    let mut cause = chain(&error);
    if let Some(hint) = error.hint() {
        cause.push_str("\nhint: ");
        cause.push_str(&hint);
    }
    End::because(Ending::NotConnected, cause)
}

/// Moves the sources of one place. An end only if it ended before its time.
async fn leg(shared: Arc<Shared>, route: Route, placed: Vec<Placed>, walk: Walk) -> (Option<End>, u64) {
    let end = move_leg(&shared, route, placed, &walk).await;
    (end, walk.next_serial())
}

async fn move_leg(shared: &Arc<Shared>, route: Route, placed: Vec<Placed>, walk: &Walk) -> Option<End> {
    let mut fleet = Fleet::new(Arc::clone(shared), route.clone());
    if !shared.request.dry_run {
        match route.first_lines().await {
            Ok(lines) => fleet.join(lines),
            Err(error) => return Some(End::because(Ending::NotConnected, chain(&error))),
        }
    }
    let walking = async {
        let walked = walk.run(placed).await;
        shared.ledger.scanned.store(true, Relaxed);
        shared.plan().scan_done();
        shared.wake.notify_waiters();
        walked
    };
    let (walked, ()) = tokio::join!(walking, fleet.run());
    let rest = match walked {
        Ok(rest) => rest,
        Err(_) => {
            let cause = fleet.last_failure().unwrap_or("the connection was lost").to_owned();
            return Some(End::because(Ending::Lost, cause));
        }
    };
    if shared.stop.is_stopped() {
        let cause = fleet.last_failure().unwrap_or("the connection was lost").to_owned();
        return Some(End::because(Ending::Lost, cause));
    }
    if !shared.request.dry_run {
        finish_dirs(shared, rest).await;
    }
    None
}

/// Modes and times of directories, the deepest first: a directory's time changes when something is made in it.
async fn finish_dirs(shared: &Shared, rest: Rest) {
    use futures_util::StreamExt;
    let mut dirs = rest.dirs;
    dirs.sort_by_key(|dir| std::cmp::Reverse(dir.target.rel.iter().filter(|&&byte| byte == b'/').count()));
    let depth = |dir: &walk::DirEnd| dir.target.rel.iter().filter(|&&byte| byte == b'/').count();
    for level in dirs.chunk_by(|a, b| depth(a) == depth(b)) {
        let finish = futures_util::stream::iter(level.iter().map(|dir| async move {
            let result = dir
                .target
                .base
                .finish_dir(&dir.target.rel, &dir.facts, shared.keep)
                .await;
            if let Err(trouble) = result {
                shared.ledger.failed(&dir.target.path(), &trouble);
            }
        }));
        finish.buffer_unordered(256).collect::<()>().await;
    }
}
