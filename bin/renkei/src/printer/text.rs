//! Words for people: what each event looks like as text. Pure functions; where the lines go is decided elsewhere.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use renkei_transfer::{Bottleneck, Ending, Failure, Progress, Summary, Verified};
use renkei_types::printable::{Printable, is_printable};
use renkei_types::size::{ByteSize, Elapsed, Rate};

use super::Task;

/// What limits, in one word; none while it is not known.
pub fn bottleneck(bottleneck: Bottleneck) -> Option<&'static str> {
    match bottleneck {
        Bottleneck::Unknown => None,
        Bottleneck::SourceDisk => Some("source-disk"),
        Bottleneck::Cpu => Some("cpu"),
        Bottleneck::Window => Some("window"),
        Bottleneck::Path => Some("path"),
        Bottleneck::FarDisk => Some("far-disk"),
        Bottleneck::Limit => Some("limit"),
    }
}

/// `1 file`, `12 files`.
pub fn count(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {one}{plural}")
}

/// Whole percent of what is to be copied, 100 only when all is; none until the totals are final.
fn percent(progress: &Progress) -> Option<u64> {
    if !progress.scanned || progress.total_bytes == 0 {
        return None;
    }
    let percent = u128::from(progress.bytes) * 100 / u128::from(progress.total_bytes);
    u64::try_from(percent.min(100)).ok()
}

/// How long it will still take; none until the totals are final and something moves.
fn left(progress: &Progress) -> Option<Duration> {
    // The mean of the last seconds and of all keeps the figure steady without making it blind.
    let rate = progress.rate_now.midpoint(progress.rate_mean);
    if !progress.scanned || rate == 0 {
        return None;
    }
    Some(Duration::from_secs(
        progress.total_bytes.saturating_sub(progress.bytes).div_ceil(rate),
    ))
}

fn left_text(left: Duration) -> String {
    match left.as_secs() {
        seconds @ 0..60 => format!("{seconds} s left"),
        _ => format!("{} left", Elapsed(left)),
    }
}

/// `1.23 GB of 3.00 GB`, marked as unfinished while the scan goes on.
fn amount(progress: &Progress) -> String {
    let so_far = if progress.scanned { "" } else { " found so far" };
    format!(
        "{} of {}{so_far}",
        ByteSize(progress.bytes),
        ByteSize(progress.total_bytes)
    )
}

fn rates(progress: &Progress) -> String {
    format!("{} (mean {})", Rate(progress.rate_now), Rate(progress.rate_mean))
}

/// `12 of 40 files`, `8 connections` or `4 channels on 1 connection`, `path`, and how many failed.
fn state(progress: &Progress, failed: u64) -> Vec<String> {
    let mut parts = vec![format!("{} of {}", progress.files, count(progress.total_files, "file"))];
    if failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    if progress.connections > 0 {
        let connections = count(progress.connections.into(), "connection");
        parts.push(if progress.channels > progress.connections {
            format!("{} on {connections}", count(progress.channels.into(), "channel"))
        } else {
            connections
        });
    }
    parts.extend(bottleneck(progress.bottleneck).map(str::to_owned));
    parts
}

/// One line of progress for a file or a pipe.
pub fn progress_line(progress: &Progress, failed: u64) -> String {
    let mut parts = Vec::new();
    parts.extend(percent(progress).map(|percent| format!("{percent} %")));
    parts.push(amount(progress));
    parts.push(rates(progress));
    parts.extend(left(progress).map(left_text));
    parts.extend(state(progress, failed));
    format!("{}: {}", Elapsed(progress.elapsed), parts.join(", "))
}

/// The two lines of progress under and beside the bar on a terminal.
pub fn progress_bar(progress: &Progress, failed: u64) -> (String, String) {
    let mut beside = String::new();
    if let Some(percent) = percent(progress) {
        let _ = write!(beside, "{percent:>3} %  ");
    }
    beside.push_str(&amount(progress));
    let mut below = vec![rates(progress)];
    below.extend(left(progress).map(left_text));
    below.extend(state(progress, failed));
    (beside, below.join("  "))
}

/// A name with its size, as the verbose display and the dry run show it.
pub fn sized(path: &[u8], bytes: u64) -> String {
    format!("{} ({})", Printable(path), ByteSize(bytes))
}

/// A failure on one line.
pub fn failure(failure: &Failure) -> String {
    format!("failed: {}: {}", Printable(&failure.path), message(&failure.reason))
}

/// The one line at the end.
pub fn end_line(summary: &Summary, task: Task) -> String {
    let content = format!("{} in {}", ByteSize(summary.bytes), count(summary.files, "file"));
    let took = format!("{}, mean {}", Elapsed(summary.elapsed), Rate(mean_rate(summary)));
    let retries = match summary.retries {
        1 => "1 retry".to_owned(),
        retries => format!("{retries} retries"),
    };
    let mut parts = match task {
        Task::Copy if summary.resumed_bytes > 0 => {
            let before = ByteSize(summary.resumed_bytes);
            vec![format!("copied {content} ({before} by an earlier run)"), took, retries]
        }
        Task::Copy => vec![format!("copied {content}"), took, retries],
        Task::DryRun => vec![format!("would copy {content}"), Elapsed(summary.elapsed).to_string()],
        Task::Verify => vec![format!("checked {content}"), took, retries],
        Task::Drop => vec![format!("removed {}", count(summary.deleted, "unfinished file"))],
    };
    let deleted = if task == Task::Drop { 0 } else { summary.deleted };
    for (number, what) in [
        (summary.skipped, "skipped"),
        (deleted, "deleted"),
        (summary.failed, "failed"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    if task == Task::Copy {
        parts.push(verified(summary));
    }
    parts.join(", ")
}

/// Bytes of this run by the seconds that it took.
pub fn mean_rate(summary: &Summary) -> u64 {
    let bytes = summary.bytes.saturating_sub(summary.resumed_bytes);
    let micros = summary.elapsed.as_micros().max(1);
    u64::try_from(u128::from(bytes) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

fn verified(summary: &Summary) -> String {
    let way = match summary.verified {
        Verified::No => return "not verified".to_owned(),
        Verified::ReadBack => "read back",
        Verified::HashCommand => "hash command",
        Verified::Both => "hash command and read back",
    };
    match summary.ending {
        Ending::Complete => format!("verified ({way})"),
        Ending::SomeFailed => format!("the rest verified ({way})"),
        _ => "not verified".to_owned(),
    }
}

/// A message that may carry text of a server, without the space at its end: see [`safe`].
pub fn message(text: &str) -> String {
    safe(text.trim_end())
}

/// Text that may be a server's: lines stay lines, anything else that a terminal could act upon is escaped.
///
/// Names in it have been through [`Printable`] already, so a backslash is not doubled here.
pub fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || is_printable(c) {
            safe.push(c);
        } else {
            let _ = write!(safe, "{}", c.escape_unicode());
        }
    }
    safe
}

/// An error with its causes on one line, and the hints of all of them on lines of their own after it.
pub fn chain(error: &dyn Error) -> String {
    let (mut line, mut hints) = (String::new(), String::new());
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        let (message, hint) = text.split_once('\n').unwrap_or((&text, ""));
        for (to, part, between) in [(&mut line, message, ": "), (&mut hints, hint, "\n")] {
            if !to.is_empty() && !part.is_empty() {
                to.push_str(between);
            }
            to.push_str(part);
        }
        next = error.source();
    }
    if !hints.is_empty() {
        line.push('\n');
    }
    line + &hints
}
