//! The same binary called `mscp`: its users' scripts go on working.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use renkei_testkit::Sshd;
use renkei_testkit::renkei::{Outcome, Running};
use renkei_testkit::sshd::stock_sftp_server;
use renkei_testkit::tree::What;

use crate::support::{ALL, Lab, WAYS, Way, ends_with, well};

fn mscp(lab: &Lab) -> Command {
    let link = lab.path("bin/mscp");
    if !lab.exists("bin/mscp") {
        lab.dir("bin");
        symlink(lab.renkei().program(), &link).unwrap();
    }
    let mut command = lab.renkei().prepare(Command::new(link));
    command
        .current_dir(lab.path("."))
        .arg("-F")
        .arg(lab.sshd().ssh_config());
    command
}

fn run<A: AsRef<OsStr>>(lab: &Lab, words: impl IntoIterator<Item = A>) -> Outcome {
    let mut command = mscp(lab);
    command.args(words);
    Running::start(command).unwrap().finish().unwrap()
}

#[test]
fn every_option_is_taken_and_the_copy_is_right() {
    let lab = Lab::new();
    let mut tree = lab.tree("tree");
    tree.mixed(10, 3000).unwrap();
    tree.file("large", 3 << 20).unwrap();
    let (port, identity) = (
        lab.sshd().port().to_string(),
        lab.sshd().identity().display().to_string(),
    );
    let options: [&[&str]; 12] = [
        &["-n", "2", "-m", "3", "-u", "4", "-I", "0"],
        &["-s", "1m", "-S", "2m", "-a", "16", "-b", "32k"],
        &["-L", "4g", "-4"],
        &["-v", "-v", "-d"],
        &["-q", "-v"],
        &["-r", "-p"],
        &["-l", lab.sshd().user(), "-P", &port, "-i", &identity],
        &["-o", "NoSuchOption=yes", "-o", "Compression=no"],
        &["-c", "aes256-ctr", "-M", "hmac-sha2-256"],
        &["-C", "no"],
        &["-C", "zlib@openssh.com"],
        &["-g", "reno", "-N"],
    ];
    for (number, options) in options.iter().enumerate() {
        let way = WAYS[number % 2];
        let target = format!("copy{number}");
        let outcome = well(run(&lab, lab.words(way, options, &["tree", &target])));
        lab.assert_same("tree", &target, ALL);
        if options.contains(&"-q") {
            assert!(
                outcome.stdout.is_empty() && outcome.stderr.is_empty(),
                "{}",
                outcome.text()
            );
        }
        if options.contains(&"-p") {
            lab.assert_same("tree", &target, &[What::Times]);
        }
    }
}

#[test]
fn what_the_host_or_kernel_cannot_do_fails() {
    let lab = Lab::new();
    lab.file("a", "1");
    for options in [
        &["-6"][..],
        &["-g", "nosuch"],
        &["-c", "nosuch"],
        &["-o", "HostKeyAlgorithms=ssh-dss"],
        &["-P", "1"],
    ] {
        let outcome = run(&lab, lab.words(Way::Up, options, &["a", "b"]));
        assert_ne!(outcome.code(), Some(0), "{options:?} {}", outcome.text());
        assert!(!lab.exists("b"));
    }
}

#[test]
fn a_dry_run_copies_nothing_and_shows_the_plan() {
    let lab = Lab::new();
    lab.file("tree/a", "1");
    for way in WAYS {
        let outcome = well(run(&lab, lab.words(way, &["-D", "-vv"], &["tree", "copy"])));
        assert!(
            outcome.stdout.contains("tree/a") || outcome.stdout.contains("copy/a"),
            "{}",
            outcome.text()
        );
        assert!(!lab.exists("copy"));
    }
}

#[test]
fn connections_that_have_nothing_to_do_are_not_waited_for() {
    let lab = Lab::new();
    lab.file("a", "1");
    lab.file("b", "2");
    for way in WAYS {
        let target = format!("{way:?}");
        well(run(
            &lab,
            lab.words(way, &["-n", "20", "-I", "86400"], &["a", "b", &target]),
        ));
        assert_eq!(lab.names(&target), ["a", "b"]);
    }
}

