//! Keeps sessions open while there is no fleet: before and after files are moved, and for `renkei verify`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;

use super::{LineError, Server};
use crate::copy::ledger::Ledger;
use crate::copy::stop::{Stop, StopReason};
use crate::copy::trouble::chain;

/// How often the sessions are counted.
const LOOK: Duration = Duration::from_millis(250);
/// First and longest pause after a failed attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// OpenSSH drops connections at random when ten have not logged in.
const AT_ONCE: usize = 8;

/// Opens sessions to one server, and in place of lost ones others, until it is dropped.
pub struct Keeper {
    pub server: Arc<Server>,
    pub ledger: Arc<Ledger>,
    pub stop: Stop,
    /// How long nothing may work before everything is stopped as lost.
    pub timeout: Duration,
}

impl Keeper {
    /// Keeps as many as `wanted` says each time it is asked. Ends only when nothing works for too long.
    pub async fn keep(self, wanted: impl Fn() -> usize) {
        let mut most = usize::MAX;
        let mut pause = FIRST_PAUSE;
        let mut alone_since = None;
        loop {
            let up = self.server.count();
            if up > 0 {
                alone_since = None;
            } else if alone_since.get_or_insert_with(Instant::now).elapsed() >= self.timeout {
                self.stop.throw(StopReason::Lost);
                return;
            }
            let more = wanted().clamp(1, most).saturating_sub(up).min(AT_ONCE);
            let opened = join_all((0..more).map(|_| self.server.open())).await;
            let failed = opened.into_iter().find_map(Result::err);
            let Some(error) = failed else {
                pause = FIRST_PAUSE;
                tokio::time::sleep(LOOK).await;
                continue;
            };
            // What the server does not give now is not asked for again as long as something works.
            most = self.server.count().max(1);
            if self.server.count() == 0 {
                self.tell(&error);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    fn tell(&self, error: &LineError) {
        self.ledger.retry(chain(error));
    }
}

/// Keeps one session of each server while something is done that needs no more.
pub struct Attendance<'a> {
    pub ledger: &'a Arc<Ledger>,
    pub stop: &'a Stop,
    pub timeout: Duration,
}

impl Attendance<'_> {
    /// Does `work`; none if nothing worked for too long.
    pub async fn keep<'s, T>(
        &self,
        servers: impl Iterator<Item = &'s Arc<Server>>,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let keepers = servers.map(|server| {
            let keeper = Keeper {
                server: Arc::clone(server),
                ledger: Arc::clone(self.ledger),
                stop: self.stop.clone(),
                timeout: self.timeout,
            };
            Box::pin(keeper.keep(|| 1))
        });
        let mut keepers: FuturesUnordered<_> = keepers.collect();
        tokio::select! {
            done = work => Some(done),
            Some(()) = keepers.next() => None,
        }
    }
}
