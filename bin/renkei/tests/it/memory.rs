//! Memory stays flat, however many files there are.
//!
//! `RENKEI_TREE_FILES` and `RENKEI_SYNTHETIC_FILES` say how many. What may grow is stated here: a listing remembers some
//! bytes of each name, the journal's index nothing, the plan nothing.

use std::time::{Duration, Instant};

use renkei_testkit::fault::{Fault, Plan};
use renkei_testkit::renkei::{Outcome, Running};
use renkei_testkit::wait;

use crate::support::{Lab, WAYS, Way, ends_with, summary, well};

/// What allocators, threads and chance make of the same run.
const NOISE: u64 = 24 << 20;
/// A run is hung that takes longer, in any size.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Waits for the end and gives the most memory that the run had resident, in bytes. None is told of a process that has
/// ended, so it is the most that was seen until shortly before.
#[track_caller]
pub fn peak(mut running: Running, patience: Duration) -> (Outcome, u64) {
    let status = format!("/proc/{}/status", running.pid());
    let mut most = 0;
    let start = Instant::now();
    wait::until_some("the run to end", patience, || {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        most = high_water(&text).unwrap_or(0).max(most);
        running.has_ended().then_some(())
    })
    .unwrap_or_else(|error| panic!("{error} {:?} {}", start.elapsed(), running.stderr()));
    (running.finish().unwrap(), most)
}

/// `VmHWM` of proc(5).
fn high_water(status: &str) -> Option<u64> {
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
    assert!(grown < NOISE + more * bytes_each, "{few} bytes, then {many} with {more} files more");
}

#[test]
fn a_tree_of_small_files_takes_no_memory_for_each() {
    let files = count("RENKEI_TREE_FILES", 2000);
    let lab = Lab::new();
    lab.tree("few").small_files(files as usize / 4, 100).unwrap();
    lab.tree("many").small_files(files as usize, 100).unwrap();
    for way in WAYS {
        let copy = |tree: &str| {
            let words = lab.words(way, &["--json"], &[tree, &format!("{way:?}-{tree}")]);
            let (outcome, most) = peak(lab.start(words), PATIENCE);
            summary(&well(outcome));
            assert!(most > 0 && most < 200 << 20, "{most} bytes");
            most
        };
        flat((copy("few"), copy("many")), files - files / 4, 16);
    }
}

/// Lists a directory of so many names, and plans to copy each.
fn scan(names: u64) -> u64 {
    let lab = Lab::faulty(&Plan::new().with(Fault::Synthetic(names)));
    lab.dir("tree");
    let words = lab.words(Way::Down, &["--dry-run", "-q"], &["tree", "down"]);
    let (outcome, most) = peak(lab.start(words), PATIENCE);
    ends_with(&outcome, 0);
    most
}

#[test]
fn a_directory_of_millions_is_scanned_in_little_memory() {
    let names = count("RENKEI_SYNTHETIC_FILES", 200_000);
    let (few, many) = (scan(names / 4), scan(names));
    assert!(many < 300 << 20, "{many} bytes");
    flat((few, many), names - names / 4, 24);
}
