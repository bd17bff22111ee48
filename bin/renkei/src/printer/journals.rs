//! The list of interrupted copies.

use std::fmt::Write as _;
use std::time::SystemTime;

use renkei_transfer::journal::{Listed, State};
use renkei_types::printable::terminal_safe_json;
use renkei_types::size::{ByteSize, Elapsed};
use serde::Serialize;

use super::{Form, text};

#[derive(Serialize)]
struct Record<'a> {
    event: &'static str,
    id: &'a str,
    command: &'a str,
    started: Option<u64>,
    last_written: u64,
    files: u64,
    bytes: u64,
    state: &'static str,
    pid: Option<u32>,
    reason: Option<String>,
}

/// A line each.
pub fn list(form: Form, journals: &[Listed], now: SystemTime) -> String {
    let mut text = String::new();
    for journal in journals {
        // Writing to a string cannot fail.
        let _ = match form {
            Form::Silent => Ok(()),
            Form::Text => writeln!(text, "{}", line(journal, now)),
            Form::Json => writeln!(text, "{}", json(journal)),
        };
    }
    text
}

fn line(journal: &Listed, now: SystemTime) -> String {
    let age = now.duration_since(journal.last_written).unwrap_or_default();
    let mut line = format!(
        "{}  {}  {}, {}, written {} ago",
        journal.id,
        journal.command,
        text::count(journal.files, "file"),
        ByteSize(journal.bytes),
        Elapsed(age)
    );
    let _ = match &journal.state {
        State::Resumable => Ok(()),
        State::InUse { pid: Some(pid) } => write!(line, ", running as process {pid}"),
        State::InUse { pid: None } => write!(line, ", running"),
        State::Unusable(error) => write!(line, ", not usable: {}", text::message(&text::chain(error))),
    };
    line
}

fn json(journal: &Listed) -> String {
    let (state, pid, reason) = match &journal.state {
        State::Resumable => ("resumable", None, None),
        State::InUse { pid } => ("in_use", *pid, None),
        State::Unusable(error) => ("unusable", None, Some(text::chain(error))),
    };
    let record = Record {
        event: "journal",
        id: journal.id.as_str(),
        command: &journal.command,
        started: journal.started.map(unix),
        last_written: unix(journal.last_written),
        files: journal.files,
        bytes: journal.bytes,
        state,
        pid,
        reason,
    };
    let json = serde_json::to_string(&record).unwrap_or_default();
    terminal_safe_json(&json).into_owned()
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn journal(state: State) -> Listed {
        Listed {
            id: "0123456789".parse().unwrap(),
            command: "a\\x1b h:b".to_owned(),
            started: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1000)),
            last_written: SystemTime::UNIX_EPOCH + Duration::from_secs(2000),
            files: 3,
            bytes: 1_230_000_000,
            state,
        }
    }

    fn shown(form: Form, state: State) -> String {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(2123);
        list(form, &[journal(state)], now)
    }

    #[test]
    fn people_see_what_it_is_and_how_far_it_came() {
        assert_eq!(
            shown(Form::Text, State::Resumable),
            "0123456789  a\\x1b h:b  3 files, 1.23 GB, written 2m 03s ago\n"
        );
        let running = shown(Form::Text, State::InUse { pid: Some(7) });
        assert!(running.ends_with("ago, running as process 7\n"), "{running}");
    }

    #[test]
    fn machines_see_an_object_a_line() {
        assert_eq!(
            shown(Form::Json, State::Resumable),
            "{\"event\":\"journal\",\"id\":\"0123456789\",\"command\":\"a\\\\x1b h:b\",\"started\":1000,\"last_written\":2000,\
             \"files\":3,\"bytes\":1230000000,\"state\":\"resumable\",\"pid\":null,\"reason\":null}\n"
        );
    }
}
