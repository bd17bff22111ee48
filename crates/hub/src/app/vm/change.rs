//! Reconfiguring a machine that is off, and renaming one.

use std::net::IpAddr;

use renkei_store::noun::vm::VmRow;
use renkei_types::action::Action;
use renkei_types::id::{SegmentId, VmId};
use renkei_types::operation::{Operation, OperationState};
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::quota::Amounts;
use renkei_types::vm::{Disk, Meant, VmPatch};

use super::act::Target;
use super::outcome::{Outcome, begin, ended, mean};
use super::size::{Sized, disks};
use super::sound::{self, vm_name};
use super::verb::Verb;
use super::work::Work;
use crate::app::decision::Decision;
use crate::app::lease::Taken;
use crate::app::quota::{Share, of_machine, takes_of};
use crate::app::{Answer, App, Asked, Versioned};

/// As operations have it: what is so with its commit.
const RENAME: &str = "vm:rename";

impl App {
    /// Changes a machine. A new name alone is so at once; anything else when its host says so.
    pub async fn change_vm(
        &self,
        asked: &Asked,
        id: VmId,
        patch: VmPatch,
    ) -> Result<Answer<Versioned<Operation>>, Problem> {
        sound::patch(&patch)?;
        let place = match self.target(asked, Action::VmWrite, id).await {
            Ok(Target { row, .. }) => row.vm.meant.adapters.first().map(|adapter| {
                let (project, site) = (row.vm.project, row.vm.site);
                (Share { project, site }, adapter.segment)
            }),
            Err(_) => None,
        };
        let decided = self.decide(asked, || self.vm_change(asked, id, &patch));
        match place {
            Some((share, segment)) => self.queued(share, segment, decided).await,
            None => decided.await,
        }
    }

    async fn vm_change(
        &self,
        asked: &Asked,
        id: VmId,
        patch: &VmPatch,
    ) -> Result<Decision<Versioned<Operation>>, Problem> {
        let mut target = self.target(asked, Action::VmWrite, id).await?;
        let only_name = VmPatch {
            name: patch.name.clone(),
            ..VmPatch::default()
        };
        let renames = *patch == only_name;
        // A preset that is not there would not be there either when the machine is off.
        if let Some(size) = &patch.size {
            self.sized(size).await?;
        }
        // A machine may be renamed wherever it may be cloned: nothing else is being done with it.
        let verb = if renames { Verb::Clone } else { Verb::Reconfigure };
        target.for_verb(asked, verb)?;
        if let Some(name) = &patch.name {
            let name = vm_name(name)?;
            if name.folded() != target.row.vm.name.folded() {
                self.vm_name_is_free(target.row.vm.project, &name).await?;
            }
            target.row.vm.name = name;
        }
        let meant = self.reconfigured(asked, &mut target, patch).await?;
        let operation = self.operation_on(asked, Verb::Reconfigure, &target.row.vm)?;
        if !renames {
            let outcome = begin(&target.row, operation, meant, asked.now);
            return target.begun(self, asked, outcome).await;
        }
        // A new generation, so that the host hears of it; nobody waits for that.
        let (row, manifests) = mean(&target.row, meant);
        let operation = Operation {
            verb: RENAME.to_owned(),
            generation: row.vm.meant.generation,
            ..ended(&operation, OperationState::Done, asked.now)
        };
        let outcome = Outcome {
            row: Some(row),
            operation: Some(operation),
            manifests,
        };
        target.begun(self, asked, outcome).await
    }

    /// What is meant then, with what it takes from the quota and of the networks.
    async fn reconfigured(&self, asked: &Asked, target: &mut Target, patch: &VmPatch) -> Result<Meant, Problem> {
        let Target { tenant, row, work, .. } = target;
        let was = &row.vm.meant;
        let sized = match &patch.size {
            Some(size) => self.sized(size).await?,
            None => Sized::of(&was.shape),
        };
        let disks = match &patch.disks_gib {
            Some(sizes) => grown(&was.shape.disks, sizes)?,
            None => was.shape.disks.clone(),
        };
        let level = patch.service_level.unwrap_or(was.shape.service_level);
        let shape = sized.shape(disks, level);
        if shape != was.shape {
            let share = Share {
                project: row.vm.project,
                site: row.vm.site,
            };
            self.possible(share, &shape).await?;
            let amounts = beyond(takes_of(&shape), of_machine(row));
            self.take(&mut work.draft, share, amounts).await?;
        }
        let mut meant = Meant { shape, ..was.clone() };
        if let Some(adapters) = &patch.adapters {
            let plugs = self.plugs(&tenant.project.value, adapters).await?;
            if plugs.site != row.vm.site {
                let (here, there) = (self.site_name(row.vm.site).await?, self.site_name(plugs.site).await?);
                let title = format!("the machine is at site `{here}`, the segments at site `{there}`");
                return Err(Problem::new(ProblemKind::Invalid, title).field("adapters"));
            }
            let mut leases = Taken::default();
            let so_far = was.adapters.clone();
            meant.adapters = self
                .plug((asked, &mut work.draft, &mut leases), &plugs, row.vm.id, &so_far)
                .await?;
        }
        Ok(meant)
    }
}

impl Work {
    /// Addresses that a machine has no longer, now that what is meant is so, go back.
    pub(super) async fn give_back(&mut self, app: &App, row: &VmRow) -> Result<(), Problem> {
        let kept: Vec<(SegmentId, IpAddr)> = row
            .vm
            .meant
            .adapters
            .iter()
            .flat_map(|adapter| adapter.addresses.iter().map(|address| (adapter.segment, *address)))
            .collect();
        app.unlease_but(self.draft.aside(), row.vm.id, &kept).await
    }
}

/// These sizes in place of those so far: none becomes smaller or goes away.
fn grown(so_far: &[Disk], sizes: &[u64]) -> Result<Vec<Disk>, Problem> {
    let disks = disks("disks_gib", sizes)?;
    let shrinks = so_far.iter().zip(&disks).find(|(old, new)| new.gib < old.gib);
    let title = match shrinks {
        Some((old, new)) => format!("disk {} has {} GiB and cannot have {}", old.number, old.gib, new.gib),
        None if disks.len() < so_far.len() => format!("the machine has {} disks, and none goes away", so_far.len()),
        None => return Ok(disks),
    };
    let problem = Problem::new(ProblemKind::Invalid, title).field("disks_gib");
    Err(problem.hint("disks only grow; deploy another machine for smaller ones"))
}

/// What one takes more than the other.
fn beyond(new: Amounts, old: Amounts) -> Amounts {
    Amounts {
        vms: new.vms.saturating_sub(old.vms),
        vcpus: new.vcpus.saturating_sub(old.vcpus),
        memory_mib: new.memory_mib.saturating_sub(old.memory_mib),
        disk_gib: new.disk_gib.saturating_sub(old.disk_gib),
        global_ips: 0,
        segments: 0,
    }
}
