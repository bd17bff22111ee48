//! Which machine gets its place at which host of a site: a pure function of what there is, who waits, and the time.
//!
//! Room is what a host has, as far as its settings let it be promised ([`Capacity::promised`]), less the sum of what its manifest's
//! machines take. Nobody is placed above it.
//!
//! **Order.** Guaranteed machines come before spot ones, which would only have to give way to them; then who waits longest comes first;
//! of those of one moment, the smaller id. Each goes to the host with most free virtual
//! processors; of equals to the one with fewest machines, then to the one with the smallest id. A machine that has its disk at a host
//! starts there if it can; otherwise its disk moves to another host; otherwise it waits.
//!
//! **Fairness.** A machine that fits nowhere is passed over: smaller ones behind it are placed. So that these do not keep it out for
//! ever, a host is held for it once it has waited for [`WINDOW`]: the one at which it lacks least, and nothing that comes after it goes
//! there. So that it does not keep *them* out for ever (its room may never come), the host is held in every second window only. One
//! host of a site is held at a time, for the oldest that is in such a window.
//!
//! **Giving way.** A guaranteed machine that fits nowhere asks spot machines of one host to give way, those that have run longest first,
//! and no more of them than it needs; it takes the host with the fewest. What they will leave is kept for it.

mod host;
mod impossible;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use renkei_store::noun::manifest::Takes;
use renkei_types::id::{HostId, VmId};

pub use self::host::{HostRoom, Room, Spot};
pub use self::impossible::impossible;

/// How long a machine waits until a host is held for it, and how long that is held at a time.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// A machine that waits for room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub vm: VmId,
    /// What it will take.
    pub takes: Takes,
    /// Whether it may ask others to give way.
    pub guaranteed: bool,
    /// Since when it waits.
    pub since: Timestamp,
    /// The host that has its disk.
    pub at: Option<HostId>,
    /// Whether it is to leave that host.
    pub leaves: bool,
    /// Whether it must not, because that host may start it before it hears that it has left.
    pub stays: bool,
}

/// What becomes of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// It gets its place.
    Place {
        /// Which.
        vm: VmId,
        /// Where.
        host: HostId,
    },
    /// A spot machine is to give way.
    GiveWay {
        /// Which.
        vm: VmId,
    },
    /// It waits.
    Wait {
        /// Which.
        vm: VmId,
        /// For what.
        what: Waits,
    },
}

/// What a machine waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waits {
    /// No host of the site takes machines now.
    Host,
    /// The host that has its disk is silent.
    Silent(HostId),
    /// No host has so much.
    Room(Takes),
    /// So many machines of this host are giving way.
    GivingWay(HostId, usize),
}

/// What becomes of those who wait, in the order in which they come. `now` decides only whose turn it is to have a host held.
pub fn place(hosts: &[HostRoom], waiting: &[Wanted], now: Timestamp) -> Vec<Move> {
    let mut hosts: Vec<HostRoom> = hosts.to_vec();
    hosts.sort_unstable_by_key(|host| host.id);
    let mut waiting: Vec<&Wanted> = waiting.iter().collect();
    waiting.sort_unstable_by_key(|wanted| (!wanted.guaranteed, wanted.since, wanted.vm));
    let mut look = Look {
        hosts,
        held: None,
        moves: Vec::new(),
    };
    for wanted in waiting {
        look.one(wanted, now);
    }
    look.moves
}

/// One look at a site.
struct Look {
    hosts: Vec<HostRoom>,
    /// The host that is held.
    held: Option<HostId>,
    moves: Vec<Move>,
}

