//! With a person at a terminal: `script` gives the command one.

use std::io::{PipeWriter, Write as _};
use std::process::Stdio;

use renkei_testkit::renkei::{Outcome, Running};
use renkei_testkit::wait;
use rustix::process::Signal;

use super::support::{Hub, PASSWORD, Person};

/// A command at a terminal of its own, which shows what is typed unless the command says otherwise.
pub struct Typist {
    running: Running,
    keyboard: PipeWriter,
    /// How much of what stands on the terminal has been answered.
    read: usize,
}

impl Typist {
    pub fn start(person: &Person, words: &str) -> Self {
        let line = format!("{} {words}", person.program().display());
        let (reader, keyboard) = std::io::pipe().expect("a pipe");
        let mut command = person.command("script");
        command.args([
            "--quiet",
            "--return",
            "--echo",
            "always",
            "--command",
            &line,
            "/dev/null",
        ]);
        command.stdin(Stdio::from(reader));
        Self {
            running: Running::start(command).expect("it starts"),
            keyboard,
            read: 0,
        }
    }

    /// Answers a question once it has been asked: what is typed before is thrown away.
    pub fn answer(&mut self, question: &str, answer: &str) {
        let asked = wait::until_some(question, wait::PATIENCE, || {
            let shown = self.running.stdout();
            let asked = shown.get(self.read..)?.find(question)?;
            Some(self.read + asked + question.len())
        });
        self.read = asked.unwrap_or_else(|error| panic!("{error}: {}", self.running.stdout()));
        writeln!(self.keyboard, "{answer}").expect("typed");
    }

    /// Sends a signal to the process with this word among its arguments, below those of the terminal.
    pub fn signal(&self, word: &str, signal: Signal) {
        let mut below = vec![self.running.pid()];
        let mut found = None;
        while let (None, Some(pid)) = (found, below.pop()) {
            let tasks = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            below.extend(tasks.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            found = words.split('\0').any(|own| own == word).then_some(pid);
        }
        renkei_testkit::process::signal(found.expect("it runs"), signal);
    }

    pub fn finish(self) -> Outcome {
        let outcome = self.running.finish().expect("it ends");
        drop(self.keyboard);
        outcome
    }
}

#[test]
fn what_destroys_is_shown_and_asked_for() {
    let hub = Hub::start();
    let admin = hub.administrator();
    admin.done(&["org", "create", "cs"]);
    let mut typist = Typist::start(&admin, "org delete cs");
    typist.answer("[yes/no]", "no");
    let outcome = typist.finish();
    assert_eq!(outcome.code(), Some(1), "{}", outcome.text());
    assert!(
        outcome.stdout.contains("would delete organization `cs`"),
        "{}",
        outcome.text()
    );
    admin.done(&["org", "show", "cs"]);

    let mut typist = Typist::start(&admin, "org delete cs");
    typist.answer("[yes/no]", "yes");
    let outcome = typist.finish();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.text());
    admin.refused(1, &["org", "show", "cs"]);
}

#[test]
fn a_password_is_asked_for_and_never_shown() {
    let hub = Hub::start();
    let person = hub.person();
    let mut typist = Typist::start(&person, "login");
    typist.answer("user at ", "admin");
    typist.answer("password of admin at ", &hub.one_time_password);
    typist.answer("new password: ", "too short");
    typist.answer("new password again: ", "too short");
    typist.answer("new password: ", PASSWORD);
    typist.answer("new password again: ", PASSWORD);
    let outcome = typist.finish();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.text());
    assert!(outcome.stdout.contains("signed in at"), "{}", outcome.text());
    for secret in [hub.one_time_password.as_str(), "too short", PASSWORD] {
        assert!(!outcome.stdout.contains(secret), "{}", outcome.text());
    }
    person.done(&["whoami"]);
}
