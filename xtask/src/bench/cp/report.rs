//! `docs/benchmarks/cp.md`: promises first, then every figure, then the machine.
//!
//! Why a promise is missed is not for a program to say: that stands in `cp-notes.md`, which is written by hand and taken in
//! as it is.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::case::{Case, DIRECTIONS, Direction, GROUPS};
use super::contender::Kind;
use super::judge::{Verdict, judge, judge_memory};
use super::measure::{Sample, median};
use super::result::{Results, Row, RowId};
use crate::machine::Machine;
use crate::tool;

/// Written by hand.
const NOTES: &str = "docs/benchmarks/cp-notes.md";

/// The whole page.
pub fn page(results: &Results, root: &Path) -> Result<String> {
    let mut page = String::from("# How fast `renkei cp` is\n\nWritten by `cargo xtask bench cp`.\n\n");
    machine(&mut page)?;
    promises(&mut page, results)?;
    let notes = std::fs::read_to_string(root.join(NOTES)).with_context(|| format!("cannot read {NOTES}"))?;
    page.push_str(notes.trim());
    page.push_str("\n\n## Figures\n\n");
    page.push_str(
        "Medians over the rounds; rounds alternate between the tools. Everything lies in tmpfs. Client CPU includes child \
         processes, server CPU is sshd's with its sessions (without what outlived its session's process: small figures are rough). *Peak* is resident memory of the client. *Of limit* is the \
         rate between first and last byte beside what `iperf3 -P 16` moved over the same path just after. *≈* is \
         multiplied from a part of the files.\n",
    );
    for case in cases() {
        for direction in DIRECTIONS {
            if let Some(row) = results.row(RowId {
                case: case.name,
                direction,
            }) {
                figures(&mut page, case, direction, row)?;
            }
        }
    }
    Ok(page)
}

fn cases() -> impl Iterator<Item = &'static Case> {
    GROUPS.iter().flat_map(|group| group.cases)
}

fn machine(page: &mut String) -> Result<()> {
    let machine = Machine::read()?;
    let version = |program: &str, args: &[&str]| tool::first_line(program, args, "not installed");
    writeln!(page, "| | |\n| --- | --- |")?;
    writeln!(
        page,
        "| processor | {}, {} cores, client and server share them |",
        machine.cpu, machine.cores
    )?;
    writeln!(page, "| memory | {} GB |", machine.memory_gb)?;
    writeln!(
        page,
        "| kernel | Linux {}, congestion control {} |",
        machine.kernel,
        machine.congestion.join(", ")
    )?;
    writeln!(page, "| OpenSSH | {} |", version("ssh", &["-V"]))?;
    writeln!(
        page,
        "| others | {}; {} |",
        version("rsync", &["--version"]),
        version("rclone", &["version"])
    )?;
    writeln!(page, "| written | {}, commit {} |\n", machine.date, machine.commit)?;
    Ok(())
}

fn promises(page: &mut String, results: &Results) -> Result<()> {
    writeln!(
        page,
        "## Promises\n\n| case | | must reach | measured | |\n| --- | --- | --- | --- | --- |"
    )?;
    for case in cases() {
        for direction in DIRECTIONS {
            if case.targets(direction).is_none() {
                continue;
            }
            let judgements = judge(results, case, direction);
            if results
                .row(RowId {
                    case: case.name,
                    direction,
                })
                .is_none()
            {
                let open = Verdict::Open.word();
                writeln!(
                    page,
                    "| `{}` {} | {} | | | {open} |",
                    case.name,
                    case.title,
                    direction.word()
                )?;
            }
            for judgement in judgements {
                let verdict = judgement.verdict.word();
                let (promise, measured) = (judgement.promise, judgement.measured);
                writeln!(
                    page,
                    "| `{}` {} | {} | {promise} | {measured} | {verdict} |",
                    case.name,
                    case.title,
                    direction.word()
                )?;
            }
        }
    }
    let memory = judge_memory(results);
    let (promise, measured, verdict) = (memory.promise, memory.measured, memory.verdict.word());
    writeln!(
        page,
        "| resident memory in all of these | | {promise} | {measured} | {verdict} |\n"
    )?;
    Ok(())
}

fn figures(page: &mut String, case: &Case, direction: Direction, row: &Row) -> Result<()> {
    writeln!(page, "\n### `{}` {}: {}\n", case.name, direction.word(), case.title)?;
    writeln!(page, "Commit {}, {}.\n", row.commit, row.date)?;
    writeln!(
        page,
        "| | rounds | seconds | MB/s | client CPU s | server CPU s | busy | peak MB | of limit | requests a file |"
    )?;
    writeln!(
        page,
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )?;
    for (kind, name, samples) in &row.contenders {
        writeln!(page, "{}", line(row, *kind, name, samples))?;
    }
    let ran = |kind: Kind| row.contenders.iter().any(|(other, ..)| *other == kind);
    for (kind, _) in case.contenders.iter().filter(|(kind, _)| !ran(*kind)) {
        writeln!(page, "| {} | not run (`--slow`) | | | | | | | | |", kind.word())?;
    }
    Ok(())
}

fn line(row: &Row, kind: Kind, name: &str, samples: &[Sample]) -> String {
    let Some(seconds) = row.seconds(kind) else {
        let error = samples
            .iter()
            .find_map(|sample| sample.error.as_deref())
            .unwrap_or("no sample");
        return format!(
            "| {name} | {} | failed: {} | | | | | | | |",
            samples.len(),
            error.replace('|', "/")
        );
    };
    let (bytes, files) = samples.first().map_or((0, 1), |sample| (sample.bytes, sample.files));
    let figure = |figure: fn(&Sample) -> Option<f64>, digits: usize, unit: f64| {
        row.median(kind, figure)
            .map_or_else(String::new, |value| format!("{:.digits$}", value / unit))
    };
    let about = if samples.iter().any(|sample| sample.factor > 1) {
        "≈ "
    } else {
        ""
    };
    let failed = samples.iter().filter(|sample| sample.error.is_some()).count();
    let rounds = if failed > 0 {
        format!("{} ({failed} failed)", samples.len())
    } else {
        samples.len().to_string()
    };
    let requests = samples
        .iter()
        .filter_map(|sample| sample.requests)
        .map(|requests| requests as f64)
        .collect();
    let per_file = median(requests).map_or_else(String::new, |all| format!("{:.2}", all / files as f64));
    let of_limit = row.median(kind, |sample| {
        sample
            .rate()
            .zip(sample.limit)
            .map(|(rate, limit)| 100.0 * rate / limit)
    });
    format!(
        "| {name} | {rounds} | {about}{seconds:.2} | {about}{:.1} | {about}{} | {about}{} | {} % | {} | {} | {per_file} |",
        bytes as f64 / seconds / 1e6,
        figure(|sample| Some(sample.client_cpu), 2, 1.0),
        figure(|sample| Some(sample.server_cpu), 2, 1.0),
        figure(|sample| Some(sample.busy), 0, 0.01),
        figure(|sample| Some(sample.peak_bytes as f64), 0, 1e6),
        of_limit.map_or_else(String::new, |share| format!("{share:.0} %")),
    )
}
