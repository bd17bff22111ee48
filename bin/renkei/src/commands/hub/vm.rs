//! `renkei vm`.

pub mod reach;
mod ssh;

use std::path::Path;

use renkei_types::id::{PresetId, ProjectId, SegmentId, TemplateId};
use renkei_types::vm::{CloneVm, Deployed, NewAdapter, NewVm, Pack, PackKind, PowerOn, SaveVm, Size, Vm, VmPatch};
use serde::Serialize;
use uuid::Uuid;

use super::client::{Change, Outcome};
use super::failure::Failure;
use super::names::{Mention, Names};
use super::noun::Noun;
use super::resolve::Collection::{self, Hosts, Presets, Projects, Segments, Sites, Templates};
use super::{Hub, operation, table};

pub use ssh::NoLogin;

use crate::arguments::hub::amount::{Disk, Memory};
use crate::arguments::hub::vm::{self, Verb};
use crate::arguments::hub::{OneOfProject, Planned};
use crate::exit;

const HERE: Collection = Collection::Vms;

impl Noun for Vm {
    const NOUN: &'static str = "vm";
    const HEADING: &'static [&'static str] = &["NAME", "PROJECT", "STATE", "ADDRESS", "VCPUS", "MEMORY", "DISK", "ID"];

    fn called(&self, _: &Names) -> String {
        format!("`{}`", self.name)
    }

    fn mentions(&self) -> Vec<Mention> {
        let host = self.host.map(|host| (Hosts, host.0));
        let about = [(Projects, self.project.0), (Sites, self.site.0)];
        about.into_iter().chain(host).collect()
    }

    fn row(&self, names: &Names) -> Vec<String> {
        let shape = &self.meant.shape;
        vec![
            self.name.to_string(),
            names.get(self.project.0),
            self.state().to_string(),
            addresses(self),
            shape.vcpus.to_string(),
            Memory(shape.memory_mib).to_string(),
            Disk(shape.disk_gib()).to_string(),
            self.id.to_string(),
        ]
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        let shape = &self.meant.shape;
        let fault = self.seen.fault.as_ref().map(|fault| fault.message.clone());
        vec![
            ("name", self.name.to_string()),
            ("id", self.id.to_string()),
            ("project", names.get(self.project.0)),
            ("site", names.get(self.site.0)),
            ("host", self.host.map(|host| names.get(host.0)).unwrap_or_default()),
            ("state", self.state().to_string()),
            ("doing", self.seen.doing.clone().unwrap_or_default()),
            ("fault", fault.unwrap_or_default()),
            (
                "issued",
                table::joined(
                    self.meant
                        .adapters
                        .iter()
                        .flat_map(|adapter| &adapter.addresses)
                        .map(ToString::to_string),
                ),
            ),
            ("seen", addresses(self)),
            ("vcpus", shape.vcpus.to_string()),
            ("memory", Memory(shape.memory_mib).to_string()),
            (
                "disks",
                table::joined(shape.disks.iter().map(|disk| Disk(disk.gib).to_string())),
            ),
            ("service level", shape.service_level.to_string()),
            ("user", self.login_username.clone()),
            (
                "open operation",
                self.operation.map(|id| id.to_string()).unwrap_or_default(),
            ),
            (
                "generation",
                format!("{} is meant, {} is so", self.meant.generation, self.seen.generation),
            ),
            ("created", table::time(self.created)),
        ]
    }
}

