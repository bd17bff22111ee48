//! What is asked for: the bodies of deploy, clone, power on and reconfigure, turned into those of the native API.

use renkei_types::id::{ProjectId, SegmentId, TemplateId};
use renkei_types::template::Template;
use renkei_types::vm::{CloneVm, NewAdapter, NewVm, Pack, ServiceLevel, Size, VmPatch};
use serde::Deserialize;

use super::super::answer::Refusal;
use super::super::asking::Number;
use super::words;

/// `POST /api/vm/deploy/`.
#[derive(Debug, Deserialize)]
pub struct Deploy {
    /// The template's id.
    #[serde(default)]
    pub catalog: Option<TemplateId>,
    /// The template's name, which goes with the id.
    #[serde(default)]
    pub template_name: Option<String>,
    vm_name: String,
    /// In which project.
    pub project: ProjectId,
    #[serde(default)]
    power_on: Option<bool>,
    #[serde(default)]
    disk_size: Option<Number>,
    #[serde(default)]
    network_adapters: Option<Vec<Adapter>>,
    #[serde(default)]
    shared_key: Option<String>,
    #[serde(default)]
    storage_network: Option<String>,
    #[serde(default)]
    service_level: Option<String>,
}

/// A size: packs, or processors and memory in projects with hosts of their own. Read by itself from the bodies that have one, so
/// that a wrong value is named with its field.
#[derive(Debug, Default, Deserialize)]
pub struct Packs {
    #[serde(default)]
    pack_type: Option<String>,
    #[serde(default)]
    pack_num: Option<Number>,
    #[serde(default)]
    cpu: Option<Number>,
    /// GB.
    #[serde(default)]
    memory: Option<Number>,
}

/// An adapter.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Adapter {
    #[serde(default)]
    adapter_number: Option<Number>,
    segment: SegmentId,
}

/// `POST /api/vm/{vm}/clone/`.
#[derive(Debug, Deserialize)]
pub struct Clone {
    vm_name: String,
    /// In which project; that of the machine without.
    #[serde(default)]
    pub project: Option<ProjectId>,
    #[serde(default)]
    network_adapters: Option<Vec<Adapter>>,
    #[serde(default)]
    storage_network: Option<String>,
    #[serde(default)]
    service_level: Option<String>,
}

/// `POST /api/vm/{vm}/power_on/`. The level may be `null`.
#[derive(Debug, Deserialize)]
pub struct PowerOn {
    #[serde(default)]
    service_level: Option<String>,
}

