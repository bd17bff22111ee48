//! What can reach what: the reference model, a pure function of what is meant.
//!
//! It says for the first packet of a flow whether it passes, by what, and how it looks where it arrives. What answers it passes as well.
//! The rules that real packets meet are in `renkei-host`, written apart from it, and tests there compare the two.
//!
//! - Within a segment everything passes.
//! - What leaves a project's segments passes. IPv4 is seen outside from the project's own address; IPv6 is not translated, and leaves only
//!   from ranges that are routed to the site.
//! - Into a segment, from outside, another tenant, or another segment of the same project, comes what a rule of it allows. Rules see the
//!   destination inside, that is after a mapping, and the source as it was when it came in.
//! - Inside addresses of IPv4 are reached from outside by a mapping only. A mapping serves the project's own machines as well; one that
//!   reaches its own segment by it needs no rule, as it needs none without.

mod way;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::acl::Allowed;
use crate::agent::SegmentIntent;
use crate::id::{AclId, DnatId, ProjectId, SegmentId};
use crate::network::{Protocol, Range};
use crate::segment::Segment;

pub use self::way::{Direction, Inside, OfVm, Reach, Way, differ};

/// The networks of a site, as they are meant.
#[derive(Clone, Debug)]
pub struct Networks<'a> {
    segments: &'a BTreeMap<SegmentId, SegmentIntent>,
    prefix: Option<Range>,
    own: &'a BTreeMap<ProjectId, IpAddr>,
    with_gateway: Vec<&'a SegmentIntent>,
    routed: BTreeMap<SegmentId, Range>,
    issued: Option<&'a BTreeMap<SegmentId, BTreeSet<IpAddr>>>,
}

/// Where something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A machine in a segment.
    Segment(SegmentId),
    /// Everywhere else.
    Outside,
    /// The gateway itself: its name service, DHCP, and its answers to ICMP.
    Gateway(SegmentId),
}

/// The first packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Packet {
    /// What it is.
    pub protocol: Protocol,
    /// From which address.
    pub source: IpAddr,
    /// From which port; 0 for ICMP.
    pub source_port: u16,
    /// To which address.
    pub destination: IpAddr,
    /// To which port; 0 for ICMP.
    pub destination_port: u16,
}

/// A packet that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Where it arrives.
    pub at: Place,
    /// How it looks there.
    pub packet: Packet,
    /// What lets it pass.
    pub by: Open,
    /// The mapping through which it comes.
    pub mapping: Option<DnatId>,
}

/// Why a packet passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Open {
    /// It stays in its segment.
    SameSegment,
    /// It leaves its project.
    Outgoing,
    /// A rule of the segment that it enters.
    Rule(AclId),
    /// The gateway answers it itself.
    Gateway,
}

/// Why a packet does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Its source cannot be where it comes from.
    Source,
    /// No rule of this segment allows it.
    NoRule(SegmentId),
    /// Nothing that can be reached has this address.
    NoAddress,
    /// Its address family is not routed between here and there.
    NoRoute,
}

impl<'a> Networks<'a> {
    /// Those of a site with these segments and this IPv6 range; `own` is the address from which each project's machines are seen outside.
    pub fn new(
        segments: &'a BTreeMap<SegmentId, SegmentIntent>,
        prefix: Option<Range>,
        own: &'a BTreeMap<ProjectId, IpAddr>,
    ) -> Self {
        let mut with_gateway: Vec<&SegmentIntent> = Vec::new();
        let mut routed: BTreeMap<SegmentId, Range> = BTreeMap::new();
        for segment in segments.values().filter(|segment| !segment.tombstone) {
            let beside = |other: &&SegmentIntent| other.project == segment.project && overlap(other, segment);
            if with_gateway.iter().any(beside) {
                continue;
            }
            with_gateway.push(segment);
            let within = prefix.zip(segment.v6).filter(|(prefix, mine)| {
                let taken = routed.values().any(|other| other.overlaps(mine));
                prefix.has(mine.address()) && prefix.has(mine.last()) && !taken
            });
            routed.extend(within.map(|(_, mine)| (segment.id, mine)));
        }
        Self {
            segments,
            prefix,
            own,
            with_gateway,
            routed,
            issued: None,
        }
    }

