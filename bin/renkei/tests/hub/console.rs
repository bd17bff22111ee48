//! At the serial console of a machine: typing, looking on, and what ends it.

use std::io::{PipeWriter, Write as _};
use std::process::Stdio;

use renkei_testkit::renkei::{Outcome, Running};
use renkei_testkit::wait;
use rustix::process::Signal;
use serde_json::Value;

use super::support::Person;
use super::terminal::Typist;
use super::vm::{ask, lab};

/// Somebody at a console without a terminal: what is typed comes from a pipe that stays open.
pub struct Seat {
    running: Running,
    keyboard: PipeWriter,
}

impl Seat {
    pub fn at(person: &Person, machine: &str) -> Self {
        let mut command = person.command(person.program().to_str().expect("a path"));
        command.args(["vm", "console", machine]);
        let (reader, keyboard) = std::io::pipe().expect("a pipe");
        command.stdin(Stdio::from(reader));
        let running = Running::start(command).expect("it starts");
        Self { running, keyboard }
    }

    pub fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("typed");
    }

    /// Waits until the machine has said this.
    pub fn sees(&self, words: &str) {
        let seen = || self.running.stdout().contains(words);
        let waited = wait::until(words, seen);
        waited.unwrap_or_else(|error| panic!("{error}: {}{}", self.running.stdout(), self.running.stderr()));
    }

    /// Waits until it has ended by itself.
    pub fn ends(self) -> Outcome {
        self.running.finish().expect("it ends")
    }

    /// Types nothing more, and waits for the end.
    fn leaves(self) -> Outcome {
        drop(self.keyboard);
        self.running.finish().expect("it ends")
    }
}

fn deploy(admin: &Person, name: &str) {
    admin.done(&["vm", "create", name, "-p", "lab", "-t", "tiny", "--wait"]);
}

#[test]
fn what_is_typed_is_answered_and_all_see_the_same() {
    let (_hub, admin) = lab();
    deploy(&admin, "a");
    let mut one = Seat::at(&admin, "a");
    one.sees("a has started\r\n");
    one.type_in("hello\r");
    one.sees("a: hello\r\n");
    let mut two = Seat::at(&admin, "a");
    // Whoever comes later begins with what was said before.
    two.sees("a has started\r\na: hello\r\n");
    two.type_in("there\r");
    for seat in [&one, &two] {
        seat.sees("a: hello\r\na: there\r\n");
    }
    let outcome = two.leaves();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.text());
    one.type_in("again\r");
    one.sees("a: again\r\n");
    ask(&admin, &["reboot", "a"]);
    one.sees("a: again\r\na has started\r\n");
    assert_eq!(one.leaves().code(), Some(0));
    // Who has left can come back, and nobody sat there meanwhile.
    Seat::at(&admin, "a").sees("a: again");
    let log = admin.done(&["vm", "console", "a", "--log"]);
    let said = "a has started\r\na: hello\r\na: there\r\na: again\r\na has started\r\n";
    assert_eq!(log, said);
    assert_eq!(admin.json(&["vm", "console", "a", "--log"])["log"], said);

    let opened = |event: &&Value| event["action"] == "vm:console" && event["object_name"] == "a";
    let events = admin.json(&["audit", "list", "-p", "lab"]);
    assert_eq!(
        events.as_array().unwrap().iter().filter(opened).count(),
        3,
        "{events:#}"
    );
}

#[test]
fn a_machine_that_is_powered_off_ends_it_and_keeps_what_it_said() {
    let (_hub, admin) = lab();
    deploy(&admin, "a");
    let seat = Seat::at(&admin, "a");
    seat.sees("a has started");
    ask(&admin, &["power-off", "a"]);
    let outcome = seat.ends();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.text());
    let told = "the console of machine `a` has ended: the machine does not run any more\n";
    assert_eq!(outcome.stderr, told);

    let refused = admin.refused(1, &["vm", "console", "a"]);
    assert!(
        refused.contains("machine `a` is stopped: its console is open only while it runs"),
        "{refused}"
    );
    assert!(refused.contains("`renkei vm console a --log`"), "{refused}");
    assert_eq!(admin.done(&["vm", "console", "a", "--log"]), "a has started\r\n");
    ask(&admin, &["power-on", "a"]);
    Seat::at(&admin, "a").sees("a has started\r\na has started\r\n");
}

