//! The gateway of a project: what is in its namespace, and how it becomes so.
//!
//! Each project has a namespace of its own on the gateway host, so that projects may use equal addresses. Its rules are there before
//! its first link, and are never absent.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use renkei_types::agent::SegmentIntent;
use renkei_types::id::{ProjectId, SegmentId};
use renkei_types::network::{Mac, Range};
use renkei_types::reach::Networks;
use renkei_types::segment::Segment;
use serde::Deserialize;

use super::conntrack;
use super::dnsmasq::{Reservation, Service};
use super::error::NetworkError;
use super::filter::{self, Tenant, UPLINK};
use super::label;
use super::namespace::{self, Setting};
use super::program::{Space, job};
use super::table::{Kept, Table};
use super::uplink::Uplink;

/// The number that our routes carry (`rtnetlink(7)`, `rtm_protocol`): one that nobody else is known to use.
pub(super) const OURS: &str = "82";

/// What in /proc/sys is otherwise in a gateway. In this order: the first one sets others.
const SETTINGS: [Setting; 17] = [
    ("/proc/sys/net/ipv4/ip_forward", "1"),
    ("/proc/sys/net/ipv6/conf/all/forwarding", "1"),
    // A link answers for its own addresses only: two tenants may have the same one inside.
    ("/proc/sys/net/ipv4/conf/all/arp_ignore", "1"),
    // Who outside remembers where an address was hears where it is.
    ("/proc/sys/net/ipv4/conf/all/arp_notify", "1"),
    ("/proc/sys/net/ipv6/conf/all/ndisc_notify", "1"),
    ("/proc/sys/net/ipv6/conf/default/ndisc_notify", "1"),
    ("/proc/sys/net/ipv4/conf/all/arp_announce", "2"),
    ("/proc/sys/net/ipv4/conf/all/rp_filter", "0"),
    ("/proc/sys/net/ipv4/conf/default/rp_filter", "0"),
    ("/proc/sys/net/ipv4/conf/all/send_redirects", "0"),
    ("/proc/sys/net/ipv4/conf/default/send_redirects", "0"),
    ("/proc/sys/net/ipv4/conf/all/accept_redirects", "0"),
    ("/proc/sys/net/ipv6/conf/all/accept_redirects", "0"),
    ("/proc/sys/net/ipv6/conf/default/accept_redirects", "0"),
    ("/proc/sys/net/ipv6/conf/default/accept_ra", "0"),
    ("/proc/sys/net/ipv6/conf/default/accept_dad", "0"),
    ("/proc/sys/net/netfilter/nf_conntrack_tcp_loose", "0"),
];

/// What there is to be in a project's gateway.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gateway {
    /// The name of its namespace.
    pub name: String,
    /// By their names.
    pub links: BTreeMap<String, Leg>,
    pub routes: BTreeSet<Route>,
    pub table: Table,
    /// By the names of the links on which they are.
    pub services: BTreeMap<String, Service>,
    /// Outside addresses, and where they lead.
    pub mappings: BTreeSet<(IpAddr, IpAddr)>,
    /// By the names of its links: the other ends, in the switch.
    pub ends: BTreeMap<String, String>,
}

/// A link of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leg {
    pub mac: Mac,
    pub mtu: u16,
    /// Each with its prefix.
    pub addresses: BTreeSet<(IpAddr, u8)>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    /// To where.
    pub to: Range,
    /// By which link.
    pub by: String,
    /// Through whom.
    pub via: Option<IpAddr>,
    /// From which of our own addresses.
    pub from: Option<IpAddr>,
}

/// What a gateway is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meant<'a> {
    pub networks: &'a Networks<'a>,
    pub uplink: &'a Uplink,
    /// The name of the switch's namespace.
    pub switch: &'a str,
    /// What machines are told of themselves.
    pub reservations: &'a BTreeMap<SegmentId, Vec<Reservation>>,
}

