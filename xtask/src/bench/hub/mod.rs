//! `cargo xtask bench hub`: the hub as users have it, over SQLite and over PostgreSQL, asked by `renkei-fleet`.
//!
//! Client, hosts, hub and database share this machine's processors. The databases lie on the disk and sync each commit; the folders of
//! the hosts' agents lie in memory, since in life each host has a disk of its own.

mod judge;
mod place;
mod report;
mod result;
mod up;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args as ClapArgs, ValueEnum};
use serde_json::Value;

use self::place::{Database, Hub};
use self::result::Results;
use super::kept;
use crate::machine::Machine;
use crate::timing::Minutes;
use crate::{apt, tool};

const REPORT: &str = "docs/benchmarks/hub.md";

/// What to measure.
#[derive(ClapArgs)]
pub struct Args {
    /// Rounds of each case; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only these cases
    #[arg(long, num_args = 1.., value_name = "CASE")]
    case: Vec<Case>,
    /// Only over this database
    #[arg(long, value_name = "DATABASE")]
    database: Option<Database>,
    /// One round with a twentieth of everything, printed and not written: shows that everything works
    #[arg(long)]
    quick: bool,
    /// Measure nothing: write the report again from the figures that are there
    #[arg(long)]
    report: bool,
}

/// What is measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Case {
    /// Looking, at a steady rate.
    Read,
    /// Many machines at once.
    Deploy,
    /// Many agents, a change for each.
    Change,
    /// `renkei up`.
    Up,
}

/// All, in the order of the report.
const CASES: [Case; 4] = [Case::Read, Case::Deploy, Case::Change, Case::Up];

/// What is started.
pub struct Programs {
    renkei: PathBuf,
    fleet: PathBuf,
}

/// How much of everything.
#[derive(Clone, Copy)]
struct Scale {
    rounds: usize,
    divide: usize,
}

/// Measures and writes the report.
pub fn run(args: Args) -> Result<()> {
    let root = tool::root()?;
    let file = tool::target_directory()?.join("bench/hub.json");
    if args.report {
        return write_report(&kept::read(&file), &root);
    }
    let mut minutes = Minutes::start("bench");
    apt::install(&["postgresql"], &mut minutes)?;
    let programs = minutes.part("build", build)?;
    let machine = Machine::read()?;
    let mut results = match args.quick {
        true => Results::default(),
        false => kept::read(&file),
    };
    let scale = match args.quick {
        true => Scale { rounds: 1, divide: 20 },
        false => Scale {
            rounds: args.rounds,
            divide: 1,
        },
    };
    for case in CASES {
        if !args.case.is_empty() && !args.case.contains(&case) {
            continue;
        }
        for database in databases(case) {
            if args.database.is_some_and(|only| database != Some(only)) && database.is_some() {
                continue;
            }
            let name = result::key(case, database);
            let samples = minutes.part(&name, || match database {
                Some(database) => over(&programs, (case, database), scale),
                None => up::run(&programs.renkei, scale.rounds),
            })?;
            results.put(&name, &machine, samples);
            if !args.quick {
                // After each case, so that a broken run has not been for nothing.
                kept::write(&results, &file)?;
                write_report(&results, &root)?;
            }
        }
    }
    minutes.finish();
    if args.quick {
        println!("{}", report::page(&results, &root)?);
    }
    Ok(())
}

fn databases(case: Case) -> Vec<Option<Database>> {
    match case {
        Case::Up => vec![None],
        _ => vec![Some(Database::Sqlite), Some(Database::Postgres)],
    }
}

/// Together, so that what both use is built once.
fn build() -> Result<Programs> {
    let renkei = tool::release_binary()?;
    tool::run(tool::cargo()?.args(["build", "--release", "--package", "renkei-fleet"]))?;
    let fleet = renkei.with_file_name("renkei-fleet");
    Ok(Programs { renkei, fleet })
}

fn write_report(results: &Results, root: &Path) -> Result<()> {
    std::fs::write(root.join(REPORT), report::page(results, root)?)?;
    println!("written: {REPORT}");
    Ok(())
}

/// One case over one database, in a hub of its own.
fn over(programs: &Programs, (case, database): (Case, Database), scale: Scale) -> Result<Vec<Value>> {
    let place = place::Place::new(database)?;
    let count = |whole: usize| (whole / scale.divide).to_string();
    let rounds = scale.rounds.to_string();
    if case == Case::Read {
        let (projects, machines) = (count(1_000), count(10_000));
        let words = [
            "fill",
            "--database",
            place.url(),
            "--projects",
            &projects,
            "--machines",
            &machines,
        ];
        place.fleet(programs, None, &words)?;
    }
    let hub = Hub::start(programs, &place)?;
    let agents = place::folder_in_memory()?;
    let folder = agents
        .path()
        .to_str()
        .context("a folder in memory has a strange name")?;
    let mut words: Vec<&str> = Vec::new();
    let (hosts, machines, seconds);
    match case {
        Case::Read => {
            seconds = if scale.divide > 1 { "1" } else { "5" };
            words.extend(["read", "--seconds", seconds]);
        }
        Case::Deploy => {
            (hosts, machines) = (count(100), count(1_000));
            words.extend(["deploy", "--folder", folder, "--hosts", &hosts, "--machines", &machines]);
        }
        Case::Change | Case::Up => {
            (hosts, machines) = (count(500), count(500));
            words.extend(["change", "--folder", folder, "--hosts", &hosts, "--machines", &machines]);
        }
    }
    words.extend(["--rounds", &rounds]);
    let mut samples = place.fleet(programs, Some(&hub), &words)?;
    let memory = hub.memory()?;
    for sample in &mut samples {
        sample["hub_peak_mb"] = memory.into();
    }
    hub.stop()?;
    Ok(samples)
}
