//! Servers that fail at one step, or do everything in another way than OpenSSH.

use std::fs;

use renkei_testkit::fault::{Extension, Fault, Plan, Request, Status};
use renkei_testkit::seed::Rng;

use crate::support::{ALL, Lab, WAYS, Way, ends_with, summary};

/// Copies 500 files to a server that refuses some requests of this kind at a random point, and looks at what stands.
fn upload_with_refusals(request: Request, status: Status) {
    let mut rng = Rng::for_purpose("refusals");
    let (nth, times) = (rng.within(1..450), rng.within(1..20));
    let lab = Lab::faulty(&Plan::new().with(Fault::Refuse {
        request,
        nth,
        times,
        status,
    }));
    lab.tree("tree").small_files(500, 3000).unwrap();
    let outcome = lab.copy(Way::Up, &["--json"], &["tree", "up"]);
    ends_with(&outcome, 1);
    assert!(lab.faults().struck() > 0);
    lab.assert_clean("up");
    only_the_failed_are_missing(&lab, "up", &outcome);
}

/// Files that stand are right, and exactly those that do not were named as failed.
#[track_caller]
fn only_the_failed_are_missing(lab: &Lab, target: &str, outcome: &renkei_testkit::renkei::Outcome) {
    let failed: Vec<String> = outcome
        .events()
        .iter()
        .filter(|event| event["event"] == "failed")
        .map(|event| event["path"].as_str().unwrap().to_owned())
        .collect();
    let mut missing = 0;
    for number in 0..500 {
        let name = format!("small{:04}/{number:06}", number / 100);
        let source = lab.path(format!("tree/{name}"));
        match fs::read(lab.path(format!("{target}/{name}"))) {
            Ok(content) => assert!(content == fs::read(&source).unwrap(), "{name} is wrong"),
            Err(_) => {
                missing += 1;
                assert!(
                    failed.contains(&source.display().to_string()),
                    "{name} is missing and was not named"
                );
            }
        }
    }
    assert_eq!(missing, failed.len(), "{}", outcome.text());
    assert!(missing > 0 && missing < 100, "{missing} are missing");
    assert_eq!(summary(outcome)["failed"], missing);
}

#[test]
fn a_refused_open_fails_its_file_only() {
    upload_with_refusals(Request::Open, Status::PermissionDenied);
}

#[test]
fn a_refused_write_fails_its_file_only() {
    upload_with_refusals(Request::Write, Status::Failure);
}

#[test]
fn a_refused_fsetstat_fails_its_file_only() {
    upload_with_refusals(Request::Fsetstat, Status::PermissionDenied);
}

#[test]
fn a_refused_close_fails_its_file_only() {
    upload_with_refusals(Request::Close, Status::Failure);
}

#[test]
fn a_refused_rename_fails_its_file_only() {
    upload_with_refusals(Request::Rename, Status::Failure);
}

#[test]
fn a_refused_open_or_read_of_a_source_fails_its_file_only() {
    let mut rng = Rng::for_purpose("refusals of sources");
    for (request, status) in [
        (Request::Open, Status::PermissionDenied),
        (Request::Read, Status::Failure),
    ] {
        let (nth, times) = (rng.within(1..450), rng.within(1..20));
        let lab = Lab::faulty(&Plan::new().with(Fault::Refuse {
            request,
            nth,
            times,
            status,
        }));
        lab.tree("tree").small_files(500, 3000).unwrap();
        let outcome = lab.copy(Way::Down, &["--json"], &["tree", "down"]);
        ends_with(&outcome, 1);
        lab.assert_clean("down");
        only_the_failed_are_missing(&lab, "down", &outcome);
    }
}

#[test]
fn a_refused_step_of_a_large_file_leaves_the_old_one() {
    let mut rng = Rng::for_purpose("refusals of large files");
    for request in [Request::Write, Request::Fsetstat, Request::Close, Request::Rename] {
        // Each step but WRITE comes once or a few times in a large file.
        let nth = if request == Request::Write {
            rng.within(1..40)
        } else {
            1
        };
        let lab = Lab::faulty(&Plan::new().with(Fault::Refuse {
            request,
            nth,
            times: 1000,
            status: Status::Failure,
        }));
        lab.tree("tree").file("large", 12 << 20).unwrap();
        lab.file("up/large", "old");
        let outcome = lab.copy(Way::Up, &[], &["tree/large", "up"]);
        ends_with(&outcome, 1);
        assert!(outcome.stderr.contains("tree/large"), "{request:?} {}", outcome.text());
        assert_eq!(lab.read("up/large"), "old", "{request:?}");
        assert_eq!(lab.names("up"), ["large"], "{request:?}");
    }
}

