//! The host's networks.
//!
//! A host has one network namespace, the *switch*, that holds every tap of its machines, and for each segment a bridge without any
//! address, so that machines of a segment reach one another and nothing else reaches them, the host included. Nothing in the host's own
//! namespace changes. In the switch, and only there, `bridge-nf-call-*` is 0: a new namespace has it at 1 (br_netfilter), and rules
//! for IP would then meet frames inside a segment. IPv6 is off in it, as a bridge would otherwise give itself an address.
//!
//! Taps and bridges last when the agent ends; they are known again by the labels that they carry ([`label`]), and what somebody removes
//! comes back with the next call. What a guest sends is looked at where it enters ([`guard`]).
//!
//! Everything is done by `ip`, `nft`, `nsenter` and `tee` as processes. No call is undone halfway: what fails is told, and made
//! so by the next call.

mod error;
mod guard;
mod label;
mod program;
mod switch;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use renkei_types::agent::{AdapterIntent, SegmentIntent};
use renkei_types::id::{SegmentId, VmId};
use renkei_types::network::Mac;
use renkei_types::operation::Generation;

pub use self::error::NetworkError;
pub use self::guard::Dropped;

use self::label::{Bridge, Tap};
use self::program::{Job, Space};
use self::switch::{Link, Switch};
use self::table::{Listing, Table};

/// What in /proc/sys is otherwise in the switch than in a new namespace.
const SETTINGS: [(&str, &str); 5] = [
    ("/proc/sys/net/bridge/bridge-nf-call-iptables", "0"),
    ("/proc/sys/net/bridge/bridge-nf-call-ip6tables", "0"),
    ("/proc/sys/net/bridge/bridge-nf-call-arptables", "0"),
    ("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"),
    ("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"),
];

/// What has to be said of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name of the switch's network namespace, as `ip netns` shows it: `renkei`. Each agent on a computer has one of its own.
    pub namespace: String,
}

