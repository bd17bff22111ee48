//! Servers as they are set up: few sessions, few startups, a chroot, no SFTP.

use renkei_testkit::fault::{Fault, Plan};
use renkei_testkit::renkei::Running;
use renkei_testkit::seed::Rng;
use renkei_testkit::sshd::{Account, Login, Sftp};
use renkei_testkit::tree::same_tree;
use renkei_testkit::{Sshd, TcpProxy};
use serde_json::Value;

use crate::support::{ALL, Lab, WAYS, Way, ends_with, well};

/// Enough work for many connections.
fn much(lab: &Lab) {
    let mut tree = lab.tree("tree");
    tree.small_files(300, 10_000).unwrap();
    tree.file("large", 24 << 20).unwrap();
}

fn copies_both_ways(lab: &Lab, options: &[&str]) {
    much(lab);
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, options, &["tree", &target]);
        lab.assert_same("tree", &target, ALL);
    }
}

#[test]
fn few_sessions_for_each_connection_are_enough() {
    let most = Rng::for_purpose("sessions").within(1..3);
    copies_both_ways(
        &Lab::with(Sshd::builder().option(format!("MaxSessions {most}")).start().unwrap()),
        &[],
    );
}

#[test]
fn a_server_that_drops_most_startups_is_copied_to_all_the_same() {
    let most = Rng::for_purpose("startups").within(1..4);
    let line = format!("MaxStartups {most}:100:{most}");
    copies_both_ways(
        &Lab::with(Sshd::builder().option(line).start().unwrap()),
        &["--connections", "8"],
    );
}

#[test]
fn a_chroot_with_the_internal_server_is_a_root() {
    let lab = Lab::with(Sshd::builder().account(Account::new()).chroot().start().unwrap());
    much(&lab);
    lab.cp_well(["tree", "testhost:/data/copy"]);
    lab.cp_well(["testhost:data/copy", "back"]);
    lab.assert_same("tree", "back", ALL);
}

#[test]
fn the_internal_server_is_as_good() {
    copies_both_ways(&Lab::with(Sshd::builder().sftp(Sftp::Internal).start().unwrap()), &[]);
}

#[test]
fn without_sftp_the_run_ends_with_3_and_says_so() {
    let lab = Lab::with(Sshd::builder().no_sftp().start().unwrap());
    lab.file("a", "1");
    for way in WAYS {
        let outcome = lab.copy(way, &[], &["a", "b"]);
        ends_with(&outcome, 3);
        assert!(outcome.stderr.to_lowercase().contains("sftp"), "{}", outcome.text());
    }
}

#[test]
fn a_subsystem_that_is_no_sftp_server_ends_with_3() {
    let lab = Lab::with(Sshd::builder().subsystem("/bin/echo hello").start().unwrap());
    lab.file("a", "1");
    ends_with(&lab.copy(Way::Up, &[], &["a", "b"]), 3);
}

#[test]
fn no_more_connections_are_opened_than_there_is_work() {
    let lab = Lab::new();
    lab.file("a", "1");
    for way in WAYS {
        lab.copy_well(way, &["--connections", "16"], &["a", &format!("{way:?}")]);
    }
    assert_eq!(
        lab.sshd().count_in_log("Accepted publickey"),
        2,
        "{}",
        lab.sshd().log_text()
    );
}

#[test]
fn many_files_share_many_connections() {
    let lab = Lab::faulty(&Plan::new().with(Fault::Delay(300)));
    lab.tree("tree").small_files(1500, 500).unwrap();
    let proxy = TcpProxy::start(lab.sshd().address()).unwrap();
    let config = lab.sshd().ssh_config_via(proxy.port()).unwrap();
    let mut command = lab.renkei().command();
    command
        .arg("cp")
        .arg("-F")
        .arg(config)
        .args(["-v", "--connections", "4"]);
    command.args(lab.words(Way::Up, &[], &["tree", "up"]));
    let outcome = Running::start(command).unwrap().finish().unwrap();
    ends_with(&outcome, 0);
    lab.assert_same("tree", "up", ALL);
    assert_eq!(
        proxy.most_open(),
        4,
        "{} were opened: {}",
        proxy.accepted(),
        outcome.text()
    );
}

#[test]
fn every_cipher_of_openssh_that_is_offered_works() {
    let lab = Lab::new();
    lab.tree("tree").file("large", 3 << 20).unwrap();
    for cipher in [
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
        "aes256-ctr",
    ] {
        lab.copy_well(Way::Up, &["--cipher", cipher], &["tree/large", "up"]);
        lab.assert_same("tree/large", "up", ALL);
    }
    let outcome = lab.copy(Way::Up, &["--cipher", "no-such-cipher"], &["tree/large", "none"]);
    assert!(matches!(outcome.code(), Some(2 | 3)), "{}", outcome.text());
    assert!(outcome.stderr.contains("no-such-cipher"), "{}", outcome.text());
}

#[test]
fn a_password_that_was_accepted_serves_all_connections() {
    let lab = Lab::with(Sshd::builder().password_user("open sesame").start().unwrap());
    much(&lab);
    let askpass = lab.file("askpass", "#!/bin/sh\necho 'open sesame'\n");
    lab.set_mode("askpass", 0o755);
    let home = lab.sshd().home().join("copy");
    let mut command = lab.command();
    command.env("SSH_ASKPASS", askpass).env("SSH_ASKPASS_REQUIRE", "force");
    command.args(["--connections", "4", "tree", "testhost:copy"]);
    let outcome = Running::start(command).unwrap().finish().unwrap();
    ends_with(&outcome, 0);
    same_tree(&lab.path("tree"), &home, ALL).unwrap();
    assert_eq!(lab.sshd().count_in_log("Failed password"), 0);
}

#[test]
fn where_each_login_needs_a_person_there_is_one_with_several_channels_and_the_progress_says_so() {
    let account = Account::new().one_time_codes(&["111111", "222222"]);
    let lab = Lab::with(
        Sshd::builder()
            .account(account)
            .login(Login::KeyThenCode)
            .start()
            .unwrap(),
    );
    lab.tree("tree").file("large", 12 << 20).unwrap();
    let askpass = lab.file("askpass", "#!/bin/sh\necho asked >> asked\necho 111111\n");
    lab.set_mode("askpass", 0o755);
    let mut command = lab.command();
    command.env("SSH_ASKPASS", askpass).env("SSH_ASKPASS_REQUIRE", "force");
    command.args(["--json", "--connections", "4", "--limit", "6M", "tree", "testhost:copy"]);
    let outcome = well(Running::start(command).unwrap().finish().unwrap());
    same_tree(&lab.path("tree"), &lab.sshd().home().join("copy"), ALL).unwrap();
    assert_eq!(lab.read("asked"), "asked\n");
    let shared = |event: &Value| event["connections"] == 1 && event["channels"] == 4;
    let events = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(events.into_iter().any(|event| shared(&event)), "{}", outcome.text());
}
