//! Servers that want to harm: whatever they send, the program ends, in little memory, writes nothing outside the target,
//! and what stands is right.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use renkei_testkit::fault::{Fault, Plan, Request, Status};
use renkei_testkit::process::spawn_tied;
use renkei_testkit::renkei::{Outcome, Running};
use renkei_testkit::seed::Rng;
use renkei_testkit::wait;

use crate::memory::peak;
use crate::support::{Lab, WAYS, Way, ends_with, is_temporary, summary, walk};

/// How long a run may take that a server tries to keep for ever.
const PATIENCE: Duration = Duration::from_secs(90);
/// What the program may take whatever it is sent, in bytes.
const MOST_MEMORY: u64 = 200 << 20;

/// A source, a place for the target, and beside them what nobody may touch.
struct Trap {
    lab: Lab,
    around: BTreeMap<PathBuf, Option<Vec<u8>>>,
}

impl Trap {
    fn new(plan: &Plan) -> Self {
        let lab = Lab::faulty(plan);
        lab.file("tree/good", "good");
        lab.file("canary/keep", "keep");
        lab.dir("in/side");
        let mut trap = Self {
            lab,
            around: BTreeMap::new(),
        };
        trap.around = trap.look();
        trap
    }

    /// Everything but source and target, with its content.
    fn look(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let below = walk(&self.lab.path(""));
        let not_ours = below.into_iter().filter(|path| {
            let below = |name: &str| path.starts_with(self.lab.path(name));
            !below("tree") && !below("in/side/down")
        });
        not_ours
            .map(|path| {
                let content = path.is_file().then(|| fs::read(&path).unwrap());
                (path, content)
            })
            .collect()
    }

    /// Copies the tree to `in/side/down`; it must end, and leave alone what is around.
    #[track_caller]
    fn spring(&self, options: &[&str]) -> Outcome {
        let words = self.lab.words(Way::Down, options, &["tree", "in/side/down"]);
        let outcome = ended(self.lab.start(words));
        assert_eq!(self.look(), self.around, "{}", outcome.text());
        self.lab.assert_clean("in");
        outcome
    }

    fn names(&self) -> Vec<String> {
        let names = self.lab.names("in/side/down").into_iter();
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }
}

/// Waits for the end, and not for ever.
#[track_caller]
fn ended(mut running: Running) -> Outcome {
    wait::until_some("the run to end", PATIENCE, || running.has_ended().then_some(())).unwrap();
    running.finish().unwrap()
}

// ---- names ----------------------------------------------------------------------------------------------------------

#[test]
fn names_that_lead_elsewhere_fail_and_honest_ones_are_copied() {
    for name in [
        "../escape",
        "../../canary/keep",
        "/escape",
        "a/b",
        "good/",
        "nul\0name",
        "",
    ] {
        let trap = Trap::new(&Plan::new().with(Fault::Name(name.into())));
        let outcome = trap.spring(&["--json"]);
        ends_with(&outcome, 1);
        assert_eq!(summary(&outcome)["failed"], 1, "{name:?} {}", outcome.text());
        assert_eq!(trap.names(), ["good"], "{name:?}");
        assert_eq!(trap.lab.read("in/side/down/good"), "good");
    }
}

#[test]
fn the_directory_itself_and_the_one_above_are_no_files() {
    for name in [".", ".."] {
        let trap = Trap::new(&Plan::new().with(Fault::Name(name.into())));
        trap.spring(&[]);
        assert_eq!(trap.names(), ["good"], "{name:?}");
    }
}

#[test]
fn of_two_with_one_name_the_second_fails() {
    let trap = Trap::new(&Plan::new().with(Fault::Name(b"good".to_vec())));
    let outcome = trap.spring(&[]);
    ends_with(&outcome, 1);
    assert!(outcome.stderr.contains("`good` twice"), "{}", outcome.text());
    assert_eq!(trap.names(), ["good"]);
}

// ---- links ----------------------------------------------------------------------------------------------------------

/// A link that leads to what nobody may touch, then something of the same name.
fn link_before(make: impl Fn(&Lab), leads_to: &str) {
    let trap = Trap::new(&Plan::new());
    make(&trap.lab);
    let target = trap.lab.path(leads_to).as_os_str().as_bytes().to_vec();
    trap.lab
        .faults()
        .set_plan(&Plan::new().with(Fault::LinkBefore {
            name: b"trap".to_vec(),
            target,
        }))
        .unwrap();
    for options in [&[][..], &["--in-place"], &["--update", "-T"]] {
        let outcome = trap.spring(options);
        ends_with(&outcome, 1);
        assert!(trap.names().contains(&"good".to_owned()), "{}", outcome.text());
    }
    // Now the link stands, and the server is honest.
    trap.lab.faults().set_plan(&Plan::new()).unwrap();
    for options in [&["-T"][..], &["-T", "--in-place"], &["-T", "--update", "--delete"]] {
        trap.spring(options);
    }
}