    /// With the addresses that were issued in each segment: nothing is sent from others. Without, any machine may have any address.
    #[must_use]
    pub fn with_issued(mut self, issued: &'a BTreeMap<SegmentId, BTreeSet<IpAddr>>) -> Self {
        self.issued = Some(issued);
        self
    }

    /// Whether the first packet of a flow passes, and by what.
    ///
    /// # Errors
    /// Why it does not.
    pub fn reach(&self, from: Place, packet: Packet) -> Result<Arrival, Closed> {
        match from {
            Place::Segment(id) => self.leave(id, packet),
            Place::Outside => self.enter(packet, None),
            Place::Gateway(_) => Err(Closed::Source),
        }
    }

    /// Segments that have a gateway, in the order of their ids: one whose addresses overlap with those of an earlier one of its project
    /// has none, as nobody could tell them apart.
    pub fn with_gateway(&self) -> impl Iterator<Item = &'a SegmentIntent> {
        self.with_gateway.iter().copied()
    }

    /// A segment's IPv6 range, if it is routed: within the site's prefix, and not also of an earlier segment.
    pub fn routed(&self, segment: &SegmentIntent) -> Option<Range> {
        self.routed.get(&segment.id).copied()
    }

    /// The address from which a project's machines are seen outside.
    pub fn own(&self, project: ProjectId) -> Option<IpAddr> {
        self.own.get(&project).copied()
    }

    fn gated(&self, id: SegmentId) -> Option<&'a SegmentIntent> {
        self.with_gateway().find(|segment| segment.id == id)
    }

    fn leave(&self, id: SegmentId, packet: Packet) -> Result<Arrival, Closed> {
        let here = self.segments.get(&id).filter(|segment| !segment.tombstone);
        let here = here.ok_or(Closed::Source)?;
        let mine = range_of(here, packet.source).ok_or(Closed::Source)?;
        let issued = |all: &BTreeMap<SegmentId, BTreeSet<IpAddr>>| {
            let here = all.get(&id);
            here.is_some_and(|here| here.contains(&packet.source))
        };
        if Segment::gateway(&mine) == Some(packet.source) || !self.issued.is_none_or(issued) {
            return Err(Closed::Source);
        }
        let inside = |by, at| {
            Ok(Arrival {
                at,
                packet,
                by,
                mapping: None,
            })
        };
        let gated = self.gated(id);
        if let Some(range) = range_of(here, packet.destination) {
            if Segment::gateway(&range) != Some(packet.destination) {
                return inside(Open::SameSegment, Place::Segment(id));
            }
            return match (gated, serves(&packet)) {
                (Some(_), true) => inside(Open::Gateway, Place::Gateway(id)),
                _ => Err(Closed::NoAddress),
            };
        }
        let Some(here) = gated else {
            return Err(Closed::NoRoute);
        };
        if let Some((mapping, segment, mapped)) = self.mapped(&packet, |segment| segment.project == here.project) {
            let by = match segment.id == id {
                true => Open::SameSegment,
                false => allowed(segment, &mapped)?,
            };
            return Ok(Arrival {
                at: Place::Segment(segment.id),
                // One that goes back to where it came from is answered through the gateway, or not at all.
                packet: match segment.id == id {
                    true => from_gateway(segment, mapped),
                    false => mapped,
                },
                by,
                mapping: Some(mapping),
            });
        }
        let mut beside = self.with_gateway().filter(|segment| segment.project == here.project);
        if let Some(segment) = beside.find(|segment| range_of(segment, packet.destination).is_some()) {
            not_the_gateway(segment, packet.destination)?;
            let by = allowed(segment, &packet)?;
            return inside(by, Place::Segment(segment.id));
        }
        let mut left = packet;
        match packet.source {
            IpAddr::V4(_) => left.source = self.own(here.project).ok_or(Closed::NoRoute)?,
            IpAddr::V6(_) => {
                self.routed(here).ok_or(Closed::NoRoute)?;
            }
        }
        self.enter(left, Some(here.project))
    }

    /// What comes to the gateways from outside; from the machines of a project, if it is said of which.
    fn enter(&self, packet: Packet, of: Option<ProjectId>) -> Result<Arrival, Closed> {
        if packet.destination.is_ipv6() && self.prefix.is_none() {
            return Err(Closed::NoRoute);
        }
        let other = |segment: &SegmentIntent| Some(segment.project) != of;
        if let Some((mapping, segment, mapped)) = self.mapped(&packet, other) {
            self.no_claim(segment.project, packet.source)?;
            return Ok(Arrival {
                at: Place::Segment(segment.id),
                packet: mapped,
                by: allowed(segment, &mapped)?,
                mapping: Some(mapping),
            });
        }
        let routed = |segment: &&SegmentIntent| {
            let range = self.routed(segment);
            other(segment) && range.is_some_and(|range| range.has(packet.destination))
        };
        if let Some(segment) = self.with_gateway().find(routed) {
            self.no_claim(segment.project, packet.source)?;
            not_the_gateway(segment, packet.destination)?;
            return Ok(Arrival {
                at: Place::Segment(segment.id),
                packet,
                by: allowed(segment, &packet)?,
                mapping: None,
            });
        }
        let own = self.own.values().any(|own| *own == packet.destination);
        match of {
            Some(_) if !own => Ok(Arrival {
                at: Place::Outside,
                packet,
                by: Open::Outgoing,
                mapping: None,
            }),
            _ => Err(Closed::NoAddress),
        }
    }

    /// What comes from outside cannot be from an address inside.
    fn no_claim(&self, project: ProjectId, source: IpAddr) -> Result<(), Closed> {
        let mut mine = self.with_gateway().filter(|segment| segment.project == project);
        match mine.any(|segment| range_of(segment, source).is_some()) {
            true => Err(Closed::Source),
            false => Ok(()),
        }
    }

    /// The mapping that a packet meets at the gateways of these segments, and how it is then.
    fn mapped(
        &self,
        packet: &Packet,
        of: impl Fn(&SegmentIntent) -> bool,
    ) -> Option<(DnatId, &'a SegmentIntent, Packet)> {
        self.with_gateway().filter(|segment| of(segment)).find_map(|segment| {
            let mut dnats = segment.dnats.iter();
            let (id, (_, inside)) = dnats.find(|(_, (outside, _))| *outside == packet.destination)?;
            let destination = *inside;
            Some((*id, segment, Packet { destination, ..*packet }))
        })
    }
}