#[test]
fn the_password_comes_from_the_environment_and_a_wrong_one_fails_once() {
    let lab = Lab::with(Sshd::builder().password_user("open sesame").start().unwrap());
    lab.file("a", "1");
    for (password, code) in [("open sesame", 0), ("wrong", 3)] {
        let mut command = mscp(&lab);
        command
            .env("MSCP_SSH_AUTH_PASSWORD", password)
            .args(["a", "testhost:b"]);
        ends_with(&Running::start(command).unwrap().finish().unwrap(), code);
    }
    assert_eq!(
        lab.sshd().count_in_log("Failed password"),
        1,
        "{}",
        lab.sshd().log_text()
    );
}

#[test]
fn an_interrupted_copy_goes_on_from_its_checkpoint() {
    let lab = Lab::new();
    let mut tree = lab.tree("tree");
    tree.file("large", 16 << 20).unwrap();
    tree.small_files(200, 1000).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        let checkpoint = lab.path(format!("checkpoint{target}"));
        let mut options: Vec<OsString> = ["-L", "32m", "-v", "-W"].map(OsString::from).to_vec();
        options.push(checkpoint.clone().into());
        let mut command = mscp(&lab);
        command.args(&options).args(lab.words(way, &[], &["tree", &target]));
        let running = Running::start(command).unwrap();
        renkei_testkit::wait::until("something to arrive", || lab.exists(&target)).unwrap();
        running.interrupt();
        let outcome = running.finish().unwrap();
        assert_ne!(outcome.code(), Some(0), "{}", outcome.text());
        assert!(checkpoint.exists(), "{}", outcome.text());
        well(run(&lab, [OsString::from("-R"), checkpoint.clone().into()]));
        lab.assert_same("tree", &target, ALL);
        assert!(checkpoint.exists());
    }
}

/// Which sessions wrote in each chunk of so many MiB of a file, as `sftp-server -l DEBUG1` tells it: one log a session, with
/// lines such as `debug1: request 7: write "/a/b" (handle 0) off 1048576 len 212992`.
fn sessions_of_chunks(logs: &Path, mib: u64) -> BTreeMap<u64, BTreeSet<OsString>> {
    let mut chunks = BTreeMap::<u64, BTreeSet<OsString>>::new();
    for log in fs::read_dir(logs).unwrap().map(Result::unwrap) {
        let text = fs::read_to_string(log.path()).unwrap();
        for line in text.lines().filter(|line| line.contains(": write \"")) {
            let (_, numbers) = line.rsplit_once(" off ").unwrap();
            let offset: u64 = numbers.split(' ').next().unwrap().parse().unwrap();
            chunks.entry(offset / (mib << 20)).or_default().insert(log.file_name());
        }
    }
    chunks
}

#[test]
fn each_connection_takes_chunks_no_larger_than_the_largest_and_leaves_small_files_whole() {
    let logs = tempfile::tempdir().unwrap();
    let server = format!(
        "exec {} -e -l DEBUG1 2>{}/$$",
        stock_sftp_server().unwrap().display(),
        logs.path().display()
    );
    let lab = Lab::with(Sshd::builder().subsystem(server).start().unwrap());
    lab.tree("tree").file("large", 24 << 20).unwrap();
    // (options, MiB of a chunk, chunks)
    let cases = [
        (["-s", "1m", "-S", "4m"], 4, 6),
        (["-s", "8m", "-S", "0"], 8, 3),
        (["-s", "24m", "-S", "1g"], 24, 1),
    ];
    for (options, mib, count) in cases {
        let options = [&["-n", "4"], &options[..]].concat();
        well(run(&lab, lab.words(Way::Up, &options, &["tree", "copy"])));
        lab.assert_same("tree", "copy", ALL);
        let chunks = sessions_of_chunks(logs.path(), mib);
        assert_eq!(chunks.len(), count, "{options:?}");
        for (chunk, sessions) in chunks {
            assert_eq!(sessions.len(), 1, "{options:?} chunk {chunk}");
        }
        for path in fs::read_dir(logs.path()).unwrap().map(|log| log.unwrap().path()) {
            fs::remove_file(path).unwrap();
        }
        fs::remove_dir_all(lab.path("copy")).unwrap();
    }
}
