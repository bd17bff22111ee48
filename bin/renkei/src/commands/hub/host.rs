//! `renkei host`.

use renkei_types::host::{AdoptVm, HostPatch, HostSettings, HostState, HostStatus, Remaining, UnknownVm};
use renkei_types::vm::Vm;
use serde_json::Value;
use uuid::Uuid;

use super::client::Change;
use super::failure::Failure;
use super::names::{Mention, Names};
use super::noun::{Deed, Noun, Object};
use super::resolve::Collection::{self, Projects, Sites};
use super::{Hub, table};
use crate::arguments::hub::Delete;
use crate::arguments::hub::amount::{Disk, Memory};
use crate::arguments::hub::host::{self, Verb};

const HERE: Collection = Collection::Hosts;

impl Noun for HostStatus {
    const NOUN: &'static str = "host";
    const HEADING: &'static [&'static str] = &[
        "NAME", "SITE", "STATE", "VMS", "VCPUS", "MEMORY", "DISK", "UNKNOWN", "ID",
    ];

    fn called(&self, _: &Names) -> String {
        format!("`{}`", self.host.name)
    }

    fn mentions(&self) -> Vec<Mention> {
        let projects = self.remaining.iter().map(|vm| (Projects, vm.project.0));
        [(Sites, self.host.site.0)].into_iter().chain(projects).collect()
    }

    fn row(&self, names: &Names) -> Vec<String> {
        let [vcpus, memory, disk] = room(self);
        vec![
            self.host.name.to_string(),
            names.get(self.host.site.0),
            self.host.state.to_string(),
            self.machines.to_string(),
            vcpus,
            memory,
            disk,
            self.unknown.to_string(),
            self.host.id.to_string(),
        ]
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        let (host, settings) = (&self.host, &self.host.settings);
        let [vcpus, memory, disk] = room(self);
        let mut fields = vec![
            ("name", host.name.to_string()),
            ("id", host.id.to_string()),
            ("site", names.get(host.site.0)),
            ("state", host.state.to_string()),
            ("last heard", table::time_or(self.heard, "never")),
            ("machines", self.machines.to_string()),
            ("unknown machines", self.unknown.to_string()),
            ("vcpus promised", vcpus),
            ("memory promised", memory),
            ("disk promised", disk),
            ("disk free", Disk(self.free_disk_gib).to_string()),
            ("threads", host.capacity.vcpus.to_string()),
            ("memory", Memory(host.capacity.memory_mib).to_string()),
            ("disk", Disk(host.capacity.disk_gib).to_string()),
            ("vcpu percent", settings.vcpu_percent.to_string()),
            ("memory percent", settings.memory_percent.to_string()),
            ("disk percent", settings.disk_percent.to_string()),
            ("keeps memory", Memory(settings.keep_memory_mib).to_string()),
            ("free disk floor", Disk(settings.free_disk_floor_gib).to_string()),
            ("driver", host.driver.clone()),
            ("why that driver", host.driver_reason.clone()),
            ("agent", host.version.clone()),
            ("created", table::time(host.created)),
        ];
        fields.extend(self.remaining.iter().map(|vm| ("still there", remaining(vm, names))));
        fields
    }
}

/// What is promised, of what may be.
fn room(status: &HostStatus) -> [String; 3] {
    let (taken, promised) = (&status.taken, &status.promised);
    [
        format!("{} of {}", taken.vcpus, promised.vcpus),
        format!("{} of {}", Memory(taken.memory_mib), Memory(promised.memory_mib)),
        format!("{} of {}", Disk(taken.disk_gib), Disk(promised.disk_gib)),
    ]
}

fn remaining(vm: &Remaining, names: &Names) -> String {
    format!("{} of {}, {}", vm.name, names.get(vm.project.0), vm.state)
}

