//! Machines that a host has and nobody knows of: what a person did by hand, or what a database that was set back has forgotten. They are
//! kept until somebody who runs the site adopts them or lets them be destroyed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use renkei_store::Stored;
use renkei_store::noun::contact::Contact;
use renkei_store::noun::vm::VmRow;
use renkei_types::action::Action;
use renkei_types::agent::{AdapterIntent, DiskSource, MachineIntent, MachineSeen};
use renkei_types::host::{AdoptVm, Host, UnknownVm};
use renkei_types::id::{HostId, ProjectId, SegmentId, TemplateId, VmId};
use renkei_types::name::VmName;
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::project::Project;
use renkei_types::segment::Segment;
use renkei_types::template::Template;
use renkei_types::vm::{Adapter, Meant, Save, Seen, ServiceLevel, Shape, Source, Vm};
use uuid::Uuid;

use crate::app::decision::{Decision, Draft};
use crate::app::lease::{Taken, Wanted};
use crate::app::manifest::{Change, Manifests, takes};
use crate::app::{Answer, App, Asked, Versioned};

/// How a machine that nobody knows of is called in sentences.
const NOUN: &str = "unknown machine";

impl App {
    /// All of a host.
    pub async fn unknown_vms(&self, asked: &Asked, id: HostId) -> Result<Page<UnknownVm>, Problem> {
        self.host_for(asked, Action::HostRead, id).await?;
        let contact = self.of_host::<Contact>(id).await?;
        let unknown = contact.into_iter().flat_map(|contact| contact.value.unknown);
        let shown = unknown.map(|seen| UnknownVm {
            id: seen.id,
            generation: seen.generation,
            project: seen.project,
            name: seen.name,
            power: seen.power,
            adoptable: seen.record.is_some(),
        });
        Ok(Page {
            items: shown.collect(),
            next: None,
        })
    }

    /// Makes one a machine of the project that it was in, just as it is.
    pub async fn adopt_vm(
        &self,
        asked: &Asked,
        (host, vm): (HostId, VmId),
        adopt: AdoptVm,
    ) -> Result<Answer<Versioned<Vm>>, Problem> {
        self.decide(asked, || self.adoption(asked, (host, vm), &adopt)).await
    }

    /// Lets one be destroyed: a tombstone that names it and its generation.
    pub async fn destroy_unknown_vm(&self, asked: &Asked, (host, vm): (HostId, VmId)) -> Result<Answer<()>, Problem> {
        self.decide(asked, || self.unknown_destruction(asked, (host, vm))).await
    }

    async fn adoption(
        &self,
        asked: &Asked,
        (host, vm): (HostId, VmId),
        adopt: &AdoptVm,
    ) -> Result<Decision<Versioned<Vm>>, Problem> {
        let (host, seen) = self.unknown_vm(asked, (host, vm)).await?;
        let conflict = |problem: String| Problem::new(ProblemKind::Conflict, problem);
        let Some(record) = &seen.record else {
            let problem = conflict(format!(
                "the host has no record of what machine `{}` is made of",
                seen.name
            ));
            return Err(problem.hint("save what is on its disk by hand; then let it be destroyed"));
        };
        if let Some(other) = self.vm_row(vm).await? {
            let problem = conflict(format!(
                "machine `{}` is there already, this is an old copy of it",
                other.vm.name
            ));
            return Err(problem.hint("let this copy be destroyed"));
        }
        let mut draft = Draft::new();
        self.extend_project(&mut draft, seen.project).await?;
        let name = self.name_of_adopted(&seen, adopt).await?;
        let adapters = self
            .plug_again(&mut draft, (asked, &host.value, &seen), &record.adapters)
            .await?;
        let template = self.template_of_record(&record.source).await?;
        let row = adopted((&host.value, &seen, record), (name, adapters), template.as_ref(), asked);
        draft.create(&row);
        draft.expect(&host);
        let mut manifests = Manifests::default();
        let change = Change::Run(row.vm.meant.generation, takes(&row.vm.meant));
        manifests.change(self, host.value.id, (vm, change)).await?;
        manifests.issue(self, draft.aside()).await?;
        Ok(draft.answer(Versioned {
            version: row.vm.meant.generation.0,
            value: row.vm,
        }))
    }

    async fn unknown_destruction(&self, asked: &Asked, (id, vm): (HostId, VmId)) -> Result<Decision<()>, Problem> {
        let (host, seen) = self.unknown_vm(asked, (id, vm)).await?;
        let mut draft = Draft::new();
        draft.expect(&host);
        draft.destroy_unknown(&host.value, &seen);
        let mut manifests = Manifests::default();
        manifests
            .change(self, id, (vm, Change::Gone(seen.generation.next())))
            .await?;
        manifests.issue(self, draft.aside()).await?;
        Ok(draft.answer(()))
    }

    /// One that the host has told of, and that no manifest names by now.
    async fn unknown_vm(
        &self,
        asked: &Asked,
        (id, vm): (HostId, VmId),
    ) -> Result<(Stored<Host>, MachineSeen), Problem> {
        let host = self.host_for(asked, Action::HostWrite, id).await?;
        let contact = self.of_host::<Contact>(id).await?;
        let unknown = contact.into_iter().flat_map(|contact| contact.value.unknown);
        let seen = unknown.into_iter().find(|seen| seen.id == vm);
        let known = self.manifest(id).await?.value.machines.contains_key(&vm);
        match seen.filter(|_| !known) {
            Some(seen) => Ok((host, seen)),
            None => Err(crate::app::missing(NOUN, vm.0).hint("`renkei host unknown` lists those of a host")),
        }
    }

