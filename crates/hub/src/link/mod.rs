//! The hub's side of the wire to a host's agent.
//!
//! A [`Link`] is a state machine without I/O: frames of the agent and ticks go in, frames for the agent come out; what is kept goes
//! through the store. It has no clock, no task, no socket, so that the simulator runs the same code. The ring around it that has all
//! of these is `agents`.
//!
//! What it rests on:
//!
//! - A report is acknowledged when all that it says is kept. Until then the agent has to tell it again.
//! - A manifest is sent only to an agent that holds one that this database has issued. Whoever holds another one has heard from this
//!   database before it was set back: [`recovery`].
//! - Reads may be some seconds old, and what was read twice never goes back unless the database was set back under a running hub.
//!   So what was read last counts, and that an agent holds what this database has issued is looked at again before each order and
//!   with each heartbeat.

mod contact;
mod fill;
mod hello;
mod recovery;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use renkei_store::Stored;
use renkei_store::noun::manifest::Manifest;
use renkei_types::agent::{self, FromAgent, FromHub, Held, Hello, Listing, MachineSeen, Report};
use renkei_types::id::{HostId, SiteId, VmId};
use renkei_types::problem::Problem;
use renkei_types::site::Site;
use renkei_types::stream::{self, Stream};
use uuid::Uuid;

use self::contact::Card;
use self::fill::{Known, Page};
use self::hello::greet;
pub(crate) use self::recovery::raise as raise_epoch;
use crate::app::App;

/// A manifest that was not confirmed for so long is sent again, whole.
const AGAIN: SignedDuration = SignedDuration::from_secs(15);
/// After a refusal, and when a row was older than the manifest that names it, it is looked again so much later.
const SOON: SignedDuration = SignedDuration::from_secs(1);
/// So often it is looked whether machines that were not known are known by now.
const UNKNOWN: SignedDuration = SignedDuration::from_secs(10);

/// One connection of one agent.
#[derive(Debug)]
pub struct Link {
    hub: Uuid,
    host: HostId,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing was said yet.
    New,
    Open(Box<Open>),
    /// It is told why, and no longer heard.
    Over(Option<Box<Card>>),
}

/// A connection on which the agent has said who it is.
#[derive(Debug)]
struct Open {
    host: HostId,
    card: Card,
    site: Stored<Site>,
    manifest: Stored<Manifest>,
    /// Whether the host may be told what to do: not while its site is in recovery.
    recovery: Option<Timestamp>,
    /// What the agent says that it holds; issued by this database.
    held: Held,
    /// When that was last looked at.
    proved: Timestamp,
    /// What it holds once it has taken all that was sent.
    base: Held,
    /// What was meant in that, as far as it was sent on this connection.
    known: Known,
    /// When that was sent, if it is not confirmed yet.
    sent: Option<Timestamp>,
    /// Nothing is sent before.
    patience: Option<Timestamp>,
    /// The last report that was heard.
    report: u64,
    /// When machines that are not known were looked up.
    looked: Timestamp,
}

/// Why a connection ends, for the agent and its people.
#[derive(Debug)]
struct Ended(String);

