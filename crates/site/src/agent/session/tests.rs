use jiff::SignedDuration;
use renkei_types::agent::Part;
use renkei_types::id::ProjectId;
use renkei_types::vm::{Fault, Power};
use uuid::Uuid;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn seen(number: u128) -> MachineSeen {
    MachineSeen {
        id: VmId(Uuid::from_u128(number)),
        generation: Generation(1),
        part: Part::Run,
        there: true,
        project: ProjectId(Uuid::nil()),
        name: "a".to_owned(),
        power: Power::On,
        doing: None,
        progress: 0,
        fault: None,
        addresses: BTreeMap::new(),
        saved: None,
        known: true,
        record: None,
    }
}

fn sight(machines: impl IntoIterator<Item = MachineSeen>) -> Sight {
    Sight {
        machines: machines.into_iter().map(|seen| (seen.id, seen)).collect(),
        ..Sight::default()
    }
}

fn open() -> Session {
    Session {
        state: State::Open,
        ..Session::default()
    }
}

fn reports(frames: Vec<FromAgent>) -> Vec<Report> {
    let report = |frame| match frame {
        FromAgent::Report(report) => report,
        other => panic!("{other:?}"),
    };
    frames.into_iter().map(report).collect()
}

#[test]
fn a_listing_comes_first_then_changes_then_silence_until_the_heartbeat() {
    let (mut session, held) = (open(), Held::default());
    let mut sight = sight([seen(1), seen(2)]);
    let first = reports(session.tell(&sight, &held, NOW));
    assert_eq!(
        (first.len(), first[0].listing, first[0].machines.len()),
        (1, Listing::Last, 2)
    );
    assert!(session.heard(1));
    assert_eq!(session.tell(&sight, &held, NOW), []);
    sight.machines.get_mut(&seen(2).id).unwrap().power = Power::Off;
    let change = reports(session.tell(&sight, &held, NOW));
    assert_eq!(
        (change[0].number, change[0].listing, change[0].machines[0].id),
        (2, Listing::No, seen(2).id)
    );
    session.heard(2);
    let beat = reports(session.tell(&sight, &held, NOW + HEARTBEAT));
    assert_eq!((beat.len(), beat[0].machines.len()), (1, 0));
    let version = Held {
        version: 1,
        ..Held::default()
    };
    assert_eq!(
        reports(session.tell(&sight, &version, NOW + HEARTBEAT))[0].held,
        version
    );
}

#[test]
fn what_is_not_confirmed_is_told_again() {
    let (mut session, held) = (open(), Held::default());
    let mut sight = sight([seen(1), seen(2)]);
    session.tell(&sight, &held, NOW);
    let again = reports(session.tell(&sight, &held, NOW + HEARTBEAT));
    assert_eq!((again[0].listing, again[0].machines.len()), (Listing::Last, 2));
    session.heard(again[0].number);
    sight.machines.get_mut(&seen(1).id).unwrap().progress = 5;
    session.tell(&sight, &held, NOW + HEARTBEAT);
    let again = reports(session.tell(&sight, &held, NOW + HEARTBEAT * 2));
    assert_eq!((again[0].listing, again[0].machines.len()), (Listing::No, 1));
}

#[test]
fn a_confirmation_of_what_was_never_told_confirms_nothing() {
    let mut session = open();
    session.tell(&sight([seen(1)]), &Held::default(), NOW);
    session.heard(1000);
    assert_eq!(session.confirmed, 1);
    assert!(!open().heard(1000));
}

#[test]
fn a_clock_that_is_set_back_does_not_silence_the_heartbeat() {
    let mut session = open();
    session.tell(&sight([]), &Held::default(), NOW);
    let before = NOW - SignedDuration::from_hours(1);
    assert_eq!(session.tell(&sight([]), &Held::default(), before).len(), 1);
}

#[test]
fn a_large_listing_comes_in_frames_that_are_not_too_large() {
    let large = |number| MachineSeen {
        fault: Some(Fault {
            generation: Generation(1),
            message: "\u{1}".repeat(4096),
        }),
        ..seen(number)
    };
    let mut sight = sight((0..300).map(large));
    let segment = |number| (SegmentId(Uuid::from_u128(number)), Generation(u64::MAX));
    sight.segments = (0..9000).map(segment).collect();
    let frames = open().tell(&sight, &Held::default(), NOW);
    for frame in &frames {
        assert!(serde_json::to_vec(frame).unwrap().len() <= LARGEST_FRAME);
    }
    let pages = reports(frames);
    let last = pages.last().unwrap();
    assert!(pages.len() > 5 && last.listing == Listing::Last && last.segments.len() == 9000);
    assert!(
        pages[..pages.len() - 1]
            .iter()
            .all(|page| page.listing == Listing::More)
    );
    assert_eq!(pages.iter().map(|page| page.machines.len()).sum::<usize>(), 300);
}