impl Look {
    fn one(&mut self, wanted: &Wanted, now: Timestamp) {
        let vm = wanted.vm;
        let own = wanted.at.and_then(|at| self.hosts.iter().find(|host| host.id == at));
        // Only from a host that is heard can a disk be started or moved.
        if let Some(at) = wanted.at
            && own.is_none_or(|own| own.room == Room::Silent)
        {
            let what = Waits::Silent(at);
            self.moves.push(Move::Wait { vm, what });
            return;
        }
        if let Some(host) = self.best(wanted) {
            self.take(host, wanted);
            self.moves.push(Move::Place { vm, host });
            return;
        }
        let what = match self.way(wanted) {
            Some((host, asked)) => {
                let spots: BTreeSet<VmId> = asked.iter().copied().collect();
                let giving = self.give_way(host, &spots);
                self.take(host, wanted);
                self.moves.extend(asked.into_iter().map(|vm| Move::GiveWay { vm }));
                Waits::GivingWay(host, giving)
            }
            None if !self.hosts.iter().any(|host| candidate(host, wanted)) => Waits::Host,
            None => {
                self.hold(wanted, now);
                Waits::Room(wanted.takes)
            }
        };
        self.moves.push(Move::Wait { vm, what });
    }

    /// The host that it goes to; its own before all others.
    fn best(&self, wanted: &Wanted) -> Option<HostId> {
        let fits =
            |host: &&HostRoom| candidate(host, wanted) && self.held != Some(host.id) && host.has(host.more(wanted));
        let own = self.hosts.iter().find(|host| Some(host.id) == wanted.at);
        if let Some(own) = own.filter(fits) {
            return Some(own.id);
        }
        let rank = |host: &&HostRoom| (std::cmp::Reverse(host.free().vcpus), host.machines(), host.id);
        self.hosts.iter().filter(fits).min_by_key(rank).map(|host| host.id)
    }

    /// The host at which it will fit once spot machines have given way, and those that are to be asked besides those that do so
    /// already.
    fn way(&self, wanted: &Wanted) -> Option<(HostId, Vec<VmId>)> {
        if !wanted.guaranteed {
            return None;
        }
        let open = |host: &&HostRoom| candidate(host, wanted) && self.held != Some(host.id);
        let ways = self.hosts.iter().filter(open).filter_map(|host| {
            let asked = host.way(host.more(wanted))?;
            Some((asked.len(), Some(host.id) != wanted.at, host.id, asked))
        });
        let (.., host, asked) = ways.min()?;
        Some((host, asked))
    }

    /// From now on they are giving way; with those that did so before, how many.
    fn give_way(&mut self, host: HostId, asked: &BTreeSet<VmId>) -> usize {
        let Some(host) = self.hosts.iter_mut().find(|room| room.id == host) else {
            return 0;
        };
        for spot in host.spots.iter_mut().filter(|spot| asked.contains(&spot.vm)) {
            spot.giving_way = true;
        }
        host.spots.iter().filter(|spot| spot.giving_way).count()
    }

    fn take(&mut self, host: HostId, wanted: &Wanted) {
        if let Some(host) = self.hosts.iter_mut().find(|room| room.id == host) {
            host.take(wanted);
        }
    }

    /// Holds the host at which it lacks least, if it is its turn.
    fn hold(&mut self, wanted: &Wanted, now: Timestamp) {
        let windows = now.duration_since(wanted.since).as_secs() / WINDOW.as_secs();
        // What only drains away does not wait: nobody is kept out for it.
        if self.held.is_some() || windows % 2 != 1 || wanted.leaves {
            return;
        }
        let hosts = self.hosts.iter().filter(|host| candidate(host, wanted));
        let lacks = |host: &&HostRoom| (host.lacks(host.more(wanted)), host.id);
        self.held = hosts
            .filter(|host| host.could_ever_have(wanted))
            .min_by_key(lacks)
            .map(|host| host.id);
    }
}

/// Whether a host may get this machine at all. One that still has something to do with it may not, unless it has the disk.
fn candidate(host: &HostRoom, wanted: &Wanted) -> bool {
    if wanted.at == Some(host.id) {
        return !wanted.leaves && matches!(host.room, Room::Open | Room::OnlyOwn);
    }
    !wanted.stays && host.room == Room::Open && !host.knows(wanted.vm)
}
