//! A hub on SQLite that is killed while it commits: this test starts itself again as that hub.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use renkei_store::{DatabaseUrl, Store};
use renkei_testkit::process::{signal, spawn_tied};
use renkei_testkit::seed::Rng;
use rustix::process::Signal;
use uuid::Uuid;

use crate::ledger::{Ledger, Told, compare, enter, prepare};

/// Names the database file to the child, and the counter.
const FILE: &str = "RENKEI_TEST_FILE";
const COUNTER: &str = "RENKEI_TEST_COUNTER";

fn open(path: &Path) -> Store {
    block_on(Store::open(&DatabaseUrl::Sqlite(path.to_owned()))).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: std::sync::OnceLock<tokio::runtime::Runtime> = std::sync::OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().unwrap());
    runtime.block_on(future)
}

#[test]
fn a_hub_that_is_killed_has_kept_what_it_answered() {
    if let Some(file) = std::env::var_os(FILE) {
        return commit_for_ever(Path::new(&file));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hub.db");
    let counter = block_on(prepare(&open(&file)));
    let mut rng = Rng::for_purpose("kill");
    let mut ledger = Ledger::new();
    for _ in 0..crate::cuts().div_ceil(4) {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([
            "--exact",
            "killed::a_hub_that_is_killed_has_kept_what_it_answered",
            "--nocapture",
        ]);
        child.env(FILE, &file).env(COUNTER, counter.to_string());
        child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = spawn_tied(child).unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut ours = said
            .by_ref()
            .map_while(Result::ok)
            .filter_map(|line| Some(line.rsplit_once("done ")?.1.to_owned()));
        // The first answer shows that it is at work.
        let first = ours.next().unwrap();
        ledger.insert(first, Told::Done);
        std::thread::sleep(Duration::from_micros(rng.within(0..20_000)));
        signal(child.id(), Signal::KILL);
        // What it said before it died counts.
        ledger.extend(ours.map(|name| (name, Told::Done)));
        child.wait().unwrap();
    }
    let told = ledger.len() as u64;
    let done = block_on(compare(&open(&file), counter, &ledger));
    println!("{told} answered, {done} done");
    // Each killed hub may have committed one that it could not tell of.
    assert!(done >= told && done <= told + crate::cuts().div_ceil(4));
}

/// The child: one batch after the other, and its name on a line of its own once it was committed.
#[expect(clippy::print_stdout, reason = "the other process reads it")]
fn commit_for_ever(file: &Path) {
    let store = open(file);
    let counter: Uuid = std::env::var(COUNTER).unwrap().parse().unwrap();
    let run = Uuid::now_v7();
    for number in 0.. {
        let name = format!("{run}.{number}");
        if block_on(enter(&store, counter, &name)) == Told::Done {
            println!("done {name}");
        }
    }
}
