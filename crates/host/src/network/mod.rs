//! The host's networks.
//!
//! A host has one network namespace, the *switch*, that holds every tap of its machines, and for each segment a bridge without any
//! address, so that machines of a segment reach one another. On the gateway host each project has a namespace of its own, its *gateway*,
//! with a link into each of its segments and one to the outside ([`uplink`]): it holds the gateways' addresses and the project's outside
//! ones, and decides what passes (`filter`). [`reach`](renkei_types::reach) is the same as a function.
//!
//! Nothing in the host's own namespace changes but one link, its routes and one table, and that only on a gateway host whose outside is
//! the host. In the switch, and only there, `bridge-nf-call-*` is 0: a new namespace has it at 1 (br_netfilter), and rules for IP would
//! then meet frames inside a segment. IPv6 is off in it, as a bridge would otherwise give itself an address.
//!
//! Links last when the agent ends; they are known again by the labels that they carry (`label`), and what somebody removes comes
//! back with the next call. What a guest sends is looked at where it enters (`guard`).
//!
//! Everything is done by `ip`, `nft`, `nsenter`, `conntrack`, `dnsmasq`, `cat` and `tee` as processes. No call is undone halfway: what fails is told, and
//! made so by the next call.

mod conntrack;
mod dnsmasq;
mod error;
mod filter;
mod gateway;
mod gateways;
mod guard;
mod label;
mod namespace;
mod outside;
mod pool;
mod program;
mod rule;
mod switch;
mod table;
pub mod uplink;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use renkei_types::agent::{AdapterIntent, SegmentIntent};
use renkei_types::id::{ProjectId, SegmentId, VmId};
use renkei_types::network::Mac;
use renkei_types::operation::Generation;
pub use renkei_types::reach;

pub use self::error::NetworkError;
pub use self::guard::Dropped;

use self::gateways::KeptGateway;
use self::label::{Bridge, Tap};
use self::namespace::Setting;
use self::program::{Space, job};
use self::switch::{Link, Switch};
use self::table::{Kept, Listing};
use self::uplink::Uplink;

/// What in /proc/sys is otherwise in the switch than in a new namespace.
const SETTINGS: [Setting; 5] = [
    ("/proc/sys/net/bridge/bridge-nf-call-iptables", "0"),
    ("/proc/sys/net/bridge/bridge-nf-call-ip6tables", "0"),
    ("/proc/sys/net/bridge/bridge-nf-call-arptables", "0"),
    ("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"),
    ("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"),
];

/// What has to be said of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name of the switch's network namespace, as `ip netns` shows it: `renkei`. Each agent on a computer has one of its own. The
    /// gateways' are named after it: `renkei-0123456789ab`.
    pub namespace: String,
    /// Where the networks meet the outside, should segments have their gateways here.
    pub uplink: Option<Uplink>,
}

/// The networks of a host. All that it does can be done again; what it was before is seen in the kernel and not kept.
#[derive(Debug)]
pub struct Network {
    space: Space,
    uplink: Option<Uplink>,
    /// What was said of segments last. It comes again with each call of [`Network::segments`].
    told: BTreeMap<SegmentId, SegmentIntent>,
    guard: Kept,
    /// The host's own table.
    outside: Kept,
    gateways: BTreeMap<ProjectId, KeptGateway>,
    /// The project whose gateway was looked at last without a reason.
    looked_at: Option<ProjectId>,
    troubles: Vec<NetworkError>,
}

impl Network {
    /// Finds the switch, or makes it, and repairs what is missing.
    ///
    /// # Errors
    /// If the namespace's name is none, or a program is missing or refuses: not root, no nftables in the kernel.
    pub fn open(settings: &Settings) -> Result<Self, NetworkError> {
        let mut network = Self {
            space: Space::named(&settings.namespace)?,
            uplink: settings.uplink.clone(),
            told: BTreeMap::new(),
            guard: Kept::default(),
            outside: Kept::default(),
            gateways: BTreeMap::new(),
            looked_at: None,
            troubles: Vec::new(),
        };
        let plan = network.plan(|_| ())?;
        network.make_guard(&plan)?;
        network.make_links(&plan)?;
        Ok(network)
    }

