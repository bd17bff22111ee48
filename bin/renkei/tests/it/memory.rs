//! Memory stays flat, however many files there are.
//!
//! `RENKEI_TREE_FILES` and `RENKEI_SYNTHETIC_FILES` say how many. What may grow is stated here: a listing remembers some
//! bytes of each name until it ends, all else nothing. Of a target directory, `--delete` has to hold all names.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use renkei_testkit::fault::{Fault, Plan};
use renkei_testkit::process::spawn_tied;
use renkei_testkit::renkei::{Outcome, Running};
use renkei_testkit::wait;

use crate::support::{Lab, WAYS, Way, summary, well};

/// What allocators, threads and chance make of the same run.
const NOISE: u64 = 24 << 20;
/// What a listing keeps of each name, in bytes.
const NAME: u64 = 24;
/// A run is hung that takes longer, in any size.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Waits for the end and gives the most memory that the run had resident, in bytes. None is told of a process that has
/// ended, so it is the most that was seen until shortly before.
#[track_caller]
pub fn peak(mut running: Running, patience: Duration) -> (Outcome, u64) {
    let (id, mut most) = (running.pid(), 0);
    let ended = wait::until_some("the run to end", patience, || {
        most = resident_at_most(id).unwrap_or(0).max(most);
        running.has_ended().then_some(())
    });
    ended.unwrap_or_else(|error| panic!("{error}: {}", running.stderr()));
    (running.finish().unwrap(), most)
}

/// The most that a process had resident so far, in bytes: `VmHWM` of proc(5).
fn resident_at_most(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

fn count(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number of files"))
}

/// `bytes_each` more for each of the `more` files, at most.
#[track_caller]
fn flat((few, many): (u64, u64), more: u64, bytes_each: u64) {
    let grown = many.saturating_sub(few);
    assert!(
        grown < NOISE + more * bytes_each,
        "{few} bytes, then {many} with {more} files more"
    );
}

#[test]
fn a_tree_of_small_files_takes_no_memory_for_each() {
    let files = count("RENKEI_TREE_FILES", 2000);
    let lab = Lab::new();
    lab.tree("few").small_files(files as usize / 4, 100).unwrap();
    lab.tree("many").small_files(files as usize, 100).unwrap();
    for way in WAYS {
        let copy = |tree: &str| {
            let words = lab.words(way, &[], &[tree, &format!("{way:?}-{tree}")]);
            let (outcome, most) = peak(lab.start(words), PATIENCE);
            well(outcome);
            assert!(most > 0 && most < 200 << 20, "{most} bytes");
            most
        };
        flat((copy("few"), copy("many")), files - files / 4, 16);
    }
}

/// A server with a directory of so many names.
fn synthetic(names: u64) -> Lab {
    let lab = Lab::faulty(&Plan::new().with(Fault::Synthetic(names)));
    lab.dir("tree");
    lab
}

/// Lists it all, and says what would be copied.
fn scan(names: u64) -> u64 {
    let lab = synthetic(names);
    let mut command = lab.command();
    command
        .args(lab.words(Way::Down, &["--dry-run"], &["tree", "down"]))
        .stdout(Stdio::piped());
    let mut child = spawn_tied(command).unwrap();
    let mut out = child.stdout.take().unwrap();
    let (mut lines, mut most, mut buffer) = (0, 0, vec![0; 1 << 16]);
    loop {
        let got = out.read(&mut buffer).unwrap();
        if got == 0 {
            break;
        }
        lines += buffer[..got].iter().filter(|byte| **byte == b'\n').count() as u64;
        most = resident_at_most(child.id()).unwrap_or(0).max(most);
    }
    assert!(child.wait().unwrap().success());
    assert!(lines >= names, "{lines} lines");
    most
}

#[test]
fn a_directory_of_millions_is_scanned_in_little_memory() {
    let names = count("RENKEI_SYNTHETIC_FILES", 200_000);
    let (few, many) = (scan(names / 4), scan(names));
    assert!(many < 300 << 20, "{many} bytes");
    flat((few, many), names - names / 4, NAME);
}

#[test]
fn a_directory_of_many_is_copied_in_little_memory() {
    // Each file comes into being here, and has its records in the journal.
    let names = count("RENKEI_SYNTHETIC_FILES", 200_000) / 8;
    let copy = |names: u64| {
        let lab = synthetic(names);
        let words = lab.words(Way::Down, &[], &["tree", "down"]);
        let (outcome, most) = peak(lab.start(words), PATIENCE);
        well(outcome);
        assert_eq!(lab.names("down").len() as u64, names);
        most
    };
    let (few, many) = (copy(names / 4), copy(names));
    assert!(many < 200 << 20, "{many} bytes");
    flat((few, many), names - names / 4, NAME);
}

#[test]
fn what_stands_in_a_large_target_takes_no_memory_for_each() {
    // More than are held, both times: from there on each name is asked for.
    let names = count("RENKEI_SYNTHETIC_FILES", 200_000);
    let update = |names: u64| {
        let lab = synthetic(names);
        lab.dir("there");
        lab.file("few/same", "content");
        lab.file("few/other", "content");
        lab.cp_well([
            "-p".into(),
            lab.path("few/same").into_os_string(),
            lab.path("there/same").into(),
        ]);
        let words = lab.words(Way::Up, &["--update", "-T", "--json"], &["few", "there"]);
        let (outcome, most) = peak(lab.start(words), PATIENCE);
        let summary = summary(&well(outcome));
        assert_eq!(
            (&summary["files"], &summary["skipped"]),
            (&1.into(), &1.into()),
            "{summary}"
        );
        assert_eq!(lab.read("there/other"), "content");
        most
    };
    flat((update(names * 3 / 2), update(names * 3)), names * 3 / 2, 0);
}
