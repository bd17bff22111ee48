//! Questions at a real terminal and through SSH_ASKPASS. Each runs in a process of its own, because what can be asked
//! depends on the session and the environment: this test binary, started again with `RENKEI_TEST_ASK` set.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use renkei_ssh::{Echo, Prompt, PromptError, Terminal};

const CHILD: &str = "RENKEI_TEST_ASK";

/// In the child: asks and prints what came of it. In the test run itself there is nothing to ask.
#[test]
fn child_asks() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let outcome = match Terminal.ask("What is it? ", Echo::Off) {
        Ok(answer) => format!("answer={answer}"),
        Err(PromptError::NoOne) => "no one".to_owned(),
        Err(PromptError::Declined) => "declined".to_owned(),
        Err(other) => format!("{other:?}"),
    };
    println!("outcome[{outcome}]");
}

fn this_test() -> PathBuf {
    std::env::current_exe().unwrap()
}

fn outcome(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output).into_owned();
    let inner = text.split("outcome[").nth(1).and_then(|rest| rest.split(']').next());
    inner.unwrap_or_else(|| panic!("no outcome in {text:?}")).to_owned()
}

/// Asks in a session without a terminal.
fn without_terminal(environment: &[(&str, &Path)]) -> String {
    let mut command = Command::new("setsid");
    command
        .arg("--wait")
        .arg(this_test())
        .args(["--exact", "child_asks", "--nocapture"]);
    command
        .env_remove("SSH_ASKPASS")
        .env_remove("SSH_ASKPASS_REQUIRE")
        .env(CHILD, "1");
    let output = command
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    outcome(&output.stdout)
}

/// Asks at a terminal made by script(1), and types `keys` once the question shows; gives all that the screen showed.
fn at_terminal(keys: &[u8]) -> String {
    let ask = format!("'{}' --exact child_asks --nocapture", this_test().display());
    let mut script = Command::new("script")
        .args(["-qfec", &ask, "/dev/null"])
        .env_remove("SSH_ASKPASS")
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut screen = Vec::new();
    let mut stdout = script.stdout.take().unwrap();
    let mut byte = [0];
    while !screen.ends_with(b"What is it? ") {
        assert_eq!(
            stdout.read(&mut byte).unwrap(),
            1,
            "{}",
            String::from_utf8_lossy(&screen)
        );
        screen.push(byte[0]);
    }
    let mut stdin = script.stdin.take().unwrap();
    stdin.write_all(keys).unwrap();
    stdin.flush().unwrap();
    stdout.read_to_end(&mut screen).unwrap();
    drop(stdin);
    script.wait().unwrap();
    String::from_utf8_lossy(&screen).into_owned()
}

fn askpass(folder: &Path, script: &str) -> PathBuf {
    let path = folder.join("askpass");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    path
}

#[test]
fn what_is_typed_is_the_answer_and_does_not_show() {
    let screen = at_terminal(b"secret\n");
    assert_eq!(outcome(screen.as_bytes()), "answer=secret");
    assert_eq!(screen.matches("secret").count(), 1, "{screen}");
}

#[test]
fn ctrl_c_declines_and_the_terminal_is_set_back() {
    assert_eq!(outcome(at_terminal(b"half\x03").as_bytes()), "declined");
}

#[test]
fn without_terminal_and_program_there_is_no_one_to_ask() {
    assert_eq!(without_terminal(&[]), "no one");
}

#[test]
fn without_terminal_the_program_is_asked_with_the_question() {
    let folder = tempfile::tempdir().unwrap();
    let program = askpass(folder.path(), "echo \"to $1\"");
    assert_eq!(without_terminal(&[("SSH_ASKPASS", &program)]), "answer=to What is it? ");
    let never = [
        ("SSH_ASKPASS", program.as_path()),
        ("SSH_ASKPASS_REQUIRE", Path::new("never")),
    ];
    assert_eq!(without_terminal(&never), "no one");
}

#[test]
fn a_program_that_fails_has_declined() {
    let folder = tempfile::tempdir().unwrap();
    let program = askpass(folder.path(), "echo x; exit 1");
    assert_eq!(without_terminal(&[("SSH_ASKPASS", &program)]), "declined");
}
