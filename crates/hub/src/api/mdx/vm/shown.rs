//! Machines as the portal shows them.

use std::net::IpAddr;

use renkei_types::vm::{Adapter, Shape, Vm};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::words;
use crate::app::mdx::Machine;

/// A machine in a list.
#[derive(Debug, Serialize)]
pub struct Summary {
    uuid: Uuid,
    name: String,
    status: &'static str,
    vcenter: String,
    running_tasks: Vec<Value>,
    service_level: &'static str,
    force_stop: bool,
    allocation: bool,
}

impl Summary {
    /// Of a machine at the site with this name.
    pub fn new(vm: &Vm, site: &str) -> Self {
        let task = |operation| json!({"uuid": operation, "status": "Running"});
        Self {
            uuid: vm.id.0,
            name: vm.name.to_string(),
            status: words::status(vm),
            vcenter: site.to_owned(),
            running_tasks: vm.operation.map(task).into_iter().collect(),
            service_level: words::level_shown(vm.meant.shape.service_level),
            force_stop: vm.freeze.is_some(),
            allocation: !vm.deallocated,
        }
    }
}

/// A machine in full.
#[derive(Debug, Serialize)]
pub struct Detail {
    uuid: Uuid,
    name: String,
    os_type: String,
    status: &'static str,
    host_name: String,
    vmware_tools: Value,
    cpu: u32,
    memory: String,
    gpu: String,
    nvlink: bool,
    service_networks: Vec<ServiceNetwork>,
    storage_networks: Vec<Value>,
    hard_disks: Vec<Value>,
    dvd_media: &'static str,
    vcenter: String,
    esxi: String,
    pack_type: &'static str,
    pack_num: u32,
    service_level: &'static str,
    login_username: String,
}

/// A network adapter.
#[derive(Debug, Serialize)]
pub struct ServiceNetwork {
    adapter_number: u8,
    /// At least one, since clients take the first without looking; empty text while none is known.
    ipv4_address: Vec<String>,
    ipv6_address: Vec<String>,
    segment: String,
    global_ip: String,
}

impl From<&Machine> for Detail {
    fn from(machine: &Machine) -> Self {
        let vm = &machine.vm;
        let shape = &vm.meant.shape;
        let (pack_type, pack_num) = pack(shape);
        Self {
            uuid: vm.id.0,
            name: vm.name.to_string(),
            os_type: vm.os_type.clone(),
            status: words::status(vm),
            host_name: vm.name.to_string(),
            // There is no such thing here; clients only show it.
            vmware_tools: json!({"status": "", "version": ""}),
            cpu: shape.vcpus,
            memory: words::memory(shape),
            gpu: shape.gpus.to_string(),
            nvlink: false,
            service_networks: service_networks(machine),
            storage_networks: storage_networks(vm),
            hard_disks: hard_disks(shape),
            dvd_media: "",
            vcenter: machine.site.clone(),
            esxi: machine.host.clone().unwrap_or_default(),
            pack_type,
            pack_num,
            service_level: words::level_shown(shape.service_level),
            login_username: vm.login_username.clone(),
        }
    }
}

/// What `GET /api/vm/{vm}/csv/` tells: the networks alone.
pub fn csv(machine: &Machine) -> Value {
    json!({
        "name": machine.vm.name,
        "service_networks": service_networks(machine),
        "storage_networks": storage_networks(&machine.vm),
    })
}

/// A size that is none in packs counts as one CPU pack a processor.
fn pack(shape: &Shape) -> (&'static str, u32) {
    match shape.pack {
        Some(pack) => (words::pack_shown(pack.kind), pack.number),
        None => ("cpu", shape.vcpus),
    }
}

