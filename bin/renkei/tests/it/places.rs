//! How an end of a copy is named and reached, and copies that have two remote ends or none.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use renkei_testkit::fault::{Extension, Fault, Plan};
use renkei_testkit::seed::Rng;
use renkei_testkit::{FaultServer, Sshd};

use crate::support::{ALL, Lab, ends_with, well};

/// A configuration in which both servers are known by their aliases.
fn both(lab: &Lab, other: &Sshd) -> PathBuf {
    let read = |path| fs::read_to_string(path).unwrap();
    lab.file("both", read(lab.sshd().ssh_config()) + &read(other.ssh_config()))
}

/// `renkei cp` with that configuration.
fn cp(lab: &Lab, config: &std::path::Path, words: &[OsString]) -> renkei_testkit::renkei::Outcome {
    let mut command = lab.renkei().command();
    command
        .arg("cp")
        .arg("-F")
        .arg(config)
        .args(words)
        .current_dir(lab.path("."));
    renkei_testkit::renkei::Running::start(command)
        .unwrap()
        .finish()
        .unwrap()
}

#[test]
fn an_address_carries_user_port_and_any_path() {
    let lab = Lab::new();
    lab.file("a b%c", "content");
    let (user, port) = (lab.sshd().user().to_owned(), lab.sshd().port());
    let address = |path: &str| format!("sftp://{user}@127.0.0.1:{port}{}", lab.path(path).display());
    // The port in the address is what counts.
    lab.cp_well(["-P", "1", "./a b%c", &address("up")]);
    assert_eq!(lab.read("up"), "content");
    lab.cp_well([&address("a%20b%25c"), "down"]);
    assert_eq!(lab.read("down"), "content");
}

#[test]
fn a_v6_address_stands_in_brackets() {
    let lab = Lab::with(Sshd::builder().option("ListenAddress ::1").start().unwrap());
    lab.file("a", "content");
    lab.cp_well(["a".to_owned(), format!("[::1]:{}", lab.path("up").display())]);
    lab.cp_well([
        format!("{}@[::1]:{}", lab.sshd().user(), lab.path("up").display()),
        "down".to_owned(),
    ]);
    assert_eq!(lab.read("down"), "content");
    lab.cp_well([
        "-6".to_owned(),
        format!("sftp://[::1]:{}{}", lab.sshd().port(), lab.path("up").display()),
        "six".to_owned(),
    ]);
    assert_eq!(lab.read("six"), "content");
    ends_with(
        &lab.cp([
            "-4".to_owned(),
            "a".to_owned(),
            format!("[::1]:{}", lab.path("four").display()),
        ]),
        3,
    );
}

#[test]
fn everything_about_a_server_can_be_said_by_options() {
    let lab = Lab::new();
    lab.file("a", "content");
    let mut command = lab.renkei().command();
    command
        .current_dir(lab.path("."))
        .args(["cp", "-F", "none", "-l", lab.sshd().user()]);
    command
        .arg("-P")
        .arg(lab.sshd().port().to_string())
        .arg("-i")
        .arg(lab.sshd().identity());
    command
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", lab.sshd().known_hosts().display()));
    command.arg("a").arg(format!("127.0.0.1:{}", lab.path("b").display()));
    well(
        renkei_testkit::renkei::Running::start(command)
            .unwrap()
            .finish()
            .unwrap(),
    );
    assert_eq!(lab.read("b"), "content");
}

#[test]
fn a_copy_goes_through_a_jump_host() {
    let lab = Lab::new();
    let jump = Sshd::builder().alias("jump").start().unwrap();
    let config = both(&lab, &jump);
    lab.tree("tree").mixed(30, 50_000).unwrap();
    let up = ["-J".into(), "jump".into(), "tree".into(), lab.far("up")];
    well(cp(&lab, &config, &up));
    well(cp(
        &lab,
        &config,
        &["-o".into(), "ProxyJump=jump".into(), lab.far("up"), "down".into()],
    ));
    lab.assert_same("tree", "down", ALL);
    assert!(jump.count_in_log("Accepted publickey") >= 2, "{}", jump.log_text());
}

#[test]
fn a_jump_host_that_drops_most_startups_is_gone_through_all_the_same() {
    let lab = Lab::new();
    let most = Rng::for_purpose("startups of a jump host").within(1..4);
    let line = format!("MaxStartups {most}:100:{most}");
    let jump = Sshd::builder().alias("jump").option(line).start().unwrap();
    let config = both(&lab, &jump);
    let mut tree = lab.tree("tree");
    tree.small_files(300, 10_000).unwrap();
    tree.file("large", 24 << 20).unwrap();
    let eight = ["-J", "jump", "--connections", "8"].map(OsString::from);
    for (from, to) in [("tree".into(), lab.far("up")), (lab.far("up"), "down".into())] {
        let before = jump.count_in_log("past MaxStartups");
        well(cp(&lab, &config, &[&eight[..], &[from, to]].concat()));
        assert!(jump.count_in_log("past MaxStartups") > before, "{}", jump.log_text());
    }
    lab.assert_same("tree", "up", ALL);
    lab.assert_same("tree", "down", ALL);
}