/// `POST /api/vm/{vm}/reconfigure/`.
#[derive(Debug, Deserialize)]
pub struct Reconfigure {
    #[serde(default)]
    hard_disks: Option<Vec<HardDisk>>,
    #[serde(default)]
    network_adapters: Option<Vec<Adapter>>,
    #[serde(default)]
    service_level: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct HardDisk {
    #[serde(default)]
    disk_number: Option<Number>,
    /// GB, as a number or as it is shown.
    capacity: serde_json::Value,
}

impl Packs {
    /// The size that it says, if it says one.
    pub fn size(&self) -> Result<Option<Size>, Refusal> {
        if let Some(Number(number)) = self.pack_num {
            let kind = words::pack_kind(self.pack_type.as_deref())?;
            let most = Pack::most(kind);
            let fits = u32::try_from(number).ok().filter(|number| (1..=most).contains(number));
            let Some(number) = fits else {
                let title = format!("{number} packs: a machine has 1 to {most} of this kind");
                return Err(Refusal::field("pack_num", title));
            };
            return Ok(Some(Size::Pack(Pack { kind, number })));
        }
        match (self.cpu, self.memory) {
            (None, None) => Ok(None),
            (Some(Number(cpu)), Some(Number(gb))) => {
                let vcpus = u32::try_from(cpu).ok().filter(|cpu| (1..=4096).contains(cpu));
                let vcpus =
                    vcpus.ok_or_else(|| Refusal::field("cpu", format!("{cpu} processors: a machine has 1 to 4096")))?;
                let memory_mib = Some(gb).filter(|gb| (1..=1_048_576).contains(gb)).map(|gb| gb * 1024);
                let memory_mib = memory_mib
                    .ok_or_else(|| Refusal::field("memory", format!("{gb} GB: a machine has 1 to 1048576")))?;
                Ok(Some(Size::Custom { vcpus, memory_mib }))
            }
            (Some(_), None) => Err(Refusal::field("memory", "This field is required with `cpu`.")),
            (None, Some(_)) => Err(Refusal::field("cpu", "This field is required with `memory`.")),
        }
    }
}

/// In the order of their numbers; those without one as they stand.
fn adapters(asked: &[Adapter]) -> Result<Vec<NewAdapter>, Refusal> {
    let mut numbered: Vec<(u64, SegmentId)> = Vec::new();
    for (place, adapter) in (1..).zip(asked) {
        let number = adapter.adapter_number.map_or(place, |number| number.0);
        let refused = |title: String| Refusal::field("network_adapters", title);
        if !(1..=renkei_types::vm::MOST_ADAPTERS as u64).contains(&number) {
            let most = renkei_types::vm::MOST_ADAPTERS;
            return Err(refused(format!(
                "adapter {number}: adapters are numbered from 1 to {most}"
            )));
        }
        if numbered.iter().any(|(known, _)| *known == number) {
            return Err(refused(format!("there are two adapters {number}")));
        }
        numbered.push((number, adapter.segment));
    }
    numbered.sort_by_key(|(number, _)| *number);
    let adapter = |(_, segment)| NewAdapter { segment, address: None };
    Ok(numbered.into_iter().map(adapter).collect())
}

impl Deploy {
    /// The machines that it asks for, from this template.
    pub fn wanted(&self, template: &Template, size: &Packs) -> Result<NewVm, Refusal> {
        let named = self
            .template_name
            .as_deref()
            .map(str::trim)
            .filter(|name| !name.is_empty());
        if let Some(name) = named.filter(|name| *name != template.template_name.as_str()) {
            let title = format!(
                "the catalog entry has the template `{}`, not `{name}`",
                template.template_name
            );
            return Err(Refusal::field("template_name", title));
        }
        let Some(size) = size.size()? else {
            return Err(Refusal::field("pack_num", "This field is required."));
        };
        Ok(NewVm {
            project: self.project,
            name: names(&self.vm_name)?,
            template: template.id,
            size: Some(size),
            disk_gib: self.disk_size.map(|size| size.0),
            adapters: adapters(self.network_adapters.as_deref().unwrap_or_default())?,
            key: self.shared_key.as_deref().unwrap_or_default().trim().to_owned(),
            user_data: None,
            service_level: words::service_level(self.service_level.as_deref())?.unwrap_or_default(),
            power_on: self.power_on.unwrap_or_default(),
            storage_network: Some(words::storage_network(self.storage_network.as_deref())?.to_owned()),
        })
    }
}

/// A name with at most one range. What is wrong with it is said here, by the field's name in the dialect.
fn names(text: &str) -> Result<String, Refusal> {
    let names = renkei_types::name_range::expand(text).map_err(|error| Refusal::field("vm_name", error.to_string()))?;
    for name in &names {
        let sound = name.parse::<renkei_types::name::VmName>();
        sound.map_err(|error| Refusal::field("vm_name", error.to_string()))?;
    }
    Ok(text.to_owned())
}

impl Clone {
    /// The machine that it asks for. A clone has one name.
    pub fn wanted(&self, size: &Packs) -> Result<CloneVm, Refusal> {
        let name = names(&self.vm_name)?;
        if name.contains('[') {
            return Err(Refusal::field("vm_name", "a clone is one machine: give it one name"));
        }
        words::storage_network(self.storage_network.as_deref())?;
        Ok(CloneVm {
            name,
            size: size.size()?,
            adapters: self.network_adapters.as_deref().map(adapters).transpose()?,
            service_level: words::service_level(self.service_level.as_deref())?,
        })
    }
}

impl PowerOn {
    /// The level from now on.
    pub fn level(&self) -> Result<Option<ServiceLevel>, Refusal> {
        words::service_level(self.service_level.as_deref())
    }
}

impl Reconfigure {
    /// What is to change.
    pub fn wanted(&self, size: &Packs) -> Result<VmPatch, Refusal> {
        Ok(VmPatch {
            name: None,
            size: size.size()?,
            disks_gib: self.hard_disks.as_deref().map(disks).transpose()?,
            adapters: self.network_adapters.as_deref().map(adapters).transpose()?,
            service_level: words::service_level(self.service_level.as_deref())?,
        })
    }
}

/// In the order of their numbers.
fn disks(asked: &[HardDisk]) -> Result<Vec<u64>, Refusal> {
    let mut numbered = Vec::new();
    for (place, disk) in (1..).zip(asked) {
        let gib = match &disk.capacity {
            serde_json::Value::Number(number) => number.as_u64(),
            serde_json::Value::String(text) => text.trim().trim_end_matches("GB").trim().parse().ok(),
            _ => None,
        };
        let Some(gib) = gib else {
            let title = format!("`{}` is no capacity: use a whole number of GB", disk.capacity);
            return Err(Refusal::field("hard_disks", title));
        };
        numbered.push((disk.disk_number.map_or(place, |number| number.0), gib));
    }
    numbered.sort_by_key(|(number, _)| *number);
    Ok(numbered.into_iter().map(|(_, gib)| gib).collect())
}

/// The id of a task, as deploy, destroy and the other verbs answer.
#[derive(Debug, serde::Serialize)]
pub struct Task<T> {
    /// One, or a list.
    pub task_id: T,
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use renkei_types::template::TemplateFacts;
    use renkei_types::vm::PackKind;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::super::super::asking::part;
    use super::*;

