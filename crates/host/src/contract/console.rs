//! What every driver promises about consoles. Guests write when they like, so nothing is said here about what they write.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::{PATIENCE, Subject, Trial};
use crate::console::LONGEST_LOG;
use crate::driver::Driver as _;
use crate::step::Act;

/// How long a read waits at once; between two reads the subject gets on.
const AT_ONCE: Duration = Duration::from_millis(10);
/// How many reads there are from one keystroke to the next: what is typed before a guest listens is lost.
const READS: usize = 50;

pub(super) fn what_a_machine_says_is_kept<S: Subject>(trial: &mut Trial<S>) {
    trial.create();
    trial.power(Act::Start);
    said(trial, "a machine that was started says something");
    trial.driver = trial.subject.open();
    said(trial, "a new driver has what the machine said");
    trial.power(Act::PowerOff);
    let log = trial.log();
    assert!(!log.is_empty(), "what a machine said is kept while it is off");
    assert!(log.len() <= LONGEST_LOG, "no log is longer than {LONGEST_LOG} bytes");
}

pub(super) fn a_running_machine_answers_on_its_console<S: Subject>(trial: &mut Trial<S>) {
    trial.create();
    trial.power(Act::Start);
    for _ in 0..2 {
        // The one before was dropped.
        let mut stream = trial.console();
        answers(trial, &mut stream);
    }
    let mut stream = trial.console();
    trial.power(Act::PowerOff);
    ends(trial, &mut stream);
}

pub(super) fn only_a_running_machine_has_a_console<S: Subject>(trial: &mut Trial<S>) {
    let id = trial.intent.id;
    let unknown = [trial.driver.console(id).err(), trial.driver.console_log(id).err()];
    for error in unknown {
        let error = error.expect("a machine that is not there has no console");
        assert!(
            error.message.contains(&id.to_string()),
            "the error names the machine: {error}"
        );
    }
    trial.create();
    let error = trial
        .driver
        .console(id)
        .expect_err("a machine that is off has no console");
    assert!(
        error.message.contains(&id.to_string()),
        "the error names the machine: {error}"
    );
}

/// Waits until there is something in the log.
fn said<S: Subject>(trial: &mut Trial<S>, promise: &str) {
    for _ in 0..PATIENCE {
        if !trial.log().is_empty() {
            return;
        }
        trial.now = trial.subject.wait();
    }
    panic!("{promise}");
}

/// Types until something comes back.
fn answers<S: Subject>(trial: &mut Trial<S>, stream: &mut UnixStream) {
    for round in 0..PATIENCE {
        if round % READS == 0 {
            stream.write_all(b"\r").expect("the console takes what is typed");
        }
        match read(stream) {
            Some(0) => panic!("the console of a running machine does not end"),
            Some(_) => return,
            None => trial.now = trial.subject.wait(),
        }
    }
    panic!("a running machine answers on its console");
}

/// Reads until there is nothing more to come.
fn ends<S: Subject>(trial: &mut Trial<S>, stream: &mut UnixStream) {
    for _ in 0..PATIENCE {
        match read(stream) {
            Some(0) => return,
            Some(_) => {}
            None => trial.now = trial.subject.wait(),
        }
    }
    panic!("the console of a machine that was powered off ends");
}

/// How much was read, nothing at the end; none if nothing came in time.
fn read(stream: &mut UnixStream) -> Option<usize> {
    let mut bytes = [0; 4096];
    match stream.read(&mut bytes) {
        Ok(read) => Some(read),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
            ) =>
        {
            None
        }
        // Some systems tell it so that the other end is gone.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Some(0),
        Err(error) => panic!("the console can be read: {error}"),
    }
}

impl<S: Subject> Trial<S> {
    fn log(&mut self) -> Vec<u8> {
        let log = self.driver.console_log(self.intent.id);
        log.unwrap_or_else(|error| panic!("the log of a machine can be read: {error}"))
    }

    fn console(&mut self) -> UnixStream {
        let opened = self.driver.console(self.intent.id);
        let console = opened.unwrap_or_else(|error| panic!("the console of a running machine opens: {error}"));
        console.stream.set_nonblocking(false).expect("the stream can wait");
        console
            .stream
            .set_read_timeout(Some(AT_ONCE))
            .expect("the stream can wait for so long");
        console.stream
    }
}