impl Ended {
    fn because(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl From<Problem> for Ended {
    fn from(problem: Problem) -> Self {
        Self(problem.title)
    }
}

impl Link {
    /// A connection to the hub `hub` of an agent whose certificate is that of `host`.
    pub fn new(hub: Uuid, host: HostId) -> Self {
        let state = State::New;
        Self { hub, host, state }
    }

    /// Whether nothing more will be said: the connection is to be closed.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    /// The host's site, once the agent has said hello.
    pub fn site(&self) -> Option<SiteId> {
        match &self.state {
            State::Open(open) => Some(open.site.value.id),
            State::New | State::Over(_) => None,
        }
    }

    /// What the agent says.
    pub async fn frame(&mut self, app: &App, frame: FromAgent, now: Timestamp) -> Vec<FromHub> {
        let answered = match (&mut self.state, frame) {
            (State::Over(_), _) => return Vec::new(),
            (State::New, FromAgent::Hello(hello)) => return self.hello(app, &hello, now).await,
            (State::New, _) => Err(Ended::because("the first thing to say is hello")),
            // It came twice.
            (State::Open(_), FromAgent::Hello(_)) => return Vec::new(),
            (State::Open(open), FromAgent::Report(report)) => open.report(app, report, now).await,
            (State::Open(open), FromAgent::Refused { held, why }) => open.refused(app, (held, &why), now).await,
        };
        self.answer(answered)
    }

    /// Looks whether there is something to tell: when rows have changed, and when it is [`Link::due`].
    pub async fn tick(&mut self, app: &App, now: Timestamp) -> Vec<FromHub> {
        let State::Open(open) = &mut self.state else {
            return Vec::new();
        };
        let told = open.look(app, now).await;
        self.answer(told)
    }

    /// Asks the agent for a stream, if it knows what that is: whoever waits for one from an older agent was told.
    pub fn ask(&self, stream: Stream) -> Option<FromHub> {
        match &self.state {
            State::Open(open) if open.card.value.speaks >= stream::SINCE => Some(FromHub::Stream(stream)),
            State::Open(_) | State::New | State::Over(_) => None,
        }
    }

    /// When it wants to be ticked, whatever changes before.
    pub fn due(&self) -> Option<Timestamp> {
        match &self.state {
            // While nothing is ordered there is nothing to wait for but a change.
            State::Open(open) if open.recovery.is_some() => None,
            State::Open(open) => {
                let unknown = (!open.card.value.unknown.is_empty()).then_some(open.looked + UNKNOWN);
                let again = open.sent.map(|sent| sent + AGAIN);
                [unknown, again, open.patience].into_iter().flatten().min()
            }
            State::New | State::Over(_) => None,
        }
    }

    /// The connection is gone.
    pub async fn close(&mut self, app: &App, now: Timestamp) {
        let card = match std::mem::replace(&mut self.state, State::Over(None)) {
            State::Open(open) => Some(open.card),
            State::Over(card) => card.map(|card| *card),
            State::New => None,
        };
        if let Some(mut card) = card {
            // If it cannot be written, the silence says the same half a minute later.
            let _ = card.leave(app, now).await;
        }
    }

    fn answer(&mut self, answered: Result<Vec<FromHub>, Ended>) -> Vec<FromHub> {
        answered.unwrap_or_else(|Ended(why)| {
            let card = match std::mem::replace(&mut self.state, State::New) {
                State::Open(open) => Some(Box::new(open.card)),
                State::New | State::Over(_) => None,
            };
            self.state = State::Over(card);
            vec![FromHub::Closed { why }]
        })
    }

    async fn hello(&mut self, app: &App, hello: &Hello, now: Timestamp) -> Vec<FromHub> {
        match greet(app, (self.hub, self.host), hello, now).await {
            Ok((open, version)) => {
                self.state = State::Open(Box::new(open));
                let mut frames = vec![FromHub::Welcome { version, now }];
                frames.append(&mut self.tick(app, now).await);
                frames
            }
            Err(why) => self.answer(Err(why)),
        }
    }
}

impl Open {
    fn new(host: HostId, (site, manifest): (Stored<Site>, Stored<Manifest>), held: &Held) -> Self {
        // What it holds durably it need not be told.
        let known = match manifest.value.is == *held {
            true => Known::of(&manifest.value),
            false => Known::default(),
        };
        Self {
            host,
            card: Card::none(host, site.value.id),
            recovery: site.value.recovery.as_ref().map(|recovery| recovery.since),
            site,
            manifest,
            held: held.clone(),
            proved: Timestamp::MIN,
            base: held.clone(),
            known,
            sent: None,
            patience: None,
            report: 0,
            looked: Timestamp::MIN,
        }
    }

    async fn report(&mut self, app: &App, report: Report, now: Timestamp) -> Result<Vec<FromHub>, Ended> {
        let Report { number, .. } = report;
        if number > self.report + 1 {
            let why = format!("report {} is missing before {number}", self.report + 1);
            return Err(Ended::because(why));
        }
        // What came late or twice is older than what was heard since.
        if number == self.report + 1 {
            self.holds(app, &report.held, now).await?;
            match self.recovery {
                Some(_) => self.keep_for_recovery(&report),
                None => self.hear(app, &report, now).await?,
            }
            self.report = number;
            self.card.value.free_disk_gib = report.free_disk_gib;
            if report.listing == Listing::Last {
                self.card.value.listed = true;
            }
            self.card.heard(app, now).await?;
        }
        let mut frames = vec![FromHub::Heard { report: self.report }];
        frames.append(&mut self.order(app, now).await?);
        Ok(frames)
    }

    /// What the report says becomes what is seen.
    async fn hear(&mut self, app: &App, report: &Report, now: Timestamp) -> Result<(), Ended> {
        let unknown = app.heard(self.host, &report.machines, now).await?;
        app.heard_segments(self.host, &report.segments, now).await?;
        let before = &self.card.value.unknown;
        let first = report.listing != Listing::No && self.report == 0;
        let mut all: BTreeMap<VmId, MachineSeen> = match first {
            true => BTreeMap::new(),
            false => before.iter().map(|seen| (seen.id, seen.clone())).collect(),
        };
        for seen in &report.machines {
            all.remove(&seen.id);
            if seen.there && unknown.contains(&seen.id) {
                all.insert(seen.id, seen.clone());
            }
        }
        self.card.unknown(all.into_values().collect());
        Ok(())
    }

    async fn refused(&mut self, app: &App, (held, why): (Held, &str), now: Timestamp) -> Result<Vec<FromHub>, Ended> {
        tracing::warn!(host = %self.host, version = held.version, why, "an agent refused a manifest");
        self.holds(app, &held, now).await?;
        // Whatever it was, all of it is sent anew: what it follows is known now.
        self.forget();
        self.patience = Some(now + SOON);
        Ok(Vec::new())
    }

    /// The agent says that it holds this.
    async fn holds(&mut self, app: &App, held: &Held, now: Timestamp) -> Result<(), Ended> {
        if *held != self.held || now.duration_since(self.proved) >= agent::HEARTBEAT {
            self.prove(app, held, now).await?;
            self.proved = now;
            self.held = held.clone();
            self.card.value.held = held.clone();
        }
        if self.held == self.base {
            self.sent = None;
        }
        Ok(())
    }

    /// Ends the connection if this puts the site into recovery.
    async fn prove(&mut self, app: &App, held: &Held, now: Timestamp) -> Result<(), Ended> {
        let before = self.recovery;
        recovery::prove(app, self, held, now).await?;
        match before == self.recovery {
            true => Ok(()),
            false => Err(again(&self.site.value)),
        }
    }

    /// The next manifest goes as to an agent that was told nothing.
    fn forget(&mut self) {
        self.base = self.held.clone();
        self.known = Known::default();
        self.sent = None;
    }

    /// What cannot be read now is read with the next tick.
    async fn look(&mut self, app: &App, now: Timestamp) -> Result<Vec<FromHub>, Ended> {
        if let Err(problem) = self.refresh(app).await {
            tracing::debug!(host = %self.host, problem = problem.title, "a host cannot be looked after now");
            self.patience = Some(now + SOON);
            return Ok(Vec::new());
        }
        if !self.card.value.unknown.is_empty() && self.recovery.is_none() && now >= self.looked + UNKNOWN {
            self.look_up_unknown(app, now).await?;
        }
        self.order(app, now).await
    }

    /// Site and manifest as they are now.
    async fn refresh(&mut self, app: &App) -> Result<(), Problem> {
        let site = app.get::<Site>(SiteId::NOUN, self.site.value.id.0).await?;
        self.site = site;
        self.manifest = app.manifest(self.host).await?;
        Ok(())
    }

    /// The manifest, if it is newer than what the agent holds and was sent.
    async fn order(&mut self, app: &App, now: Timestamp) -> Result<Vec<FromHub>, Ended> {
        if self.site.value.recovery.as_ref().map(|recovery| recovery.since) != self.recovery {
            return Err(again(&self.site.value));
        }
        if self.recovery.is_some() || self.patience.is_some_and(|patience| now < patience) {
            return Ok(Vec::new());
        }
        self.patience = None;
        if self.sent.is_some_and(|sent| now >= sent + AGAIN) {
            self.forget();
        }
        let is = &self.manifest.value.is;
        if (is.epoch, is.version) <= (self.base.epoch, self.base.version) {
            return Ok(Vec::new());
        }
        let base = self.base.clone();
        self.prove(app, &base, now).await?;
        let page = Page {
            manifest: &self.manifest.value,
            follows: &self.base,
            known: &self.known,
        };
        match page.fill(app, now).await {
            Ok(Some(frames)) => {
                self.base = self.manifest.value.is.clone();
                self.known = Known::of(&self.manifest.value);
                self.sent = Some(now);
                Ok(frames)
            }
            // A row is older than the manifest, or newer: then another manifest is on its way.
            Ok(None) => {
                self.patience = Some(now + SOON);
                Ok(Vec::new())
            }
            Err(problem) => {
                tracing::debug!(host = %self.host, problem = problem.title, "a manifest cannot be filled now");
                self.patience = Some(now + SOON);
                Ok(Vec::new())
            }
        }
    }

    /// A machine that was not known may have been read too early, or have been adopted.
    async fn look_up_unknown(&mut self, app: &App, now: Timestamp) -> Result<(), Ended> {
        self.looked = now;
        let seen = self.card.value.unknown.clone();
        let unknown = app.heard(self.host, &seen, now).await?;
        let still = seen.into_iter().filter(|seen| unknown.contains(&seen.id));
        self.card.unknown(still.collect());
        self.card.changed(app, now).await
    }
}

/// Whoever has listed for another state of the site has to list again.
fn again(site: &Site) -> Ended {
    Ended::because(match &site.recovery {
        Some(recovery) => format!("site `{}` is in recovery: {}", site.name, recovery.reason),
        None => format!("site `{}` is no longer in recovery", site.name),
    })
}