#[test]
fn a_directory_is_not_written_through_a_link_sent_before_it() {
    link_before(|lab| drop(lab.file("tree/trap/keep", "evil")), "canary");
}

#[test]
fn a_file_is_not_written_through_a_link_sent_before_it() {
    link_before(|lab| drop(lab.file("tree/trap", "evil")), "canary/keep");
}

#[test]
fn a_source_that_turns_out_to_be_a_link_is_not_written_through() {
    // What the server calls a link is a file when it is opened: whatever is made is made in the target.
    let target = b"../../../canary/keep".to_vec();
    let trap = Trap::new(&Plan::new());
    trap.lab.file("tree/trap", "evil");
    trap.lab
        .faults()
        .set_plan(&Plan::new().with(Fault::LinkBefore {
            name: b"trap".to_vec(),
            target,
        }))
        .unwrap();
    let words = trap.lab.words(Way::Down, &[], &["tree/trap", "tree/good", "in/side"]);
    let mut around = trap.look();
    ended(trap.lab.start(words));
    for name in ["trap", "good"] {
        around.insert(
            trap.lab.path(format!("in/side/{name}")),
            fs::read(trap.lab.path(format!("tree/{name}"))).ok(),
        );
    }
    assert_eq!(trap.look(), around);
}

// ---- globs ----------------------------------------------------------------------------------------------------------

#[test]
fn an_answer_to_a_glob_that_was_not_asked_for_is_not_taken() {
    for name in ["other", "../good-escape", "go/od", ".good", "-go"] {
        let trap = Trap::new(&Plan::new().with(Fault::Name(name.into())));
        trap.lab.dir("in/side/down");
        let words = trap.lab.words(Way::Down, &[], &["tree/go*", "in/side/down"]);
        let outcome = ended(trap.lab.start(words));
        assert_eq!(trap.look(), trap.around, "{name:?} {}", outcome.text());
        assert_eq!(trap.names(), ["good"], "{name:?} {}", outcome.text());
    }
}

// ---- sizes and lengths ----------------------------------------------------------------------------------------------

#[test]
fn sizes_that_lie_leave_no_wrong_file() {
    for off in [i64::MIN, -10, 10, 5 << 30] {
        let trap = Trap::new(&Plan::new().with(Fault::SizeOff(off)));
        let mut tree = trap.lab.tree("tree");
        tree.small_files(30, 1000).unwrap();
        tree.file("large", 3 << 20).unwrap();
        trap.spring(&[]);
        standing_is_right(&trap.lab, "in/side/down", off.min(0).unsigned_abs());
    }
}

#[test]
fn files_without_end_take_little_memory_and_fail() {
    let plan = Plan::new().with(Fault::EndlessFiles);
    let trap = Trap::new(&plan);
    let mut tree = trap.lab.tree("tree");
    tree.small_files(400, 1000).unwrap();
    tree.file("large", 3 << 20).unwrap();
    let words = trap.lab.words(Way::Down, &["--json"], &["tree", "in/side/down"]);
    let (outcome, most) = peak(trap.lab.start(words), PATIENCE);
    assert!(most < MOST_MEMORY, "{most} bytes");
    ends_with(&outcome, 1);
    // The large one may have been copied as far as it was said to go.
    assert!(summary(&outcome)["failed"].as_u64() >= Some(401), "{}", outcome.text());
    assert_eq!(trap.look(), trap.around);
    trap.lab.assert_clean("in");
    standing_is_right(&trap.lab, "in/side/down", 0);
}

/// What stands at the target is what the source has, or as much less of it as the server said.
#[track_caller]
fn standing_is_right(lab: &Lab, target: &str, less: u64) {
    let top = lab.path(target);
    // A temporary file may be left where no session worked any more.
    for path in walk(&top)
        .into_iter()
        .filter(|path| path.is_file() && !is_temporary(path))
    {
        let name = path.strip_prefix(&top).unwrap();
        let original = fs::read(lab.path("tree").join(name)).unwrap();
        let told = original
            .len()
            .saturating_sub(usize::try_from(less).unwrap_or(usize::MAX));
        let copied = fs::read(&path).unwrap();
        assert!(
            copied == original || copied == original[..told],
            "{name:?} has {} bytes",
            copied.len()
        );
    }
}