impl Meant<'_> {
    /// The gateway of a project; none if it has no address of its own.
    pub(super) fn gateway(&self, project: ProjectId) -> Option<Gateway> {
        let own = self.networks.own(project)?;
        let mine = |segment: &&SegmentIntent| segment.project == project;
        let segments: Vec<&SegmentIntent> = self.networks.with_gateway().filter(mine).collect();
        let legs = segments.iter().map(|segment| (label::leg_name(segment.id), *segment));
        let tenant = Tenant {
            segments: legs.collect(),
            routed: segments
                .iter()
                .filter_map(|segment| self.networks.routed(segment))
                .collect(),
            own,
        };
        let mut links: BTreeMap<String, Leg> = segments
            .iter()
            .map(|segment| (label::leg_name(segment.id), leg(segment)))
            .collect();
        links.insert(UPLINK.to_owned(), self.way(project, own, &segments));
        let ends = segments
            .iter()
            .map(|segment| (label::leg_name(segment.id), label::gate_name(segment.id)));
        let ends = ends.chain([(UPLINK.to_owned(), label::way_name(project))]).collect();
        Some(Gateway {
            ends,
            mappings: tenant.all_mappings(),
            name: label::gateway_name(self.switch, project),
            links,
            routes: self.routes(project, own),
            table: filter::table(&tenant),
            services: segments.iter().map(|segment| self.service(segment)).collect(),
        })
    }

    fn service(&self, segment: &SegmentIntent) -> (String, Service) {
        let reservations = self.reservations.get(&segment.id).map_or(&[][..], Vec::as_slice);
        let service = Service::of(segment, self.uplink, reservations);
        (label::leg_name(segment.id), service)
    }

    fn way(&self, project: ProjectId, own: IpAddr, segments: &[&SegmentIntent]) -> Leg {
        let mut addresses: BTreeSet<(IpAddr, u8)> = [(own, self.uplink.v4.prefix())].into();
        let beside = self.uplink.beside(own);
        if let Some((own, v6)) = beside.zip(self.uplink.v6.as_ref()) {
            addresses.insert((own, v6.range.prefix()));
        }
        let outside = segments.iter().flat_map(|segment| segment.dnats.values());
        addresses.extend(outside.map(|(outside, _)| (*outside, alone(*outside))));
        Leg {
            mac: label::way_mac(project),
            mtu: self.uplink.mtu,
            addresses,
        }
    }

    fn routes(&self, project: ProjectId, own: IpAddr) -> BTreeSet<Route> {
        let route = |to: Range, via: IpAddr, from: Option<IpAddr>| Route {
            to,
            by: UPLINK.to_owned(),
            via: Some(via),
            from,
        };
        let mut routes: BTreeSet<Route> = [route(Range::any(own), self.uplink.router, Some(own))].into();
        let (Some(v6), Some(beside)) = (&self.uplink.v6, self.uplink.beside(own)) else {
            return routes;
        };
        routes.insert(route(Range::any(v6.router), v6.router, Some(beside)));
        // Other tenants of the site are behind the same uplink.
        for segment in self
            .networks
            .with_gateway()
            .filter(|segment| segment.project != project)
        {
            let theirs = self.networks.own(segment.project);
            let theirs = theirs.and_then(|own| self.uplink.beside(own));
            if let Some((range, via)) = self.networks.routed(segment).zip(theirs) {
                routes.insert(route(range, via, None));
            }
        }
        routes
    }
}

/// The prefix of a single address.
pub(super) fn alone(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn leg(segment: &SegmentIntent) -> Leg {
    let ranges = [Some(segment.v4), segment.v6].into_iter().flatten();
    Leg {
        mac: label::leg_mac(segment.id),
        mtu: segment.mtu,
        addresses: ranges
            .filter_map(|range| Some((Segment::gateway(&range)?, range.prefix())))
            .collect(),
    }
}

/// A link with its addresses as `ip -j address` shows it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct LinkSeen {
    ifname: String,
    ifindex: u32,
    mtu: u32,
    #[serde(default)]
    address: String,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    addr_info: Vec<AddressSeen>,
}

#[derive(Clone, Debug, Deserialize)]
struct AddressSeen {
    local: IpAddr,
    prefixlen: u8,
    #[serde(default)]
    scope: String,
}

/// A route as `ip -j route` shows it.
#[derive(Clone, Debug, Deserialize)]
struct RouteSeen {
    dst: String,
    #[serde(default)]
    gateway: Option<IpAddr>,
    dev: Option<String>,
    #[serde(default)]
    prefsrc: Option<IpAddr>,
}

impl Gateway {
    pub(super) fn space(&self) -> Result<Space, NetworkError> {
        Space::named(&self.name)
    }

    /// Makes the namespace and its rules, before any link comes into it.
    pub(super) fn prepare(&self, kept: &mut Kept) -> Result<(), NetworkError> {
        let space = self.space()?;
        namespace::make(&space)?;
        kept.make(&space, self.table.clone())?;
        namespace::set(&space, &SETTINGS)
    }

    /// The ends in the switch of links that are not in the namespace: they lead into one that was removed, and whose processes still run.
    pub(super) fn astray(&self) -> Result<Vec<String>, NetworkError> {
        let links = self.seen()?;
        let missing = self
            .ends
            .iter()
            .filter(|(name, _)| !links.iter().any(|link| link.ifname == **name));
        Ok(missing.map(|(_, end)| end.clone()).collect())
    }

    fn seen(&self) -> Result<Vec<LinkSeen>, NetworkError> {
        let doing = format!("look at the addresses of network namespace `{}`", self.name);
        let links: Option<Vec<LinkSeen>> = self.space()?.ask(job(&doing, &["ip", "-j", "address"]))?;
        Ok(links.unwrap_or_default())
    }

    /// Makes the links so that have come into it, and gives them with their numbers.
    pub(super) fn make(&self) -> Result<BTreeMap<String, u32>, NetworkError> {
        let space = self.space()?;
        let links = self.seen()?;
        space.batch(&changes(&self.links, &links))?;
        space.batch(&route_changes(&self.routes, &routes(&space)?))?;
        Ok(numbers(links))
    }

