//! Names of links, and the labels by which links are known again.
//!
//! A link's name has at most 15 bytes (`IFNAMSIZ`), a UUID has 36 characters. So a name is a letter and the last 12 hexadecimal
//! digits of an id, which are drawn in a UUID version 7 (RFC 9562, section 5.7):
//!
//! | name | in | is |
//! | --- | --- | --- |
//! | `b`, the segment's | the switch | the bridge of a segment |
//! | `t`, the machine's, two digits for the adapter's number | the switch | a tap |
//! | `g`, the segment's | the switch | the bridge's end of the link to the gateway |
//! | `s`, the segment's | the project's gateway | the other end of it |
//! | `uplink` | the switch | the bridge between the gateways and the outside |
//! | `u`, the project's | the switch | that bridge's end of the link to the gateway |
//! | `uplink` | the project's gateway | the other end of it |
//! | `outside` | the switch | where the host, or what else is outside, is plugged into that bridge |
//!
//! The whole ids are in the alias of each link of the switch, its **label**, with all else that has to be known of it: an agent that
//! starts anew keeps no list but reads the labels.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use renkei_types::id::{ProjectId, SegmentId, VmId};
use renkei_types::network::{Mac, Range};
use uuid::Uuid;

/// The first word of every label.
const OURS: &str = "renkei";
/// The longest label, bytes.
const LONGEST: usize = 255;
/// The name of the bridge between the gateways and the outside.
pub(super) const UPLINK: &str = "uplink";
/// The name of the port of that bridge behind which the outside is.
pub(super) const OUTSIDE: &str = "outside";

/// What a bridge is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bridge {
    /// Of which segment.
    pub segment: SegmentId,
    /// Bytes.
    pub mtu: u16,
    /// The segment's ranges; none before anybody has said them.
    pub ranges: Vec<Range>,
}

/// What a tap is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tap {
    /// Of which machine.
    pub vm: VmId,
    /// Which of its adapters.
    pub number: u8,
    /// Into which segment.
    pub segment: SegmentId,
    /// The adapter's hardware address: the guest's, not the one of the tap.
    pub mac: Mac,
    /// Who may open it.
    pub owner: u32,
    /// The addresses that the adapter may use: as many of them as fit into a label.
    pub addresses: Vec<IpAddr>,
}

/// A gateway's link into a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gate {
    /// Into which.
    pub segment: SegmentId,
    /// Whose.
    pub project: ProjectId,
}

/// A gateway's link to the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Whose.
    pub project: ProjectId,
    /// The address from which the project's machines are seen outside.
    pub own: IpAddr,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Bridge(Bridge),
    Tap(Tap),
    Gate(Gate),
    /// The bridge between the gateways and the outside.
    Uplink,
    Way(Way),
    /// The port of that bridge behind which the outside is, and what it was in the host's own namespace.
    Outside(String),
}

/// The last 12 digits of an id.
fn digits(id: Uuid) -> String {
    let text = id.simple().to_string();
    text.get(20..).unwrap_or_default().to_owned()
}

/// The name of a segment's bridge.
pub(super) fn bridge_name(segment: SegmentId) -> String {
    format!("b{}", digits(segment.0))
}

/// The name of an adapter's tap.
pub(super) fn tap_name(vm: VmId, number: u8) -> String {
    format!("t{}{number:02x}", digits(vm.0))
}

/// The name of a gateway's link into a segment.
pub(super) fn leg_name(segment: SegmentId) -> String {
    format!("s{}", digits(segment.0))
}

/// The name of the other end of it, in the switch.
pub(super) fn gate_name(segment: SegmentId) -> String {
    format!("g{}", digits(segment.0))
}

/// The name of the end in the switch of a gateway's link to the outside.
pub(super) fn way_name(project: ProjectId) -> String {
    format!("u{}", digits(project.0))
}

/// The name of a project's gateway, among those of one switch: of its namespace.
pub(super) fn gateway_name(switch: &str, project: ProjectId) -> String {
    format!("{switch}-{}", digits(project.0))
}

/// The hardware address of a gateway in a segment: the same on every host, so that nobody has to learn another one.
pub(super) fn leg_mac(segment: SegmentId) -> Mac {
    let [.., a, b, c, d, e] = segment.0.into_bytes();
    Mac([0x0a, a, b, c, d, e])
}

/// The hardware address of a project's gateway outside.
pub(super) fn way_mac(project: ProjectId) -> Mac {
    let [.., a, b, c, d, e] = project.0.into_bytes();
    Mac([0x0e, a, b, c, d, e])
}

impl Bridge {
    pub(super) fn name(&self) -> String {
        bridge_name(self.segment)
    }
}

impl Tap {
    /// Leaves out the last addresses until the label fits into an alias: 255 bytes (`IFALIASZ` of linux/if.h, with the zero at the end).
    pub(super) fn fitting(mut self) -> Self {
        while Label::Tap(self.clone()).to_string().len() > LONGEST && self.addresses.pop().is_some() {}
        self
    }

