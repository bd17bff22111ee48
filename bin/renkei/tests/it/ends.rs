//! How a run ends: exit codes, and what it prints then.

use std::fs::{self, DirEntry};
use std::path::PathBuf;
use std::process::Command;

use renkei_testkit::keys::{KeyKind, KeyPair};
use renkei_testkit::port::ReservedPort;
use renkei_testkit::process::run;
use renkei_testkit::renkei::Running;
use renkei_testkit::{Sshd, wait};
use serde_json::Value;

use crate::resume::{FAST, SLOW, assert_whole, journals, killed_at, number};
use crate::support::{Lab, WAYS, Way, ends_with, well};

#[test]
fn nobody_at_the_port_ends_with_3() {
    let lab = Lab::new();
    lab.file("a", "1");
    let port = ReservedPort::take().unwrap().number().to_string();
    for way in WAYS {
        let outcome = lab.copy(way, &["-P", &port], &["a", "b"]);
        ends_with(&outcome, 3);
        assert!(outcome.stderr.contains("127.0.0.1"), "{}", outcome.text());
        assert!(outcome.stdout.is_empty());
    }
}

#[test]
fn a_host_without_a_known_key_ends_with_3_before_any_login() {
    let lab = Lab::new();
    lab.file("a", "1");
    fs::write(lab.sshd().known_hosts(), "").unwrap();
    let outcome = lab.copy(Way::Up, &[], &["a", "b"]);
    ends_with(&outcome, 3);
    assert!(outcome.stderr.contains("known_hosts"), "{}", outcome.text());
    assert_eq!(lab.sshd().count_in_log("Accepted"), 0);
}

#[test]
fn a_host_with_another_key_ends_with_3_before_any_login() {
    let lab = Lab::new();
    lab.file("a", "1");
    let other = KeyPair::generate(&lab.path("other"), KeyKind::Ed25519).unwrap();
    let line = format!("{} {}\n", lab.sshd().known_host_names(), other.public_line().unwrap());
    fs::write(lab.sshd().known_hosts(), line).unwrap();
    let outcome = lab.copy(Way::Up, &[], &["a", "b"]);
    ends_with(&outcome, 3);
    assert_eq!(lab.sshd().count_in_log("Accepted"), 0);
    assert!(!lab.exists("b"));
}

#[test]
fn a_login_that_is_refused_ends_with_3() {
    let lab = Lab::new();
    lab.file("a", "1");
    fs::write(lab.sshd().authorized_keys(), "").unwrap();
    let outcome = lab.copy(Way::Up, &[], &["a", "b"]);
    ends_with(&outcome, 3);
    assert!(
        outcome.stderr.contains("testhost") || outcome.stderr.contains("127.0.0.1"),
        "{}",
        outcome.text()
    );
}

#[test]
fn a_password_without_anyone_to_ask_ends_with_3_and_does_not_hang() {
    let lab = Lab::with(Sshd::builder().password_user("secret").start().unwrap());
    lab.file("a", "1");
    // Its own session, so that there is no terminal to ask at.
    let mut command = Command::new("setsid");
    let inner = lab.command();
    command.arg("--wait").arg(inner.get_program()).args(inner.get_args());
    let mut command = lab.renkei().prepare(command);
    command.arg(lab.path("a")).arg(lab.far("b"));
    ends_with(&Running::start(command).unwrap().finish().unwrap(), 3);
}

#[test]
fn a_usage_error_connects_nowhere() {
    let lab = Lab::new();
    ends_with(&lab.cp(["testhost:only-one"]), 2);
    ends_with(&lab.cp(["--no-such-option", "testhost:a", "b"]), 2);
    assert_eq!(lab.sshd().count_in_log("Connection from"), 0);
}

#[test]
fn interrupted_ends_with_130_and_can_be_resumed() {
    let lab = Lab::new();
    lab.tree("tree").file("large", 40 << 20).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        let words = lab.words(way, &["--json", "--limit", "8M"], &["tree", &target]);
        let mut running = lab.start(&words);
        running.wait_for_bytes(1 << 20).unwrap();
        running.interrupt();
        let outcome = running.finish().unwrap();
        ends_with(&outcome, 130);
        assert!(!lab.exists(format!("{target}/large")));
        let summary = crate::support::summary(&outcome);
        assert_eq!(summary["ending"], "interrupted");
        let id = summary["journal"]
            .as_str()
            .unwrap_or_else(|| panic!("no journal: {summary}"));
        let list = lab.renkei().run(["cp", "--resume-list"]).unwrap();
        assert!(list.stdout.contains(id), "{}", list.text());
    }
}

#[test]
fn a_second_interrupt_ends_what_the_first_cannot() {
    let lab = Lab::new();
    lab.tree("tree").file("large", 24 << 20).unwrap();
    let words = lab.words(Way::Up, SLOW, &["tree/large", "large"]);
    let before = killed_at(&lab, &words, 1 << 20);
    // The journal as on a file system that has died: who reads it waits for ever.
    let journal = journals(&lab).remove(0);
    let saved = journal.with_extension("saved");
    fs::rename(&journal, &saved).unwrap();
    run(Command::new("mkfifo").arg(&journal)).unwrap();
    let mut running = lab.start(&words);
    let files = PathBuf::from(format!("/proc/{}/fd", running.pid()));
    let opened = |file: DirEntry| fs::read_link(file.path()).is_ok_and(|path| path == journal);
    wait::until("it to read the journal", || {
        fs::read_dir(&files).is_ok_and(|files| files.flatten().any(opened))
    })
    .unwrap();
    running.interrupt();
    // Two that come together count as one, so the second is sent until it is heard.
    wait::until("the end", || {
        running.interrupt();
        running.has_ended()
    })
    .unwrap();
    let outcome = running.finish().unwrap();
    ends_with(&outcome, 130);
    // One that ends by the first says so.
    assert!(!outcome.stdout.contains("summary"), "{}", outcome.text());
    fs::rename(&saved, &journal).unwrap();
    let again = crate::support::summary(&well(lab.cp(&words)));
    assert!(number(&again, "resumed_bytes") >= before, "{again}");
    assert_whole(&lab, "tree/large", "large");
}