impl Noun for UnknownVm {
    const NOUN: &'static str = "unknown machine";
    const HEADING: &'static [&'static str] = &["NAME", "PROJECT", "POWER", "ADOPTABLE", "ID"];

    fn called(&self, _: &Names) -> String {
        format!("`{}`", self.name)
    }

    fn mentions(&self) -> Vec<Mention> {
        vec![(Projects, self.project.0)]
    }

    fn row(&self, names: &Names) -> Vec<String> {
        let adoptable = if self.adoptable { "yes" } else { "no" };
        vec![
            self.name.clone(),
            names.get(self.project.0),
            self.power.to_string(),
            adoptable.to_owned(),
            self.id.to_string(),
        ]
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        vec![
            ("name", self.name.clone()),
            ("id", self.id.to_string()),
            ("project", names.get(self.project.0)),
            ("power", self.power.to_string()),
        ]
    }
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List(list) => {
            let mut query = Vec::new();
            if let Some(site) = &list.site {
                query.push(("site", hub.id(Sites, site).await?.to_string()));
            }
            hub.list::<HostStatus>(HERE.path(), &query).await
        }
        Verb::Show(one) => hub.show::<HostStatus>(&HERE.one(hub.id(HERE, &one.which).await?)).await,
        Verb::Change(change) => self::change(hub, change).await,
        Verb::Fenced(fenced) => self::fenced(hub, &fenced).await,
        Verb::Unknown(one) => {
            let id = hub.id(HERE, &one.which).await?;
            hub.list::<UnknownVm>(&format!("{}/unknown", HERE.one(id)), &[]).await
        }
        Verb::Adopt(adopt) => {
            let found = unknown(hub, &adopt.unknown).await?;
            let change = Change::create(&found.path, &AdoptVm { name: adopt.name });
            hub.carry_out::<Vm>(&Deed {
                change: change.mode(adopt.planned.into()),
                done: "adopted",
            })
            .await
        }
        Verb::Destroy(destroy) => {
            let found = unknown(hub, &destroy.unknown).await?;
            let object = Object {
                change: Change::delete(&found.path).mode(destroy.destroys.planned.into()),
                called: found.called,
                done: "ordered to destroy",
                body: Value::Null,
            };
            hub.confirmed(&object, destroy.destroys).await
        }
        Verb::Delete(delete) => hub.delete::<HostStatus>(HERE, &delete).await,
    }
}

/// Settings that are not named stay, so they are read first, and written only if nobody changed them since.
async fn change(hub: &Hub, change: host::Change) -> Result<u8, Failure> {
    let path = HERE.one(hub.id(HERE, &change.one.which).await?);
    let answer = hub.client.get(&path, &[]).await?;
    let was = hub.client.read::<HostStatus>(answer.body)?.host.settings;
    let settings = HostSettings {
        vcpu_percent: change.vcpu_percent.unwrap_or(was.vcpu_percent),
        memory_percent: change.memory_percent.unwrap_or(was.memory_percent),
        disk_percent: change.disk_percent.unwrap_or(was.disk_percent),
        keep_memory_mib: change.keep_memory.map_or(was.keep_memory_mib, |memory| memory.0),
        free_disk_floor_gib: change.free_disk_floor.map_or(was.free_disk_floor_gib, |disk| disk.0),
    };
    let patch = HostPatch {
        name: change.name,
        state: change.state.map(Into::into),
        settings: (settings != was).then_some(settings),
    };
    let change = Change::patch(path, &patch)
        .seen(answer.version)
        .mode(change.planned.into());
    let done = "changed";
    hub.carry_out::<HostStatus>(&Deed { change, done }).await
}

async fn fenced(hub: &Hub, fenced: &Delete) -> Result<u8, Failure> {
    let path = HERE.one(hub.id(HERE, &fenced.one.which).await?);
    let answer = hub.client.get(&path, &[]).await?;
    let host = hub.client.read::<HostStatus>(answer.body)?.host;
    let patch = HostPatch {
        state: Some(HostState::Fenced),
        ..HostPatch::default()
    };
    let change = Change::patch(path, &patch).seen(answer.version);
    let object = Object {
        change: change.mode(fenced.destroys.planned.into()),
        called: format!("host `{}`", host.name),
        done: "fenced",
        body: Value::Null,
    };
    hub.confirmed(&object, fenced.destroys).await
}

/// A machine that nobody knows of.
struct Found {
    path: String,
    called: String,
}

async fn unknown(hub: &Hub, named: &host::Unknown) -> Result<Found, Failure> {
    let list = format!("{}/unknown", HERE.one(hub.id(HERE, &named.host).await?));
    let vm = match Uuid::try_parse(&named.vm) {
        Ok(id) => id,
        Err(_) => {
            let mut found = hub.client.all(&list, &[]).await?;
            found.retain(|one| one["name"] == named.vm);
            super::resolve::the_one(Collection::Unknown, (&named.vm, None), &found)?
        }
    };
    Ok(Found {
        path: format!("{list}/{vm}"),
        called: format!("unknown machine `{}`", named.vm),
    })
}
