//! Looks after operations on machines that are open: says which host they wait for, gives up those whose time is over, and asks once
//! more for what takes away and has failed. Those at a site in recovery are left alone.

use std::collections::HashMap;

use jiff::Timestamp;
use renkei_store::noun::contact::Contact;
use renkei_store::noun::vm::VmRow;
use renkei_store::{CommitError, Noun, Stored};
use renkei_types::host::{Host, SILENCE};
use renkei_types::id::{HostId, SiteId, VmId};
use renkei_types::operation::{Operation, OperationState};
use renkei_types::problem::Problem;
use renkei_types::site::Site;

use crate::app::vm::deadline::watch;
use crate::app::vm::work::{Step, Work};
use crate::app::{App, state};

/// Operations in one read.
const AT_ONCE: u32 = 500;

/// Looks once. What was changed meanwhile is looked at the next time.
pub async fn run(app: &App, now: Timestamp) -> Result<(), Problem> {
    let mut hosts = Hosts::default();
    for standing in [OperationState::Running, OperationState::Cancelling] {
        let (state_key, mut after) = (standing.to_string(), None);
        loop {
            let scan = app.store.state.scan::<Operation>("state", &state_key, after, AT_ONCE);
            let some = scan.await.map_err(|error| state(&error))?;
            for open in some.iter().filter(|open| open.object.noun == VmId::NOUN) {
                look(app, &mut hosts, open, now).await?;
            }
            match some.last() {
                Some(last) if some.len() == AT_ONCE as usize => after = Some(last.value.id()),
                _ => break,
            }
        }
    }
    Ok(())
}

async fn look(app: &App, hosts: &mut Hosts, open: &Stored<Operation>, now: Timestamp) -> Result<(), Problem> {
    let vm = VmId(open.object.id);
    let mut work = Work::default();
    let Some(row) = work
        .row(app, vm)
        .await?
        .filter(|row| row.vm.operation == Some(open.value.id))
    else {
        return Ok(());
    };
    // Nothing is ordered there: what waits does not wait for its host.
    if hosts.in_recovery(app, &row).await? {
        return Ok(());
    }
    let silent = hosts.silent(app, &row, now).await?;
    let outcome = watch(&row, &open.value, silent.as_deref(), now);
    if outcome.operation.is_none() {
        return Ok(());
    }
    let step = Step {
        vm,
        open: Some(open),
        outcome,
        saved: None,
        now,
    };
    work.take(app, step).await?;
    let batch = work.finish(app).await?.by_itself(now);
    match app.store.state.commit(batch).await {
        Ok(()) | Err(CommitError::Stale { .. } | CommitError::Taken { .. }) => Ok(()),
        Err(error) => Err(crate::problem::commit(&error)),
    }
}

/// Hosts and sites as they were at this look.
#[derive(Default)]
struct Hosts {
    /// The names of hosts that are not connected; nothing for those that are.
    silent: HashMap<HostId, Option<String>>,
    /// Whether a site is in recovery.
    sites: HashMap<SiteId, bool>,
}

impl Hosts {
    /// Whether the machine's site is in recovery.
    async fn in_recovery(&mut self, app: &App, row: &VmRow) -> Result<bool, Problem> {
        if let Some(known) = self.sites.get(&row.vm.site) {
            return Ok(*known);
        }
        let site = app.store.state.get::<Site>(row.vm.site.0).await;
        let site = site.map_err(|error| state(&error))?;
        let recovers = site.is_some_and(|site| site.value.recovery.is_some());
        self.sites.insert(row.vm.site, recovers);
        Ok(recovers)
    }

    /// A host that the machine needs and that is not connected.
    async fn silent(&mut self, app: &App, row: &VmRow, now: Timestamp) -> Result<Option<String>, Problem> {
        for host in [row.vm.host, row.vm.leaving].into_iter().flatten() {
            if let std::collections::hash_map::Entry::Vacant(e) = self.silent.entry(host) {
                let name = name_if_silent(app, host, now).await?;
                e.insert(name);
            }
            if let Some(Some(name)) = self.silent.get(&host) {
                return Ok(Some(name.clone()));
            }
        }
        Ok(None)
    }
}

async fn name_if_silent(app: &App, host: HostId, now: Timestamp) -> Result<Option<String>, Problem> {
    let contact = app.store.state.get::<Contact>(host.0).await;
    let contact = contact.map_err(|error| state(&error))?;
    if contact.is_some_and(|contact| contact.hub.is_some() && now.duration_since(contact.heard) < SILENCE) {
        return Ok(None);
    }
    let known = app.store.state.get::<Host>(host.0).await;
    let known = known.map_err(|error| state(&error))?;
    Ok(Some(
        known.map_or_else(|| host.to_string(), |host| host.value.name.to_string()),
    ))
}