fn service_networks(machine: &Machine) -> Vec<ServiceNetwork> {
    let adapters = machine.vm.meant.adapters.iter();
    let mut networks: Vec<ServiceNetwork> = adapters.map(|adapter| service_network(machine, adapter)).collect();
    if networks.is_empty() {
        networks.push(ServiceNetwork {
            adapter_number: 1,
            ipv4_address: vec![String::new()],
            ipv6_address: Vec::new(),
            segment: String::new(),
            global_ip: String::new(),
        });
    }
    networks
}

/// With the addresses that the guest uses, not with those that it was issued: scripts wait until a guest has the address that
/// they have given it.
fn service_network(machine: &Machine, adapter: &Adapter) -> ServiceNetwork {
    let seen = machine
        .vm
        .seen
        .addresses
        .get(&adapter.number)
        .cloned()
        .unwrap_or_default();
    let of = |wanted: fn(&IpAddr) -> bool| {
        seen.iter()
            .filter(move |address| wanted(address))
            .map(ToString::to_string)
    };
    let mut ipv4_address: Vec<String> = of(IpAddr::is_ipv4).collect();
    if ipv4_address.is_empty() {
        ipv4_address.push(String::new());
    }
    let segment = machine.segments.iter().find(|segment| segment.id == adapter.segment);
    let leads = machine.dnats.iter().find(|dnat| {
        let inside = seen.contains(&dnat.destination) || adapter.addresses.contains(&dnat.destination);
        dnat.segment == adapter.segment && inside
    });
    ServiceNetwork {
        adapter_number: adapter.number,
        ipv4_address,
        ipv6_address: of(IpAddr::is_ipv6).collect(),
        segment: segment.map_or_else(String::new, |segment| segment.name.to_string()),
        global_ip: leads.map_or_else(String::new, |dnat| dnat.global_ip.to_string()),
    }
}

/// The kind is kept and shown under both names that clients know; there is no such network behind it.
fn storage_networks(vm: &Vm) -> Vec<Value> {
    let kind = match vm.storage_network.as_str() {
        "" => "portgroup",
        kind => kind,
    };
    vec![json!({
        "adapter_number": 1,
        "ipv4_address": [""],
        "ipv6_address": [],
        "type": kind,
        "storage_network_type": kind,
    })]
}

