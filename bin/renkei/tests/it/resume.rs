//! Killed and interrupted copies go on where they were.
//!
//! `RENKEI_KILLS` says how often copies are killed in all (15 unless said); the moments come from the seed that is printed.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use renkei_testkit::fault::{Extension, Fault, Plan, Request, Status};
use renkei_testkit::renkei::{Outcome, Running};
use renkei_testkit::seed::Rng;
use renkei_testkit::tree::What;
use renkei_testkit::wait;
use serde_json::Value;

use crate::support::{ALL, Lab, WAYS, Way, ends_with, is_temporary, summary, walk, well};

/// Slow enough to be killed in the middle, wherever the test runs.
pub const SLOW: &[&str] = &["--json", "--limit", "8M"];
/// As fast as it goes.
pub const FAST: &[&str] = &["--json"];

/// Bytes of all regular files below a path, or of the file.
pub fn bytes_in(path: &Path) -> u64 {
    if path.is_file() {
        return path.metadata().unwrap().len();
    }
    let files = walk(path)
        .into_iter()
        .filter(|path| path.is_file() && !path.is_symlink());
    files.map(|path| path.metadata().unwrap().len()).sum()
}

pub fn number(summary: &Value, name: &str) -> u64 {
    summary[name]
        .as_u64()
        .unwrap_or_else(|| panic!("no {name} in {summary}"))
}

/// The bytes that the last progress line told.
pub fn told(outcome: &Outcome) -> u64 {
    let events = outcome.events();
    let last = events.iter().rev().find(|event| event["event"] == "progress");
    last.and_then(|event| event["bytes"].as_u64()).unwrap_or(0)
}

/// Starts a copy, kills it when so many bytes are told, and gives what it told last.
pub fn killed_at(lab: &Lab, words: &[OsString], bytes: u64) -> u64 {
    let mut running = lab.start(words);
    running.wait_for_bytes(bytes).unwrap();
    running.kill();
    told(&running.finish().unwrap())
}

/// Temporary files below a directory.
pub fn temporaries(dir: &Path) -> Vec<std::path::PathBuf> {
    walk(dir).into_iter().filter(|path| is_temporary(path)).collect()
}

/// Journals that are there.
pub fn journals(lab: &Lab) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(lab.renkei().state_dir()) else {
        return vec![];
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "journal"))
        .collect()
}

/// The target is what the source is, and nothing else is left anywhere.
#[track_caller]
pub fn assert_whole(lab: &Lab, source: &str, target: &str) {
    lab.assert_same(source, target, ALL);
    if lab.path(target).is_dir() {
        lab.assert_clean(target);
    }
    assert_eq!(journals(lab), [] as [std::path::PathBuf; 0]);
}

fn kills() -> u64 {
    std::env::var("RENKEI_KILLS").map_or(15, |text| text.parse().expect("`RENKEI_KILLS` is a number"))
}

/// The share of one of six tests.
fn share() -> u64 {
    kills().div_ceil(6)
}

/// Lets it run for a while that the seed says: so many bytes, or so much time.
fn run_for_a_while(running: &mut Running, rng: &mut Rng, total: u64) {
    if rng.unit() < 0.6 {
        running.wait_for_bytes(rng.within(1..total)).unwrap();
        return;
    }
    let end = Instant::now() + Duration::from_millis(rng.within(0..900));
    wait::until("the moment to come", || Instant::now() >= end || running.has_ended()).unwrap();
}

/// Kills copies of `name` again and again, each time at another moment, and lets the last one end.
fn survives_kills(way: Way, name: &str, make: impl Fn(&Lab)) {
    let lab = Lab::new();
    make(&lab);
    let mut murders = Murders {
        words: lab.words(way, SLOW, &[name, "out/target"]),
        total: bytes_in(&lab.path(name)),
        rng: Rng::for_purpose(&format!("{name} {way:?}")),
        left: share(),
        lab: &lab,
    };
    while murders.left > 0 {
        lab.dir("out");
        murders.one_copy();
        assert_whole(&lab, name, "out/target");
        fs::remove_dir_all(lab.path("out")).unwrap();
    }
}

struct Murders<'a> {
    lab: &'a Lab,
    words: Vec<OsString>,
    total: u64,
    rng: Rng,
    left: u64,
}