    const SEGMENT: &str = "0192d3c4-0000-7000-8000-000000000001";
    const OTHER: &str = "0192d3c4-0000-7000-8000-000000000002";

    fn template() -> Template {
        Template {
            id: TemplateId(Uuid::nil()),
            name: "00_Ubuntu-2204-server (Recommended)".parse().unwrap(),
            template_name: "UT-20250205-1029-ubuntu-2204-server".parse().unwrap(),
            project: None,
            image: None,
            facts: TemplateFacts::default(),
            created: Timestamp::UNIX_EPOCH,
        }
    }

    fn deploy(change: Value) -> Result<NewVm, Value> {
        let mut body = json!({"catalog": Uuid::nil(), "template_name": "UT-20250205-1029-ubuntu-2204-server",
            "vm_name": "test-[1-3]", "project": Uuid::nil(), "os_type": "Linux", "power_on": true, "pack_type": "cpu",
            "pack_num": 3, "gpu": "0", "disk_size": 40, "shared_key": "ssh-ed25519 AAAA me\n",
            "storage_network": "portgroup", "service_level": "spot", "nvlink": false,
            "network_adapters": [{"adapter_number": 1, "segment": SEGMENT}]});
        for (field, value) in change.as_object().unwrap() {
            body[field] = value.clone();
        }
        let wanted = part::<Deploy>(&body).and_then(|deploy| deploy.wanted(&template(), &part(&body)?));
        wanted.map_err(|refusal| refusal.body())
    }

    fn packs(kind: PackKind, number: u32) -> Option<Size> {
        Some(Size::Pack(Pack { kind, number }))
    }

    #[test]
    fn what_the_client_sends_is_understood() {
        let wanted = deploy(json!({})).unwrap();
        assert_eq!(
            (wanted.name.as_str(), wanted.disk_gib, wanted.power_on),
            ("test-[1-3]", Some(40), true)
        );
        assert_eq!(
            (wanted.size, wanted.service_level),
            (packs(PackKind::Cpu, 3), ServiceLevel::Spot)
        );
        assert_eq!(wanted.adapters.len(), 1);
        assert_eq!(wanted.key, "ssh-ed25519 AAAA me");
    }

