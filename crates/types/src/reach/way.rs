//! What is open to a machine, and from it: the model, asked the other way round.
//!
//! [`Networks::reach`] says of one packet whether it passes; here is all that does, in ranges of addresses and ports. Tests compare the two.
//! The services of the gateway itself (names, DHCP, answers to ICMP) are not told, nor that machines of a segment reach one another by outside
//! addresses too.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Networks, Open, range_of};
use crate::acl::Allowed;
use crate::agent::SegmentIntent;
use crate::id::{DnatId, SegmentId, VmId};
use crate::name::VmName;
use crate::network::{Ports, Protocol, Range};
use crate::segment::Segment;
use crate::vm::Vm;

/// Who begins a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Somebody else.
    In,
    /// The machine.
    Out,
}

/// Flows that pass; what answers them passes as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct Way {
    /// Who begins them.
    pub direction: Direction,
    /// The machine's segment.
    pub segment: SegmentId,
    /// Which packets; any without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// From where.
    pub from: Range,
    /// From which ports.
    pub from_ports: Ports,
    /// To where, after a mapping. What leaves the project leaves it to here, except for what is in the project itself.
    pub to: Range,
    /// To which ports.
    pub ports: Ports,
    /// The outside address that is called instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub through: Option<IpAddr>,
    /// What lets them pass.
    pub by: Open,
}

/// An address of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Inside {
    /// In which segment.
    pub segment: SegmentId,
    /// The address: issued, or used by the guest.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// The outside addresses that lead to it.
    #[schema(value_type = Vec<String>)]
    pub outside: Vec<IpAddr>,
}

/// What can reach a machine, and what it can reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reach {
    /// Which machine.
    pub vm: VmId,
    /// Its addresses.
    pub addresses: Vec<Inside>,
    /// What is open; all else is closed.
    pub ways: Vec<Way>,
}

/// A way of a machine, in a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfVm {
    /// Which machine.
    pub vm: VmId,
    /// Its name.
    pub name: VmName,
    /// What passes.
    pub way: Way,
}

impl Way {
    /// Whether all that passes by `other` passes by this one too.
    pub fn holds(&self, other: &Self) -> bool {
        let same = |way: &Self| (way.direction, way.segment, way.through);
        same(self) == same(other)
            && self.protocol.is_none_or(|protocol| other.protocol == Some(protocol))
            && self.from.holds(&other.from)
            && self.to.holds(&other.to)
            && self.from_ports.holds(other.from_ports)
            && self.ports.holds(other.ports)
    }

    /// Whether something with this protocol and to this port, each any without, comes in from an address this way.
    pub fn lets_in(&self, from: IpAddr, protocol: Option<Protocol>, port: Option<u16>) -> bool {
        self.direction == Direction::In
            && self.from.has(from)
            && protocol.is_none_or(|protocol| self.protocol.is_none_or(|mine| mine == protocol))
            && port.is_none_or(|port| self.ports.has(port))
    }
}

/// What is open after a change and was not before, and what was and is not any more. Of what becomes narrower the whole is closed, and what
/// is left is opened.
pub fn differ(before: &[Way], after: &[Way]) -> (Vec<Way>, Vec<Way>) {
    let held = |way: &Way, by: &[Way]| by.iter().any(|other| other.holds(way));
    let (stays, closes): (Vec<Way>, Vec<Way>) = before.iter().partition(|way| held(way, after));
    let opens = after.iter().filter(|way| !held(way, &stays)).copied().collect();
    (opens, closes)
}