/// A segment's range that has this address.
fn range_of(segment: &SegmentIntent, address: IpAddr) -> Option<Range> {
    let ranges = [Some(segment.v4), segment.v6].into_iter().flatten();
    ranges.into_iter().find(|range| range.has(address))
}

fn overlap(one: &SegmentIntent, other: &SegmentIntent) -> bool {
    let v6 = one.v6.zip(other.v6);
    one.v4.overlaps(&other.v4) || v6.is_some_and(|(one, other)| one.overlaps(&other))
}

/// What the gateway answers itself.
fn serves(packet: &Packet) -> bool {
    match packet.protocol {
        Protocol::Icmp => true,
        Protocol::Tcp => packet.destination_port == 53,
        Protocol::Udp => {
            let dhcp = if packet.destination.is_ipv4() { 67 } else { 547 };
            packet.destination_port == 53 || packet.destination_port == dhcp
        }
    }
}

fn not_the_gateway(segment: &SegmentIntent, address: IpAddr) -> Result<(), Closed> {
    let gateway = range_of(segment, address).and_then(|range| Segment::gateway(&range));
    match gateway == Some(address) {
        true => Err(Closed::NoAddress),
        false => Ok(()),
    }
}

fn from_gateway(segment: &SegmentIntent, packet: Packet) -> Packet {
    let gateway = range_of(segment, packet.source).and_then(|range| Segment::gateway(&range));
    Packet {
        source: gateway.unwrap_or(packet.source),
        ..packet
    }
}

/// The first rule of a segment that allows a packet.
fn allowed(segment: &SegmentIntent, packet: &Packet) -> Result<Open, Closed> {
    let mut rules = segment.acls.iter();
    let rule = rules.find(|(_, rule)| allows(rule, packet));
    rule.map(|(id, _)| Open::Rule(*id)).ok_or(Closed::NoRule(segment.id))
}

fn allows(rule: &Allowed, packet: &Packet) -> bool {
    let ports = rule.source_ports.has(packet.source_port) && rule.destination_ports.has(packet.destination_port);
    rule.protocol == packet.protocol
        && rule.source.has(packet.source)
        && rule.destination.has(packet.destination)
        && (ports || rule.protocol == Protocol::Icmp)
}

#[cfg(test)]
mod tests;