impl Murders<'_> {
    /// Runs the command until it completes, killed until then.
    fn one_copy(&mut self) {
        let mut known = 0;
        loop {
            let mut running = self.lab.start(&self.words);
            if self.left > 0 {
                self.left -= 1;
                run_for_a_while(&mut running, &mut self.rng, self.total);
                running.kill();
            }
            let outcome = running.finish().unwrap();
            if outcome.code().is_some() {
                let last = summary(&well(outcome));
                let (sent, resumed) = (number(&last, "sent_bytes"), number(&last, "resumed_bytes"));
                assert!(resumed >= known, "{known} bytes were done: {last}");
                assert_eq!(sent + resumed, self.total, "{last}");
                return;
            }
            if journals(self.lab).is_empty() && self.lab.exists("out/target") {
                // It was done before it was killed.
                return;
            }
            // What was told as done once is never sent again: it was in the journal before.
            known = known.max(told(&outcome));
        }
    }
}

fn large(lab: &Lab) {
    lab.tree(".").file("large", (16 << 20) + 4321).unwrap();
}

fn small(lab: &Lab) {
    lab.tree("small").small_files(400, 20_000).unwrap();
}

fn mixed(lab: &Lab) {
    let mut tree = lab.tree("mixed");
    tree.mixed(150, 60_000).unwrap();
    tree.edge_sizes().unwrap();
    tree.modes().unwrap();
    tree.file("deep/er/large", 5 << 20).unwrap();
    tree.file("deep/er/odd", (3 << 20) + 17).unwrap();
}

#[test]
fn resume_one_large_file_up_after_kills() {
    survives_kills(Way::Up, "large", large);
}

#[test]
fn resume_one_large_file_down_after_kills() {
    survives_kills(Way::Down, "large", large);
}

#[test]
fn resume_small_files_up_after_kills() {
    survives_kills(Way::Up, "small", small);
}

#[test]
fn resume_small_files_down_after_kills() {
    survives_kills(Way::Down, "small", small);
}

#[test]
fn resume_a_mixed_tree_up_after_kills() {
    survives_kills(Way::Up, "mixed", mixed);
}

#[test]
fn resume_a_mixed_tree_down_after_kills() {
    survives_kills(Way::Down, "mixed", mixed);
}

#[test]
fn resume_after_kills_of_a_client_that_moves_old_files_aside() {
    let plan = Plan::new()
        .with(Fault::Without(Extension::PosixRename))
        .with(Fault::Delay(2000));
    let lab = Lab::faulty(&plan);
    lab.tree("new").small_files(60, 500).unwrap();
    lab.tree("new").file("large", 3 << 20).unwrap();
    let mut rng = Rng::for_purpose("aside");
    let words = lab.words(Way::Up, &["--json", "-T"], &["new", "target"]);
    for _ in 0..share() {
        let mut old = lab.tree("target");
        old.small_files(60, 700).unwrap();
        old.file("large", 100).unwrap();
        let before = temporaries(old.root()).len();
        let mut running = lab.start(&words);
        // Some time after the first file is out of the way, which is when the dance has begun.
        wait::until("the first", || {
            running.has_ended() || temporaries(old.root()).len() > before
        })
        .unwrap();
        let end = Instant::now() + Duration::from_millis(rng.within(0..400));
        wait::until("the moment to come", || Instant::now() >= end || running.has_ended()).unwrap();
        running.kill();
        running.finish().unwrap();
        well(lab.start(&words).finish().unwrap());
        assert_whole(&lab, "new", "target");
    }
}

#[test]
fn resume_after_ctrl_c_by_the_id_that_is_told() {
    for way in WAYS {
        let lab = Lab::new();
        large(&lab);
        let words = lab.words(way, &["--limit", "24M"], &["large", "target"]);
        let temporary = || !temporaries(&lab.path(".")).is_empty();
        let running = lab.start(&words);
        wait::until("the beginning", temporary).unwrap();
        running.interrupt();
        let outcome = running.finish().unwrap();
        ends_with(&outcome, 130);
        let journal = journals(&lab).pop().unwrap();
        let id = journal.file_stem().unwrap().to_str().unwrap();
        assert!(outcome.text().contains(id), "{}", outcome.text());
        let list = || well(lab.renkei().run(["cp", "--resume-list"]).unwrap()).stdout;
        assert!(list().contains(id));
        well(lab.renkei().run(["cp", "--json", "--resume", id]).unwrap());
        assert_whole(&lab, "large", "target");
        assert!(!list().contains(id));
    }
}

