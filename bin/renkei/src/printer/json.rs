//! The display for machines: one JSON object a line. The contract is docs/cp-json.md: fields are added, never changed.

use renkei_transfer::{Bottleneck, Ending, Event, Failure, Progress, Summary, Verified};
use renkei_types::printable::{JsonName, terminal_safe_json};
use serde::Serialize;

use super::{Task, text};
use crate::exit;

/// The version of the format, in the first line.
const FORMAT: u32 = 1;

/// One line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Record<'a> {
    Start {
        format: u32,
        version: &'static str,
        task: &'static str,
    },
    Progress(ProgressRecord),
    Copied {
        #[serde(flatten)]
        name: JsonName<'a>,
        bytes: u64,
    },
    Skipped {
        #[serde(flatten)]
        name: JsonName<'a>,
        reason: &'a str,
    },
    LeftOut {
        #[serde(flatten)]
        name: JsonName<'a>,
        reason: &'a str,
    },
    Would {
        action: &'static str,
        #[serde(flatten)]
        name: JsonName<'a>,
        bytes: u64,
    },
    Failed(FailureRecord<'a>),
    Note {
        text: &'a str,
    },
    Retry {
        reason: &'a str,
    },
    Error {
        text: &'a str,
        exit_code: u8,
    },
    Summary(Box<SummaryRecord<'a>>),
}

#[derive(Serialize)]
struct ProgressRecord {
    elapsed_seconds: f64,
    bytes: u64,
    resumed_bytes: u64,
    total_bytes: u64,
    files: u64,
    total_files: u64,
    scanned: bool,
    bytes_per_second: u64,
    mean_bytes_per_second: u64,
    connections: u32,
    channels: u32,
    bottleneck: Option<&'static str>,
}

#[derive(Serialize)]
struct FailureRecord<'a> {
    #[serde(flatten)]
    name: JsonName<'a>,
    reason: &'a str,
}

#[derive(Serialize)]
struct SummaryRecord<'a> {
    ending: &'static str,
    exit_code: u8,
    bytes: u64,
    resumed_bytes: u64,
    sent_bytes: u64,
    files: u64,
    skipped: u64,
    deleted: u64,
    failed: u64,
    elapsed_seconds: f64,
    data_seconds: f64,
    mean_bytes_per_second: u64,
    retries: u64,
    requests: u64,
    verified: Option<&'static str>,
    journal: Option<&'a str>,
    cause: Option<&'a str>,
    notes: &'a [String],
    failures: Vec<FailureRecord<'a>>,
}

/// The first line.
pub fn start(task: Task) -> String {
    line(&Record::Start {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION"),
        task: match task {
            Task::Copy => "copy",
            Task::DryRun => "dry_run",
            Task::Verify => "verify",
            Task::Drop => "drop",
        },
    })
}

/// The line of an event.
pub fn event(event: &Event) -> String {
    line(&match event {
        Event::Progress(progress) => Record::Progress(progress_record(progress)),
        Event::Copied { path, bytes } => Record::Copied {
            name: path.as_slice().into(),
            bytes: *bytes,
        },
        Event::Skipped { path, reason } => Record::Skipped {
            name: path.as_slice().into(),
            reason,
        },
        Event::LeftOut { path, reason } => Record::LeftOut {
            name: path.as_slice().into(),
            reason,
        },
        Event::Would { action, path, bytes } => Record::Would {
            action,
            name: path.as_slice().into(),
            bytes: *bytes,
        },
        Event::Failed(failure) => Record::Failed(failure_record(failure)),
        Event::Note(text) => Record::Note { text },
        Event::Retry { reason } => Record::Retry { reason },
    })
}

/// The line of an error before anything was begun.
pub fn error(text: &str, exit_code: u8) -> String {
    line(&Record::Error { text, exit_code })
}

/// The last line.
pub fn summary(summary: &Summary) -> String {
    line(&Record::Summary(Box::new(SummaryRecord {
        ending: ending(summary.ending),
        exit_code: exit::code(summary.ending),
        bytes: summary.bytes,
        resumed_bytes: summary.resumed_bytes,
        sent_bytes: summary.sent_bytes,
        files: summary.files,
        skipped: summary.skipped,
        deleted: summary.deleted,
        failed: summary.failed,
        elapsed_seconds: summary.elapsed.as_secs_f64(),
        data_seconds: summary.data_elapsed.as_secs_f64(),
        mean_bytes_per_second: text::mean_rate(summary),
        retries: summary.retries,
        requests: summary.requests,
        verified: verified(summary.verified),
        journal: summary.journal.as_deref(),
        cause: summary.cause.as_deref(),
        notes: &summary.notes,
        failures: summary.failures.iter().map(failure_record).collect(),
    })))
}

fn progress_record(progress: &Progress) -> ProgressRecord {
    ProgressRecord {
        elapsed_seconds: progress.elapsed.as_secs_f64(),
        bytes: progress.bytes,
        resumed_bytes: progress.resumed_bytes,
        total_bytes: progress.total_bytes,
        files: progress.files,
        total_files: progress.total_files,
        scanned: progress.scanned,
        bytes_per_second: progress.rate_now,
        mean_bytes_per_second: progress.rate_mean,
        connections: progress.connections,
        channels: progress.channels,
        bottleneck: bottleneck(progress.bottleneck),
    }
}

fn failure_record(failure: &Failure) -> FailureRecord<'_> {
    FailureRecord {
        name: failure.path.as_slice().into(),
        reason: &failure.reason,
    }
}

fn bottleneck(bottleneck: Bottleneck) -> Option<&'static str> {
    match bottleneck {
        Bottleneck::Unknown => None,
        Bottleneck::SourceDisk => Some("source_disk"),
        Bottleneck::Cpu => Some("cpu"),
        Bottleneck::Window => Some("window"),
        Bottleneck::Path => Some("path"),
        Bottleneck::FarDisk => Some("far_disk"),
        Bottleneck::Limit => Some("limit"),
    }
}

fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::Complete => "complete",
        Ending::SomeFailed => "some_failed",
        Ending::Usage => "usage",
        Ending::NotConnected => "not_connected",
        Ending::Lost => "lost",
        Ending::Interrupted => "interrupted",
    }
}

fn verified(verified: Verified) -> Option<&'static str> {
    match verified {
        Verified::No => None,
        Verified::ReadBack => Some("read_back"),
        Verified::HashCommand => Some("hash_command"),
        Verified::Both => Some("both"),
    }
}

fn line(record: &Record<'_>) -> String {
    // Strings and numbers in a fixed shape: there is nothing here that serialising could refuse.
    let json = serde_json::to_string(record).unwrap_or_default();
    terminal_safe_json(&json).into_owned()
}
