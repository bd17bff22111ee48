use renkei_types::agent::Held;
use renkei_types::host::{Capacity, HostState, SILENCE};
use renkei_types::id::SiteId;
use uuid::Uuid;

use super::*;
use crate::app::vm::trial::{HOST, machine};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn host() -> Host {
    Host {
        id: HOST,
        site: SiteId(Uuid::nil()),
        name: "rack-1".parse().unwrap(),
        state: HostState::Ready,
        capacity: Capacity::default(),
        settings: Default::default(),
        driver: "fake".to_owned(),
        driver_reason: String::new(),
        address: None,
        version: String::new(),
        created: NOW,
    }
}

fn contact() -> Contact {
    Contact {
        host: HOST,
        site: SiteId(Uuid::nil()),
        hub: Some(Uuid::nil()),
        speaks: stream::SINCE,
        since: NOW,
        heard: NOW,
        held: Held::default(),
        boot_id: String::new(),
        skew_ms: 0,
        free_disk_gib: 0,
        listed: true,
        unknown: Vec::new(),
        holding: None,
    }
}

#[test]
fn only_what_runs_on_a_host_has_a_console_and_what_is_on_one_a_log() {
    let (row, _) = machine(Power::On);
    let mut vm = row.vm;
    let (console, log) = (Of::Console(vm.id), Of::Log(vm.id));
    let refused = |vm: &Vm, of| has(vm, of).unwrap_err();
    assert_eq!(refused(&vm, log).kind, ProblemKind::Conflict, "it waits for a host");
    (vm.host, vm.made) = (Some(HOST), true);
    for power in [None, Some(Power::Off), Some(Power::Suspended)] {
        vm.seen.power = power;
        let problem = refused(&vm, console);
        assert_eq!(problem.kind, ProblemKind::Conflict);
        assert!(problem.title.contains("machine `m` is s"), "{}", problem.title);
        assert_eq!(has(&vm, log).unwrap(), HOST);
    }
    vm.seen.power = Some(Power::On);
    assert_eq!(has(&vm, console).unwrap(), HOST);
    vm.made = false;
    assert_eq!(has(&vm, console).unwrap(), HOST, "its first start can be watched");
    (vm.made, vm.lost) = (true, true);
    assert!(refused(&vm, console).title.contains("lost"));
    assert!(refused(&vm, log).title.contains("lost"));
}

#[test]
fn a_host_that_cannot_be_asked_is_named_with_the_time_it_was_last_heard() {
    let refused = |contact: Option<Contact>, now| answers(&host(), contact.as_ref(), now).unwrap_err();
    assert!(
        refused(None, NOW)
            .title
            .contains("host `rack-1` is not connected: its agent was never heard")
    );
    let gone = Contact { hub: None, ..contact() };
    for problem in [refused(Some(gone), NOW), refused(Some(contact()), NOW + SILENCE)] {
        assert_eq!(problem.kind, ProblemKind::Unavailable);
        assert!(
            problem.title.ends_with("last heard at 1970-01-01T00:00:00Z"),
            "{}",
            problem.title
        );
    }
    let old = Contact { speaks: 1, ..contact() };
    assert!(refused(Some(old), NOW).title.contains("too old"));
    answers(&host(), Some(&contact()), NOW).unwrap();
}
