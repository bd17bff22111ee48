//! Leases: addresses of a segment, held for a machine or reserved for the project.
//!
//! Only the hub issues addresses. Two decisions that take an address of one segment touch its row, so that they do not happen
//! beside one another; what is given back needs nothing of the kind.

mod number;
mod reservation;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use renkei_store::{Batch, Stored};
use renkei_types::id::{LeaseId, SegmentId, VmId};
use renkei_types::lease::Lease;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::segment::Segment;

use self::number::Numbers;
use super::App;
use super::decision::Draft;
use super::queue::Bound;

/// What is taken of the segments that one decision issues addresses of: what was so before, and what the decision has taken
/// itself. Each segment's leases are read once, at the first address. Begin each decision with an empty one.
#[derive(Debug, Default)]
pub struct Taken(BTreeMap<SegmentId, Pool>);

#[derive(Debug)]
struct Pool {
    numbers: Numbers,
    /// Reserved, and no machine's yet.
    reserved: BTreeMap<IpAddr, LeaseId>,
}

/// What counts of a lease for whoever looks for a free address.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Held {
    address: IpAddr,
    /// Which one it is, while it is reserved and no machine's.
    reserved: Option<LeaseId>,
}

/// An address that a machine needs.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Of which segment.
    pub segment: &'a Stored<Segment>,
    /// Exactly this one: a free one, or one that the project has reserved. Any free one without.
    pub address: Option<IpAddr>,
    /// Which machine.
    pub vm: VmId,
    /// When.
    pub now: Timestamp,
}

impl App {
    /// Issues a machine its address in a segment, and where the segment has IPv6 also that with the same number, IPv4 first. Touches
    /// the segment's row.
    ///
    /// # Errors
    ///
    /// 409 if there is none left, the address is another machine's, or the segment is being deleted; 400 if no machine can have
    /// it.
    pub async fn lease(
        &self,
        draft: &mut Draft,
        taken: &mut Taken,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<IpAddr>, Problem> {
        let segment = &wanted.segment.value;
        super::segment::stays(segment)?;
        draft.touch(wanted.segment);
        let pool = match taken.0.entry(segment.id) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(unknown) => unknown.insert(self.pool(segment).await?),
        };
        let number = match wanted.address {
            Some(address) => pool.asked_for(segment, address)?,
            None => pool.numbers.take_first().ok_or_else(|| full(segment))?,
        };
        let addresses = pool.numbers.addresses(number);
        for address in &addresses {
            match pool.reserved.remove(address) {
                Some(reserved) => {
                    let reserved = self.unheld(reserved, segment, *address).await?;
                    let held = Lease {
                        vm: Some(wanted.vm),
                        ..reserved.value.clone()
                    };
                    draft.aside().update(&reserved, &held);
                }
                None => draft.aside().insert(&Lease {
                    id: LeaseId(self.draw(wanted.now)),
                    segment: segment.id,
                    project: segment.project,
                    address: *address,
                    vm: Some(wanted.vm),
                    reserved: false,
                    note: String::new(),
                    created: wanted.now,
                }),
            }
        }
        Ok(addresses)
    }

    /// Takes back all addresses of a machine that is gone. What is reserved stays so.
    pub async fn unlease(&self, batch: &mut Batch, vm: VmId) -> Result<(), Problem> {
        self.unlease_but(batch, vm, &[]).await
    }

    /// Takes back all addresses of a machine but these.
    pub async fn unlease_but(&self, batch: &mut Batch, vm: VmId, kept: &[(SegmentId, IpAddr)]) -> Result<(), Problem> {
        for lease in self.every::<Lease>("vm", &vm.to_string()).await? {
            if kept.contains(&(lease.value.segment, lease.value.address)) {
                continue;
            }
            if lease.value.reserved {
                let free = Lease {
                    vm: None,
                    ..lease.value.clone()
                };
                batch.update(&lease, &free);
            } else {
                batch.delete(&lease);
            }
        }
        Ok(())
    }

    async fn pool(&self, segment: &Segment) -> Result<Pool, Problem> {
        let memory = self.memory(Bound::Segment(segment.id));
        let key = segment.id.to_string();
        let leases = memory.leases.of::<Lease>(self, ("segment", &key), Held::of).await?;
        let numbers = Numbers::new(segment, leases.iter().map(|lease| lease.address));
        let reserved = leases
            .into_iter()
            .filter_map(|lease| Some((lease.address, lease.reserved?)));
        Ok(Pool {
            numbers,
            reserved: reserved.collect(),
        })
    }

    /// A reserved lease as it is now, which is going to be written.
    async fn unheld(&self, id: LeaseId, segment: &Segment, address: IpAddr) -> Result<Stored<Lease>, Problem> {
        let found = self.store.state.get::<Lease>(id.0).await;
        let found = found.map_err(|error| super::state(&error))?;
        found
            .filter(|lease| lease.value.vm.is_none() && lease.value.address == address)
            .ok_or_else(|| another_machines(segment, address))
    }
}

impl Pool {
    /// The number of an address that is asked for, unless it is taken for anything else.
    fn asked_for(&mut self, segment: &Segment, address: IpAddr) -> Result<u128, Problem> {
        let number = self.numbers.of(address).ok_or_else(|| outside(segment, address))?;
        if !self.numbers.has(number) {
            return Err(not_for_machines(segment, address));
        }
        // A machine has both addresses with its number, so one that is only reserved tells of the other too.
        let addresses = self.numbers.addresses(number);
        let reserved = addresses.iter().any(|address| self.reserved.contains_key(address));
        if self.numbers.is_taken(number) && !reserved {
            return Err(another_machines(segment, address));
        }
        self.numbers.take(number);
        Ok(number)
    }
}

impl Held {
    fn of(lease: &Stored<Lease>) -> Self {
        let Lease { id, address, vm, .. } = lease.value;
        let reserved = vm.is_none().then_some(id);
        Self { address, reserved }
    }
}

fn another_machines(segment: &Segment, address: IpAddr) -> Problem {
    let problem = format!("address `{address}` of segment `{}` is another machine's", segment.name);
    let problem = Problem::new(ProblemKind::Conflict, problem).field("address");
    problem.hint("leave the address away to get a free one")
}

fn full(segment: &Segment) -> Problem {
    let problem = format!("segment `{}` has no free address left in {}", segment.name, segment.v4);
    Problem::new(ProblemKind::Conflict, problem)
        .hint("destroy machines, release reserved addresses, or use another segment")
}

fn outside(segment: &Segment, address: IpAddr) -> Problem {
    let ranges: Vec<String> = [Some(segment.v4), segment.v6]
        .iter()
        .flatten()
        .map(ToString::to_string)
        .collect();
    let problem = format!("`{address}` is not an address of segment `{}`", segment.name);
    let problem = Problem::new(ProblemKind::Invalid, problem).field("address");
    problem.hint(format!("it has {}", ranges.join(" and ")))
}

fn not_for_machines(segment: &Segment, address: IpAddr) -> Problem {
    let problem = format!("no machine can have `{address}` of segment `{}`", segment.name);
    let problem = Problem::new(ProblemKind::Invalid, problem).field("address");
    problem.hint("the network's own address, the gateway's and the broadcast address are not for machines")
}

/// Whether a machine of the segment can have this address.
pub(in crate::app) fn is_for_machines(segment: &Segment, address: IpAddr) -> bool {
    segment.range_of(address).is_some_and(|range| {
        let number = number::number(&range, address);
        number.is_some_and(|number| number::usable(&range, number))
    })
}
