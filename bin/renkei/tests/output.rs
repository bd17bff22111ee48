//! What a copy prints and where, on copies within this machine.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a directory"));
        fs::write(place.0.path().join("file"), b"content").expect("a file");
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_renkei"));
        command.arg("cp").args(words).stdin(Stdio::null());
        command
            .current_dir(self.path())
            .env("XDG_STATE_HOME", self.path().join("state"));
        command
    }

    fn cp(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("the binary starts")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn events(output: &Output) -> Vec<Value> {
    let lines = text(&output.stdout);
    let parse = |line| serde_json::from_str(line).expect("every line is JSON");
    lines.lines().map(parse).collect()
}

#[test]
fn a_copy_ends_with_one_line_on_standard_output() {
    let place = Place::new();
    let output = place.cp(&["file", "copy"]);
    let line = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{line}");
    assert!(line.starts_with("copied 7 B in 1 file, "), "{line}");
    assert!(line.ends_with(" 0 retries, not verified\n"), "{line}");
    assert!(output.stderr.is_empty());
    assert_eq!(fs::read(place.path().join("copy")).expect("the copy"), b"content");
}

#[test]
fn quiet_prints_nothing_even_when_it_fails() {
    let place = Place::new();
    for (words, code) in [(["-q", "file", "copy"], 0), (["-q", "missing", "copy"], 1)] {
        let output = place.cp(&words);
        assert_eq!(output.status.code(), Some(code));
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{words:?}");
    }
}

#[test]
fn json_is_one_event_a_line_from_start_to_summary() {
    let place = Place::new();
    let output = place.cp(&["--json", "file", "copy"]);
    let events = events(&output);
    assert!(output.stderr.is_empty());
    assert_eq!(events.first().expect("a line")["event"], "start");
    let copied = events
        .iter()
        .find(|event| event["event"] == "copied")
        .expect("a file was copied");
    assert!(copied["path"].as_str().expect("a name").ends_with("file"), "{copied}");
    let summary = events.last().expect("a line");
    assert_eq!(
        (&summary["event"], &summary["ending"]),
        (&"summary".into(), &"complete".into())
    );
    assert_eq!((&summary["bytes"], &summary["exit_code"]), (&7.into(), &0.into()));
}

#[test]
fn a_failure_stands_with_its_path_and_the_code_is_1() {
    let place = Place::new();
    let output = place.cp(&["file", "missing", "into/"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("failed: missing: "),
        "{}",
        text(&output.stderr)
    );
    assert!(
        text(&output.stdout).contains(", 1 failed, "),
        "{}",
        text(&output.stdout)
    );
    assert!(place.path().join("into/file").exists(), "the rest is done");
}

#[test]
fn names_never_reach_the_terminal_raw() {
    let place = Place::new();
    fs::create_dir(place.path().join("tree")).expect("a directory");
    fs::write(place.path().join("tree/\u{1b}[2J\u{9b}x"), b"").expect("a file");
    for words in [&["-v", "tree", "a"][..], &["--json", "tree", "b"]] {
        let output = place.cp(words);
        let shown = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{shown}");
        assert!(shown.contains("[2J"), "{shown}");
        assert!(!shown.contains(['\u{1b}', '\u{9b}']), "{shown:?}");
    }
}

#[test]
fn what_cannot_be_copied_is_named_to_everyone() {
    let place = Place::new();
    fs::create_dir(place.path().join("tree")).expect("a directory");
    let socket = place.path().join("tree/socket");
    let _listener = std::os::unix::net::UnixListener::bind(socket).expect("a socket");
    let output = place.cp(&["tree", "copy"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("tree/socket"), "{}", text(&output.stderr));
}

#[test]
fn a_reader_that_goes_away_does_not_stop_the_copy() {
    let place = Place::new();
    let mut command = place.command(&["--json", "file", "copy"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
    drop(child.stdout.take());
    assert!(child.wait().expect("it ends").success());
    assert!(place.path().join("copy").exists());
}

#[test]
fn a_directory_to_update_without_a_place_is_a_usage_error_that_names_both_ways() {
    let place = Place::new();
    fs::create_dir(place.path().join("tree")).expect("a directory");
    let output = place.cp(&["--update", "tree", "copy"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("-T") && said.contains("copy/"), "{said}");
    assert!(output.stdout.is_empty() && !place.path().join("copy").exists());
}