    #[test]
    fn older_clients_leave_fields_out_and_write_numbers_as_text() {
        let nothing = Value::Null;
        let wanted = deploy(
            json!({"storage_network": nothing, "service_level": nothing, "pack_type": nothing, "power_on": nothing,
            "network_adapters": nothing, "shared_key": nothing, "pack_num": "3", "disk_size": "40"}),
        );
        let wanted = wanted.unwrap();
        assert_eq!((wanted.size, wanted.disk_gib), (packs(PackKind::Cpu, 3), Some(40)));
        assert_eq!((wanted.power_on, wanted.adapters.is_empty()), (false, true));
        assert_eq!(wanted.storage_network.as_deref(), Some("portgroup"));
    }

    #[test]
    fn packs_and_processors_are_sizes() {
        let gpu = deploy(json!({"pack_type": "GPU", "pack_num": 2})).unwrap();
        assert_eq!(gpu.size, packs(PackKind::Gpu, 2));
        let custom = deploy(json!({"pack_num": null, "cpu": 4, "memory": 8})).unwrap();
        assert_eq!(
            custom.size,
            Some(Size::Custom {
                vcpus: 4,
                memory_mib: 8192
            })
        );
        for (change, field) in [
            (json!({"pack_num": 0}), "pack_num"),
            (json!({"pack_num": 153}), "pack_num"),
            (json!({"pack_type": "gpu", "pack_num": 9}), "pack_num"),
            (json!({"pack_num": null}), "pack_num"),
            (json!({"pack_num": "three"}), "pack_num"),
            (json!({"pack_type": "tpu"}), "pack_type"),
            (json!({"pack_num": null, "cpu": 4}), "memory"),
            (json!({"pack_num": null, "cpu": 0, "memory": 4}), "cpu"),
        ] {
            let refused = deploy(change).unwrap_err();
            assert!(refused[field].is_array(), "{refused}");
        }
    }

    #[test]
    fn adapters_stand_in_the_order_of_their_numbers() {
        let two = json!({"network_adapters": [{"adapter_number": 2, "segment": OTHER}, {"adapter_number": 1, "segment": SEGMENT}]});
        let wanted = deploy(two).unwrap();
        let segments: Vec<String> = wanted
            .adapters
            .iter()
            .map(|adapter| adapter.segment.to_string())
            .collect();
        assert_eq!(segments, [SEGMENT, OTHER]);
        for adapters in [
            json!([{"adapter_number": 1, "segment": SEGMENT}, {"adapter_number": 1, "segment": OTHER}]),
            json!([{"adapter_number": 9, "segment": SEGMENT}]),
            json!([{"adapter_number": 0, "segment": SEGMENT}]),
        ] {
            assert!(deploy(json!({"network_adapters": adapters})).unwrap_err()["network_adapters"].is_array());
        }
    }

    #[test]
    fn names_and_templates_that_do_not_fit_are_named() {
        for name in [
            "",
            "計算",
            "a[1-2][3-4]",
            "a[1-201]",
            "a b",
            "-a",
            "a[",
            &"a".repeat(64),
            "a/b",
        ] {
            assert!(
                deploy(json!({"vm_name": name})).unwrap_err()["vm_name"].is_array(),
                "{name}"
            );
        }
        let other = json!({"template_name": "UT-20220412-2043-ubuntu-2004-server"});
        assert!(deploy(other).unwrap_err()["template_name"].is_array());
        assert!(deploy(json!({"service_level": "gold"})).unwrap_err()["service_level"].is_array());
    }

    #[test]
    fn a_reconfiguration_names_disks_as_it_shows_them() {
        let body = json!({"hard_disks": [{"disk_number": 2, "device_key": 2001, "capacity": "100 GB"},
            {"disk_number": 1, "device_key": 2000, "capacity": 50}], "pack_num": 5});
        let patch = part::<Reconfigure>(&body)
            .unwrap()
            .wanted(&part(&body).unwrap())
            .unwrap();
        assert_eq!(
            (patch.disks_gib, patch.size),
            (Some(vec![50, 100]), packs(PackKind::Cpu, 5))
        );
        let none = part::<Reconfigure>(&json!({})).unwrap();
        assert_eq!(none.wanted(&Packs::default()).unwrap(), VmPatch::default());
    }
}