    /// Its links with their numbers.
    pub(super) fn numbers(&self) -> Result<BTreeMap<String, u32>, NetworkError> {
        self.seen().map(numbers)
    }

    /// Flows through mappings that are gone are forgotten.
    pub(super) fn forget(&self) -> Result<(), NetworkError> {
        conntrack::forget(&self.space()?, &self.mappings)
    }

    /// Makes the services of its segments so, as many as can be; each fault is given.
    pub(super) fn serve(&self, folder: &Path, links: &BTreeMap<String, u32>) -> Vec<NetworkError> {
        let serve = |(link, service): (&String, &Service)| {
            let space = self.space()?;
            match links.get(link) {
                Some(number) => service.make(&space, (folder, *number)),
                None => Ok(()),
            }
        };
        self.services.iter().filter_map(|one| serve(one).err()).collect()
    }
}

fn numbers(links: Vec<LinkSeen>) -> BTreeMap<String, u32> {
    links.into_iter().map(|link| (link.ifname, link.ifindex)).collect()
}

/// Our routes of both families.
pub(super) fn routes(space: &Space) -> Result<BTreeSet<Route>, NetworkError> {
    let doing = format!("look at the routes of network namespace `{}`", space.name());
    let mut routes = BTreeSet::new();
    for family in ["-4", "-6"] {
        let words = ["ip", "-j", family, "route", "show", "proto", OURS];
        let seen: Option<Vec<RouteSeen>> = space.ask(job(&doing, &words))?;
        let any = if family == "-4" { "0.0.0.0/0" } else { "::/0" };
        for route in seen.unwrap_or_default() {
            let to = if route.dst == "default" {
                any
            } else {
                route.dst.as_str()
            };
            if let (Ok(to), Some(by)) = (to.parse(), route.dev) {
                routes.insert(Route {
                    to,
                    by,
                    via: route.gateway,
                    from: route.prefsrc,
                });
            }
        }
    }
    Ok(routes)
}

/// Lines that make addresses and links so. Links that are not there yet come later, others are not ours.
pub(super) fn changes(meant: &BTreeMap<String, Leg>, seen: &[LinkSeen]) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(lo) = seen.iter().find(|link| link.ifname == "lo" && !link.is_up()) {
        lines.push(format!("link set dev {} up", lo.ifname));
    }
    for (name, leg) in meant {
        let Some(link) = seen.iter().find(|link| link.ifname == *name) else {
            continue;
        };
        let mac = leg.mac.to_string();
        let mut set = String::new();
        if link.mtu != u32::from(leg.mtu) {
            set.push_str(&format!(" mtu {}", leg.mtu));
        }
        if link.address != mac {
            set.push_str(&format!(" address {mac}"));
        }
        if !link.is_up() {
            set.push_str(" up");
        }
        if !set.is_empty() {
            lines.push(format!("link set dev {name}{set}"));
        }
        let there: BTreeSet<(IpAddr, u8)> = link
            .addr_info
            .iter()
            .filter(|address| address.scope != "link")
            .map(|address| (address.local, address.prefixlen))
            .collect();
        for (address, prefix) in there.difference(&leg.addresses) {
            lines.push(format!("address del {address}/{prefix} dev {name}"));
        }
        let mut missing: Vec<&(IpAddr, u8)> = leg.addresses.difference(&there).collect();
        // Those with a network first: the first one of a network is the one that is used.
        missing.sort_by_key(|(address, prefix)| (*prefix, *address));
        for (address, prefix) in &missing {
            let unasked = if address.is_ipv6() { " nodad" } else { "" };
            lines.push(format!("address add {address}/{prefix} dev {name}{unasked}"));
        }
        if !missing.is_empty() {
            // Setting it again, even to what it is, tells the neighbours of all addresses (`arp_notify`, `ndisc_notify`).
            lines.push(format!("link set dev {name} address {mac}"));
        }
    }
    lines
}

impl LinkSeen {
    fn is_up(&self) -> bool {
        self.flags.iter().any(|flag| flag == "UP")
    }
}

/// Lines that make our routes so.
pub(super) fn route_changes(meant: &BTreeSet<Route>, seen: &BTreeSet<Route>) -> Vec<String> {
    let stale = seen
        .difference(meant)
        .filter(|route| !meant.iter().any(|other| other.to == route.to));
    let stale = stale.map(|route| format!("route del {} dev {} proto {OURS}", route.to, route.by));
    let missing = meant.difference(seen).map(|route| {
        let mut line = format!("route replace {} dev {} proto {OURS}", route.to, route.by);
        if let Some(via) = route.via {
            line.push_str(&format!(" via {via} onlink"));
        }
        if let Some(from) = route.from {
            line.push_str(&format!(" src {from}"));
        }
        line
    });
    stale.chain(missing).collect()
}

#[cfg(test)]
mod tests;