/// The networks of a host. All that it does can be done again; what it was before is seen in the kernel and not kept.
#[derive(Debug)]
pub struct Network {
    space: Space,
    /// What was said of segments last. It comes again with each call of [`Network::segments`].
    told: BTreeMap<SegmentId, Bridge>,
    /// The table as we made it, and how it is listed since; to see whether somebody changed it.
    made: Option<(Table, Listing)>,
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
            told: BTreeMap::new(),
            made: None,
            troubles: Vec::new(),
        };
        network.make(|_| ())?;
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
        };
        let name = tap.name();
        self.make(|switch| {
            switch.taps.insert((vm, tap.number), tap);
        })?;
        Ok(name)
    }

    /// Removes a machine's taps, and forgets what was seen of them. That there are none is fine.
    ///
    /// # Errors
    /// If a program refuses.
    pub fn unplug(&mut self, vm: VmId) -> Result<(), NetworkError> {
        self.make(|switch| switch.taps.retain(|(of, _), _| *of != vm))
    }

    /// Makes segments so and says which generation of each is so. Those that are not named stay as they are. One that is to be gone is
    /// gone when no machine is in it any more. What could not be made so is in [`Network::troubles`].
    pub fn segments(&mut self, meant: &BTreeMap<SegmentId, SegmentIntent>) -> BTreeMap<SegmentId, Generation> {
        self.troubles.clear();
        for (id, intent) in meant {
            if intent.tombstone {
                self.told.remove(id);
            } else {
                self.told.insert(*id, bridge(intent));
            }
        }
        let mut used = BTreeSet::new();
        let made = self.make(|switch| {
            used = switch.taps.values().map(|tap| tap.segment).collect();
            for (id, intent) in meant {
                if !intent.tombstone {
                    switch.bridges.insert(*id, bridge(intent));
                } else if !used.contains(id) {
                    switch.bridges.remove(id);
                }
            }
        });
        if let Err(error) = made {
            self.troubles.push(error);
            return BTreeMap::new();
        }
        let so = meant
            .iter()
            .filter(|(id, intent)| !intent.tombstone || !used.contains(id));
        so.map(|(id, intent)| (*id, intent.generation)).collect()
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

    /// By the adapter's hardware address: how many frames from it were dropped since it was plugged in.
    ///
    /// # Errors
    /// If a program refuses.
    pub fn dropped(&mut self) -> Result<BTreeMap<Mac, Dropped>, NetworkError> {
        let (switch, listing) = self.look()?;
        Ok(guard::dropped(&switch, &listing))
    }

    fn look(&self) -> Result<(Switch, Listing), NetworkError> {
        let switch = Switch::of(&self.links()?);
        let listing = table::list(&self.space, guard::FAMILY, guard::NAME)?;
        Ok((switch, listing))
    }

    /// Makes all that there is so, after `change`.
    fn make(&mut self, change: impl FnOnce(&mut Switch)) -> Result<(), NetworkError> {
        let doing = format!("enter network namespace `{}`", self.space.name());
        if self.space.run(job(&doing, &["true"])).is_err() {
            self.make_namespace()?;
        }
        self.make_settings()?;
        let links = self.links()?;
        let mut switch = Switch::of(&links);
        change(&mut switch);
        switch.complete(&self.told);
        // Before the links: a tap that comes up is guarded from its first frame.
        self.make_guard(guard::table(&switch))?;
        let changes = switch.changes(&links).map_err(|foreign| NetworkError::Foreign {
            name: foreign.name,
            namespace: self.space.name().to_owned(),
            found: foreign.found,
        })?;
        if changes.is_empty() {
            return Ok(());
        }
        let doing = format!("change the links of namespace `{}`", self.space.name());
        let mut input = changes.join("\n");
        input.push('\n');
        let job = Job {
            doing: &doing,
            words: &["ip", "-batch", "-"],
            input: &input,
        };
        self.space.run(job).map(drop)
    }

    /// What is left of one that cannot be entered, such as a file without anything mounted on it, goes first.
    fn make_namespace(&self) -> Result<(), NetworkError> {
        let name = self.space.name();
        let own = Space::own();
        if self.space.path().exists() {
            let doing = format!("remove what is left of network namespace `{name}`");
            own.run(job(&doing, &["ip", "netns", "del", name]))?;
        }
        let doing = format!("make network namespace `{name}`");
        own.run(job(&doing, &["ip", "netns", "add", name])).map(drop)
    }

    fn make_settings(&self) -> Result<(), NetworkError> {
        let doing = format!("see the settings of network namespace `{}`", self.space.name());
        // A kernel without br_netfilter, or without IPv6, has no such files.
        let there: Vec<(&str, &str)> = SETTINGS
            .into_iter()
            .filter(|(file, _)| Path::new(file).exists())
            .collect();
        if there.is_empty() {
            return Ok(());
        }
        let words: Vec<&str> = ["cat"].into_iter().chain(there.iter().map(|(file, _)| *file)).collect();
        let answer = self.space.run(job(&doing, &words))?;
        let answer = String::from_utf8_lossy(&answer);
        let wrong = there.iter().zip(answer.lines()).filter(|((_, value), is)| value != is);
        for ((file, value), _) in wrong {
            let doing = format!("set `{file}` of network namespace `{}` to {value}", self.space.name());
            let job = Job {
                doing: &doing,
                words: &["tee", file],
                input: value,
            };
            self.space.run(job)?;
        }
        Ok(())
    }

    fn make_guard(&mut self, table: Table) -> Result<(), NetworkError> {
        let listing = table.listing(&self.space)?;
        if let Some((made, listed)) = &self.made
            && *made == table
            && listed.is_like(&listing)
        {
            return Ok(());
        }
        let listed = table.make(&self.space, &listing)?;
        self.made = Some((table, listed));
        Ok(())
    }

    fn links(&self) -> Result<Vec<Link>, NetworkError> {
        let doing = format!("look at the links of network namespace `{}`", self.space.name());
        let links: Option<Vec<Link>> = self.space.ask(job(&doing, &["ip", "-j", "link"]))?;
        Ok(links.unwrap_or_default())
    }
}

fn job<'a>(doing: &'a str, words: &'a [&'a str]) -> Job<'a> {
    Job {
        doing,
        words,
        input: "",
    }
}

fn bridge(intent: &SegmentIntent) -> Bridge {
    Bridge {
        segment: intent.id,
        mtu: intent.mtu,
        ranges: [Some(intent.v4), intent.v6].into_iter().flatten().collect(),
    }
}
