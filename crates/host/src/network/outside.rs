//! What is at the other end of the uplink: in the host's own namespace one link, the routes through it, and one table.
//!
//! Where the host has a firewall of its own that drops what it forwards, such as Docker's, that firewall has to let pass what comes
//! from and goes to the link: a rule of ours cannot undo a drop in another's table, and no other table is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use renkei_types::agent::SegmentIntent;
use renkei_types::network::{Mac, Range};
use serde_json::json;

use super::error::NetworkError;
use super::gateway::{self, Leg, LinkSeen, Meant, Route, alone};
use super::label;
use super::program::{Job, Space, job};
use super::rule::{field, is, is_not, meta, rule, within};
use super::table::{Chain, Hook, Kept, Table};
use super::uplink::{Outside, Uplink};

/// The host's end of the uplink.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HostEnd {
    link: String,
    leg: Leg,
    routes: BTreeSet<Route>,
    table: Table,
    by: Option<String>,
}

/// Plugs what is outside into the switch, if it is not there; `there` says whether it is.
pub(super) fn plug(uplink: &Uplink, switch: &Space) -> Result<(), NetworkError> {
    let own = Space::own();
    let (name, port) = (switch.name(), label::OUTSIDE);
    match &uplink.outside {
        Outside::Host { link, .. } => {
            let doing = format!("make link `{link}` to the networks");
            let words = [
                "ip", "link", "add", link, "type", "veth", "peer", "name", port, "netns", name,
            ];
            own.run(job(&doing, &words)).map(drop)
        }
        Outside::Link(link) => {
            let doing = format!("give link `{link}` to the networks");
            let words = ["ip", "link", "set", "dev", link, "netns", name, "name", port];
            own.run(job(&doing, &words)).map(drop)
        }
    }
}

impl Outside {
    /// What it is in the host's own namespace.
    pub(super) fn link(&self) -> &str {
        match self {
            Self::Host { link, .. } | Self::Link(link) => link,
        }
    }
}

impl Meant<'_> {
    /// What is to be in the host's own namespace; nothing if the outside is not the host.
    pub(super) fn host_end(&self) -> Option<HostEnd> {
        let Outside::Host { link, by } = &self.uplink.outside else {
            return None;
        };
        let mut addresses: BTreeSet<_> = [(self.uplink.router, self.uplink.v4.prefix())].into();
        addresses.extend(self.uplink.v6.iter().map(|v6| (v6.router, v6.range.prefix())));
        Some(HostEnd {
            link: link.clone(),
            leg: Leg {
                // The first of those that `label::way_mac` gives to nobody: ids end in what is drawn.
                mac: Mac([0x0e, 0, 0, 0, 0, 0]),
                mtu: self.uplink.mtu,
                addresses,
            },
            routes: self.host_routes(link),
            table: table(link, self.uplink.v4),
            by: by.clone(),
        })
    }

    fn host_routes(&self, link: &str) -> BTreeSet<Route> {
        let mut routes = BTreeSet::new();
        let route = |to, via| Route {
            to,
            by: link.to_owned(),
            via,
            from: None,
        };
        let on_it = |segment: &SegmentIntent| self.networks.own(segment.project).is_some();
        for segment in self.networks.with_gateway().filter(|segment| on_it(segment)) {
            for (outside, _) in segment.dnats.values() {
                routes.extend(Range::new(*outside, alone(*outside)).map(|to| route(to, None)));
            }
            let own = self.networks.own(segment.project);
            let via = own.and_then(|own| self.uplink.beside(own));
            if let Some((range, via)) = self.networks.routed(segment).zip(via) {
                routes.insert(route(range, Some(via)));
            }
        }
        routes
    }
}

/// What leaves the host from the transit range is masqueraded.
fn table(link: &str, transit: Range) -> Table {
    Table {
        family: "inet",
        name: link.to_owned(),
        learned: Vec::new(),
        counters: Vec::new(),
        chains: vec![Chain {
            name: "leaving".to_owned(),
            hook: Some(Hook {
                of: "nat",
                at: "postrouting",
                priority: 100,
                policy: "accept",
            }),
            rules: vec![rule([
                is(field("ip", "saddr"), within(&transit)),
                is_not(meta("oifname"), json!(link)),
                json!({ "masquerade": null }),
            ])],
        }],
    }
}

impl HostEnd {
    /// Makes the host's end so, once it is there.
    pub(super) fn make(&self, kept: &mut Kept) -> Result<(), NetworkError> {
        let own = Space::own();
        kept.make(&own, self.table.clone())?;
        let doing = format!("look at link `{}`", self.link);
        let links: Option<Vec<LinkSeen>> = own.ask(job(&doing, &["ip", "-j", "address", "show", "dev", &self.link]))?;
        let meant: BTreeMap<String, Leg> = [(self.link.clone(), self.leg.clone())].into();
        own.batch(&gateway::changes(&meant, &links.unwrap_or_default()))?;
        self.forward()?;
        let mut seen = gateway::routes(&own)?;
        seen.retain(|route| route.by == self.link);
        own.batch(&gateway::route_changes(&self.routes, &seen))
    }

    /// Lets the host forward what comes by our link, and what comes back; nothing else that it did not forward before.
    fn forward(&self) -> Result<(), NetworkError> {
        let own = Space::own();
        let mut files: Vec<String> = [Some(&self.link), self.by.as_ref()]
            .into_iter()
            .flatten()
            .map(|link| format!("/proc/sys/net/ipv4/conf/{link}/forwarding"))
            .collect();
        if self.leg.addresses.iter().any(|(address, _)| address.is_ipv6()) {
            // IPv6 has one for all links only.
            files.push("/proc/sys/net/ipv6/conf/all/forwarding".to_owned());
        }
        let redirects = format!("/proc/sys/net/ipv4/conf/{}/send_redirects", self.link);
        let all = files.iter().map(|file| (file, "1")).chain([(&redirects, "0")]);
        for (file, value) in all {
            let is = std::fs::read_to_string(Path::new(file)).unwrap_or_default();
            if is.trim() == value {
                continue;
            }
            let doing = format!("set `{file}` to {value}");
            own.run(Job {
                doing: &doing,
                words: &["tee", file],
                input: value,
            })?;
        }
        Ok(())
    }
}
