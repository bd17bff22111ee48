//! Names of links, and the labels by which links are known again.
//!
//! A link's name has at most 15 bytes (`IFNAMSIZ`), a UUID has 36 characters. So a name is a letter and the last 12 hexadecimal
//! digits of an id, which are drawn in a UUID version 7 (RFC 9562, section 5.7): `b` and the segment's for a bridge, `t`, the
//! machine's and two digits for the adapter's number for a tap. The whole ids are in the link's alias, its **label**, with all
//! else that has to be known of it: an agent that starts anew keeps no list but reads the labels.

use std::fmt;
use std::str::FromStr;

use renkei_types::id::{SegmentId, VmId};
use renkei_types::network::{Mac, Range};
use uuid::Uuid;

/// The first word of every label.
const OURS: &str = "renkei";

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
}

/// A label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Bridge(Bridge),
    Tap(Tap),
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

impl Bridge {
    pub(super) fn name(&self) -> String {
        bridge_name(self.segment)
    }
}

impl Tap {
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
        }
    }

    /// Whether both are of the same thing, which may have changed.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bridge(one), Self::Bridge(other)) => one.segment == other.segment,
            (Self::Tap(one), Self::Tap(other)) => (one.vm, one.number) == (other.vm, other.number),
            _ => false,
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
            Self::Tap(tap) => write!(
                f,
                "{OURS},adapter,{},{},{},{},{}",
                tap.vm, tap.number, tap.segment, tap.mac, tap.owner
            ),
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
            [OURS, "adapter", vm, number, segment, mac, owner] => Ok(Self::Tap(Tap {
                vm: read(vm)?,
                number: read(number)?,
                segment: read(segment)?,
                mac: read(mac)?,
                owner: read(owner)?,
            })),
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
        let tap = Label::Tap(Tap {
            vm: VmId(id("0192d3c4-0000-7000-8000-fedcba987654")),
            number: 2,
            segment,
            mac: Mac::drawn([1, 2, 3]),
            owner: u32::MAX,
        });
        for label in [bridge, tap] {
            let text = label.to_string();
            // IFALIASZ of linux/if.h is 256 with the zero at the end.
            assert!(text.len() < 256, "{text}");
            assert_eq!(text.parse(), Ok(label));
        }
        assert_eq!("docker".parse::<Label>(), Err(NotOurs));
    }
}
