//! The displays on fixed events: what a person and what a machine get to see.

use std::time::Duration;

use renkei_transfer::{Bottleneck, Ending, Event, Failure, Progress, Summary, Verified};

use super::lines::{Lines, ProgressLines};
use super::{Line, Task, Verbosity, json, text};

fn progress(seconds: u64) -> Progress {
    Progress {
        elapsed: Duration::from_secs(seconds),
        bytes: 1_230_000_000,
        resumed_bytes: 0,
        total_bytes: 3_000_000_000,
        files: 12,
        total_files: 40,
        scanned: true,
        rate_now: 312_000_000,
        rate_mean: 298_000_000,
        connections: 8,
        channels: 8,
        bottleneck: Bottleneck::Path,
    }
}

fn summary(ending: Ending) -> Summary {
    Summary {
        ending,
        bytes: 3_000_000_000,
        resumed_bytes: 0,
        sent_bytes: 3_000_000_000,
        files: 40,
        skipped: 0,
        deleted: 0,
        elapsed: Duration::from_secs(10),
        data_elapsed: Duration::from_secs(9),
        retries: 0,
        requests: 1234,
        failures: Vec::new(),
        failed: 0,
        verified: Verified::No,
        journal: None,
        notes: Vec::new(),
        cause: None,
    }
}

fn events() -> Vec<Event> {
    vec![
        Event::Progress(progress(1)),
        Event::Copied {
            path: b"a\x1b[2J".to_vec(),
            bytes: 1000,
        },
        Event::Skipped {
            path: b"b\xff".to_vec(),
            reason: "same size and time".to_owned(),
        },
        Event::Would {
            action: "delete",
            path: b"c\nd".to_vec(),
            bytes: 0,
        },
        Event::Progress(progress(5)),
        Event::Failed(Failure {
            path: b"e".to_vec(),
            reason: "permission denied".to_owned(),
        }),
        Event::Note("the server has no fsync".to_owned()),
        Event::Note("the server has no fsync".to_owned()),
        Event::Retry {
            reason: "connection reset".to_owned(),
        },
        Event::LeftOut {
            path: b"f".to_vec(),
            reason: "a FIFO".to_owned(),
        },
        Event::Progress(progress(7)),
        Event::Progress(progress(10)),
    ]
}

fn shown(level: u8, progress: ProgressLines) -> Vec<String> {
    let verbosity = Verbosity {
        level,
        ..Verbosity::default()
    };
    let mut lines = Lines::new(Task::Copy, verbosity, progress);
    events()
        .into_iter()
        .filter_map(|event| lines.event(event))
        .map(plain)
        .collect()
}

fn plain(line: Line) -> String {
    match line {
        Line::Out(line) => format!("out {line}"),
        Line::Err(line) => format!("err {line}"),
    }
}

fn end(summary: &Summary) -> Vec<String> {
    let mut lines = Lines::new(Task::Copy, Verbosity::default(), ProgressLines::Left);
    lines.end(summary).into_iter().map(plain).collect()
}

const AT_5: &str = "out 5.00 s: 41 %, 1.23 GB of 3.00 GB, 312 MB/s (mean 298 MB/s), 6 s left, 12 of 40 files, \
                    8 connections, path";

#[test]
fn channels_are_named_where_they_share_a_connection() {
    let shared = Progress {
        connections: 1,
        channels: 4,
        ..progress(1)
    };
    assert!(text::progress_line(&shared, 0).ends_with("12 of 40 files, 4 channels on 1 connection, path"));
}

#[test]
fn on_a_pipe_progress_is_a_line_every_five_seconds() {
    let at_10 = "out 10.0 s: 41 %, 1.23 GB of 3.00 GB, 312 MB/s (mean 298 MB/s), 6 s left, 12 of 40 files, 1 failed, \
                 8 connections, path";
    assert_eq!(
        shown(0, ProgressLines::Written),
        [
            "out would delete c\\nd",
            AT_5,
            "err note: the server has no fsync",
            "err left out: f: a FIFO",
            at_10
        ]
    );
}