#[test]
fn two_interrupts_in_a_row_leave_a_journal_that_is_in_order() {
    let lab = Lab::new();
    lab.tree("tree").file("large", 24 << 20).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        let words = lab.words(way, SLOW, &["tree", &target]);
        let mut running = lab.start(&words);
        running.wait_for_bytes(1 << 20).unwrap();
        lab.sshd().freeze();
        running.interrupt();
        running.interrupt();
        let outcome = running.finish().unwrap();
        lab.sshd().thaw();
        ends_with(&outcome, 130);
        let again = crate::support::summary(&well(lab.cp(lab.words(way, FAST, &["tree", &target]))));
        assert!(number(&again, "resumed_bytes") >= 1 << 20, "{again}");
        assert_whole(&lab, "tree", &target);
    }
}

#[test]
fn a_server_that_is_gone_for_longer_than_the_timeout_ends_with_4() {
    let lab = Lab::new();
    lab.tree("tree").file("large", 40 << 20).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        let options = ["--json", "--limit", "8M", "--timeout", "1s"];
        let mut running = lab.start(lab.words(way, &options, &["tree", &target]));
        running.wait_for_bytes(1 << 20).unwrap();
        lab.sshd().kill();
        let outcome = running.finish().unwrap();
        lab.sshd().restart().unwrap();
        ends_with(&outcome, 4);
        let summary = crate::support::summary(&outcome);
        assert!(summary["journal"].is_string(), "{summary}");
        assert!(!lab.exists(format!("{target}/large")));
    }
}

#[test]
fn a_server_that_comes_back_is_waited_for() {
    let lab = Lab::new();
    lab.tree("tree").file("large", 24 << 20).unwrap();
    lab.tree("tree").small_files(100, 2000).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        let mut running = lab.start(lab.words(way, &["--json", "--limit", "16M"], &["tree", &target]));
        running.wait_for_bytes(2 << 20).unwrap();
        lab.sshd().kill();
        lab.sshd().restart().unwrap();
        ends_with(&running.finish().unwrap(), 0);
        lab.assert_same("tree", &target, crate::support::ALL);
        lab.assert_clean(&target);
    }
}

#[test]
fn quiet_says_nothing_whatever_happens() {
    let lab = Lab::new();
    lab.file("tree/a", "1");
    for (words, code) in [(["tree", "copy"], 0), (["missing", "copy"], 1)] {
        let outcome = lab.copy(Way::Up, &["-q"], &words);
        ends_with(&outcome, code);
        assert!(
            outcome.stdout.is_empty() && outcome.stderr.is_empty(),
            "{}",
            outcome.text()
        );
    }
    lab.sshd().kill();
    let outcome = lab.copy(Way::Up, &["-q"], &["tree", "copy"]);
    ends_with(&outcome, 3);
    assert!(
        outcome.stdout.is_empty() && outcome.stderr.is_empty(),
        "{}",
        outcome.text()
    );
}

#[test]
fn json_is_an_event_a_line_and_ends_with_the_summary_whatever_happens() {
    let lab = Lab::new();
    lab.tree("tree").small_files(200, 2000).unwrap();
    let check = |paths: &[&str], code: i32| {
        for way in WAYS {
            let outcome = lab.copy(way, &["--json"], paths);
            ends_with(&outcome, code);
            let events: Vec<Value> = outcome
                .stdout
                .lines()
                .map(|line| serde_json::from_str(line).expect("each line is JSON"))
                .collect();
            assert_eq!(events[0]["event"], "start");
            let last = &events[events.len() - 1];
            assert_eq!((&last["event"], &last["exit_code"]), (&"summary".into(), &code.into()));
            assert!(outcome.stderr.is_empty(), "{}", outcome.text());
        }
    };
    check(&["tree", "copy/"], 0);
    check(&["missing", "copy"], 1);
    check(&["missing", "tree", "copy"], 1);
    lab.sshd().kill();
    check(&["tree", "copy"], 3);
}

#[test]
fn the_last_line_tells_files_and_bytes() {
    let lab = Lab::new();
    lab.tree("tree").small_files(150, 1000).unwrap();
    for way in WAYS {
        let outcome = lab.copy_well(way, &[], &["tree", &format!("{way:?}")]);
        let last = outcome.stdout.lines().last().unwrap();
        assert!(last.starts_with("copied 150 kB in 150 files, "), "{last}");
    }
}

#[test]
fn no_process_outlives_the_run() {
    let lab = Lab::new();
    lab.file("a", "1");
    lab.copy_well(Way::Up, &[], &["a", "b"]);
    wait::until("the sessions to end", || lab.sshd().connections() == 0).unwrap();
}