    /// The file that leads into the switch's namespace: for `nsenter --net=`.
    pub fn namespace(&self) -> &Path {
        self.space.path()
    }

    /// Makes the tap of an adapter, if it is not there, and gives its name. `owner` is the uid that may open it. The segment's bridge is
    /// made with it; of a segment that [`Network::segments`] has not yet told, the MTU is 1450 bytes and no address is learned.
    ///
    /// # Errors
    /// If a program refuses, or another link has the name.
    pub fn plug(&mut self, vm: VmId, adapter: &AdapterIntent, owner: u32) -> Result<String, NetworkError> {
        let tap = Tap {
            vm,
            number: adapter.number,
            segment: adapter.segment,
            mac: adapter.mac,
            owner,
            addresses: adapter.addresses.clone(),
        }
        .fitting();
        let name = tap.name();
        let plan = self.plan(|switch| {
            switch.taps.insert((vm, tap.number), tap);
        })?;
        self.make_guard(&plan)?;
        self.make_links(&plan)?;
        self.tell_services(&plan, adapter.segment);
        Ok(name)
    }

    /// Removes a machine's taps, and forgets what was seen of them. That there are none is fine.
    ///
    /// # Errors
    /// If a program refuses.
    pub fn unplug(&mut self, vm: VmId) -> Result<(), NetworkError> {
        let plan = self.plan(|switch| switch.taps.retain(|(of, _), _| *of != vm))?;
        self.make_guard(&plan)?;
        self.make_links(&plan)
    }

    /// Makes segments so, with their gateways, and says which generation of each is so. The first call names all that there are; later ones may
    /// name those that have changed, and the others stay as they are. One that is to be gone is gone when no machine is in it any more. What
    /// could not be made so is in [`Network::troubles`].
    pub fn segments(&mut self, meant: &BTreeMap<SegmentId, SegmentIntent>) -> BTreeMap<SegmentId, Generation> {
        self.troubles.clear();
        for (id, intent) in meant {
            if intent.tombstone {
                self.told.remove(id);
            } else {
                self.told.insert(*id, intent.clone());
            }
        }
        match self.make_segments(meant) {
            Ok(so) => so,
            Err(error) => {
                self.troubles.push(error);
                BTreeMap::new()
            }
        }
    }

    /// What the last call of [`Network::segments`] could not make so.
    pub fn troubles(&self) -> &[NetworkError] {
        &self.troubles
    }

    /// By the adapter's hardware address: the addresses of its segment that were seen in packets from it since it was plugged in, IPv4
    /// before IPv6, the one used last first; what was left for another one is no longer there a minute later. Empty before the first
    /// packet.
    ///
    /// # Errors
    /// If a program refuses.
    pub fn seen(&mut self) -> Result<BTreeMap<Mac, Vec<IpAddr>>, NetworkError> {
        let (switch, listing) = self.look()?;
        Ok(guard::seen(&switch, &listing))
    }

    /// By the adapter's hardware address: addresses of its segment that were not issued to it, and that it tried to use in the last hour. What it
    /// sends from them is dropped until it is plugged in with them, which can be done while it runs. Segments that are strict have no claims.
    ///
    /// # Errors
    /// If a program refuses.
    pub fn claims(&mut self) -> Result<BTreeMap<Mac, Vec<IpAddr>>, NetworkError> {
        let (mut switch, listing) = self.look()?;
        let strict = |id: &SegmentId| self.told.get(id).is_some_and(|segment| segment.strict);
        switch.taps.retain(|_, tap| !strict(&tap.segment));
        Ok(guard::claims(&switch, &listing))
    }

    /// By the adapter's hardware address: how many frames from it were dropped since it was plugged in.
    ///
    /// # Errors
    /// If a program refuses.
    pub fn dropped(&mut self) -> Result<BTreeMap<Mac, Dropped>, NetworkError> {
        let (switch, listing) = self.look()?;
        Ok(guard::dropped(&switch, &listing))
    }