fn addresses(vm: &Vm) -> String {
    table::joined(vm.seen.addresses.values().flatten().map(ToString::to_string))
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List(list) => {
            let mut query = Vec::new();
            if let Some(project) = &list.of.project {
                query.push(("project", hub.id(Projects, project).await?.to_string()));
            }
            if let Some(site) = &list.site {
                query.push(("site", hub.id(Sites, site).await?.to_string()));
            }
            hub.list::<Vm>(HERE.path(), &query).await
        }
        Verb::Show(one) => self::show(hub, &one).await,
        Verb::Reach(reach) => self::reach::reach(hub, &reach).await,
        Verb::Ssh(ssh) => self::ssh::ssh(hub, &ssh).await,
        Verb::Deploy(deploy) => self::deploy(hub, deploy).await,
        Verb::Clone(clone) => {
            let id = hub.one(HERE, &clone.one).await?;
            let new = CloneVm {
                name: clone.name,
                size: None,
                adapters: None,
                service_level: None,
            };
            let change = Change::create(format!("{}/clone", HERE.one(id)), &new).mode(clone.planned.into());
            deployed(hub, &change, "cloning").await
        }
        Verb::Change(change) => self::change(hub, change).await,
        Verb::PowerOn(power_on) => {
            let body = PowerOn {
                service_level: power_on.service_level.map(Into::into),
            };
            ask(hub, &power_on.act, ("power-on", "starting"), &body).await
        }
        Verb::Shutdown(act) => ask(hub, &act, ("shutdown", "shutting down"), &()).await,
        Verb::PowerOff(act) => ask(hub, &act, ("power-off", "powering off"), &()).await,
        Verb::Reboot(act) => ask(hub, &act, ("reboot", "rebooting"), &()).await,
        Verb::Reset(act) => ask(hub, &act, ("reset", "resetting"), &()).await,
        Verb::Suspend(act) => ask(hub, &act, ("suspend", "suspending"), &()).await,
        Verb::Resume(act) => ask(hub, &act, ("resume", "resuming"), &()).await,
        Verb::Save(save) => {
            let id = hub.one(HERE, &save.one).await?;
            let body = SaveVm { name: save.name };
            let change = Change::create(format!("{}/save", HERE.one(id)), &body).mode(save.planned.into());
            asked(hub, &change, (id, "saving", &save.one.which)).await
        }
        Verb::Console(console) => super::console::run(hub, &console).await,
        Verb::Destroy(destroy) => {
            let id = hub.one(HERE, &destroy.one).await?;
            hub.destroy::<Vm>(&HERE.one(id), destroy.destroys, "destroying").await
        }
        Verb::Freeze(freeze) => hub.freeze::<Vm>(HERE, freeze).await,
        Verb::Thaw(thaw) => hub.thaw::<Vm>(HERE, &thaw).await,
    }
}

/// With what its open operation waits for, which is what people want to know of one that does not get on.
async fn show(hub: &Hub, one: &OneOfProject) -> Result<u8, Failure> {
    let object = hub.client.get(&HERE.one(hub.one(HERE, one).await?), &[]).await?.body;
    if hub.is_json() {
        return hub.print_json(&object);
    }
    let vm: Vm = hub.client.read(object)?;
    let names = Names::of(&hub.client, vm.mentions()).await;
    let mut fields = vm.fields(&names);
    if let Some(waiting) = operation::waiting_for(hub, vm.operation).await {
        fields.push(("waiting for", waiting));
    }
    hub.print_text(&table::fields(fields))
}

async fn deploy(hub: &Hub, deploy: vm::Deploy) -> Result<u8, Failure> {
    let project = hub.id(Projects, &deploy.project.project).await?;
    let mut segments = Vec::new();
    for segment in &deploy.segment {
        segments.push(hub.within(Segments, (segment, &deploy.project.project)).await?);
    }
    if segments.is_empty() && deploy.address.is_some() {
        segments.push(default_segment(hub, (project, &deploy.project.project)).await?);
    }
    let first = |index: usize| deploy.address.filter(|_| index == 0);
    let adapter = |(index, segment): (usize, Uuid)| NewAdapter {
        segment: SegmentId(segment),
        address: first(index),
    };
    let adapters = segments.into_iter().enumerate().map(adapter).collect();
    let new = NewVm {
        project: ProjectId(project),
        name: deploy.name,
        template: TemplateId(hub.id(Templates, &deploy.template).await?),
        size: size(hub, &deploy.sized).await?,
        disk_gib: deploy.disk.map(|disk| disk.0),
        adapters,
        key: deploy.key.as_deref().map(read).transpose()?.unwrap_or_default(),
        user_data: deploy.user_data.as_deref().map(read).transpose()?,
        service_level: deploy.service_level.into(),
        power_on: !deploy.off,
        storage_network: None,
    };
    deployed(
        hub,
        &Change::create(HERE.path(), &new).mode(deploy.planned.into()),
        "deploying",
    )
    .await
}

