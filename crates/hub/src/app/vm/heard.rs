//! What hosts report is read beside what is kept, decided about by [`report`], and committed.

use jiff::Timestamp;
use renkei_store::noun::manifest::Entry;
use renkei_store::noun::vm::VmRow;
use renkei_store::{CommitError, Stored};
use renkei_types::agent::{MachineSeen, Part};
use renkei_types::id::{HostId, OperationId, VmId};
use renkei_types::operation::Operation;
use renkei_types::problem::{Problem, ProblemKind};

use super::seen::{Heard, is_gone, report};
use super::work::{Step, Work};
use crate::app::manifest::Change;
use crate::app::{App, missing, state};

/// Machines in one transaction: the more there are, the likelier it is that one of them was changed meanwhile.
const AT_ONCE: usize = 50;
/// How often a decision is made again when others change the same rows.
const TRIES: u32 = 50;

/// What was read does not fit together: something was written while it was read.
struct Torn;

impl App {
    /// A host tells what it sees of machines. What follows is committed when this returns; told twice, it does nothing the second
    /// time. Gives those that the host has and that it is not known for.
    pub async fn heard(&self, host: HostId, seen: &[MachineSeen], now: Timestamp) -> Result<Vec<VmId>, Problem> {
        let mut unknown = Vec::new();
        for some in seen.chunks(AT_ONCE) {
            unknown.append(&mut self.hear(host, some, now).await?);
        }
        Ok(unknown)
    }

    async fn hear(&self, host: HostId, seen: &[MachineSeen], now: Timestamp) -> Result<Vec<VmId>, Problem> {
        for _ in 0..TRIES {
            let Ok((work, unknown)) = self.hearing(host, seen, now).await? else {
                continue;
            };
            let batch = work.finish(self).await?.by_itself(now);
            match self.commit(batch).await {
                Ok(()) => return Ok(unknown),
                Err(CommitError::Stale { .. } | CommitError::Taken { .. }) => {}
                Err(error) => return Err(crate::problem::commit(&error)),
            }
        }
        Err(Problem::new(ProblemKind::Unavailable, "others keep changing the same machines").hint("report again"))
    }

    async fn hearing(
        &self,
        host: HostId,
        seen: &[MachineSeen],
        now: Timestamp,
    ) -> Result<Result<(Work, Vec<VmId>), Torn>, Problem> {
        let mut work = Work::default();
        let mut unknown = Vec::new();
        for seen in seen {
            let row = work.row(self, seen.id).await?;
            let entry = work.manifests.entry(self, host, seen.id).await?;
            if row.as_ref().is_some_and(|row| is_torn(row, host, entry.as_ref())) {
                return Ok(Err(Torn));
            }
            if entry.is_none() && seen.there {
                unknown.push(seen.id);
            }
            let Some(row) = row else {
                // The last copy of a machine that is gone.
                if entry.is_some_and(|entry| is_gone(&entry, seen)) {
                    work.manifests.change(self, host, (seen.id, Change::Remove)).await?;
                }
                continue;
            };
            let open = self.open_operation(row.vm.operation).await?;
            let heard = Heard { host, entry, seen };
            let outcome = report(&row, open.as_ref().map(|open| &open.value), heard, now);
            let step = Step {
                vm: seen.id,
                open: open.as_ref(),
                outcome,
                saved: seen.saved.as_ref(),
                now,
            };
            work.take(self, step).await?;
        }
        Ok(Ok((work, unknown)))
    }

    /// A machine's open operation.
    pub(in crate::app) async fn open_operation(
        &self,
        id: Option<OperationId>,
    ) -> Result<Option<Stored<Operation>>, Problem> {
        let Some(id) = id else {
            return Ok(None);
        };
        // It was written with the machine that names it: a read that does not find it is older than the one of the machine.
        for _ in 0..TRIES {
            let found = self.store.state.get::<Operation>(id.0).await;
            let found = found.map_err(|error| state(&error))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Err(missing(OperationId::NOUN, id.0))
    }
}

/// Whether machine and entry are not of one moment: who changes one of them changes the other in the same batch.
fn is_torn(row: &VmRow, host: HostId, entry: Option<&Entry>) -> bool {
    let vm = &row.vm;
    let named = [vm.host, vm.leaving].contains(&Some(host));
    match entry {
        Some(entry) if named => entry.generation != vm.meant.generation,
        Some(entry) => entry.part != Part::Gone,
        None => named,
    }
}