/// A device key as VMware numbers the disks of the first controller.
fn hard_disks(shape: &Shape) -> Vec<Value> {
    let disk = |disk: &renkei_types::vm::Disk| {
        json!({
            "disk_number": disk.number,
            "device_key": 1999 + u32::from(disk.number),
            "capacity": words::capacity(disk.gib),
            "datastore": "",
        })
    };
    shape.disks.iter().map(disk).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use renkei_types::dnat::Dnat;
    use renkei_types::id::{DnatId, SegmentId};
    use renkei_types::network::Mac;
    use renkei_types::operation::Generation;
    use renkei_types::segment::Segment;
    use renkei_types::vm::{Disk, Pack, PackKind, Power};

    use super::*;
    use crate::app::vm::trial;

    const SEGMENT: SegmentId = SegmentId(Uuid::from_u128(7));

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn machine() -> Machine {
        let mut vm = trial::machine(Power::On).0.vm;
        vm.login_username = "mdxuser".to_owned();
        vm.storage_network = "portgroup".to_owned();
        vm.meant.shape = Shape {
            pack: Some(Pack {
                kind: PackKind::Cpu,
                number: 3,
            }),
            vcpus: 3,
            memory_mib: 4638,
            disks: vec![Disk { number: 1, gib: 40 }],
            ..vm.meant.shape
        };
        vm.meant.adapters = vec![Adapter {
            number: 1,
            segment: SEGMENT,
            mac: Mac::drawn([1, 2, 3]),
            addresses: vec![address("10.15.0.4")],
        }];
        let segment = Segment {
            id: SEGMENT,
            project: vm.project,
            sites: vec![vm.site],
            name: "main".parse().unwrap(),
            default: true,
            vni: 583,
            v4: "10.15.0.0/21".parse().unwrap(),
            v6: None,
            mtu: 1450,
            dns: Vec::new(),
            ntp: Vec::new(),
            strict: false,
            generation: Generation(1),
            seen: Generation(1),
            tombstone: false,
            created: Timestamp::UNIX_EPOCH,
        };
        let dnat = Dnat {
            id: DnatId(Uuid::from_u128(8)),
            project: vm.project,
            site: vm.site,
            global_ip: address("203.0.113.10"),
            segment: SEGMENT,
            destination: address("10.15.0.4"),
            note: String::new(),
            expires: None,
            generation: Generation(1),
            created: Timestamp::UNIX_EPOCH,
        };
        Machine {
            vm,
            site: "kashiwa".to_owned(),
            host: None,
            segments: vec![segment],
            dnats: vec![dnat],
        }
    }

    fn shown(machine: &Machine) -> Value {
        serde_json::to_value(Detail::from(machine)).unwrap()
    }

    #[test]
    fn a_machine_in_deployment_has_an_address_that_is_none() {
        let detail = shown(&machine());
        assert_eq!(detail["status"], "Deploying");
        assert_eq!(detail["service_networks"][0]["ipv4_address"], json!([""]));
        assert_eq!(detail["storage_networks"][0]["ipv4_address"], json!([""]));
        let mut bare = machine();
        bare.vm.meant.adapters.clear();
        assert_eq!(shown(&bare)["service_networks"][0]["ipv4_address"], json!([""]));
    }

    #[test]
    fn a_running_machine_is_shown_with_what_its_guest_uses() {
        let mut machine = machine();
        machine.vm.made = true;
        machine.vm.seen.power = Some(Power::On);
        let seen = vec![address("fe80::1"), address("10.15.0.99"), address("2001:db8::4")];
        machine.vm.seen.addresses = BTreeMap::from([(1, seen)]);
        let detail = shown(&machine);
        assert_eq!(detail["status"], "PowerON");
        let network = &detail["service_networks"][0];
        assert_eq!(network["ipv4_address"], json!(["10.15.0.99"]));
        assert_eq!(network["ipv6_address"], json!(["fe80::1", "2001:db8::4"]));
        assert_eq!(
            (&network["segment"], &network["global_ip"]),
            (&json!("main"), &json!("203.0.113.10"))
        );
    }

    #[test]
    fn sizes_are_texts_as_the_portal_writes_them() {
        let detail = shown(&machine());
        for (field, value) in [
            ("cpu", json!(3)),
            ("memory", json!("4.53 GB")),
            ("gpu", json!("0")),
            ("pack_type", json!("cpu")),
            ("pack_num", json!(3)),
            ("service_level", json!("スポット仮想マシン")),
            ("vmware_tools", json!({"status": "", "version": ""})),
            (
                "hard_disks",
                json!([{"disk_number": 1, "device_key": 2000, "capacity": "40 GB", "datastore": ""}]),
            ),
            ("vcenter", json!("kashiwa")),
        ] {
            assert_eq!(detail[field], value, "{field}");
        }
        let storage = &detail["storage_networks"][0];
        assert_eq!(
            (&storage["type"], &storage["storage_network_type"]),
            (&json!("portgroup"), &json!("portgroup"))
        );
    }

    #[test]
    fn states_have_the_words_that_clients_wait_for() {
        let mut machine = machine();
        let status = |machine: &Machine| words::status(&machine.vm);
        machine.vm.made = true;
        machine.vm.seen.power = Some(Power::Off);
        assert_eq!(status(&machine), "PowerOFF");
        machine.vm.deallocated = true;
        assert_eq!(status(&machine), "Deallocated");
        machine.vm.deallocated = false;
        machine.vm.seen.power = Some(Power::Suspended);
        assert_eq!(status(&machine), "Suspended");
        machine.vm.seen.power = Some(Power::On);
        machine.vm.meant.tombstone = true;
        assert_eq!(status(&machine), "PowerON");
        machine.vm.lost = true;
        assert_eq!(status(&machine), "NotFound");
    }
}