    /// The address from which each project's machines are seen outside, for [`Networks::new`](renkei_types::reach::Networks::new).
    ///
    /// # Errors
    /// If a program refuses.
    pub fn own_addresses(&self) -> Result<BTreeMap<ProjectId, IpAddr>, NetworkError> {
        Ok(Switch::of(&self.links()?).ways)
    }

    fn look(&self) -> Result<(Switch, Listing), NetworkError> {
        let switch = Switch::of(&self.links()?);
        let listing = table::list(&self.space, guard::FAMILY, guard::NAME)?;
        Ok((switch, listing))
    }

    /// What is to be in the switch, after `change`.
    fn plan(&self, change: impl FnOnce(&mut Switch)) -> Result<Plan, NetworkError> {
        namespace::make(&self.space)?;
        namespace::set(&self.space, &SETTINGS)?;
        let links = self.links()?;
        let mut switch = Switch::of(&links);
        change(&mut switch);
        let told = self.told.iter().map(|(id, intent)| (*id, bridge(intent))).collect();
        switch.complete(&told);
        Ok(Plan { switch, links })
    }

    /// To be called before the links are made: a tap that comes up is guarded from its first frame.
    fn make_guard(&mut self, plan: &Plan) -> Result<(), NetworkError> {
        self.guard.make(&self.space, guard::table(&plan.switch))
    }

    fn make_links(&mut self, plan: &Plan) -> Result<(), NetworkError> {
        let changes = plan.switch.changes(&plan.links, self.space.name());
        let changes = changes.map_err(|foreign| NetworkError::Foreign {
            name: foreign.name,
            namespace: self.space.name().to_owned(),
            found: foreign.found,
        })?;
        if changes.iter().any(|line| line.contains(" type veth ")) {
            // The other end is new as well.
            self.gateways.values_mut().for_each(|gateway| gateway.made = None);
        }
        self.space.batch(&changes)
    }

    fn make_segments(
        &mut self,
        meant: &BTreeMap<SegmentId, SegmentIntent>,
    ) -> Result<BTreeMap<SegmentId, Generation>, NetworkError> {
        let mut used = BTreeSet::new();
        let mut plan = self.plan(|switch| {
            used = switch.taps.values().map(|tap| tap.segment).collect();
            for (id, intent) in meant {
                if !intent.tombstone {
                    switch.bridges.insert(*id, bridge(intent));
                    continue;
                }
                switch.gates.remove(id);
                if !used.contains(id) {
                    switch.bridges.remove(id);
                }
            }
        })?;
        self.make_guard(&plan)?;
        let told = self.told.clone();
        let failed = match self.uplink.clone() {
            // A host that is nobody's gateway keeps its own namespace as it is.
            Some(uplink) if !told.is_empty() || (!meant.is_empty() && plan.switch.outside.is_some()) => {
                self.make_gateways(&mut plan, (&told, &uplink))?
            }
            _ => {
                self.make_links(&plan)?;
                BTreeSet::new()
            }
        };
        self.remove_gateways(meant, &plan)?;
        let is_so = |(id, intent): &(&SegmentId, &SegmentIntent)| match intent.tombstone {
            true => !used.contains(id),
            false => !failed.contains(id),
        };
        let so = meant.iter().filter(is_so);
        Ok(so.map(|(id, intent)| (*id, intent.generation)).collect())
    }

    fn links(&self) -> Result<Vec<Link>, NetworkError> {
        let doing = format!("look at the links of network namespace `{}`", self.space.name());
        let links: Option<Vec<Link>> = self.space.ask(job(&doing, &["ip", "-j", "link"]))?;
        Ok(links.unwrap_or_default())
    }
}

/// What is to be in the switch, and what is.
struct Plan {
    switch: Switch,
    links: Vec<Link>,
}

fn bridge(intent: &SegmentIntent) -> Bridge {
    Bridge {
        segment: intent.id,
        mtu: intent.mtu,
        ranges: [Some(intent.v4), intent.v6].into_iter().flatten().collect(),
    }
}
