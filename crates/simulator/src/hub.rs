//! A simulated hub: the application and its links, without threads, sockets or a clock of their own.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use jiff::Timestamp;
use renkei_hub::app::App;
use renkei_hub::link::Link;
use renkei_store::Store;
use renkei_types::agent::{FromAgent, FromHub};
use renkei_types::id::HostId;
use uuid::Uuid;

/// The hub died at a commit: whatever it was doing ends there, and nobody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Died;

/// Runs what never waits but where a hub dies.
pub fn at_once<T>(future: impl Future<Output = T>) -> Result<T, Died> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err(Died),
    }
}

/// One hub. All that it has in memory is gone when it dies.
pub struct Hub {
    /// Drawn at its start.
    pub id: Uuid,
    /// What it does.
    pub app: App,
    /// Its connections to agents.
    pub links: BTreeMap<u64, Link>,
    jobs: renkei_hub::jobs::Jobs,
}

impl Hub {
    /// A hub that starts over a database. Its ids come from `seed`.
    pub fn start(store: &Store, seed: u64, now: Timestamp) -> Self {
        let store = store.for_another().unwrap_or_else(|| store.clone());
        let app = App::seeded(store, seed);
        Self {
            id: app.draw(now),
            app,
            links: BTreeMap::new(),
            jobs: renkei_hub::jobs::Jobs::default(),
        }
    }

    /// An agent has connected.
    pub fn accept(&mut self, wire: u64, host: HostId) {
        self.links.insert(wire, Link::new(self.id, host));
    }

    /// A connection is gone.
    pub fn lose(&mut self, wire: u64, now: Timestamp) -> Result<(), Died> {
        match self.links.remove(&wire) {
            Some(mut link) => at_once(link.close(&self.app, now)),
            None => Ok(()),
        }
    }

    /// An agent says something.
    pub fn frame(&mut self, wire: u64, frame: FromAgent, now: Timestamp) -> Result<Vec<FromHub>, Died> {
        match self.links.get_mut(&wire) {
            Some(link) => at_once(link.frame(&self.app, frame, now)),
            None => Ok(Vec::new()),
        }
    }

    /// Looks whether there is something to tell.
    pub fn tick(&mut self, now: Timestamp) -> Result<Vec<(u64, FromHub)>, Died> {
        let mut told = Vec::new();
        for (wire, link) in &mut self.links {
            let frames = at_once(link.tick(&self.app, now))?;
            told.extend(frames.into_iter().map(|frame| (*wire, frame)));
        }
        Ok(told)
    }

    /// Does what a hub does by itself.
    pub fn work(&mut self, now: Timestamp) -> Result<(), Died> {
        // What could not be done is done the next time.
        at_once(self.jobs.look(&self.app, self.id, now)).map(|_| ())
    }
}