    async fn vm_row(&self, vm: VmId) -> Result<Option<VmRow>, Problem> {
        let found = self.store.state.get::<VmRow>(vm.0).await;
        let found = found.map_err(|error| crate::app::state(&error))?;
        Ok(found.map(|row| row.value))
    }

    async fn extend_project(&self, draft: &mut Draft, id: ProjectId) -> Result<(), Problem> {
        let found = self.store.state.get::<Project>(id.0).await;
        if found.map_err(|error| crate::app::state(&error))?.is_none() {
            let problem = Problem::new(ProblemKind::Conflict, format!("its project `{id}` is gone"));
            return Err(problem.hint("save what is on its disk by hand; then let it be destroyed"));
        }
        self.tenant(id).await?.extend(draft);
        Ok(())
    }

    async fn name_of_adopted(&self, seen: &MachineSeen, adopt: &AdoptVm) -> Result<VmName, Problem> {
        let refused = |kind, problem: String| Problem::new(kind, problem).field("name");
        let name = match &adopt.name {
            Some(name) => name.clone(),
            None => seen.name.parse().map_err(|_| {
                let problem = format!("`{}` is no name that a machine can have", seen.name);
                refused(ProblemKind::Conflict, problem).hint("give it another `name`")
            })?,
        };
        let key = format!("{}/{}", seen.project, name.folded());
        if self.find::<VmRow>("name", &key).await?.is_some() {
            let problem = format!("its project has a machine `{name}` by now");
            return Err(refused(ProblemKind::Conflict, problem).hint("give it another `name`"));
        }
        Ok(name)
    }

    /// Its adapters, with the addresses that they had.
    async fn plug_again(
        &self,
        draft: &mut Draft,
        (asked, host, seen): (&Asked, &Host, &MachineSeen),
        adapters: &[AdapterIntent],
    ) -> Result<Vec<Adapter>, Problem> {
        let mut taken = Taken::default();
        let mut segments: BTreeMap<SegmentId, Stored<Segment>> = BTreeMap::new();
        let mut plugged = Vec::with_capacity(adapters.len());
        for adapter in adapters {
            if let std::collections::btree_map::Entry::Vacant(e) = segments.entry(adapter.segment) {
                let found = self.store.state.get::<Segment>(adapter.segment.0).await;
                let found = found.map_err(|error| crate::app::state(&error))?;
                let own = |segment: &Stored<Segment>| {
                    segment.value.project == seen.project && segment.value.site() == Some(host.site)
                };
                let Some(segment) = found.filter(own) else {
                    let problem = format!(
                        "network `{}` of its adapter {} is gone",
                        adapter.segment, adapter.number
                    );
                    let problem = Problem::new(ProblemKind::Conflict, problem);
                    return Err(problem.hint("save what is on its disk by hand; then let it be destroyed"));
                };
                e.insert(segment);
            }
            let v4 = adapter.addresses.iter().copied().find(IpAddr::is_ipv4);
            let mut addresses = Vec::new();
            if let (Some(address), Some(segment)) = (v4, segments.get(&adapter.segment)) {
                let wanted = Wanted {
                    segment,
                    address: Some(address),
                    vm: seen.id,
                    now: asked.now,
                };
                let leased = self.lease(draft, &mut taken, &wanted).await;
                addresses = leased.map_err(|problem| match problem.field.as_deref() {
                    Some("address") => problem
                        .hint("plug the other machine in anew, which gives it another address; then adopt this one"),
                    _ => problem,
                })?;
            }
            plugged.push(Adapter {
                number: adapter.number,
                segment: adapter.segment,
                mac: adapter.mac,
                addresses,
            });
        }
        Ok(plugged)
    }

    async fn template_of_record(&self, source: &DiskSource) -> Result<Option<Template>, Problem> {
        let DiskSource::Template { name, .. } = source else {
            return Ok(None);
        };
        let found = self.find::<Template>("template_name", &name.to_lowercase()).await?;
        Ok(found.map(|template| template.value))
    }
}

/// What is meant is what is seen.
fn adopted(
    (host, seen, record): (&Host, &MachineSeen, &MachineIntent),
    (name, adapters): (VmName, Vec<Adapter>),
    template: Option<&Template>,
    asked: &Asked,
) -> VmRow {
    let generation = seen.generation.max(record.generation);
    let meant = Meant {
        generation,
        power: seen.power,
        stop: record.stop,
        reboots: record.reboots,
        resets: record.resets,
        shape: Shape {
            pack: None,
            vcpus: record.vcpus,
            memory_mib: record.memory_mib,
            gpus: 0,
            disks: record.disks.clone(),
            service_level: ServiceLevel::default(),
        },
        adapters,
        save: record.save.map(|image| Save { image }),
        tombstone: false,
    };
    let vm = Vm {
        id: seen.id,
        project: seen.project,
        site: host.site,
        name,
        host: Some(host.id),
        leaving: None,
        source: Source::Template(template.map_or(TemplateId(Uuid::nil()), |template| template.id)),
        os_type: template
            .map(|template| template.facts.os_type.clone())
            .unwrap_or_default(),
        login_username: template
            .map(|template| template.facts.login_username.clone())
            .unwrap_or_default(),
        key: record.key.clone(),
        storage_network: String::new(),
        meant,
        seen: Seen {
            generation: seen.generation,
            power: Some(seen.power),
            addresses: seen.addresses.clone(),
            at: Some(asked.now),
            ..Seen::default()
        },
        operation: None,
        made: true,
        ran: true,
        deallocated: false,
        lost: false,
        started: None,
        by: asked.doer.user,
        created: asked.now,
        freeze: None,
    };
    VmRow {
        vm,
        user_data: None,
        before: None,
        placing: None,
        pinned_by: Vec::new(),
    }
}