#[test]
fn the_verbose_display_names_files_as_they_come() {
    assert_eq!(
        shown(1, ProgressLines::Left),
        [
            "out a\\x1b[2J (1.00 kB)",
            "out skipped b\\xff: same size and time",
            "out would delete c\\nd",
            "err failed: e: permission denied",
            "err note: the server has no fsync",
            "err retry: connection reset",
            "err left out: f: a FIFO",
        ]
    );
}

#[test]
fn mscp_shows_its_plan_only_when_asked_twice() {
    for (level, expected) in [(0, 0), (1, 0), (2, 1)] {
        let verbosity = Verbosity {
            level,
            plan_from: 2,
            log: 0,
        };
        let mut lines = Lines::new(Task::DryRun, verbosity, ProgressLines::Left);
        let would = Event::Would {
            action: "copy",
            path: b"a".to_vec(),
            bytes: 7,
        };
        assert_eq!(lines.event(would).iter().count(), expected, "level {level}");
    }
}

#[test]
fn totals_are_not_promised_before_the_scan_is_done() {
    let early = Progress {
        scanned: false,
        bottleneck: Bottleneck::Unknown,
        ..progress(5)
    };
    assert_eq!(
        text::progress_line(&early, 0),
        "5.00 s: 1.23 GB of 3.00 GB found so far, 312 MB/s (mean 298 MB/s), 12 of 40 files, 8 connections"
    );
}

#[test]
fn the_bar_has_amounts_beside_and_the_rest_below() {
    let (beside, below) = text::progress_bar(&progress(5), 2);
    assert_eq!(beside, " 41 %  1.23 GB of 3.00 GB");
    assert_eq!(
        below,
        "312 MB/s (mean 298 MB/s)  6 s left  12 of 40 files  2 failed  8 connections  path"
    );
}

#[test]
fn hundred_percent_is_said_only_when_all_is_there() {
    let nearly = Progress {
        bytes: 2_999_999_999,
        ..progress(5)
    };
    assert!(text::progress_line(&nearly, 0).contains(" 99 %,"));
}

#[test]
fn a_complete_copy_ends_with_one_line() {
    let verified = Summary {
        verified: Verified::ReadBack,
        ..summary(Ending::Complete)
    };
    assert_eq!(
        end(&verified),
        ["out copied 3.00 GB in 40 files, 10.0 s, mean 300 MB/s, 0 retries, verified (read back)"]
    );
    assert_eq!(
        end(&summary(Ending::Complete)),
        ["out copied 3.00 GB in 40 files, 10.0 s, mean 300 MB/s, 0 retries, not verified"]
    );
}

#[test]
fn failures_stand_with_path_and_reason_before_the_line() {
    let some = Summary {
        failures: vec![Failure {
            path: b"x\x07".to_vec(),
            reason: "no space left\x1b[0m".to_owned(),
        }],
        failed: 3,
        skipped: 2,
        retries: 1,
        notes: vec!["written in place: d".to_owned()],
        ..summary(Ending::SomeFailed)
    };
    assert_eq!(
        end(&some),
        [
            "err failed: x\\x07: no space left\\u{1b}[0m",
            "err failed: 2 more",
            "err note: written in place: d",
            "out copied 3.00 GB in 40 files, 10.0 s, mean 300 MB/s, 1 retry, 2 skipped, 3 failed, not verified",
        ]
    );
}

#[test]
fn an_interrupted_copy_tells_how_to_go_on() {
    let interrupted = Summary {
        resumed_bytes: 1_000_000_000,
        journal: Some("k7".to_owned()),
        verified: Verified::ReadBack,
        cause: Some("interrupted".to_owned()),
        ..summary(Ending::Interrupted)
    };
    assert_eq!(
        end(&interrupted),
        [
            "err error: interrupted",
            "out copied 3.00 GB in 40 files (1.00 GB by an earlier run), 10.0 s, mean 200 MB/s, 0 retries, not verified",
            "err hint: go on with `renkei cp --resume k7`, or run the same command again",
        ]
    );
}

