//! What the binary says before it does anything: usage, help, version, the name it is called by.

use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::process::{Command, Output, Stdio};

fn run(program: impl AsRef<OsStr>, words: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null());
    command.output().expect("the binary starts")
}

fn renkei(words: &[&str]) -> Output {
    run(env!("CARGO_BIN_EXE_renkei"), words)
}

/// Through a link of that name, as its users call it.
fn mscp(words: &[&str]) -> Output {
    let dir = tempfile::tempdir().expect("a directory");
    let link = dir.path().join("mscp");
    symlink(env!("CARGO_BIN_EXE_renkei"), &link).expect("a link");
    run(link, words)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn the_version_names_commit_and_licence() {
    let output = renkei(&["--version"]);
    let text = text(&output.stdout);
    assert!(
        text.starts_with(concat!("renkei ", env!("CARGO_PKG_VERSION"), " (commit ")),
        "{text}"
    );
    assert!(text.contains("Apache-2.0 OR MIT"), "{text}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_usage_error_names_the_thing_and_exits_with_2() {
    for (words, named) in [
        (&["cp", "only-one"][..], "target"),
        (&["cp", "--update", "--checksum", "a", "b"], "--checksum"),
        (
            &["cp", "--files-from", "/nonexistent/list", "a", "b"],
            "/nonexistent/list",
        ),
        (&["cp", "h:~other/x", "b"], "~other"),
        (&["cp", "--resume", "no-such-id"], "no-such-id"),
        (&["frobnicate"], "frobnicate"),
    ] {
        let output = renkei(words);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains(named), "{words:?}: {said}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
}

#[test]
fn mscp_without_arguments_tells_its_usage_on_standard_error() {
    let output = mscp(&[]);
    assert_ne!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty());
    assert!(text(&output.stderr).contains("mscp [OPTIONS] SOURCE... TARGET"));
}

#[test]
fn mscp_tells_its_usage_when_asked() {
    let output = mscp(&["-h"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    assert!(text(&output.stdout).contains("mscp [OPTIONS] SOURCE... TARGET"));
}

#[test]
fn mscp_refuses_what_it_cannot_do() {
    for words in [
        &["a", "b"][..],
        &["h:a", "h:b"],
        &["h:a", "g:b", "c"],
        &["-s", "2m", "-S", "1m", "a", "h:b"],
        &["-m", "xyz", "a", "h:b"],
        &["-R", "/nonexistent/checkpoint"],
    ] {
        let output = mscp(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", text(&output.stderr));
    }
}

#[test]
fn manual_pages_and_completions_are_made() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = renkei(&["man", "--dir", dir.path().to_str().expect("UTF-8")]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for page in ["renkei.1", "renkei-cp.1", "renkei-verify.1", "mscp.1"] {
        assert!(dir.path().join(page).exists(), "{page}");
    }
    let script = renkei(&["completions", "bash"]);
    assert!(text(&script.stdout).contains("RENKEI_COMPLETE"));
    // As that script asks.
    let completed = Command::new(env!("CARGO_BIN_EXE_renkei"))
        .args(["--", "renkei", "cp", "--resume-l"])
        .envs([
            ("RENKEI_COMPLETE", "bash"),
            ("_CLAP_COMPLETE_INDEX", "2"),
            ("_CLAP_IFS", "\n"),
        ])
        .output()
        .expect("the binary starts");
    assert_eq!(text(&completed.stdout).trim(), "--resume-list");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_renkei"))
        .args(["completions", "zsh"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn where_no_copy_was_interrupted_the_list_is_empty() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = renkei(&[
        "cp",
        "--resume-list",
        "--journal-dir",
        dir.path().to_str().expect("UTF-8"),
    ]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
}
