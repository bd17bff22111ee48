//! What holds for whatever hosts and machines there are.

use std::collections::BTreeMap;

use proptest::prelude::*;
use renkei_types::host::Capacity;

use super::tests::{at, host_id, vm_id};
use super::*;

const HOSTS: u128 = 4;

fn some_takes() -> impl Strategy<Value = Takes> {
    (0_u32..12, 0_u64..12, 0_u64..12).prop_map(|(vcpus, memory_mib, disk_gib)| Takes {
        vcpus,
        memory_mib,
        disk_gib,
    })
}

prop_compose! {
    fn some_host(number: u128)(
        room in prop_oneof![4 => Just(Room::Open), 1 => Just(Room::OnlyOwn), 1 => Just(Room::Draining), 1 => Just(Room::Silent)],
        promised in some_takes(),
        machines in prop::collection::btree_map(0_u128..24, (some_takes(), 0_u8..3, 0_i64..5), 0..6),
    ) -> HostRoom {
        let promised = Capacity {
            vcpus: promised.vcpus * 4,
            memory_mib: promised.memory_mib * 4,
            disk_gib: promised.disk_gib * 4,
            gpus: 0,
        };
        let spots = machines.iter().filter(|(_, (_, kind, _))| *kind > 0).map(|(vm, (_, kind, started))| Spot {
            vm: vm_id(100 * number + vm),
            started: Some(at(*started)),
            giving_way: *kind > 1,
        });
        let spots = spots.collect();
        let machines = machines.iter().map(|(vm, (takes, ..))| (vm_id(100 * number + vm), *takes)).collect();
        let mut host = HostRoom::new(host_id(number), room, promised, machines);
        host.spots = spots;
        host
    }
}

prop_compose! {
    fn some_wanted()(
        takes in some_takes(),
        guaranteed: bool,
        since in 0_i64..2000,
        at_host in prop::option::of(0_u128..HOSTS),
        own in 0_u128..24,
        leaves in prop::bool::weighted(0.1),
    ) -> (Option<u128>, u128, Wanted) {
        let wanted = Wanted {
            vm: vm_id(0),
            takes,
            guaranteed,
            since: at(since),
            at: at_host.map(host_id),
            leaves: leaves && at_host.is_some(),
            stays: false,
        };
        (at_host, own, wanted)
    }
}

fn site() -> impl Strategy<Value = (Vec<HostRoom>, Vec<Wanted>, i64)> {
    let hosts = (some_host(0), some_host(1), some_host(2), some_host(3));
    let hosts = hosts.prop_map(|(one, two, three, four)| vec![one, two, three, four]);
    (hosts, prop::collection::vec(some_wanted(), 0..12), 2000_i64..9000).prop_map(|(hosts, waiting, now)| {
        let named = waiting
            .into_iter()
            .enumerate()
            .map(|(place, (at_host, own, mut wanted))| {
                // Some have an entry at the host that has their disk.
                wanted.vm = match at_host {
                    Some(host) => vm_id(100 * host + own),
                    None => vm_id(10_000 + place as u128),
                };
                (wanted.vm, wanted)
            });
        let once: BTreeMap<VmId, Wanted> = named.collect();
        (hosts, once.into_values().collect(), now)
    })
}

proptest! {
    #[test]
    fn nobody_is_placed_above_what_is_promised_or_where_nobody_may_be((hosts, waiting, now) in site()) {
        let moves = place(&hosts, &waiting, at(now));
        let mut after: BTreeMap<HostId, HostRoom> = hosts.iter().map(|host| (host.id, host.clone())).collect();
        for step in &moves {
            let Move::Place { vm, host } = step else { continue };
            let wanted = waiting.iter().find(|wanted| wanted.vm == *vm).unwrap();
            let room = after.get_mut(host).unwrap();
            prop_assert_ne!(room.room, Room::Silent);
            prop_assert!(room.room == Room::Open || wanted.at == Some(*host) && room.room == Room::OnlyOwn);
            prop_assert!(!wanted.leaves || wanted.at != Some(*host));
            let (before, promised) = (room.taken(), room.promised);
            room.take(wanted);
            let taken = room.taken();
            prop_assert!(taken.vcpus == before.vcpus || taken.vcpus <= promised.vcpus);
            prop_assert!(taken.memory_mib == before.memory_mib || taken.memory_mib <= promised.memory_mib);
            prop_assert!(taken.disk_gib == before.disk_gib || taken.disk_gib <= promised.disk_gib);
        }
    }

    #[test]
    fn everybody_is_answered_once_in_their_order((hosts, waiting, now) in site()) {
        let moves = place(&hosts, &waiting, at(now));
        let answered: Vec<VmId> = moves.iter().filter_map(|step| match step {
            Move::Place { vm, .. } | Move::Wait { vm, .. } => Some(*vm),
            Move::GiveWay { .. } => None,
        }).collect();
        let mut order: Vec<&Wanted> = waiting.iter().collect();
        order.sort_by_key(|wanted| (!wanted.guaranteed, wanted.since, wanted.vm));
        prop_assert_eq!(answered, order.iter().map(|wanted| wanted.vm).collect::<Vec<_>>());
    }

    #[test]
    fn the_order_in_which_things_are_told_changes_nothing((hosts, waiting, now) in site(), turn in 0_usize..12) {
        let moves = place(&hosts, &waiting, at(now));
        prop_assert_eq!(&moves, &place(&hosts, &waiting, at(now)));
        let (mut hosts, mut waiting) = (hosts, waiting);
        hosts.reverse();
        let middle = turn.min(waiting.len());
        waiting.rotate_left(middle);
        for host in &mut hosts {
            host.spots.reverse();
        }
        prop_assert_eq!(moves, place(&hosts, &waiting, at(now)));
    }

    #[test]
    fn only_spot_machines_that_are_needed_give_way_and_only_for_guaranteed_ones((hosts, waiting, now) in site()) {
        let moves = place(&hosts, &waiting, at(now));
        let mut asked = Vec::new();
        for step in &moves {
            match step {
                Move::GiveWay { vm } => asked.push(*vm),
                Move::Place { .. } => prop_assert!(asked.is_empty()),
                Move::Wait { vm, what } => {
                    let wanted = waiting.iter().find(|wanted| wanted.vm == *vm).unwrap();
                    let Waits::GivingWay(host, _) = what else {
                        prop_assert!(asked.is_empty());
                        continue;
                    };
                    prop_assert!(wanted.guaranteed);
                    let host = hosts.iter().find(|room| room.id == *host).unwrap();
                    for vm in asked.drain(..) {
                        prop_assert!(host.spots.iter().any(|spot| spot.vm == vm && !spot.giving_way));
                    }
                }
            }
        }
    }
}