impl Networks<'_> {
    /// What is open to a machine and from it, by the addresses that it was issued and those that it uses.
    pub fn of_vm(&self, vm: &Vm) -> Reach {
        let mut all: Vec<(SegmentId, IpAddr)> = Vec::new();
        for adapter in &vm.meant.adapters {
            let used = vm.seen.addresses.get(&adapter.number).into_iter().flatten();
            for address in adapter.addresses.iter().chain(used) {
                let one = (adapter.segment, *address);
                if !all.contains(&one) && self.has(one).is_some() {
                    all.push(one);
                }
            }
        }
        let inside = |(segment, address)| Inside {
            segment,
            address,
            outside: self.outside((segment, address)),
        };
        Reach {
            vm: vm.id,
            addresses: all.iter().copied().map(inside).collect(),
            ways: all.iter().flat_map(|one| self.ways(*one)).collect(),
        }
    }

    /// What is open to an address in a segment and from it; nothing if no machine can have it.
    pub fn ways(&self, (id, address): (SegmentId, IpAddr)) -> Vec<Way> {
        let Some((here, range)) = self.has((id, address)) else {
            return Vec::new();
        };
        let me = Range::of(address);
        let way = Way {
            direction: Direction::In,
            segment: id,
            protocol: None,
            from: range,
            from_ports: Ports::ANY,
            to: me,
            ports: Ports::ANY,
            through: None,
            by: Open::SameSegment,
        };
        let (direction, from, to) = (Direction::Out, me, range);
        let to_all = Way {
            direction,
            from,
            to,
            ..way
        };
        if self.gated(id).is_none() {
            return vec![way, to_all];
        }
        let routed = self.routed(here).is_some_and(|range| range.has(address));
        let outside = self.outside((id, address));
        let mut ways = vec![way];
        for (id, rule) in here.acls.iter().filter(|(_, rule)| rule.destination.has(address)) {
            let way = Way {
                from: rule.source,
                ..by(way, (*id, rule))
            };
            ways.extend(outside.iter().map(|one| Way {
                through: Some(*one),
                ..way
            }));
            match routed {
                true => ways.push(way),
                false => ways.extend(self.beside(here).filter_map(|range| {
                    let from = range.common(&rule.source)?;
                    Some(Way { from, ..way })
                })),
            }
        }
        ways.push(to_all);
        ways.extend(self.to_beside(here, to_all));
        if routed || address.is_ipv4() {
            ways.push(Way {
                to: Range::any(address),
                by: Open::Outgoing,
                ..to_all
            });
        }
        ways
    }

    /// The outside addresses that lead to an address.
    fn outside(&self, (id, address): (SegmentId, IpAddr)) -> Vec<IpAddr> {
        let mappings = self.gated(id).into_iter().flat_map(|segment| segment.dnats.values());
        let here = mappings.filter(|(_, inside)| *inside == address);
        here.map(|(outside, _)| *outside).collect()
    }

    /// The segment and its range that a machine's address is of.
    fn has(&self, (id, address): (SegmentId, IpAddr)) -> Option<(&SegmentIntent, Range)> {
        let here = self.segments.get(&id).filter(|segment| !segment.tombstone)?;
        let range = range_of(here, address)?;
        (Segment::gateway(&range) != Some(address)).then_some((here, range))
    }

    /// The ranges of the other segments of a project.
    fn beside(&self, here: &SegmentIntent) -> impl Iterator<Item = Range> {
        let ranges = |segment: &SegmentIntent| [Some(segment.v4), segment.v6];
        self.others(here).flat_map(ranges).flatten()
    }

    fn others(&self, here: &SegmentIntent) -> impl Iterator<Item = &SegmentIntent> {
        let (id, project) = (here.id, here.project);
        self.with_gateway()
            .filter(move |segment| segment.project == project && segment.id != id)
    }

    /// What the other segments of the project let in from where `out` comes from.
    fn to_beside(&self, here: &SegmentIntent, out: Way) -> Vec<Way> {
        let mut ways = Vec::new();
        for there in self.others(here) {
            for (id, rule) in there.acls.iter().filter(|(_, rule)| rule.source.holds(&out.from)) {
                let way = by(out, (*id, rule));
                let ranges = [Some(there.v4), there.v6].into_iter().flatten();
                let direct = ranges.filter_map(|range| range.common(&rule.destination));
                ways.extend(direct.map(|to| Way { to, ..way }));
                let mapped = |(_, (outside, inside)): (&DnatId, &(IpAddr, IpAddr))| {
                    let (to, through) = (Range::of(*inside), Some(*outside));
                    rule.destination.has(*inside).then_some(Way { to, through, ..way })
                };
                ways.extend(there.dnats.iter().filter_map(mapped));
            }
        }
        ways
    }
}

/// A way as a rule narrows it.
fn by(way: Way, (id, rule): (crate::id::AclId, &Allowed)) -> Way {
    let any = rule.protocol == Protocol::Icmp;
    let ports = |ports: Ports| if any { Ports::ANY } else { ports };
    Way {
        protocol: Some(rule.protocol),
        from_ports: ports(rule.source_ports),
        ports: ports(rule.destination_ports),
        by: Open::Rule(id),
        ..way
    }
}

#[cfg(test)]
mod tests;