#[test]
fn a_refused_read_of_a_large_file_leaves_the_old_one() {
    let nth = Rng::for_purpose("refused read").within(1..40);
    let plan = Plan::new().with(Fault::Refuse {
        request: Request::Read,
        nth,
        times: 1000,
        status: Status::Failure,
    });
    let lab = Lab::faulty(&plan);
    lab.tree("tree").file("large", 12 << 20).unwrap();
    lab.file("down/large", "old");
    let outcome = lab.copy(Way::Down, &[], &["tree/large", "down"]);
    ends_with(&outcome, 1);
    assert!(outcome.stderr.contains("tree/large"), "{}", outcome.text());
    assert_eq!(lab.read("down/large"), "old");
    lab.assert_clean("down");
}

#[test]
fn a_far_disk_that_fills_up_fails_the_rest_and_harms_nothing() {
    let lab = Lab::faulty(&Plan::new().with(Fault::FullAfter(300 * 3000)));
    lab.tree("tree").small_files(500, 3000).unwrap();
    ends_with(&lab.copy(Way::Up, &[], &["tree", "up"]), 1);
    lab.assert_clean("up");
    let mut stand = 0;
    for number in 0..500 {
        let name = format!("small{:04}/{number:06}", number / 100);
        if let Ok(content) = fs::read(lab.path(format!("up/{name}"))) {
            assert!(
                content == fs::read(lab.path(format!("tree/{name}"))).unwrap(),
                "{name} is wrong"
            );
            stand += 1;
        }
    }
    assert!((250..=300).contains(&stand), "{stand}");
}

/// A tree with some of everything, small enough for slow servers.
fn some_of_everything(lab: &Lab) {
    let mut tree = lab.tree("tree");
    tree.mixed(60, 20_000).unwrap();
    tree.links().unwrap();
    tree.modes().unwrap();
    tree.file("large", (5 << 20) + 3).unwrap();
}

/// Everything arrives all the same, both ways, also onto what is there.
fn copies_well_in_spite_of(plan: &Plan) {
    let lab = Lab::faulty(plan);
    some_of_everything(&lab);
    for way in WAYS {
        let target = format!("{way:?}");
        for _ in 0..2 {
            lab.copy_well(way, &["-T"], &["tree", &target]);
            lab.assert_same("tree", &target, ALL);
            lab.assert_clean(&target);
        }
    }
}

#[test]
fn without_posix_rename_the_old_file_makes_room() {
    copies_well_in_spite_of(&Plan::new().with(Fault::Without(Extension::PosixRename)));
}

#[test]
fn without_posix_rename_a_refused_rename_brings_the_old_file_back() {
    // To nothing refused (a file is there), aside, then into place.
    for nth in 1..4 {
        let refuse = Fault::Refuse {
            request: Request::Rename,
            nth,
            times: 1,
            status: Status::Failure,
        };
        let lab = Lab::faulty(&Plan::new().with(Fault::Without(Extension::PosixRename)).with(refuse));
        lab.file("a", "new");
        lab.file("up/a", "old");
        let outcome = lab.copy(Way::Up, &[], &["a", "up"]);
        let content = lab.read("up/a");
        assert_eq!(
            content,
            if outcome.status.success() { "new" } else { "old" },
            "{nth} {}",
            outcome.text()
        );
        assert_eq!(lab.names("up"), ["a"], "{nth}");
    }
}

#[test]
fn without_any_extension_all_is_copied() {
    copies_well_in_spite_of(
        &Extension::ALL
            .into_iter()
            .fold(Plan::new(), |plan, it| plan.with(Fault::Without(it))),
    );
}

#[test]
fn the_limits_of_a_server_are_kept() {
    copies_well_in_spite_of(&Plan::new().with(Fault::Limits {
        packet: 34_000,
        read: 10_000,
        write: 7_000,
        handles: 1000,
    }));
}

#[test]
fn a_server_with_few_handles_is_not_asked_for_more() {
    copies_well_in_spite_of(&Plan::new().with(Fault::Limits {
        packet: 262_144,
        read: 262_144,
        write: 261_120,
        handles: 60,
    }));
}

#[test]
fn short_reads_are_gone_on_with() {
    copies_well_in_spite_of(&Plan::new().with(Fault::ShortReads(3001)));
}

#[test]
fn replies_in_any_order_are_understood() {
    copies_well_in_spite_of(&Plan::new().with(Fault::Reorder(Rng::for_purpose("order").next_u64())));
}

#[test]
fn a_slow_server_is_waited_for() {
    copies_well_in_spite_of(&Plan::new().with(Fault::Delay(300)));
}