// ---- listings -------------------------------------------------------------------------------------------------------

#[test]
fn a_listing_without_end_takes_little_memory_and_can_be_interrupted() {
    let trap = Trap::new(&Plan::new().with(Fault::EndlessListings));
    let words = trap.lab.words(Way::Down, &["--json"], &["tree", "in/side/down"]);
    let mut running = trap.lab.start(words);
    // Each name fails, since there is no such file; and more fail than are kept for the summary.
    let enough = || {
        running
            .has_ended()
            .then_some(())
            .or((running.stdout().len() > 2 << 20).then_some(()))
    };
    wait::until_some("many names", PATIENCE, enough).unwrap();
    running.interrupt();
    let (outcome, most) = peak(running, PATIENCE);
    ends_with(&outcome, 130);
    assert!(most < MOST_MEMORY, "{most} bytes");
    assert_eq!(trap.look(), trap.around);
}

#[test]
fn a_listing_that_brings_nothing_new_is_ended() {
    for name in ["same", "a/b", "", ".", "nul\0"] {
        let trap = Trap::new(&Plan::new().with(Fault::EndlessName(name.into())));
        let outcome = trap.spring(&[]);
        ends_with(&outcome, 1);
        assert!(
            outcome.stderr.contains("an endless listing"),
            "{name:?} {}",
            outcome.text()
        );
        assert_eq!(trap.lab.read("in/side/down/good"), "good");
    }
}

#[test]
fn a_listing_that_claims_more_names_than_it_has_is_refused() {
    let trap = Trap::new(&Plan::new().with(Fault::HugeCount));
    let outcome = trap.spring(&["--timeout", "3s"]);
    assert!(matches!(outcome.code(), Some(1 | 3 | 4)), "{}", outcome.text());
    assert!(outcome.stderr.contains("name count"), "{}", outcome.text());
}

// ---- replies --------------------------------------------------------------------------------------------------------

/// Copies many files over sessions that all go wrong somewhere; what stands is right, what does not was named.
fn broken_replies(fault: impl Fn(u64) -> Fault) {
    let mut rng = Rng::for_purpose("hostile replies");
    for (way, nth) in [
        (Way::Up, rng.within(1..6)),
        (Way::Up, rng.within(6..300)),
        (Way::Down, rng.within(1..6)),
        (Way::Down, rng.within(6..300)),
    ] {
        let lab = Lab::faulty(&Plan::new().with(fault(nth)));
        let mut tree = lab.tree("tree");
        tree.small_files(300, 2000).unwrap();
        tree.file("large", 3 << 20).unwrap();
        lab.dir("to");
        let words = lab.words(way, &["--json", "--timeout", "3s"], &["tree", "to/copy"]);
        let outcome = ended(lab.start(words));
        assert!(
            matches!(outcome.code(), Some(1 | 3 | 4)),
            "{way:?} {nth} {}",
            outcome.text()
        );
        if !lab.exists("to/copy") {
            continue;
        }
        standing_is_right(&lab, "to/copy", 0);
        if outcome.code() == Some(1) {
            missing_is_named(&lab, &outcome);
        }
    }
}

/// What does not stand was told as failed, or a directory above it was.
#[track_caller]
fn missing_is_named(lab: &Lab, outcome: &Outcome) {
    let events = outcome.events();
    let failed = events.iter().filter(|event| event["event"] == "failed");
    let failed: Vec<&str> = failed.filter_map(|event| event["path"].as_str()).collect();
    assert!(!failed.is_empty(), "{}", outcome.text());
    let top = lab.path("tree");
    for path in walk(&top).into_iter().filter(|path| path.is_file()) {
        let stands = lab.exists(lab.path("to/copy").join(path.strip_prefix(&top).unwrap()));
        // A directory is told by the path at either end.
        let is_named = |failed: &&str| path.starts_with(failed) || failed.contains("to/copy");
        assert!(stands || failed.iter().any(is_named), "{path:?} {}", outcome.text());
    }
}

#[test]
fn replies_under_foreign_ids_are_not_believed() {
    broken_replies(Fault::ForeignId);
}

#[test]
fn replies_of_a_wrong_type_are_not_believed() {
    broken_replies(Fault::WrongType);
}

#[test]
fn packets_of_a_gigabyte_are_not_waited_for() {
    broken_replies(Fault::HugePacket);
}

#[test]
fn replies_that_come_twice_end_the_session() {
    broken_replies(|_| Fault::Twice);
}

