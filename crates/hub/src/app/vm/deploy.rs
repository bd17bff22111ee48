//! Deploying: one machine or a range of them, all or none.

use renkei_store::noun::vm::VmRow;
use renkei_types::action::Action;
use renkei_types::id::{ProjectId, SegmentId, TemplateId, VmId};
use renkei_types::name::VmName;
use renkei_types::operation::{Generation, Operation};
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::project::Project;
use renkei_types::quota::Amounts;
use renkei_types::template::Template;
use renkei_types::vm::{Deployed, Meant, NewVm, Power, Seen, Shape, Source, Stop, Vm};

use super::outcome::begin;
use super::plug::Plugs;
use super::size::{Sized, disks, enough_for};
use super::sound;
use super::verb::Verb;
use crate::app::decision::{Decision, Draft};
use crate::app::lease::Taken;
use crate::app::queue::Bound;
use crate::app::quota::{Share, takes_of};
use crate::app::{Answer, App, Asked, state, taken};

impl App {
    /// Asks for machines. They are there when this returns, and wait for room.
    pub async fn deploy(&self, asked: &Asked, new: NewVm) -> Result<Answer<Deployed>, Problem> {
        sound::new(&new)?;
        let whose = self.where_to_be(asked, &new).await;
        let decided = self.decide(asked, || self.deployment(asked, &new));
        match whose {
            Some((share, segment)) => self.queued(share, segment, decided).await,
            // It will be refused, and the decision says why.
            None => decided.await,
        }
    }

    /// Waits for its turn at what it takes from.
    pub(super) async fn queued<T>(&self, share: Share, segment: SegmentId, decided: impl Future<Output = T>) -> T {
        let inner = self.in_turn(Bound::Segment(segment), decided);
        Box::pin(self.in_turn(Bound::Quota(share), inner)).await
    }

    async fn where_to_be(&self, asked: &Asked, new: &NewVm) -> Option<(Share, SegmentId)> {
        asked.actor().ok()?;
        let tenant = self.tenant(new.project).await.ok()?;
        let plugs = self.plugs(&tenant.project.value, &new.adapters).await.ok()?;
        let (project, site) = (new.project, plugs.site);
        let first = plugs.segments().next()?;
        Some((Share { project, site }, first))
    }

    pub(super) async fn deployment(&self, asked: &Asked, new: &NewVm) -> Result<Decision<Deployed>, Problem> {
        asked.actor()?;
        let tenant = self.tenant(new.project).await?;
        tenant.may(asked, Action::VmWrite)?;
        let names = sound::names(&new.name)?;
        let template = self.template_to_use(&tenant.project.value, new.template).await?;
        let sized = match &new.size {
            Some(size) => self.sized(size).await?,
            None => Sized::least(&template.facts),
        };
        let disks = disks(
            "disk_gib",
            &[new.disk_gib.unwrap_or(template.facts.min_disk_gib.max(1))],
        )?;
        let shape = sized.shape(disks, new.service_level);
        enough_for(&template.facts, &shape)?;
        let plugs = self.plugs(&tenant.project.value, &new.adapters).await?;
        if plugs.asks_for_an_address() && names.len() > 1 {
            let problem = Problem::new(ProblemKind::Invalid, "several machines cannot have one address");
            return Err(problem
                .field("adapters")
                .hint("ask for one machine, or leave the address away"));
        }
        let (project, site) = (new.project, plugs.site);
        self.possible(Share { project, site }, &shape).await?;
        for name in &names {
            self.vm_name_is_free(new.project, name).await?;
        }
        let mut draft = Draft::new();
        tenant.extend(&mut draft);
        self.take(
            &mut draft,
            Share { project, site },
            times(takes_of(&shape), names.len()),
        )
        .await?;
        let wanted = Wanted {
            new,
            template: &template,
            shape: &shape,
            plugs: &plugs,
        };
        let mut leases = Taken::default();
        let mut deployed = Deployed::default();
        let mut ids: Vec<VmId> = names.iter().map(|_| VmId(self.draw(asked.now))).collect();
        // Lists by id are in the order of the names.
        ids.sort_unstable();
        for (id, name) in ids.into_iter().zip(names) {
            let (row, operation) = self
                .machine(asked, &wanted, (id, name), (&mut draft, &mut leases))
                .await?;
            draft.create(&row);
            draft.aside().insert(&operation);
            deployed.vms.push(row.vm);
            deployed.operations.push(operation);
        }
        Ok(draft.answer(deployed))
    }