#[test]
fn resume_ctrl_c_ends_it_though_the_server_is_silent() {
    let lab = Lab::new();
    large(&lab);
    let words = lab.words(Way::Up, SLOW, &["large", "target"]);
    let mut running = lab.start(&words);
    running.wait_for_bytes(2 << 20).unwrap();
    lab.sshd().freeze();
    running.interrupt();
    let outcome = running.finish().unwrap();
    lab.sshd().thaw();
    ends_with(&outcome, 130);
    let again = summary(&well(lab.start(&words).finish().unwrap()));
    assert!(number(&again, "resumed_bytes") >= told(&outcome), "{again}");
    assert_whole(&lab, "large", "target");
}

#[test]
fn resume_leaves_no_journal_where_nothing_was_begun() {
    let lab = Lab::new();
    large(&lab);
    lab.dir("dir");
    for paths in [["missing", "target"], ["large", "no/such/dir/target"], ["dir", "large"]] {
        let outcome = lab.copy(Way::Up, &[], &paths);
        ends_with(&outcome, 1);
        assert_eq!(journals(&lab).len(), 0, "{}", outcome.text());
    }
    let mut stalled = lab.start(lab.words(Way::Up, &["-o", "ProxyCommand=cat >/dev/null"], &["large", "target"]));
    wait::until("it to dial", || {
        !renkei_testkit::process::children(stalled.pid()).is_empty()
    })
    .unwrap();
    assert!(!stalled.has_ended());
    stalled.interrupt();
    ends_with(&stalled.finish().unwrap(), 130);
    assert_eq!(journals(&lab).len(), 0);
}

#[test]
fn resume_retries_only_what_failed() {
    let lab = Lab::faulty(&Plan::new().refuse(Request::Write, 7, Status::PermissionDenied));
    lab.tree("tree").small_files(40, 1000).unwrap();
    let words = lab.words(Way::Up, FAST, &["tree", "target"]);
    let outcome = lab.cp(&words);
    ends_with(&outcome, 1);
    assert_eq!(number(&summary(&outcome), "failed"), 1);
    assert_eq!(journals(&lab).len(), 1);
    lab.faults().set_plan(&Plan::new()).unwrap();
    let again = summary(&well(lab.cp(&words)));
    assert_eq!(number(&again, "sent_bytes"), 1000, "{again}");
    assert_whole(&lab, "tree", "target");
}

#[test]
fn resume_refuses_a_second_run_of_the_same_command() {
    let lab = Lab::new();
    large(&lab);
    let words = lab.words(Way::Up, &["--json", "--limit", "2M"], &["large", "target"]);
    let mut first = lab.start(&words);
    first.wait_for_bytes(1 << 20).unwrap();
    let second = lab.cp(&words);
    ends_with(&second, 1);
    first.interrupt();
    let id = journals(&lab)
        .pop()
        .unwrap()
        .file_stem()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    assert!(second.text().contains(&id), "{}", second.text());
    assert!(second.text().contains(&first.pid().to_string()), "{}", second.text());
    first.finish().unwrap();
    well(lab.cp(lab.words(Way::Up, FAST, &["large", "target"])));
    assert_whole(&lab, "large", "target");
}

#[test]
fn resume_drop_leaves_nothing_in_the_middle() {
    for way in WAYS {
        let lab = Lab::new();
        mixed(&lab);
        let words = lab.words(way, SLOW, &["mixed", "target"]);
        killed_at(&lab, &words, 4 << 20);
        let journal = journals(&lab).pop().unwrap();
        let id = journal.file_stem().unwrap().to_str().unwrap();
        let dropped = well(lab.renkei().run(["cp", "--json", "--resume-drop", id]).unwrap());
        assert_eq!(journals(&lab).len(), 0, "{}", dropped.text());
        lab.assert_clean("target");
        // What was finished stays.
        for path in walk(&lab.path("target")).iter().filter(|path| path.is_file()) {
            let source = lab.path("mixed").join(path.strip_prefix(lab.path("target")).unwrap());
            assert_eq!(fs::read(path).unwrap(), fs::read(source).unwrap());
        }
    }
}

