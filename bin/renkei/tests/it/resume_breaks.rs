//! Connections and servers that go and come back while a copy runs.

use std::time::Duration;

use renkei_testkit::fault::{Extension, Fault, Plan};
use renkei_testkit::process::{descendants, signal};
use renkei_testkit::renkei::Running;
use renkei_testkit::seed::Rng;
use renkei_testkit::{Sshd, TcpProxy, wait};
use rustix::process::Signal;

use crate::resume::{SLOW, assert_whole, journals, number, told};
use crate::resume_damage::lose;
use crate::support::{Lab, WAYS, Way, ends_with, summary, well};

fn some_files(lab: &Lab) {
    let mut tree = lab.tree("tree");
    tree.small_files(120, 20_000).unwrap();
    tree.file("large", (9 << 20) + 5).unwrap();
    tree.file("other", 2 << 20).unwrap();
}

#[test]
fn resume_within_a_run_when_sshd_was_killed_and_is_back() {
    for way in WAYS {
        let lab = Lab::new();
        some_files(&lab);
        let mut running = lab.start(lab.words(way, SLOW, &["tree", "target"]));
        running.wait_for_bytes(3 << 20).unwrap();
        lab.sshd().kill();
        lab.sshd().restart().unwrap();
        let last = summary(&well(running.finish().unwrap()));
        assert!(number(&last, "retries") > 0, "{last}");
        assert_whole(&lab, "tree", "target");
    }
}

#[test]
fn resume_within_a_run_when_the_far_host_has_crashed_and_lost_what_was_not_synced() {
    let lab = Lab::faulty(&Plan::new().with(Fault::LoseUnsynced));
    some_files(&lab);
    let mut running = lab.start(lab.words(Way::Up, SLOW, &["tree", "target"]));
    running.wait_for_bytes(6 << 20).unwrap();
    assert!(lose(lab.faults()) > 0);
    well(running.finish().unwrap());
    assert_whole(&lab, "tree", "target");
}

#[test]
fn resume_within_a_run_whose_connections_are_reset_all_the_time() {
    for way in WAYS {
        let sshd = Sshd::builder().option("MaxStartups 100").start().unwrap();
        let proxy = TcpProxy::start(sshd.address()).unwrap();
        let lab = Lab::with(sshd);
        some_files(&lab);
        proxy.reset_after(Some(Duration::from_millis(300)..Duration::from_millis(1500)));
        let mut command = lab.renkei().command();
        command
            .args(["cp", "-F"])
            .arg(lab.sshd().ssh_config_via(proxy.port()).unwrap())
            .args(lab.words(way, &["--json", "--limit", "6M"], &["tree", "target"]));
        well(Running::start(command).unwrap().finish().unwrap());
        assert!(proxy.resets() > 0);
        assert_whole(&lab, "tree", "target");
    }
}

#[test]
fn resume_after_the_target_had_vanished_for_too_long() {
    for way in WAYS {
        let lab = Lab::new();
        some_files(&lab);
        let options = ["--json", "--limit", "24M", "--timeout", "2s"];
        let words = lab.words(way, &options, &["tree", "target"]);
        let mut running = lab.start(&words);
        running.wait_for_bytes(3 << 20).unwrap();
        lab.sshd().kill();
        let outcome = running.finish().unwrap();
        ends_with(&outcome, 4);
        let journal = journals(&lab).pop().unwrap();
        let id = journal.file_stem().unwrap().to_str().unwrap();
        assert_eq!(summary(&outcome)["journal"], id);
        lab.sshd().restart().unwrap();
        let again = summary(&well(lab.cp(&words)));
        assert!(number(&again, "resumed_bytes") >= told(&outcome), "{again}");
        assert_whole(&lab, "tree", "target");
    }
}

#[test]
fn resume_within_a_run_that_moves_old_files_aside_while_sessions_die() {
    let nth = Rng::for_purpose("aside").within(1000..1500);
    let lab = Lab::faulty(
        &Plan::new()
            .with(Fault::Without(Extension::PosixRename))
            .with(Fault::DieAt(nth)),
    );
    lab.tree("tree").small_files(150, 3000).unwrap();
    lab.tree("target").small_files(150, 4000).unwrap();
    well(lab.cp(lab.words(Way::Up, &["--json", "-T"], &["tree", "target"])));
    assert!(lab.faults().struck() > 0);
    assert_whole(&lab, "tree", "target");
}

/// The servers of the sessions that are open.
fn sftp_servers(sshd: &Sshd) -> Vec<u32> {
    let is_one = |id: &u32| {
        std::fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim_end() == "sftp-server")
    };
    descendants(sshd.pid().unwrap()).into_iter().filter(is_one).collect()
}

#[test]
fn a_session_that_hangs_is_not_waited_for() {
    for way in WAYS {
        let lab = Lab::new();
        lab.tree("tree").file("large", 24 << 20).unwrap();
        let options = ["--connections", "3", "--limit", "6M", "--json"];
        let mut running = lab.start(lab.words(way, &options, &["tree", "target"]));
        let has_all = || Some(sftp_servers(lab.sshd())).filter(|sessions| sessions.len() == 3);
        let sessions = wait::until_some("three sessions", wait::PATIENCE, has_all).unwrap();
        running.wait_for_bytes(6 << 20).unwrap();
        signal(sessions[0], Signal::STOP);
        // Otherwise it would end with 4 after the five minutes of `--timeout`.
        let last = summary(&well(running.finish().unwrap()));
        assert_eq!(number(&last, "retries"), 0, "no connection was lost: {last}");
        assert_whole(&lab, "tree", "target");
    }
}