    async fn machine(
        &self,
        asked: &Asked,
        wanted: &Wanted<'_>,
        (id, name): (VmId, VmName),
        (draft, leases): (&mut Draft, &mut Taken),
    ) -> Result<(VmRow, Operation), Problem> {
        let (new, template) = (wanted.new, wanted.template);
        let adapters = self.plug((asked, draft, leases), wanted.plugs, id, &[]).await?;
        let meant = Meant {
            generation: Generation::default(),
            power: if new.power_on { Power::On } else { Power::Off },
            stop: Stop::default(),
            reboots: 0,
            resets: 0,
            shape: wanted.shape.clone(),
            adapters,
            save: None,
            tombstone: false,
        };
        let vm = Vm {
            id,
            project: new.project,
            site: wanted.plugs.site,
            name,
            host: None,
            leaving: None,
            source: Source::Template(new.template),
            os_type: template.facts.os_type.clone(),
            login_username: template.facts.login_username.clone(),
            key: new.key.clone(),
            storage_network: new.storage_network.clone().unwrap_or_default(),
            meant,
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
        };
        self.born(asked, Verb::Deploy, vm, new.user_data.clone())
    }

    /// A new machine, which waits for room, and the operation that makes it.
    pub(super) fn born(
        &self,
        asked: &Asked,
        verb: Verb,
        vm: Vm,
        user_data: Option<String>,
    ) -> Result<(VmRow, Operation), Problem> {
        let operation = self.operation_on(asked, verb, &vm)?;
        let meant = vm.meant.clone();
        let row = VmRow {
            vm,
            user_data,
            before: None,
            placing: None,
            pinned_by: Vec::new(),
        };
        let begun = begin(&row, operation, meant, asked.now);
        match (begun.row, begun.operation) {
            (Some(row), Some(operation)) => Ok((row, operation)),
            _ => Err(Problem::new(ProblemKind::Internal, "nothing was begun")),
        }
    }

    /// A template that everybody sees, or one of the project.
    async fn template_to_use(&self, project: &Project, id: TemplateId) -> Result<Template, Problem> {
        let found = self.store.state.get::<Template>(id.0).await;
        let found = found.map_err(|error| state(&error))?.map(|found| found.value);
        found
            .filter(|found| found.project.is_none_or(|whose| whose == project.id))
            .ok_or_else(|| {
                let title = format!("project `{}` sees no template `{id}`", project.name);
                let problem = Problem::new(ProblemKind::Invalid, title).field("template");
                problem.hint("`renkei template list` shows those that it sees")
            })
    }

    pub(super) async fn vm_name_is_free(&self, project: ProjectId, name: &VmName) -> Result<(), Problem> {
        match self
            .find::<VmRow>("name", &format!("{project}/{}", name.folded()))
            .await?
        {
            Some(_) => Err(taken(VmId::NOUN, name.as_str())),
            None => Ok(()),
        }
    }
}

/// What all machines of one request have in common.
struct Wanted<'a> {
    new: &'a NewVm,
    template: &'a Template,
    shape: &'a Shape,
    plugs: &'a Plugs,
}

/// So many of each.
fn times(amounts: Amounts, count: usize) -> Amounts {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    Amounts {
        vms: amounts.vms.saturating_mul(count),
        vcpus: amounts.vcpus.saturating_mul(count),
        memory_mib: amounts.memory_mib.saturating_mul(count.into()),
        disk_gib: amounts.disk_gib.saturating_mul(count.into()),
        ..amounts
    }
}
