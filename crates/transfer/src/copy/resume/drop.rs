//! `--resume-drop`: forgets an interrupted copy and takes away what it left in the middle.
//!
//! What stands under its final name stays: it is whole. Only temporary files go, and old files that were moved aside get
//! their names back.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use renkei_ssh::{Dialer, Prompt};

use super::log::Log;
use super::{left_aside, put_right, sweep};
use crate::copy::endpoint::places::TargetSide;
use crate::copy::ledger::Ledger;
use crate::copy::server::sessions::Attendance;
use crate::copy::server::{LineError, Server};
use crate::copy::stop::Stop;
use crate::copy::trouble::chain;
use crate::copy::{End, summarise, unconnected};
use crate::event::{Bottleneck, Ending, Event, Observer, Summary, Verified};
use crate::journal::{self, TransferId};
use crate::request::{Location, Request};

/// Removes the journal `id` in the journals of `request`, which asks for the same copy, and the temporary files that the
/// copy left at its target. It never fails as a whole: the summary says how it ended; `deleted` counts the files. As long
/// as something cannot be removed the journal stays.
pub async fn resume_drop(
    id: TransferId,
    request: Request,
    prompt: Arc<dyn Prompt>,
    observer: Arc<dyn Observer>,
    stop: Stop,
) -> Summary {
    let ledger = Arc::new(Ledger::new(observer));
    let dropping = Drop {
        id,
        request,
        ledger: Arc::clone(&ledger),
        stop: stop.clone(),
    };
    let end = tokio::select! {
        end = dropping.run(prompt) => end.unwrap_or_else(|end| end),
        () = stop.interrupted() => End::because(Ending::Interrupted, "interrupted"),
    };
    ledger.event(Event::Progress(ledger.progress(Bottleneck::Unknown)));
    summarise(&ledger, &stop, end)
}

struct Drop {
    id: TransferId,
    request: Request,
    ledger: Arc<Ledger>,
    stop: Stop,
}

impl Drop {
    /// Both are ends.
    async fn run(&self, prompt: Arc<dyn Prompt>) -> Result<End, End> {
        let failed = |error: &dyn std::error::Error| End::because(Ending::SomeFailed, chain(error));
        let Some(journals) = &self.request.journals else {
            return Err(End::because(Ending::Usage, "there is no directory of journals"));
        };
        let opened = journal::take(journals, &self.id).map_err(|error| failed(&error))?;
        let side = self.target(prompt).await?;
        let log = Log::new(Some(opened.journal), opened.resume);
        let attendance = Attendance {
            ledger: &self.ledger,
            stop: &self.stop,
            timeout: self.request.timeout,
        };
        let work = async {
            let mut troubles = put_right(&log, left_aside(&log, &side)).await;
            let (removed, more) = sweep(&log, &side).await;
            self.ledger.deleted.fetch_add(removed as u64, Relaxed);
            troubles.extend(more);
            troubles
        };
        let lost = || End::because(Ending::Lost, "the connection was lost");
        let troubles = attendance
            .keep(side.server().into_iter(), work)
            .await
            .ok_or_else(lost)?;
        for trouble in &troubles {
            if trouble.is_lost() {
                return Err(lost());
            }
            self.ledger
                .failed_because(self.id.as_str().as_bytes(), trouble.reason());
        }
        if let (true, Some(journal)) = (troubles.is_empty(), log.journal()) {
            journal.remove().map_err(|error| failed(&error))?;
        }
        Ok(End {
            ending: Ending::Complete,
            cause: None,
            journal: None,
            verified: Verified::No,
        })
    }

    async fn target(&self, prompt: Arc<dyn Prompt>) -> Result<TargetSide, End> {
        let Location::Remote { host, .. } = &self.request.target else {
            return Ok(TargetSide::Near);
        };
        let dialer = Dialer::resolve(host, &self.request.ssh, prompt)
            .await
            .map_err(unconnected)?;
        let server = Arc::new(Server::new(dialer, self.stop.clone()));
        server.open().await.map_err(|error| match error {
            LineError::Connect(error) => unconnected(error),
            error => End::because(Ending::NotConnected, chain(&error)),
        })?;
        Ok(TargetSide::Far(server))
    }
}