#[test]
fn resume_removes_what_was_begun_of_files_that_have_gone() {
    for way in WAYS {
        let lab = Lab::new();
        let mut tree = lab.tree("tree");
        let large = tree.file("large", 12 << 20).unwrap();
        tree.small_files(10, 100).unwrap();
        let words = lab.words(way, SLOW, &["tree", "target"]);
        killed_at(&lab, &words, 3 << 20);
        assert!(!temporaries(&lab.path("target")).is_empty());
        fs::remove_file(large).unwrap();
        well(lab.cp(&words));
        assert_whole(&lab, "tree", "target");
    }
}

#[test]
fn resume_notices_a_source_that_has_changed() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 3] = [
        ("size", |path| {
            let file = fs::OpenOptions::new().append(true).open(path).unwrap();
            let time = file.metadata().unwrap().modified().unwrap();
            std::io::Write::write_all(&mut &file, b"more").unwrap();
            file.set_modified(time).unwrap();
        }),
        ("time", |path| {
            let mut content = fs::read(path).unwrap();
            content.iter_mut().for_each(|byte| *byte ^= 1);
            fs::write(path, content).unwrap();
            let file = fs::File::open(path).unwrap();
            file.set_modified(file.metadata().unwrap().modified().unwrap() + Duration::from_secs(5))
                .unwrap();
        }),
        ("inode", |path| {
            let time = path.metadata().unwrap().modified().unwrap();
            let mut content = fs::read(path).unwrap();
            content.iter_mut().for_each(|byte| *byte ^= 1);
            let other = path.with_extension("new");
            fs::write(&other, content).unwrap();
            fs::File::open(&other).unwrap().set_modified(time).unwrap();
            fs::rename(&other, path).unwrap();
        }),
    ];
    for way in WAYS {
        for (name, change) in changes {
            if (way, name) == (Way::Down, "inode") {
                // SFTP does not tell inodes.
                continue;
            }
            let lab = Lab::new();
            lab.tree("tree").file("large", 10 << 20).unwrap();
            let words = lab.words(way, SLOW, &["tree", "target"]);
            killed_at(&lab, &words, 3 << 20);
            change(&lab.path("tree/large"));
            let again = summary(&well(lab.cp(&words)));
            assert_eq!(number(&again, "resumed_bytes"), 0, "{name}");
            assert_whole(&lab, "tree", "target");
        }
    }
}

#[test]
fn resume_after_globs_that_match_something_else_mixes_nothing_up() {
    let lab = Lab::new();
    for (name, fill) in [("d1", b"1"), ("d2", b"2")] {
        lab.file(format!("{name}/same"), fill.repeat(6 << 20));
    }
    let words = lab.words(Way::Down, SLOW, &["d*", "target/"]);
    killed_at(&lab, &words, 2 << 20);
    fs::rename(lab.path("d1"), lab.path("gone")).unwrap();
    well(lab.cp(&words));
    assert_eq!(lab.names("target"), ["d1", "d2"]);
    lab.assert_same("d2", "target/d2", &[What::Content]);
}

#[test]
fn resume_from_the_checkpoint_of_a_dry_run_of_mscp() {
    let lab = Lab::new();
    large(&lab);
    let program = lab.path("mscp");
    symlink(lab.renkei().program(), &program).unwrap();
    let mscp = |words: Vec<OsString>| {
        let mut command = lab.renkei().prepare(Command::new(&program));
        command.current_dir(lab.path("."));
        command.arg("-F").arg(lab.sshd().ssh_config()).args(words);
        well(Running::start(command).unwrap().finish().unwrap())
    };
    mscp(lab.words(Way::Up, &["-D", "-W", "checkpoint"], &["large", "target"]));
    assert!(lab.exists("checkpoint") && !lab.exists("target"));
    assert!(journals(&lab).is_empty());
    mscp(vec!["-R".into(), "checkpoint".into()]);
    assert!(lab.exists("checkpoint"));
    assert_whole(&lab, "large", "target");
}
