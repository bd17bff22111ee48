//! Whatever one side can say the other reads as it was said. A tag beside the fields would not do: numbers as keys are text in
//! JSON, and serde reads what it has kept until it knew the tag without making them numbers again.

use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::*;
use crate::id::StreamId;
use crate::network::{Ports, Protocol};
use crate::stream::Of;

fn time() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn vm() -> VmId {
    VmId(Uuid::from_u128(1))
}

fn host() -> HostId {
    HostId(Uuid::from_u128(2))
}

fn project() -> ProjectId {
    ProjectId(Uuid::from_u128(3))
}

fn segment() -> SegmentId {
    SegmentId(Uuid::from_u128(4))
}

fn image() -> ImageId {
    ImageId(Uuid::from_u128(5))
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn held() -> Held {
    Held {
        epoch: 2,
        version: 7,
        digest: "0f".repeat(32),
    }
}

/// Nothing is left out, from each of the sources.
fn machines() -> Vec<MachineIntent> {
    let sources = [
        DiskSource::Template {
            name: "UT-20250205-1029-ubuntu-2204-server".to_owned(),
            image: Some(image()),
        },
        DiskSource::Machine { vm: vm(), host: host() },
        DiskSource::Move { host: host() },
    ];
    let parts = [
        (Part::Run, Power::On, Stop::Shutdown),
        (Part::Keep, Power::Suspended, Stop::Shutdown),
        (Part::Gone, Power::Off, Stop::PowerOff),
    ];
    let machine = |(source, (part, power, stop))| MachineIntent {
        id: vm(),
        generation: Generation(3),
        part,
        make: true,
        project: project(),
        name: "node-1".to_owned(),
        power,
        stop,
        reboots: 1,
        resets: u64::MAX,
        vcpus: 4,
        memory_mib: 4096,
        disks: vec![Disk { number: 1, gib: 40 }, Disk { number: 2, gib: 100 }],
        adapters: vec![AdapterIntent {
            number: 1,
            segment: segment(),
            mac: Mac([2, 0, 0, 1, 2, 3]),
            addresses: vec![address("10.15.0.2"), address("fd00:15::2")],
        }],
        source,
        key: "ssh-ed25519 AAAA \"ada\"".to_owned(),
        user_data: Some("#cloud-config\n連携: \u{1b}\n".to_owned()),
        save: Some(image()),
    };
    sources.into_iter().zip(parts).map(machine).collect()
}

fn network() -> SegmentIntent {
    let allowed = Allowed {
        protocol: Protocol::Tcp,
        source: "192.0.2.0/24".parse().unwrap(),
        source_ports: Ports::ANY,
        destination: "10.15.0.2/32".parse().unwrap(),
        destination_ports: "80-443".parse().unwrap(),
    };
    let mapping = (address("203.0.113.7"), address("10.15.0.2"));
    SegmentIntent {
        id: segment(),
        generation: Generation(9),
        tombstone: true,
        project: project(),
        vni: 554_216,
        v4: "10.15.0.0/21".parse().unwrap(),
        v6: Some("fd00:15::/64".parse().unwrap()),
        mtu: 1450,
        dns: vec![address("192.0.2.53"), address("2001:db8::53")],
        ntp: vec![address("192.0.2.123")],
        strict: true,
        acls: BTreeMap::from([(AclId(Uuid::from_u128(6)), allowed)]),
        dnats: BTreeMap::from([(DnatId(Uuid::from_u128(7)), mapping)]),
    }
}

fn seen() -> MachineSeen {
    MachineSeen {
        id: vm(),
        generation: Generation(3),
        part: Part::Run,
        there: true,
        project: project(),
        name: "node-1".to_owned(),
        power: Power::On,
        doing: Some("booting".to_owned()),
        progress: 40,
        fault: Some(Fault {
            generation: Generation(4),
            message: "the disk is full".to_owned(),
        }),
        addresses: BTreeMap::from([
            (1, vec![address("10.15.0.2"), address("fd00:15::2")]),
            (255, Vec::new()),
        ]),
        saved: Some((image(), "ab".repeat(32))),
        known: false,
        record: machines().pop().map(Box::new),
    }
}

fn from_agent() -> Vec<FromAgent> {
    let hello = FromAgent::Hello(Hello {
        versions: (OLDEST, VERSION),
        host: host(),
        boot_id: "f00".to_owned(),
        agent: "0.1.0".to_owned(),
        held: held(),
        capacity: Capacity {
            vcpus: 16,
            memory_mib: 65536,
            disk_gib: 1000,
            gpus: 2,
        },
        driver: Driver {
            name: "fake".to_owned(),
            reason: "asked for".to_owned(),
        },
        now: time(),
    });
    let report = |listing| {
        FromAgent::Report(Report {
            number: 12,
            held: held(),
            listing,
            machines: vec![seen()],
            segments: BTreeMap::from([(segment(), Generation(9))]),
            free_disk_gib: 52,
            now: time(),
        })
    };
    let refused = FromAgent::Refused {
        held: held(),
        why: "it does not follow".to_owned(),
    };
    let reports = [Listing::No, Listing::More, Listing::Last].map(report);
    [hello].into_iter().chain(reports).chain([refused]).collect()
}

fn from_hub() -> Vec<FromHub> {
    vec![
        FromHub::Welcome {
            version: VERSION,
            now: time(),
        },
        FromHub::Manifest(Manifest {
            is: held(),
            follows: Held::default(),
            machines: BTreeMap::from([(vm(), Generation(3))]),
            segments: BTreeMap::from([(segment(), Generation(9))]),
            intents: machines(),
            networks: vec![network()],
            last: true,
        }),
        FromHub::Heard { report: 12 },
        FromHub::Stream(Stream {
            id: StreamId(Uuid::from_u128(8)),
            of: Of::Console(vm()),
            here: true,
            at: vec!["https://192.0.2.7:8471".to_owned()],
        }),
        FromHub::Closed {
            why: "another one took its place".to_owned(),
        },
    ]
}

fn said_and_heard<F: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(frames: &[F]) {
    for frame in frames {
        let text = serde_json::to_string(frame).unwrap();
        let heard: F = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(&heard, frame);
    }
}

#[test]
fn the_hub_hears_what_an_agent_says() {
    said_and_heard(&from_agent());
}

#[test]
fn an_agent_hears_what_the_hub_says() {
    said_and_heard(&from_hub());
}

/// A frame that is added and not said above does not get past this.
#[test]
fn every_kind_of_frame_is_said() {
    let kind = |frame: &FromAgent| match frame {
        FromAgent::Hello(_) => 0,
        FromAgent::Report(_) => 1,
        FromAgent::Refused { .. } => 2,
    };
    let mut kinds: Vec<_> = from_agent().iter().map(kind).collect();
    kinds.dedup();
    assert_eq!(kinds, [0, 1, 2]);
    let kind = |frame: &FromHub| match frame {
        FromHub::Welcome { .. } => 0,
        FromHub::Manifest(_) => 1,
        FromHub::Heard { .. } => 2,
        FromHub::Stream(_) => 3,
        FromHub::Closed { .. } => 4,
    };
    assert_eq!(from_hub().iter().map(kind).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}