#[test]
fn sessions_that_die_at_any_request_are_replaced() {
    let nth = Rng::for_purpose("die").within(700..1000);
    let lab = Lab::faulty(&Plan::new().with(Fault::DieAt(nth)));
    some_of_everything(&lab);
    lab.tree("tree").small_files(300, 20_000).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, &["-T"], &["tree", &target]);
        lab.assert_same("tree", &target, ALL);
        lab.assert_clean(&target);
    }
    assert!(lab.faults().struck() > 0);
}

#[test]
fn a_server_that_drops_every_session_is_given_up() {
    let lab = Lab::faulty(&Plan::new().with(Fault::DieAt(60)));
    lab.tree("tree").small_files(300, 1000).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        let outcome = lab.copy(way, &["--timeout", "2s"], &["tree", &target]);
        ends_with(&outcome, 4);
        assert!(outcome.stderr.contains("--resume"), "{}", outcome.text());
    }
}

#[test]
fn a_session_that_dies_before_anything_is_copied_is_replaced_or_given_up() {
    for nth in [2, 4, 6, 9] {
        let lab = Lab::faulty(&Plan::new().with(Fault::DieAt(nth)));
        lab.file("tree/a", "1");
        for way in WAYS {
            let outcome = lab.copy(way, &["--timeout", "1s"], &["tree", &format!("{way:?}")]);
            assert!(
                matches!(outcome.code(), Some(0 | 3 | 4)),
                "{nth} {way:?} {}",
                outcome.text()
            );
        }
    }
}

#[test]
fn a_name_that_leads_out_of_the_target_is_refused_and_the_rest_is_copied() {
    for name in ["../escape", "/escape", "..", "a/../../escape", "nul\0name", ""] {
        let lab = Lab::faulty(&Plan::new().with(Fault::Name(name.into())));
        lab.file("tree/good", "1");
        let outcome = lab.copy(Way::Down, &[], &["tree", "in/side/down"]);
        assert!(lab.exists("in").eq(&false));
        ends_with(&outcome, 1);
        lab.dir("in/side");
        let outcome = lab.copy(Way::Down, &[], &["tree", "in/side/down"]);
        if name != ".." {
            ends_with(&outcome, 1);
        }
        assert_eq!(lab.names("in"), ["side"]);
        assert_eq!(lab.names("in/side"), ["down"]);
        assert_eq!(lab.names("in/side/down"), ["good"]);
    }
}

#[test]
fn a_link_that_comes_before_a_directory_of_its_name_is_not_written_through() {
    let lab = Lab::new();
    lab.dir("outside");
    let trap = Fault::LinkBefore {
        name: b"trap".to_vec(),
        target: lab.path("outside").into_os_string().into_encoded_bytes(),
    };
    let faulty = Lab::faulty(&Plan::new().with(trap));
    faulty.file("tree/trap/file", "evil");
    faulty.file("tree/good", "1");
    faulty.copy(Way::Down, &[], &["tree", "down"]);
    assert!(lab.names("outside").is_empty());
    assert_eq!(faulty.read("down/good"), "1");
}

#[test]
fn sizes_that_lie_make_no_bytes_up() {
    for off in [-10_i64, 10] {
        let lab = Lab::faulty(&Plan::new().with(Fault::SizeOff(off)));
        let mut tree = lab.tree("tree");
        tree.file("small", 1000).unwrap();
        tree.file("large", 3 << 20).unwrap();
        let outcome = lab.copy(Way::Down, &[], &["tree", "down"]);
        for name in ["small", "large"] {
            let Ok(copied) = fs::read(lab.path(format!("down/{name}"))) else {
                ends_with(&outcome, 1);
                continue;
            };
            let original = fs::read(lab.path(format!("tree/{name}"))).unwrap();
            let told = original.len().saturating_add_signed(off.min(0) as isize);
            assert!(
                copied == original || copied == original[..told],
                "{name} has {} bytes",
                copied.len()
            );
        }
        lab.assert_clean("down");
    }
}

#[test]
fn the_words_of_a_server_reach_no_terminal_raw() {
    let plan = Plan::new().with(Fault::StatusText(b"\x1b[2Jgone\x07".to_vec()));
    let lab = Lab::faulty(&plan.with(Fault::Refuse {
        request: Request::Open,
        nth: 1,
        times: 9,
        status: Status::Failure,
    }));
    lab.file("a", "1");
    for options in [&["-v"][..], &["--json"]] {
        let outcome = lab.copy(Way::Up, options, &["a", "b"]);
        ends_with(&outcome, 1);
        assert!(outcome.text().contains("gone"), "{}", outcome.text());
        assert!(!outcome.text().contains(['\x1b', '\x07']), "{:?}", outcome.text());
    }
}
