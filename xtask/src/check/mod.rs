//! `cargo xtask check`: what review need not look for.
//!
//! A rule is a function from the sources or from `cargo metadata` to a list of faults; each fault says what to do.
//! All rules run even when one fails, so that one run shows everything.

mod arrows;
mod crates;
mod licences;
mod lints;
mod metadata;
mod sizes;
mod sources;

use anyhow::{Result, bail};

use crate::timing::Minutes;
use crate::tool;

pub use sources::Source;

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: a path, a crate.
    place: String,
    /// What is wrong there.
    what: String,
    /// What to do about it.
    remedy: String,
}

impl Fault {
    fn new(place: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Fault {
        Fault {
            place: place.into(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

/// Runs every rule, then rustfmt and clippy.
pub fn run() -> Result<()> {
    let mut minutes = Minutes::start("check");
    let mut broken = 0;
    minutes.part("rules", || {
        let metadata = metadata::read()?;
        let sources = sources::read(&tool::root()?)?;
        let rules: [(&str, Vec<Fault>); 5] = [
            ("banned crates", crates::check(&metadata)),
            ("licences", licences::check(&metadata)),
            ("arrows between crates", arrows::check(&metadata)),
            ("file sizes and names", sizes::check(&sources)),
            (
                "marks, denies and decisions",
                lints::check(&sources, &lints::private_paths()?),
            ),
        ];
        for (name, faults) in rules {
            report(name, &faults);
            broken += faults.len();
        }
        Ok(())
    })?;
    let format = minutes.part("fmt", || tool::run(tool::cargo()?.args(["fmt", "--all", "--check"])));
    if format.is_err() {
        broken += 1;
        println!("fault: the code is not formatted: run `cargo fmt --all`");
    }
    let clippy = minutes.part("clippy", || {
        tool::run(tool::cargo()?.args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--keep-going",
            "--",
            "-D",
            "warnings",
        ]))
    });
    if clippy.is_err() {
        broken += 1;
        println!("fault: clippy is not content: see above; an `#[expect]` needs its reason");
    }
    minutes.finish();
    if broken > 0 {
        bail!("{broken} faults");
    }
    println!("check: all rules hold");
    Ok(())
}

fn report(rule: &str, faults: &[Fault]) {
    if faults.is_empty() {
        println!("ok: {rule}");
    }
    for Fault { place, what, remedy } in faults {
        println!("fault: {place}: {what}\n       {remedy}");
    }
}
