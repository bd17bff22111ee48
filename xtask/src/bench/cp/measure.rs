//! One run of one contender, measured from outside.
//!
//! Wall time is taken here; CPU seconds and peak memory of the client come from `time(1)`, which has them from wait4(2) and
//! so counts `ssh` processes below `scp` too. The server's CPU seconds are what the kernel has added to sshd for children
//! that ended, so a run is over when the last of them is gone.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use renkei_testkit::wait;
use serde::{Deserialize, Serialize};

use super::case::Data;
use super::place::Place;

/// A run that takes longer is ended and counts as failed.
const LONGEST: Duration = Duration::from_secs(40 * 60);
/// In `/proc/*/stat` time is counted in these (USER_HZ, which is 100 on every Linux architecture that Rust knows).
const TICKS_PER_SECOND: f64 = 100.0;

/// What came out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// From start to end of the process.
    pub seconds: f64,
    /// User and system time of the client and its children.
    pub client_cpu: f64,
    /// The same for all sessions at the server.
    pub server_cpu: f64,
    /// Largest resident size of the client, bytes.
    pub peak_bytes: u64,
    /// Share of all processors' time that was not idle, 0 to 1.
    pub busy: f64,
    /// Seconds from the first to the last byte of content, where the tool tells.
    pub data_seconds: Option<f64>,
    /// Bytes of content that were to be copied.
    pub bytes: u64,
    /// Files that were to be copied.
    pub files: u64,
    /// SFTP requests, where the tool tells.
    pub requests: Option<u64>,
    /// Bytes a second that the path gave to iperf3 just after.
    pub limit: Option<f64>,
    /// Times are multiplied by this, because only a part was copied.
    pub factor: u64,
    /// Why the run does not count.
    pub error: Option<String>,
}

impl Sample {
    /// What the whole would have taken, when this was one part in `factor` of it.
    pub fn times(self, factor: u64) -> Sample {
        let scale = factor as f64;
        let (seconds, client_cpu, server_cpu) =
            (self.seconds * scale, self.client_cpu * scale, self.server_cpu * scale);
        Sample {
            seconds,
            client_cpu,
            server_cpu,
            factor,
            ..self
        }
    }

    /// Bytes a second between the first and the last byte of content, where the tool tells.
    pub fn rate(&self) -> Option<f64> {
        self.data_seconds
            .filter(|seconds| *seconds > 0.0)
            .map(|seconds| self.bytes as f64 / seconds)
    }
}

/// Runs `words`, which copy `data`, at the client of `place`.
pub fn run(place: &Place, words: &[OsString], data: Data) -> Result<Sample> {
    let scratch = tempfile::tempdir()?;
    let (figures, output, errors) = (
        scratch.path().join("time"),
        scratch.path().join("out"),
        scratch.path().join("err"),
    );
    let (program, args) = words.split_first().context("an empty command line")?;
    let mut command = place.client("timeout");
    command.args(["--kill-after=10", &LONGEST.as_secs().to_string()]);
    command
        .args(["time", "--quiet", "--format=%U %S %M", "--output"])
        .arg(&figures)
        .arg(program)
        .args(args);
    command
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&output)?)
        .stderr(std::fs::File::create(&errors)?);
    // A journal of this run must not be found by another one.
    command.env("XDG_STATE_HOME", scratch.path().join("state"));

    let (server, processors) = (place.server_cpu()?, Processors::read()?);
    let start = Instant::now();
    let status = command.status().context("cannot start `timeout` and `time`")?;
    let seconds = start.elapsed().as_secs_f64();
    let busy = Processors::read()?.busy_since(&processors);
    wait::until("the server's sessions to end and be counted", || place.sessions() == 0)?;
    let server_cpu = place.server_cpu()? - server;

    let times = std::fs::read_to_string(&figures).unwrap_or_default();
    let (client_cpu, peak_bytes) = read_times(&times).unwrap_or_default();
    let summary = read_summary(&output);
    Ok(Sample {
        seconds,
        client_cpu,
        server_cpu,
        peak_bytes,
        busy,
        data_seconds: summary.as_ref().and_then(|summary| summary["data_seconds"].as_f64()),
        bytes: data.bytes(),
        files: data.files(),
        requests: summary.as_ref().and_then(|summary| summary["requests"].as_u64()),
        limit: None,
        factor: 1,
        error: (!status.success()).then(|| format!("{status}: {}", last_line(&errors))),
    })
}

/// Reads `user system kilobytes`: seconds of both, and bytes.
fn read_times(text: &str) -> Option<(f64, u64)> {
    let mut words = text.lines().last()?.split(' ');
    let user: f64 = words.next()?.parse().ok()?;
    let system: f64 = words.next()?.parse().ok()?;
    let kilobytes: u64 = words.next()?.parse().ok()?;
    Some((user + system, kilobytes * 1024))
}

fn read_summary(output: &Path) -> Option<serde_json::Value> {
    let text = String::from_utf8(std::fs::read(output).ok()?).ok()?;
    let value: serde_json::Value = serde_json::from_str(text.lines().last()?).ok()?;
    (value["event"] == "summary").then_some(value)
}

fn last_line(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .last()
        .unwrap_or("no message")
        .to_owned()
}

/// Seconds of CPU that ended children have left with process `id`.
pub fn children_cpu(id: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).context("sshd has gone")?;
    // proc(5): cutime and cstime are fields 16 and 17; the name, field 2, ends with the last parenthesis.
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest
        .split_ascii_whitespace()
        .skip(13)
        .take(2)
        .filter_map(|word| word.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / TICKS_PER_SECOND)
}

/// All processors together, from the first line of `/proc/stat`.
struct Processors {
    idle: u64,
    total: u64,
}

impl Processors {
    fn read() -> Result<Processors> {
        let text = std::fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        let line = text.lines().next().unwrap_or_default();
        let ticks: Vec<u64> = line
            .split_ascii_whitespace()
            .skip(1)
            .take(8)
            .filter_map(|word| word.parse().ok())
            .collect();
        // user nice system idle iowait irq softirq steal
        let idle = ticks.iter().skip(3).take(2).sum();
        Ok(Processors {
            idle,
            total: ticks.iter().sum(),
        })
    }

    fn busy_since(&self, before: &Processors) -> f64 {
        let total = self.total.saturating_sub(before.total).max(1);
        1.0 - self.idle.saturating_sub(before.idle) as f64 / total as f64
    }
}

/// The middle one; of an even number the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    values
        .get(values.len() / 2 - 1)
        .map(|lower| f64::midpoint(*lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(vec![]), None);
    }

    #[test]
    fn the_figures_of_time_are_read_also_after_its_remark_on_a_failure() {
        assert_eq!(read_times("1.50 0.25 2048\n"), Some((1.75, 2048 * 1024)));
        assert_eq!(
            read_times("Command exited with non-zero status 1\n0.01 0.00 4\n"),
            Some((0.01, 4096))
        );
    }

    #[test]
    fn the_cpu_time_of_an_ended_child_is_seen() {
        let own = std::process::id();
        let before = children_cpu(own).unwrap();
        std::process::Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"])
            .status()
            .unwrap();
        assert!(children_cpu(own).unwrap() > before);
    }
}