#[test]
fn a_jump_host_that_is_not_known_is_named() {
    let lab = Lab::new();
    let jump = Sshd::builder().alias("jump").start().unwrap();
    let config = both(&lab, &jump);
    fs::write(jump.known_hosts(), "").unwrap();
    lab.file("a", "1");
    let outcome = cp(&lab, &config, &["-J".into(), "jump".into(), "a".into(), lab.far("b")]);
    ends_with(&outcome, 3);
    assert!(outcome.stderr.contains(&jump.port().to_string()), "{}", outcome.text());
    assert_eq!(lab.sshd().count_in_log("Connection from"), 0);
}

#[test]
fn a_copy_goes_through_a_proxy_command() {
    let lab = Lab::new();
    lab.tree("tree").mixed(10, 3_000_000).unwrap();
    let proxy = format!(
        "ProxyCommand=sh -c 'exec 3<>/dev/tcp/127.0.0.1/{}; cat <&3 & cat >&3; kill $!'",
        lab.sshd().port()
    );
    let proxy = proxy.replacen("sh", "bash", 1);
    lab.cp_well(["-o".into(), proxy.into(), "tree".into(), lab.far("up")]);
    lab.assert_same("tree", "up", ALL);
}

#[test]
fn the_systems_ssh_can_be_the_transport() {
    let lab = Lab::new();
    let mut tree = lab.tree("tree");
    tree.small_files(100, 2000).unwrap();
    tree.file("large", 5 << 20).unwrap();
    lab.cp_well(["--ssh-command".into(), "ssh".into(), "tree".into(), lab.far("up")]);
    lab.cp_well(["--ssh-command".into(), "ssh".into(), lab.far("up"), "down".into()]);
    lab.assert_same("tree", "down", ALL);
}

#[test]
fn a_copy_from_server_to_server() {
    let lab = Lab::new();
    let other = Sshd::builder().alias("other").start().unwrap();
    let config = both(&lab, &other);
    let mut tree = lab.tree("tree");
    tree.mixed(50, 20_000).unwrap();
    tree.nasty_names().unwrap();
    tree.links().unwrap();
    tree.modes().unwrap();
    tree.file("large", 5 << 20).unwrap();
    let to = OsString::from(format!("other:{}", lab.path("copy").display()));
    well(cp(&lab, &config, &[lab.far("tree"), to.clone()]));
    lab.assert_same("tree", "copy", ALL);
    well(cp(&lab, &config, &["-T".into(), lab.far("tree"), to]));
    lab.assert_same("tree", "copy", ALL);
}

#[test]
fn a_copy_within_one_server() {
    for plan in [Plan::new(), Plan::new().with(Fault::Without(Extension::CopyData))] {
        let lab = Lab::faulty(&plan);
        let mut tree = lab.tree("tree");
        tree.mixed(30, 20_000).unwrap();
        tree.links().unwrap();
        tree.file("large", 5 << 20).unwrap();
        lab.cp_well([lab.far("tree"), lab.far("copy")]);
        lab.assert_same("tree", "copy", ALL);
        lab.cp_well([lab.far("tree/large"), lab.far("copy/large")]);
        lab.assert_same("tree", "copy", ALL);
        // Onto itself.
        lab.cp([lab.far("tree/large"), lab.far("tree/large")]);
        lab.assert_same("copy/large", "tree/large", ALL);
    }
}

#[test]
fn a_copy_within_this_machine() {
    let lab = Lab::new();
    let mut tree = lab.tree("tree");
    tree.mixed(50, 20_000).unwrap();
    tree.nasty_names().unwrap();
    tree.links().unwrap();
    tree.modes().unwrap();
    tree.edge_sizes().unwrap();
    lab.cp_well(["tree", "copy"]);
    lab.assert_same("tree", "copy", ALL);
    assert_eq!(lab.sshd().count_in_log("Connection from"), 0);
}

#[test]
fn sources_may_be_at_several_places() {
    let lab = Lab::new();
    let faulty = FaultServer::start_with(&Plan::new(), Sshd::builder().alias("other")).unwrap();
    let config = both(&lab, faulty.sshd());
    for (name, content) in [("a", "1"), ("b", "2"), ("c", "3"), ("d/e", "4")] {
        lab.file(name, content);
    }
    let other = |name: &str| OsString::from(format!("other:{}", lab.path(name).display()));
    for (target, name) in [
        ("near".into(), "near"),
        (lab.far("far"), "far"),
        (other("more"), "more"),
    ] {
        well(cp(
            &lab,
            &config,
            &["a".into(), lab.far("b"), other("c"), "d".into(), target],
        ));
        assert_eq!(lab.names(name), ["a", "b", "c", "d"]);
        lab.assert_same("d", &format!("{name}/d"), ALL);
        assert_eq!(lab.read(format!("{name}/b")), "2");
    }
}

#[test]
fn a_name_with_a_colon_is_local_after_a_slash() {
    let lab = Lab::new();
    lab.file("testhost:a", "content");
    lab.cp_well(["./testhost:a", "./x:y"]);
    assert_eq!(lab.read("x:y"), "content");
}