#[test]
fn a_server_that_says_nothing_more_is_given_up() {
    for way in WAYS {
        let lab = Lab::faulty(&Plan::new().with(Fault::MuteFrom(100)));
        lab.tree("tree").small_files(300, 2000).unwrap();
        let outcome = ended(lab.start(lab.words(way, &["--timeout", "2s"], &["tree", "copy"])));
        ends_with(&outcome, 4);
        assert!(outcome.stderr.contains("answers nothing"), "{way:?} {}", outcome.text());
        assert!(outcome.stderr.contains("--resume"), "{way:?} {}", outcome.text());
        standing_is_right(&lab, "copy", 0);
    }
}

#[test]
fn data_longer_than_asked_is_not_written() {
    // Of a small file one byte more than its size is asked for, to see that it ends: so much cannot be told from growth.
    let trap = Trap::new(&Plan::new().with(Fault::LongData(2)));
    trap.lab.tree("tree").file("large", 3 << 20).unwrap();
    let outcome = trap.spring(&["--timeout", "3s"]);
    assert!(matches!(outcome.code(), Some(1 | 4)), "{}", outcome.text());
    standing_is_right(&trap.lab, "in/side/down", 0);
    assert!(!trap.names().contains(&"large".to_owned()), "{}", outcome.text());
}

// ---- what is shown --------------------------------------------------------------------------------------------------

/// Sets a terminal's title, clears it, in two ways, and rings its bell.
const EVIL: &[u8] = b"e\x1b]0;owned\x07\x1b[2J\x9b2J\xc2\x9b2J\x7f\r\nvil";

fn evil() -> Plan {
    let refuse = Fault::Refuse {
        request: Request::Open,
        nth: 1,
        times: 2,
        status: Status::Failure,
    };
    Plan::new()
        .with(Fault::Name(EVIL.to_vec()))
        .with(Fault::StatusText(EVIL.to_vec()))
        .with(refuse)
}

/// What a run writes to both outputs, as bytes.
fn written(lab: &Lab, mut command: Command) -> Vec<u8> {
    let path = lab.path("written");
    let out = File::create(&path).unwrap();
    command
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out);
    let mut child = spawn_tied(command).unwrap();
    wait::until_some("the run to end", PATIENCE, || child.try_wait().unwrap()).unwrap();
    fs::read(path).unwrap()
}

#[track_caller]
fn shows_nothing_raw(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let harmless = |c: char| c == '\n' || !c.is_control();
    assert!(
        std::str::from_utf8(bytes).is_ok() && text.chars().all(harmless),
        "{text:?}"
    );
    assert!(text.contains("vil"), "{text:?}");
}

#[test]
fn what_a_server_says_is_never_shown_raw() {
    for options in [&[][..], &["-v"], &["--json"], &["--dry-run"]] {
        for way in WAYS {
            let trap = Trap::new(&evil());
            let mut command = trap.lab.command();
            command.args(trap.lab.words(way, options, &["tree", "in/side/down"]));
            let bytes = written(&trap.lab, command);
            // Up, a dry run hears nothing from the server.
            if way == Way::Down || options != ["--dry-run"] {
                shows_nothing_raw(&bytes);
            }
        }
    }
}

#[test]
fn a_terminal_gets_no_escape_sequence_of_a_server() {
    let trap = Trap::new(&evil());
    let mut command = trap.lab.command();
    command.args(trap.lab.words(Way::Down, &["-v"], &["tree", "in/side/down"]));
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().unwrap());
    let line: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(quoted)
        .collect();
    let mut script = trap.lab.renkei().prepare(Command::new("script"));
    script.args(["-qec", &line.join(" "), "/dev/null"]);
    let bytes = written(&trap.lab, script);
    let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(has(b"vil"), "{:?}", String::from_utf8_lossy(&bytes));
    for part in [&b"\x1b]0"[..], b"\x07", b"\x1b[2J", b"\x9b", b"\x7f"] {
        assert!(!has(part), "{part:?} in {:?}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn a_name_is_escaped_in_json() {
    let trap = Trap::new(&Plan::new().with(Fault::Name(EVIL.to_vec())));
    let outcome = trap.spring(&["--json"]);
    // Escaped in JSON, and still the same name.
    let shown = outcome
        .events()
        .iter()
        .any(|event| event["path"].as_str().is_some_and(|path| path.contains("owned")));
    assert!(shown, "{}", outcome.text());
    assert!(
        outcome.text().chars().all(|c| c == '\n' || !c.is_control()),
        "{:?}",
        outcome.text()
    );
}