#[test]
fn where_nothing_was_begun_only_the_reason_is_told() {
    let refused = Summary {
        bytes: 0,
        files: 0,
        cause: Some("cannot log in\nhint: check the key".to_owned()),
        ..summary(Ending::NotConnected)
    };
    assert_eq!(end(&refused), ["err error: cannot log in\nhint: check the key"]);
}

#[test]
fn a_dry_run_and_a_removal_have_their_own_last_line() {
    let of = |task| text::end_line(&summary(Ending::Complete), task);
    assert_eq!(of(Task::DryRun), "would copy 3.00 GB in 40 files, 10.0 s");
    assert_eq!(
        of(Task::Verify),
        "checked 3.00 GB in 40 files, 10.0 s, mean 300 MB/s, 0 retries"
    );
    assert_eq!(of(Task::Drop), "removed 0 unfinished files");
}

#[test]
fn every_event_is_a_json_object_on_one_line() {
    let lines: Vec<String> = events().iter().map(json::event).collect();
    assert_eq!(
        lines[..8],
        [
            "{\"event\":\"progress\",\"elapsed_seconds\":1.0,\"bytes\":1230000000,\"resumed_bytes\":0,\
             \"total_bytes\":3000000000,\"files\":12,\"total_files\":40,\"scanned\":true,\"bytes_per_second\":312000000,\
             \"mean_bytes_per_second\":298000000,\"connections\":8,\"channels\":8,\"bottleneck\":\"path\"}",
            r#"{"event":"copied","path":"a\u001b[2J","bytes":1000}"#,
            r#"{"event":"skipped","path":"b\\xff","path_hex":"62ff","reason":"same size and time"}"#,
            r#"{"event":"would","action":"delete","path":"c\nd","bytes":0}"#,
            &lines[4],
            r#"{"event":"failed","path":"e","reason":"permission denied"}"#,
            r#"{"event":"note","text":"the server has no fsync"}"#,
            r#"{"event":"note","text":"the server has no fsync"}"#,
        ]
    );
    assert_eq!(lines[8], r#"{"event":"retry","reason":"connection reset"}"#);
    assert_eq!(lines[9], r#"{"event":"left_out","path":"f","reason":"a FIFO"}"#);
}

#[test]
fn json_begins_with_its_format_and_ends_with_the_summary() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        json::start(Task::Copy),
        format!(r#"{{"event":"start","format":1,"version":"{version}","task":"copy"}}"#)
    );
    let lost = Summary {
        journal: Some("k7".to_owned()),
        cause: Some("nothing works".to_owned()),
        failures: vec![Failure {
            path: b"e".to_vec(),
            reason: "gone".to_owned(),
        }],
        failed: 1,
        ..summary(Ending::Lost)
    };
    assert_eq!(
        json::summary(&lost),
        "{\"event\":\"summary\",\"ending\":\"lost\",\"exit_code\":4,\"bytes\":3000000000,\"resumed_bytes\":0,\
         \"sent_bytes\":3000000000,\"files\":40,\"skipped\":0,\"deleted\":0,\"failed\":1,\"elapsed_seconds\":10.0,\
         \"data_seconds\":9.0,\"mean_bytes_per_second\":300000000,\"retries\":0,\"requests\":1234,\"verified\":null,\
         \"journal\":\"k7\",\"cause\":\"nothing works\",\"notes\":[],\"failures\":[{\"path\":\"e\",\"reason\":\"gone\"}]}"
    );
    assert_eq!(
        json::error("no such journal", 2),
        r#"{"event":"error","text":"no such journal","exit_code":2}"#
    );
}

#[test]
fn a_chain_of_errors_has_its_hints_at_the_end() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot go on\nhint: try again")]
    struct Outer(#[source] std::io::Error);
    let error = Outer(std::io::Error::other("disk on fire\nhint: call for help"));
    assert_eq!(
        text::chain(&error),
        "cannot go on: disk on fire\nhint: try again\nhint: call for help"
    );
}