#[test]
fn a_person_at_a_terminal_types_and_leaves() {
    let (_hub, admin) = lab();
    deploy(&admin, "a");
    let mut typist = Typist::start(&admin, "vm console a");
    typist.answer("Ctrl-] leaves", "hello");
    typist.answer("a: hello", "\u{3}");
    // Ctrl-C is for the machine.
    typist.answer("a: \u{3}", "\u{1d}");
    let outcome = typist.finish();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.text());
    assert!(
        outcome.stdout.contains("left the console of machine `a`"),
        "{}",
        outcome.text()
    );
    // At a terminal the log moves nothing.
    let outcome = Typist::start(&admin, "vm console a --log").finish();
    assert!(
        outcome.stdout.contains("a: hello\r\na: \\u{3}\r\n"),
        "{}",
        outcome.text()
    );
}

#[test]
fn only_those_who_may_switch_it_on_and_off_sit_down_at_it() {
    let (hub, admin) = lab();
    deploy(&admin, "a");
    let reader = hub.member(&admin, "ada");
    let missing = reader.refused(1, &["vm", "console", "a", "-p", "lab"]);
    assert!(missing.contains("or you may not see it"), "{missing}");
    admin.done(&["member", "add", "ada", "-r", "reader", "-p", "lab"]);
    for words in [&["vm", "console", "a"][..], &["vm", "console", "a", "--log"]] {
        let refused = reader.refused(1, words);
        assert!(refused.contains("member"), "{refused}");
    }
    admin.done(&["member", "set", "ada", "-r", "member", "-p", "lab"]);
    let seat = Seat::at(&reader, "a");
    seat.sees("a has started");
    // A right that is taken away ends what rests on it.
    admin.done(&["vm", "freeze", "a", "--reason", "an incident"]);
    let outcome = seat.ends();
    assert_eq!(outcome.code(), Some(1), "{}", outcome.text());
    assert!(outcome.stderr.contains("an incident"), "{}", outcome.text());
    let refused = admin.refused(1, &["vm", "console", "a"]);
    assert!(refused.contains("an incident"), "{refused}");
}

/// Whatever ends it, what is typed afterwards is shown again.
#[test]
fn the_terminal_is_left_as_it_was() {
    let (_hub, admin) = lab();
    deploy(&admin, "a");
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        // `script` gives the line to a shell, which is there when the command is not any more.
        let mut typist = Typist::start(&admin, "vm console a; echo \"code $?\"; stty -a");
        typist.answer("Ctrl-] leaves", "hello");
        typist.answer("a: hello", "");
        typist.signal("console", signal);
        let outcome = typist.finish();
        let told = &outcome.stdout;
        assert!(
            told.contains("code 130") && told.contains(" icanon ") && told.contains(" echo "),
            "{told}"
        );
        assert!(!told.contains("-icanon") && !told.contains("-echo "), "{told}");
    }
}

/// Whoever does not read is in nobody's way: not of others who look on, nor of what the machine is asked.
#[test]
fn who_does_not_read_is_in_nobodys_way() {
    let (_hub, admin) = lab();
    deploy(&admin, "a");
    let mut command = admin.command(admin.program().to_str().unwrap());
    let (unread, stdout) = std::io::pipe().unwrap();
    let (stdin, keyboard) = std::io::pipe().unwrap();
    command.args(["vm", "console", "a"]).stdin(stdin).stdout(stdout);
    let mut idle = command.spawn().expect("it starts");
    drop(command);
    let mut busy = Seat::at(&admin, "a");
    let line = "x".repeat(4000) + "\r";
    for number in 0..60 {
        busy.type_in(&line);
        busy.type_in(&format!("mark {number}.\r"));
        busy.sees(&format!("a: mark {number}.\r\n"));
    }
    ask(&admin, &["reboot", "a"]);
    busy.sees("a: mark 59.\r\na has started");
    ask(&admin, &["shutdown", "a"]);
    assert_eq!(busy.ends().code(), Some(0));
    drop((unread, keyboard));
    idle.wait().unwrap();
}
