//! `cargo xtask test`: every test of the workspace, built once.
//!
//! What the tests need of the system is installed first. Which tests there are and how long they may take stands in
//! `.config/nextest.toml`.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::timing::Minutes;
use crate::{apt, python, tool};

/// Who runs the tests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runner {
    /// `cargo nextest run`: a process a test, and a hang is ended.
    Nextest,
    /// `cargo test`: always there.
    Cargo,
}

/// Runs the tests; `filter` is passed on to the runner.
pub fn run(filter: &[String]) -> Result<()> {
    let mut minutes = Minutes::start("test");
    apt::install(renkei_testkit::PACKAGES, &mut minutes)?;
    python::install(&mut minutes)?;
    let runner = choose()?;
    minutes.part("build", || tool::run(command(runner)?.arg("--no-run")))?;
    if runner == Runner::Nextest && filter.is_empty() {
        minutes.part("examples in docs", doc_tests)?;
    }
    let mut command = command(runner)?;
    if runner == Runner::Cargo && !filter.is_empty() {
        command.arg("--");
    }
    minutes.part("run", || tool::run(command.args(filter)))?;
    minutes.finish();
    Ok(())
}

fn choose() -> Result<Runner> {
    let found = tool::cargo()?
        .args(["nextest", "--version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        println!("cargo-nextest is not here: using cargo test");
    }
    Ok(if found { Runner::Nextest } else { Runner::Cargo })
}

/// The same arguments for building and for running, so that nothing is built twice.
fn command(runner: Runner) -> Result<Command> {
    let mut command = tool::cargo()?;
    match runner {
        Runner::Nextest => command.args(["nextest", "run", "--workspace"]),
        Runner::Cargo => command.args(["test", "--workspace", "--no-fail-fast"]),
    };
    Ok(command)
}

/// Examples in documentation, which nextest does not run. They speak only when one fails, so that the last words are
/// those of the runner.
fn doc_tests() -> Result<()> {
    let mut command = tool::cargo()?;
    command.args(["test", "--quiet", "--workspace", "--doc"]);
    let output = command
        .stdin(Stdio::null())
        .output()
        .context("cannot start `cargo test --doc`")?;
    if !output.status.success() {
        print!("{}", String::from_utf8_lossy(&output.stdout));
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        bail!("an example in the documentation fails: run `cargo test --workspace --doc`");
    }
    Ok(())
}
