//! What an operator's word that a host is off and stays off does: as if the host had said that it has none of its machines any more.
//!
//! Tombstones count as confirmed, machines that were whole are lost, and what was asked of them ends; what was being made on it is buried.
//! The host's manifest keeps its tombstones, so that a host that returns all the same obeys them before anything else.

use jiff::Timestamp;
use renkei_store::CommitError;
use renkei_store::Noun as _;
use renkei_store::noun::manifest::Entry;
use renkei_store::noun::vm::VmRow;
use renkei_types::agent::{MachineSeen, Part};
use renkei_types::host::{Host, HostState};
use renkei_types::id::{HostId, VmId};
use renkei_types::operation::{Operation, OperationState};
use renkei_types::problem::Problem;
use renkei_types::vm::{Fault, Power};

use crate::app::vm::deadline::give_up;
use crate::app::vm::outcome::{Outcome, ended};
use crate::app::vm::seen::{Heard, report};
use crate::app::vm::verb::Verb;
use crate::app::vm::work::{Step, Work};
use crate::app::{App, state};

/// Hosts in one look.
const AT_ONCE: u32 = 500;

impl App {
    /// Carries the word out for all hosts that are fenced. Done twice, it does nothing the second time.
    pub async fn carry_out_fences(&self, now: Timestamp) -> Result<(), Problem> {
        let mut after = None;
        loop {
            let hosts = self.store.state.all::<Host>(after, AT_ONCE).await;
            let hosts = hosts.map_err(|error| state(&error))?;
            for host in hosts.iter().filter(|host| host.value.state == HostState::Fenced) {
                self.carry_out_fence(&host.value, now).await?;
            }
            match hosts.last() {
                Some(last) if hosts.len() == AT_ONCE as usize => after = Some(last.value.id()),
                _ => return Ok(()),
            }
        }
    }

    async fn carry_out_fence(&self, host: &Host, now: Timestamp) -> Result<(), Problem> {
        let manifest = self.manifest(host.id).await?;
        for (vm, entry) in manifest.value.machines {
            // A copy is kept for another host to fetch it; that one says that it cannot.
            if entry.part != Part::Keep {
                self.fence_off(host, (vm, entry), now).await?;
            }
        }
        Ok(())
    }

    /// One machine. Whoever changes it meanwhile has it looked at again with the next look.
    async fn fence_off(&self, host: &Host, (vm, entry): (VmId, Entry), now: Timestamp) -> Result<(), Problem> {
        let mut work = Work::default();
        let Some(row) = work.row(self, vm).await? else {
            return Ok(());
        };
        if work.manifests.entry(self, host.id, vm).await? != Some(entry) {
            return Ok(());
        }
        let open = self.open_operation(row.vm.operation).await?;
        let operation = open.as_ref().map(|open| &open.value);
        let Some(outcome) = outcome(&row, operation, (host, entry), now) else {
            return Ok(());
        };
        let step = Step {
            vm,
            open: open.as_ref(),
            outcome,
            saved: None,
            now,
        };
        work.take(self, step).await?;
        let batch = work.finish(self).await?.by_itself(now);
        match self.store.state.commit(batch).await {
            Ok(()) | Err(CommitError::Stale { .. } | CommitError::Taken { .. }) => Ok(()),
            Err(error) => Err(crate::problem::commit(&error)),
        }
    }
}

/// What becomes of a machine of a host that is off; nothing if that is so already.
fn outcome(row: &VmRow, open: Option<&Operation>, (host, entry): (&Host, Entry), now: Timestamp) -> Option<Outcome> {
    let named = [row.vm.host, row.vm.leaving].contains(&Some(host.id));
    let running = open.filter(|operation| operation.state == OperationState::Running);
    let is_so = row.vm.lost && row.vm.operation.is_none();
    // What is left over of a machine that is elsewhere is destroyed when the host returns.
    if !named || entry.part == Part::Run && is_so {
        return None;
    }
    let why = format!("host `{}` is fenced", host.name);
    let mut outcome = match running {
        Some(operation) if entry.part == Part::Run && row.placing.is_some() => give_up(row, operation, &why, now),
        _ => {
            let seen = nothing(row, (entry, open), &why);
            let heard = Heard {
                host: host.id,
                entry: Some(entry),
                seen: &seen,
            };
            let outcome = report(row, open, heard, now);
            gave_way(outcome, running, now)
        }
    };
    keep_tombstones(&mut outcome, host.id);
    let same = outcome.operation.is_none() && outcome.row.as_ref() == Some(row);
    (!same).then_some(outcome)
}

/// It has none, and cannot make one.
fn nothing(row: &VmRow, (entry, open): (Entry, Option<&Operation>), why: &str) -> MachineSeen {
    let generation = match entry.part {
        Part::Gone => entry.generation,
        Part::Run | Part::Keep => row.vm.seen.generation,
    };
    MachineSeen {
        id: row.vm.id,
        generation,
        part: entry.part,
        there: false,
        project: row.vm.project,
        name: row.vm.name.to_string(),
        power: Power::Off,
        doing: None,
        progress: 0,
        fault: open.map(|operation| Fault {
            generation: operation.generation,
            message: why.to_owned(),
        }),
        addresses: Default::default(),
        saved: None,
        known: true,
        record: None,
    }
}

/// A spot machine that was to give way is off with its host.
fn gave_way(outcome: Outcome, running: Option<&Operation>, now: Timestamp) -> Outcome {
    let Some(operation) = running.filter(|operation| Verb::of(operation) == Some(Verb::Deallocate)) else {
        return outcome;
    };
    let row = outcome.row.map(|mut row| {
        row.vm.operation = None;
        row
    });
    Outcome {
        row,
        operation: Some(ended(operation, OperationState::Done, now)),
        ..outcome
    }
}

/// The host is to find them when it returns.
fn keep_tombstones(outcome: &mut Outcome, host: HostId) {
    use crate::app::manifest::Change;
    let stays = |(of, change): &(HostId, Change)| *of != host || *change != Change::Remove;
    outcome.manifests.retain(stays);
}
