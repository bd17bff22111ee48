use renkei_types::host::{Capacity, Host, HostSettings, HostState};
use renkei_types::id::SiteId;
use renkei_types::vm::{Disk, ServiceLevel, Shape};
use uuid::Uuid;

use super::*;

pub fn host_id(number: u128) -> HostId {
    HostId(Uuid::from_u128(1000 + number))
}

pub fn vm_id(number: u128) -> VmId {
    VmId(Uuid::from_u128(number))
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A GiB of memory and of disk for each processor.
pub fn takes(vcpus: u32) -> Takes {
    Takes {
        vcpus,
        memory_mib: u64::from(vcpus) * 1024,
        disk_gib: vcpus.into(),
    }
}

/// With `vcpus` processors, much disk, and these machines.
fn host(number: u128, vcpus: u32, machines: &[(u128, u32)]) -> HostRoom {
    let promised = Capacity {
        vcpus,
        memory_mib: u64::from(vcpus) * 1024,
        disk_gib: 1000,
        gpus: 0,
    };
    let machines = machines.iter().map(|(vm, vcpus)| (vm_id(*vm), takes(*vcpus)));
    HostRoom::new(host_id(number), Room::Open, promised, machines.collect())
}

fn in_state(room: Room, mut host: HostRoom) -> HostRoom {
    host.room = room;
    host
}

/// The same, all of whose machines are spot ones, started one second after the other.
fn spots(number: u128, vcpus: u32, machines: &[(u128, u32)]) -> HostRoom {
    let mut host = host(number, vcpus, machines);
    let spot = |(second, (vm, _)): (usize, &(u128, u32))| Spot {
        vm: vm_id(*vm),
        started: Some(at(i64::try_from(second).unwrap())),
        giving_way: false,
    };
    host.spots = machines.iter().enumerate().map(spot).collect();
    host
}

fn wanted(vm: u128, vcpus: u32, since: i64) -> Wanted {
    Wanted {
        vm: vm_id(vm),
        takes: takes(vcpus),
        guaranteed: false,
        since: at(since),
        at: None,
        leaves: false,
        stays: false,
    }
}

fn guaranteed(vm: u128, vcpus: u32, since: i64) -> Wanted {
    Wanted {
        guaranteed: true,
        ..wanted(vm, vcpus, since)
    }
}

fn placed(vm: u128, host: u128) -> Move {
    let (vm, host) = (vm_id(vm), host_id(host));
    Move::Place { vm, host }
}

fn waits(vm: u128, what: Waits) -> Move {
    let vm = vm_id(vm);
    Move::Wait { vm, what }
}

fn gives_way(vm: u128) -> Move {
    Move::GiveWay { vm: vm_id(vm) }
}

#[test]
fn the_host_with_most_free_processors_comes_first_and_equals_take_turns() {
    let hosts = [host(1, 8, &[]), host(2, 16, &[]), host(3, 8, &[(90, 0)])];
    let five: Vec<Wanted> = (1..=5).map(|vm| wanted(vm, 4, 0)).collect();
    assert_eq!(
        place(&hosts, &five, at(0)),
        [placed(1, 2), placed(2, 2), placed(3, 1), placed(4, 3), placed(5, 2)]
    );
}

#[test]
fn who_waits_longest_comes_first_and_guaranteed_machines_before_spot_ones() {
    let waiting = [wanted(1, 4, 9), wanted(2, 4, 3), guaranteed(3, 4, 20)];
    assert_eq!(
        place(&[host(1, 8, &[])], &waiting, at(30)),
        [placed(3, 1), placed(2, 1), waits(1, Waits::Room(takes(4)))]
    );
}

#[test]
fn a_machine_that_fits_nowhere_lets_smaller_ones_pass() {
    let waiting = [wanted(1, 16, 0), wanted(2, 2, 1)];
    assert_eq!(
        place(&[host(1, 8, &[]), host(2, 4, &[])], &waiting, at(2)),
        [waits(1, Waits::Room(takes(16))), placed(2, 1)]
    );
}

#[test]
fn a_host_is_held_for_the_oldest_in_every_second_window_and_no_other_host() {
    let hosts = [host(1, 16, &[(90, 10)]), host(2, 16, &[(91, 13)]), host(3, 4, &[])];
    let waiting = [wanted(1, 12, 0), wanted(2, 6, 1), wanted(3, 2, 2)];
    let window = WINDOW.as_secs();
    // It lacks least at host 1, which is the only one with room for 2.
    let open = [waits(1, Waits::Room(takes(12))), placed(2, 1), placed(3, 3)];
    let held = [
        waits(1, Waits::Room(takes(12))),
        waits(2, Waits::Room(takes(6))),
        placed(3, 3),
    ];
    for (now, expected) in [
        (0, &open),
        (window - 1, &open),
        (window, &held),
        (2 * window - 1, &held),
        (2 * window, &open),
        (3 * window, &held),
    ] {
        assert_eq!(place(&hosts, &waiting, at(now)), expected, "{now}");
    }
}

#[test]
fn what_becomes_free_while_a_host_is_held_goes_to_the_one_that_it_is_held_for() {
    let waiting = [wanted(1, 12, 0), wanted(2, 6, 1)];
    let now = at(WINDOW.as_secs());
    let hosts = [host(1, 16, &[(90, 4)])];
    assert_eq!(place(&hosts, &waiting, now)[0], placed(1, 1));
}

#[test]
fn no_host_is_held_for_what_it_could_never_hold() {
    let now = at(WINDOW.as_secs());
    let waiting = [wanted(1, 32, 0), wanted(2, 2, 1)];
    assert_eq!(place(&[host(1, 8, &[])], &waiting, now)[1], placed(2, 1));
}

#[test]
fn hosts_that_take_nobody_are_passed_over() {
    let closed = |number, room| in_state(room, host(number, 64, &[]));
    let mut hosts = vec![
        closed(1, Room::Draining),
        closed(2, Room::OnlyOwn),
        closed(3, Room::Silent),
    ];
    let one = [wanted(1, 4, 0)];
    assert_eq!(place(&hosts, &one, at(0)), [waits(1, Waits::Host)]);
    assert_eq!(place(&[], &one, at(0)), [waits(1, Waits::Host)]);
    hosts.push(host(4, 4, &[]));
    assert_eq!(place(&hosts, &one, at(0)), [placed(1, 4)]);
}

#[test]
fn a_machine_starts_where_its_disk_is_or_its_disk_moves_or_it_waits() {
    let stopped = Wanted {
        at: Some(host_id(1)),
        ..wanted(1, 4, 0)
    };
    let disk = Takes {
        disk_gib: 4,
        ..Takes::default()
    };
    let own = |room, vcpus, other| {
        let machines = [(vm_id(1), disk), (vm_id(90), takes(other))].into();
        HostRoom::new(host_id(1), room, host(1, vcpus, &[]).promised, machines)
    };
    let one = std::slice::from_ref(&stopped);
    let roomy = host(2, 64, &[]);
    for room in [Room::Open, Room::OnlyOwn] {
        let hosts = [own(room, 8, 4), roomy.clone()];
        assert_eq!(place(&hosts, one, at(0)), [placed(1, 1)], "{room:?}");
        let hosts = [own(room, 8, 5), roomy.clone()];
        assert_eq!(place(&hosts, one, at(0)), [placed(1, 2)], "{room:?}");
        let hosts = [own(room, 8, 5), host(2, 2, &[])];
        assert_eq!(place(&hosts, one, at(0)), [waits(1, Waits::Room(takes(4)))], "{room:?}");
    }
    let hosts = [own(Room::Draining, 64, 0), roomy.clone()];
    assert_eq!(place(&hosts, one, at(0)), [placed(1, 2)]);
    let silent = waits(1, Waits::Silent(host_id(1)));
    assert_eq!(
        place(&[own(Room::Silent, 64, 0), roomy.clone()], one, at(0)),
        std::slice::from_ref(&silent)
    );
    assert_eq!(place(&[roomy], one, at(0)), [silent]);
}

#[test]
fn a_host_with_an_old_copy_of_a_machine_does_not_get_it() {
    let hosts = [host(1, 64, &[(1, 0)]), host(2, 8, &[])];
    assert_eq!(place(&hosts, &[wanted(1, 4, 0)], at(0)), [placed(1, 2)]);
}

#[test]
fn what_its_host_may_start_by_itself_waits_there() {
    let hosts = [host(1, 8, &[(1, 0), (90, 6)]), host(2, 64, &[])];
    let off = Wanted {
        at: Some(host_id(1)),
        ..wanted(1, 4, 0)
    };
    assert_eq!(place(&hosts, std::slice::from_ref(&off), at(0)), [placed(1, 2)]);
    let stays = Wanted { stays: true, ..off };
    assert_eq!(place(&hosts, &[stays], at(0)), [waits(1, Waits::Room(takes(4)))]);
}

#[test]
fn what_leaves_a_host_goes_to_another_one_and_nobody_is_kept_out_for_it() {
    let leaving = Wanted {
        at: Some(host_id(1)),
        leaves: true,
        ..wanted(1, 4, 0)
    };
    let draining = in_state(Room::Draining, host(1, 64, &[(1, 4)]));
    let hosts = [draining.clone(), host(2, 4, &[])];
    assert_eq!(place(&hosts, std::slice::from_ref(&leaving), at(0)), [placed(1, 2)]);
    let hosts = [draining, host(2, 4, &[(90, 2)])];
    let waiting = [leaving, wanted(2, 2, 1)];
    assert_eq!(place(&hosts, &waiting, at(WINDOW.as_secs()))[1], placed(2, 2));
}

#[test]
fn the_spot_machines_that_have_run_longest_give_way_and_no_more_than_needed() {
    let hosts = [spots(1, 16, &[(90, 1), (91, 4), (92, 8), (93, 3)])];
    assert_eq!(
        place(&hosts, &[guaranteed(1, 10, 0)], at(0)),
        [gives_way(91), gives_way(92), waits(1, Waits::GivingWay(host_id(1), 2))]
    );
    assert_eq!(
        place(&hosts, &[wanted(1, 10, 0)], at(0)),
        [waits(1, Waits::Room(takes(10)))],
        "a spot machine asks nobody"
    );
}

#[test]
fn the_host_where_fewest_have_to_give_way_is_taken_and_its_room_is_kept() {
    let hosts = [
        spots(1, 8, &[(90, 2), (91, 2), (92, 4)]),
        spots(2, 8, &[(93, 8)]),
        host(3, 8, &[(94, 8)]),
    ];
    let waiting = [guaranteed(1, 6, 0), wanted(2, 2, 1)];
    assert_eq!(
        place(&hosts, &waiting, at(0)),
        [
            gives_way(93),
            waits(1, Waits::GivingWay(host_id(2), 1)),
            waits(2, Waits::Room(takes(2)))
        ]
    );
    // The next look asks nobody else, nor does another one get what becomes free.
    let mut hosts = hosts;
    hosts[1].spots[0].giving_way = true;
    assert_eq!(
        place(&hosts, &waiting, at(1)),
        [
            waits(1, Waits::GivingWay(host_id(2), 1)),
            waits(2, Waits::Room(takes(2)))
        ]
    );
    let off = Takes {
        disk_gib: 8,
        ..Takes::default()
    };
    hosts[1] = HostRoom::new(host_id(2), Room::Open, hosts[1].promised, [(vm_id(93), off)].into());
    assert_eq!(place(&hosts, &waiting, at(2)), [placed(1, 2), placed(2, 2)]);
}

#[test]
fn disks_do_not_give_way() {
    let mut full = spots(1, 8, &[(90, 8)]);
    full.promised.disk_gib = 9;
    assert_eq!(
        place(&[full], &[guaranteed(1, 2, 0)], at(0)),
        [waits(1, Waits::Room(takes(2)))]
    );
}

#[test]
fn what_no_host_could_ever_hold_is_named() {
    let shape = |vcpus, memory_mib, gib| Shape {
        pack: None,
        vcpus,
        memory_mib,
        gpus: 0,
        disks: vec![Disk { number: 1, gib }],
        service_level: ServiceLevel::Spot,
    };
    let host = |state, vcpus, memory_mib| Host {
        id: host_id(1),
        site: SiteId(Uuid::nil()),
        name: "h".parse().unwrap(),
        state,
        capacity: Capacity {
            vcpus,
            memory_mib,
            disk_gib: 100,
            gpus: 0,
        },
        settings: HostSettings::default(),
        driver: String::new(),
        driver_reason: String::new(),
        version: String::new(),
        address: None,
        created: at(0),
    };
    let hosts = [
        host(HostState::Ready, 1, 9216),
        host(HostState::Draining, 4, 5120),
        host(HostState::Fenced, 400, 1 << 30),
        host(HostState::Joining, 0, 0),
    ];
    assert_eq!(impossible(&hosts, &shape(16, 8192, 400)), None);
    assert_eq!(impossible(&hosts, &shape(64, 4096, 400)), None);
    let problem = impossible(&hosts, &shape(65, 1, 1)).unwrap();
    assert_eq!(problem.field.as_deref(), Some("vcpus"));
    assert!(problem.title.contains("no host has more than 64"), "{}", problem.title);
    let problem = impossible(&hosts, &shape(64, 8192, 1)).unwrap();
    assert!(problem.title.contains("together"), "{}", problem.title);
    let gpu = Shape {
        gpus: 1,
        ..shape(1, 1, 1)
    };
    assert_eq!(impossible(&hosts, &gpu).unwrap().field.as_deref(), Some("gpus"));
    assert_eq!(impossible(&hosts[2..], &shape(65, 1, 1)), None);
}