/// The network that machines of a project get which ask for none.
async fn default_segment(hub: &Hub, (project, called): (Uuid, &str)) -> Result<Uuid, Failure> {
    let mut all = hub.client.all(&Segments.of_project(project), &[]).await?;
    all.retain(|one| one["default"] == true);
    super::resolve::the_one(Segments, ("default", Some(called)), &all)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|source| Failure::File {
        path: path.to_owned(),
        source,
    })
}

async fn size(hub: &Hub, sized: &vm::Sized) -> Result<Option<Size>, Failure> {
    if let Some(preset) = &sized.preset {
        return Ok(Some(Size::Preset(PresetId(hub.id(Presets, preset).await?))));
    }
    let packs = sized.packs.map(|number| {
        Size::Pack(Pack {
            kind: PackKind::Cpu,
            number,
        })
    });
    let custom = sized
        .vcpus
        .zip(sized.memory)
        .map(|(vcpus, Memory(memory_mib))| Size::Custom { vcpus, memory_mib });
    Ok(packs.or(custom))
}

/// Makes machines, tells which, and waits for each if that was asked for.
async fn deployed(hub: &Hub, change: &Change, doing: &str) -> Result<u8, Failure> {
    let answer = match hub.client.change(change).await? {
        Outcome::Planned(plan) => return hub.print_plan(plan).await,
        Outcome::Done(answer) => answer,
    };
    if hub.is_json() {
        hub.print_json(&answer)?;
    }
    let deployed: Deployed = hub.client.read(answer)?;
    for vm in deployed.vms.iter().filter(|_| !hub.is_json()) {
        hub.print_line(&format!("{doing} vm `{}`, id {}", vm.name, vm.id))?;
    }
    let mut ends = exit::COMPLETE;
    for vm in &deployed.vms {
        let machine = serde_json::json!({ "id": vm.id });
        ends = ends.max(hub.until_so(change, &machine).await?);
    }
    Ok(ends)
}

async fn change(hub: &Hub, change: vm::Change) -> Result<u8, Failure> {
    let id = hub.one(HERE, &change.one).await?;
    let disks: Vec<u64> = change.disk.iter().map(|disk| disk.0).collect();
    let patch = VmPatch {
        name: change.name,
        size: size(hub, &change.sized).await?,
        disks_gib: (!disks.is_empty()).then_some(disks),
        adapters: None,
        service_level: change.service_level.map(Into::into),
    };
    let asked_for = Change::patch(HERE.one(id), &patch).mode(change.planned.into());
    asked(hub, &asked_for, (id, "changing", &change.one.which)).await
}

async fn ask(hub: &Hub, act: &vm::Act, (path, doing): (&str, &str), body: &impl Serialize) -> Result<u8, Failure> {
    let id = hub.one(HERE, &act.one).await?;
    let planned: Planned = act.planned;
    let change = Change::create(format!("{}/{path}", HERE.one(id)), body).mode(planned.into());
    asked(hub, &change, (id, doing, &act.one.which)).await
}

/// Asks a machine for something, says so, and waits for it if that was asked for.
async fn asked(hub: &Hub, change: &Change, (id, doing, called): (Uuid, &str, &str)) -> Result<u8, Failure> {
    match hub.client.change(change).await? {
        Outcome::Planned(plan) => hub.print_plan(plan).await,
        Outcome::Done(operation) => {
            match hub.is_json() {
                true => hub.print_json(&operation)?,
                false => {
                    let operation = operation["id"].as_str().unwrap_or_default();
                    hub.print_line(&format!("{doing} vm `{called}`, operation {operation}"))?
                }
            };
            hub.until_so(change, &serde_json::json!({ "id": id })).await
        }
    }
}