    pub(super) fn name(&self) -> String {
        tap_name(self.vm, self.number)
    }
}

impl Label {
    /// The name of the link that has it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Bridge(bridge) => bridge.name(),
            Self::Tap(tap) => tap.name(),
            Self::Gate(gate) => gate_name(gate.segment),
            Self::Uplink => UPLINK.to_owned(),
            Self::Way(way) => way_name(way.project),
            Self::Outside(_) => OUTSIDE.to_owned(),
        }
    }

    /// Whether both are of the same thing, which may have changed.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bridge(one), Self::Bridge(other)) => one.segment == other.segment,
            (Self::Tap(one), Self::Tap(other)) => (one.vm, one.number) == (other.vm, other.number),
            (Self::Gate(one), Self::Gate(other)) => one == other,
            (Self::Way(one), Self::Way(other)) => one.project == other.project,
            (one, other) => one == other,
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge(Bridge { segment, mtu, ranges }) => {
                write!(f, "{OURS},segment,{segment},{mtu}")?;
                ranges.iter().try_for_each(|range| write!(f, ",{range}"))
            }
            Self::Tap(tap) => {
                let Tap {
                    vm,
                    number,
                    segment,
                    mac,
                    owner,
                    ..
                } = tap;
                write!(f, "{OURS},adapter,{vm},{number},{segment},{mac},{owner}")?;
                tap.addresses.iter().try_for_each(|address| write!(f, ",{address}"))
            }
            Self::Gate(gate) => write!(f, "{OURS},gate,{},{}", gate.segment, gate.project),
            Self::Uplink => write!(f, "{OURS},uplink"),
            Self::Way(way) => write!(f, "{OURS},way,{},{}", way.project, way.own),
            Self::Outside(name) => write!(f, "{OURS},outside,{name}"),
        }
    }
}

/// A text that is no label of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotOurs;

impl FromStr for Label {
    type Err = NotOurs;

    fn from_str(text: &str) -> Result<Self, NotOurs> {
        let words: Vec<&str> = text.split(',').collect();
        match words.as_slice() {
            [OURS, "segment", segment, mtu, ranges @ ..] => Ok(Self::Bridge(Bridge {
                segment: read(segment)?,
                mtu: read(mtu)?,
                ranges: ranges.iter().map(|range| read(range)).collect::<Result<_, _>>()?,
            })),
            [OURS, "adapter", vm, number, segment, mac, owner, addresses @ ..] => Ok(Self::Tap(Tap {
                vm: read(vm)?,
                number: read(number)?,
                segment: read(segment)?,
                mac: read(mac)?,
                owner: read(owner)?,
                addresses: addresses
                    .iter()
                    .map(|address| read(address))
                    .collect::<Result<_, _>>()?,
            })),
            [OURS, "gate", segment, project] => Ok(Self::Gate(Gate {
                segment: read(segment)?,
                project: read(project)?,
            })),
            [OURS, "uplink"] => Ok(Self::Uplink),
            [OURS, "way", project, own] => Ok(Self::Way(Way {
                project: read(project)?,
                own: read(own)?,
            })),
            [OURS, "outside", name] => Ok(Self::Outside((*name).to_owned())),
            _ => Err(NotOurs),
        }
    }
}

fn read<T: FromStr>(word: &str) -> Result<T, NotOurs> {
    word.parse().map_err(|_| NotOurs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Uuid {
        text.parse().unwrap()
    }

    #[test]
    fn names_fit_and_differ_by_what_is_drawn_in_an_id() {
        let segment = SegmentId(id("0192d3c4-0000-7000-8000-0123456789ab"));
        let vm = VmId(id("0192d3c4-0000-7000-8000-fedcba987654"));
        assert_eq!(bridge_name(segment), "b0123456789ab");
        assert_eq!(tap_name(vm, 255), "tfedcba987654ff");
        assert_eq!(tap_name(vm, 1).len(), 15);
    }

    #[test]
    fn labels_are_read_back_and_fit_into_an_alias() {
        let segment = SegmentId(id("0192d3c4-0000-7000-8000-0123456789ab"));
        let long: Range = "2001:db8:1111:2222:3333:4444:5555:6666/128".parse().unwrap();
        let bridge = Label::Bridge(Bridge {
            segment,
            mtu: 9216,
            ranges: vec!["255.255.255.248/29".parse().unwrap(), long],
        });
        let tap = Tap {
            vm: VmId(id("0192d3c4-0000-7000-8000-fedcba987654")),
            number: 2,
            segment,
            mac: Mac::drawn([1, 2, 3]),
            owner: u32::MAX,
            addresses: vec![long.address(); 9],
        };
        let tap = Label::Tap(tap.fitting());
        for label in [bridge, tap] {
            let text = label.to_string();
            assert!(text.len() <= LONGEST, "{text}");
            assert_eq!(text.parse(), Ok(label));
        }
        assert_eq!("docker".parse::<Label>(), Err(NotOurs));
    }
}
