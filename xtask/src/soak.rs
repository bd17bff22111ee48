//! `cargo xtask soak`: the ordinary tests, made longer by environment variables, again and again.
//!
//! There are no tests that only a soak runs; CONTRIBUTING.md lists the variables. The summary of the last soak is written
//! into `docs/assurance.md`, below a mark; what stands above it is written by hand and stays.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::machine::Machine;
use crate::timing::Minutes;
use crate::{apt, python, tool};

/// Variable, value. The defaults, for a run in CI, are with whoever reads them.
const LONGER: &[(&str, &str)] = &[
    ("RENKEI_SOAK", "1"),
    ("RENKEI_KILLS", "200"),
    ("RENKEI_CUTS", "2000"),
    ("RENKEI_STORMS", "10000"),
    ("RENKEI_HUB_KILLS", "100"),
    ("RENKEI_PACKETS", "20000"),
    ("RENKEI_FUZZ_SECONDS", "300"),
    ("RENKEI_TREE_FILES", "200000"),
    ("RENKEI_SYNTHETIC_FILES", "5000000"),
    ("PROPTEST_CASES", "20000"),
];

/// What follows is ours to replace.
const MARK: &str = "<!-- below this line: written by `cargo xtask soak` -->\n";
/// How many of the longest tests are listed.
const LISTED: usize = 20;

/// Runs rounds until `time` has passed, at least one, and writes the summary. `filter` is passed on to the runner.
pub fn run(time: Duration, filter: &[String]) -> Result<()> {
    let mut minutes = Minutes::start("soak");
    apt::install(renkei_testkit::PACKAGES, &mut minutes)?;
    python::install(&mut minutes)?;
    if !tool::works("cargo", &["nextest", "--version"]) {
        bail!("a soak needs cargo-nextest, which ends tests that hang: https://nexte.st");
    }
    let start = Instant::now();
    let mut rounds = Vec::new();
    while rounds.is_empty() || start.elapsed() < time {
        println!("soak: round {}", rounds.len() + 1);
        let round = minutes.part("round", || Round::run(filter))?;
        let failed = !round.status.success();
        rounds.push(round);
        if failed {
            break;
        }
    }
    write(&rounds, start.elapsed(), filter)?;
    minutes.finish();
    match rounds.last() {
        Some(last) if !last.status.success() => bail!("the soak failed: see above and docs/assurance.md"),
        _ => Ok(()),
    }
}

/// One pass over the tests.
struct Round {
    status: ExitStatus,
    /// The runner's closing line.
    summary: String,
    /// Seconds and name of each test that passed.
    passed: Vec<(f64, String)>,
    /// Names of those that did not.
    failed: Vec<String>,
}

impl Round {
    fn run(filter: &[String]) -> Result<Round> {
        let mut command = tool::cargo()?;
        command.args([
            "nextest",
            "run",
            "--workspace",
            "--profile",
            "soak",
            "--status-level",
            "pass",
        ]);
        command
            .args(["--color", "never"])
            .args(filter)
            .envs(LONGER.iter().copied());
        // nextest reports on standard error.
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start nextest")?;
        let report = child.stderr.take().context("nextest has no standard error")?;
        let (mut summary, mut passed, mut failed) = (String::new(), Vec::new(), Vec::new());
        for line in BufReader::new(report).lines() {
            let line = line.context("cannot read what nextest says")?;
            eprintln!("{line}");
            match Line::read(&line) {
                Some(Line::Passed(seconds, name)) => passed.push((seconds, name)),
                Some(Line::Failed(name)) if !failed.contains(&name) => failed.push(name),
                Some(Line::Summary(text)) => summary = text,
                Some(Line::Failed(_)) | None => {}
            }
        }
        Ok(Round {
            status: child.wait()?,
            summary,
            passed,
            failed,
        })
    }
}

/// What a line of nextest's report says.
#[derive(Debug, PartialEq)]
enum Line {
    Passed(f64, String),
    Failed(String),
    Summary(String),
}

