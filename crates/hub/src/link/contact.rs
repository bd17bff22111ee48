//! The row that says whether a host's agent is connected, where, and what it told.
//!
//! It belongs to whoever connected last. It is written when that changes, when something is told that others look at, and otherwise
//! every ten seconds while the agent is heard: never more, as each write wakes whoever waits for changes.

use jiff::{SignedDuration, Timestamp};
use renkei_store::noun::contact::{Contact, Holding};
use renkei_store::{Batch, CommitError, Stored};
use renkei_types::agent::{Hello, MachineIntent, MachineSeen, OLDEST, Report};
use renkei_types::id::{HostId, SiteId};
use uuid::Uuid;

use super::{Ended, Open};
use crate::app::App;

/// How often a write is tried while others change the same rows. Reads may be old, so that one try is not enough.
pub(super) const TRIES: usize = 30;
/// From one write to the next while nothing changes but the time.
const EVERY: SignedDuration = SignedDuration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(super) struct Card {
    /// What is to be there.
    pub value: Contact,
    /// The row as it is, unless a write went wrong.
    row: Option<Stored<Contact>>,
    /// Whether something differs from the row that others look at.
    fresh: bool,
}

impl Card {
    /// Of a connection that is being made.
    pub fn new((hub, host): (Uuid, HostId), hello: &Hello, now: Timestamp) -> Self {
        let value = Contact {
            hub: Some(hub),
            since: now,
            heard: now,
            held: hello.held.clone(),
            boot_id: hello.boot_id.clone(),
            skew_ms: i64::try_from(hello.now.duration_since(now).as_millis()).unwrap_or(i64::MAX),
            ..blank(host, SiteId(Uuid::nil()))
        };
        let (row, fresh) = (None, true);
        Self { value, row, fresh }
    }

    /// In the place of one that is not made yet.
    pub fn none(host: HostId, site: SiteId) -> Self {
        let (row, fresh) = (None, false);
        let value = blank(host, site);
        Self { value, row, fresh }
    }

    /// Takes the row from whoever had it, together with `batch`. No if what `batch` rests on is no longer so.
    pub async fn take(&mut self, app: &App, batch: Batch, now: Timestamp) -> Result<bool, Ended> {
        self.value.heard = now;
        let found = app.store.state.get::<Contact>(self.value.host.0).await;
        let found = found.map_err(|error| crate::app::state(&error))?;
        self.put(app, batch, found).await
    }

    /// The agent was heard.
    pub async fn heard(&mut self, app: &App, now: Timestamp) -> Result<(), Ended> {
        let written = self.row.as_ref().map(|row| row.value.heard);
        let stale = written.is_none_or(|written| now >= written + EVERY);
        let listed = self
            .row
            .as_ref()
            .is_none_or(|row| row.value.listed != self.value.listed);
        if self.fresh || stale || listed {
            self.changed(app, now).await?;
        }
        Ok(())
    }

    /// Machines that the host has and the hub does not know.
    pub fn unknown(&mut self, unknown: Vec<MachineSeen>) {
        self.fresh |= unknown != self.value.unknown;
        self.value.unknown = unknown;
    }

    /// Writes it now.
    pub async fn changed(&mut self, app: &App, now: Timestamp) -> Result<(), Ended> {
        self.value.heard = now;
        for _ in 0..TRIES {
            let Some(row) = self.own(app).await? else {
                return Err(Ended::because("this host has connected anew"));
            };
            if self.put(app, Batch::new(), Some(row)).await? {
                return Ok(());
            }
        }
        Err(Ended::because("others keep changing what is known of this host"))
    }

    /// The connection is gone.
    pub async fn leave(&mut self, app: &App, now: Timestamp) -> Result<(), Ended> {
        for _ in 0..TRIES {
            let Some(row) = self.own(app).await? else {
                return Ok(());
            };
            self.value.hub = None;
            self.value.heard = row.value.heard.max(self.value.heard).min(now);
            let left = self.put(app, Batch::new(), Some(row.clone())).await?;
            // Whose row it is is told by it.
            self.value.hub = row.value.hub;
            if left {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The row, if it is still that of this connection.
    async fn own(&mut self, app: &App) -> Result<Option<Stored<Contact>>, Ended> {
        let row = match self.row.take() {
            Some(row) => Some(row),
            None => {
                let found = app.store.state.get::<Contact>(self.value.host.0).await;
                found.map_err(|error| crate::app::state(&error))?
            }
        };
        let own = |row: &Stored<Contact>| (row.value.hub, row.value.since) == (self.value.hub, self.value.since);
        Ok(row.filter(own))
    }

    /// No if somebody was faster; then the row is read again before the next try.
    async fn put(&mut self, app: &App, mut batch: Batch, over: Option<Stored<Contact>>) -> Result<bool, Ended> {
        let version = match &over {
            Some(row) => {
                batch.update(row, &self.value);
                row.version + 1
            }
            None => {
                batch.insert(&self.value);
                1
            }
        };
        match app.store.state.commit(batch).await {
            Ok(()) => {
                let value = self.value.clone();
                self.row = Some(Stored { version, value });
                self.fresh = false;
                Ok(true)
            }
            Err(CommitError::Stale { .. } | CommitError::Taken { .. }) => Ok(false),
            Err(error) => Err(crate::problem::commit(&error).into()),
        }
    }
}

impl Open {
    /// Where the agent's listing goes while the site is in recovery.
    pub(super) fn holding(&self) -> Option<Holding> {
        let recovery = self.recovery?;
        Some(Holding {
            recovery,
            ..Holding::default()
        })
    }

    /// While the site is in recovery, nothing follows from what an agent tells; it is only kept.
    pub(super) fn keep_for_recovery(&mut self, report: &Report) {
        let Some(holding) = &mut self.card.value.holding else {
            return;
        };
        for seen in &report.machines {
            let before = holding.machines.remove(&seen.id).and_then(|before| before.record);
            let told = seen.record.clone().map(|record| Box::new(small(*record)));
            let record = told.or(before).filter(|_| seen.there);
            let seen = seen.clone();
            holding.machines.insert(seen.id, MachineSeen { record, ..seen });
        }
        for (segment, generation) in &report.segments {
            holding.segments.insert(*segment, *generation);
        }
        self.card.fresh |= !report.machines.is_empty() || !report.segments.is_empty();
    }
}

/// Without what nothing follows from: all that a host holds has to fit into a row.
fn small(record: MachineIntent) -> MachineIntent {
    MachineIntent {
        key: String::new(),
        adapters: Vec::new(),
        ..record
    }
}

fn blank(host: HostId, site: SiteId) -> Contact {
    Contact {
        host,
        site,
        hub: None,
        speaks: OLDEST,
        since: Timestamp::UNIX_EPOCH,
        heard: Timestamp::UNIX_EPOCH,
        held: Default::default(),
        boot_id: String::new(),
        skew_ms: 0,
        free_disk_gib: 0,
        listed: false,
        unknown: Vec::new(),
        holding: None,
    }
}
