//! Cloning: a machine with a copy of another's disks, which stands still until the copy is whole.

use renkei_types::action::Action;
use renkei_types::id::{SegmentId, VmId};
use renkei_types::operation::Generation;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::vm::{CloneVm, Deployed, Meant, NewAdapter, Power, Seen, Source, Stop, Vm, VmState};

use super::act::Target;
use super::size::Sized;
use super::sound::{self, vm_name};
use super::verb::{Verb, allowed};
use super::work::Telling;
use crate::app::decision::Decision;
use crate::app::lease::Taken;
use crate::app::quota::{Share, takes_of};
use crate::app::{Answer, App, Asked};

impl App {
    /// Asks for a clone. It stays off.
    pub async fn clone_vm(&self, asked: &Asked, id: VmId, new: CloneVm) -> Result<Answer<Deployed>, Problem> {
        sound::clone(&new)?;
        let place = self.where_a_clone_is(asked, id, &new).await;
        let decided = self.decide(asked, || self.cloning(asked, id, &new));
        match place {
            Some((share, segment)) => self.queued(share, segment, decided).await,
            None => decided.await,
        }
    }

    async fn where_a_clone_is(&self, asked: &Asked, id: VmId, new: &CloneVm) -> Option<(Share, SegmentId)> {
        let Target { row, .. } = self.target(asked, Action::VmWrite, id).await.ok()?;
        let asked_for = new.adapters.as_ref().and_then(|adapters| adapters.first());
        let first = asked_for.map(|adapter| adapter.segment);
        let first = first.or_else(|| row.vm.meant.adapters.first().map(|adapter| adapter.segment))?;
        let (project, site) = (row.vm.project, row.vm.site);
        Some((Share { project, site }, first))
    }

    async fn cloning(&self, asked: &Asked, id: VmId, new: &CloneVm) -> Result<Decision<Deployed>, Problem> {
        let Target {
            tenant,
            mut row,
            open,
            mut work,
        } = self.target(asked, Action::VmWrite, id).await?;
        let open = open.as_ref();
        let name = vm_name(&new.name)?;
        let sized = match &new.size {
            Some(size) => Some(self.sized(size).await?),
            None => None,
        };
        allowed(&row, open.map(|open| &open.value), Verb::Clone)?;
        let source = row.vm.clone();
        if !matches!(source.state(), VmState::Stopped | VmState::Deallocated) {
            let title = format!("machine `{}` is {}: it must be stopped", source.name, source.state());
            return Err(Problem::new(ProblemKind::Conflict, title).hint("shut it down first"));
        }
        let sized = sized.unwrap_or_else(|| Sized::of(&source.meant.shape));
        let level = new.service_level.unwrap_or(source.meant.shape.service_level);
        let shape = sized.shape(source.meant.shape.disks.clone(), level);
        let same = source.meant.adapters.iter().map(|adapter| NewAdapter {
            segment: adapter.segment,
            address: None,
        });
        let adapters = new.adapters.clone().unwrap_or_else(|| same.collect());
        let plugs = self.plugs(&tenant.project.value, &adapters).await?;
        if plugs.site != source.site {
            let (here, there) = (self.site_name(source.site).await?, self.site_name(plugs.site).await?);
            let title = format!(
                "machine `{}` is at site `{here}`, the segments at site `{there}`",
                source.name
            );
            let problem = Problem::new(ProblemKind::Invalid, title).field("adapters");
            return Err(problem.hint("a clone is made at the site of its source"));
        }
        let share = Share {
            project: source.project,
            site: source.site,
        };
        self.possible(share, &shape).await?;
        self.vm_name_is_free(source.project, &name).await?;
        tenant.extend(&mut work.draft);
        self.take(&mut work.draft, share, takes_of(&shape)).await?;
        let clone = VmId(self.draw(asked.now));
        let mut leases = Taken::default();
        let adapters = self
            .plug((asked, &mut work.draft, &mut leases), &plugs, clone, &[])
            .await?;
        let vm = Vm {
            id: clone,
            name,
            host: None,
            leaving: None,
            source: Source::Clone(id),
            meant: Meant {
                generation: Generation::default(),
                power: Power::Off,
                stop: Stop::default(),
                reboots: 0,
                resets: 0,
                shape,
                adapters,
                save: None,
                tombstone: false,
            },
            seen: Seen::default(),
            operation: None,
            made: false,
            ran: false,
            deallocated: false,
            lost: false,
            started: None,
            by: Some(asked.actor()?.user),
            created: asked.now,
            freeze: None,
            ..source
        };
        let (made, operation) = self.born(asked, Verb::Clone, vm, row.user_data.clone())?;
        row.pinned_by.push(clone.0);
        work.put(id, Some(row), Telling::Quietly);
        if let Some(open) = open {
            work.draft.expect(open);
        }
        let mut draft = work.finish(self).await?;
        draft.create(&made);
        draft.aside().insert(&operation);
        Ok(draft.answer(Deployed {
            vms: vec![made.vm],
            operations: vec![operation],
        }))
    }
}