impl Line {
    /// Reads `        PASS [   0.012s] (1/9) renkei-plan runs::tests::merge` and its kin.
    fn read(line: &str) -> Option<Line> {
        let (word, rest) = line.trim_start().split_once(" [")?;
        let (seconds, name) = rest.split_once("s] ")?;
        let name = name.trim_start();
        // Newer releases count the tests in parentheses.
        let name = match name.strip_prefix('(').and_then(|rest| rest.split_once(") ")) {
            Some((_, name)) => name,
            None => name,
        };
        match word.trim() {
            "PASS" => Some(Line::Passed(seconds.trim().parse().ok()?, name.trim().to_owned())),
            "FAIL" | "TIMEOUT" | "ABORT" | "SIGSEGV" | "SIGABRT" => Some(Line::Failed(name.trim().to_owned())),
            "Summary" => Some(Line::Summary(name.trim().to_owned())),
            _ => None,
        }
    }
}

fn write(rounds: &[Round], time: Duration, filter: &[String]) -> Result<()> {
    let path = tool::root()?.join("docs/assurance.md");
    let old = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let by_hand = old.split(MARK).next().unwrap_or_default();
    let new = format!("{by_hand}{MARK}\n{}", report(rounds, time, filter)?);
    std::fs::write(&path, new).with_context(|| format!("cannot write {}", path.display()))?;
    println!("written: {}", Path::new("docs/assurance.md").display());
    Ok(())
}

fn report(rounds: &[Round], time: Duration, filter: &[String]) -> Result<String> {
    let machine = Machine::read()?;
    let mut text = String::from("## Last soak\n\n");
    writeln!(text, "- **Commit**: {}", machine.commit)?;
    writeln!(text, "- **Date**: {}", machine.date)?;
    writeln!(
        text,
        "- **Machine**: {}, {} cores, {} GB, Linux {}",
        machine.cpu, machine.cores, machine.memory_gb, machine.kernel
    )?;
    let settings: Vec<String> = LONGER.iter().map(|(name, value)| format!("`{name}={value}`")).collect();
    writeln!(text, "- **Settings**: {}", settings.join(" "))?;
    if !filter.is_empty() {
        writeln!(text, "- **Only**: `{}`", filter.join(" "))?;
    }
    writeln!(
        text,
        "- **Took**: {:.0} minutes, {} rounds",
        time.as_secs_f64() / 60.0,
        rounds.len()
    )?;
    for (index, round) in rounds.iter().enumerate() {
        writeln!(text, "- **Round {}**: {}", index + 1, round.summary)?;
        for name in &round.failed {
            writeln!(text, "  - failed: `{name}`")?;
        }
    }
    let mut longest: Vec<&(f64, String)> = rounds.iter().flat_map(|round| &round.passed).collect();
    longest.sort_by(|a, b| b.0.total_cmp(&a.0));
    longest.truncate(LISTED);
    writeln!(
        text,
        "\nThe tests that ran longest:\n\n| seconds | test |\n| ---: | --- |"
    )?;
    for (seconds, name) in longest {
        writeln!(text, "| {seconds:.1} | `{name}` |")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_nextest_are_read_with_and_without_a_counter() {
        let passed = Line::Passed(12.5, "renkei-plan runs::tests::merge".to_owned());
        assert_eq!(
            Line::read("        PASS [  12.500s] (1/9) renkei-plan runs::tests::merge").as_ref(),
            Some(&passed)
        );
        assert_eq!(
            Line::read("        PASS [  12.500s] renkei-plan runs::tests::merge").as_ref(),
            Some(&passed)
        );
        let failed = Line::Failed("renkei::cp nests".to_owned());
        assert_eq!(Line::read("  FAIL [   0.049s] (2/9) renkei::cp nests"), Some(failed));
        let summary = Line::Summary("15 tests run: 15 passed, 0 skipped".to_owned());
        assert_eq!(
            Line::read("     Summary [   0.049s] 15 tests run: 15 passed, 0 skipped"),
            Some(summary)
        );
        assert_eq!(Line::read("    Starting 15 tests across 1 binary"), None);
    }
}
