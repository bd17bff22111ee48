//! `docs/benchmarks/hub.md`: promises first, then why some are missed, then every figure.
//!
//! Why a promise is missed is not for a program to say: that stands in `hub-notes.md`, which is written by hand and taken in as it
//! is.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::judge::PROMISES;
use super::result::{Results, Row};
use super::{CASES, databases};
use crate::machine::Machine;
use crate::tool;

/// Written by hand.
const NOTES: &str = "docs/benchmarks/hub-notes.md";

/// The whole page.
pub fn page(results: &Results, root: &Path) -> Result<String> {
    let mut page = String::from("# How fast the hub is\n\nWritten by `cargo xtask bench hub`.\n\n");
    machine(&mut page)?;
    writeln!(
        page,
        "## Promises\n\n| what | over | must reach | measured | |\n| --- | --- | --- | --- | --- |"
    )?;
    for promise in &PROMISES {
        for database in databases(promise.case) {
            let over = database.map_or("SQLite", |database| database.word());
            let (measured, verdict) = promise.judged(results, database);
            writeln!(
                page,
                "| {} | {over} | {} | {measured} | {verdict} |",
                promise.what,
                promise.told()
            )?;
        }
    }
    let notes = std::fs::read_to_string(root.join(NOTES)).with_context(|| format!("cannot read {NOTES}"))?;
    writeln!(page, "\n{}\n\n## Figures\n", notes.trim())?;
    page.push_str("The median of the rounds, and the smallest and largest of them.\n");
    for case in CASES {
        for database in databases(case) {
            if let Some(row) = results.row(case, database) {
                let name = super::result::key(case, database);
                figures(&mut page, &name, row)?;
            }
        }
    }
    Ok(page)
}

fn machine(page: &mut String) -> Result<()> {
    let machine = Machine::read()?;
    writeln!(page, "| | |\n| --- | --- |")?;
    writeln!(
        page,
        "| processor | {}, {} cores, client, hosts, hub and database share them |",
        machine.cpu, machine.cores
    )?;
    writeln!(page, "| memory | {} GB |", machine.memory_gb)?;
    writeln!(page, "| kernel | Linux {} |", machine.kernel)?;
    let postgres = tool::first_line("psql", &["--version"], "not installed");
    writeln!(page, "| database | SQLite of the binary; {postgres} |")?;
    writeln!(page, "| written | {}, commit {} |\n", machine.date, machine.commit)?;
    Ok(())
}

fn figures(page: &mut String, name: &str, row: &Row) -> Result<()> {
    writeln!(
        page,
        "\n### `{name}`\n\nCommit {}, {}, {} rounds.\n\n| figure | median | least | most |\n| --- | ---: | ---: | ---: |",
        row.commit,
        row.date,
        row.samples.len()
    )?;
    let mut pointers = Vec::new();
    if let Some(first) = row.samples.first() {
        collect(first, "", &mut pointers);
    }
    for pointer in pointers {
        let all = row.figures(&pointer);
        if let (Some(median), Some(least), Some(most)) = (row.median(&pointer), all.first(), all.last()) {
            let figure = pointer.trim_start_matches('/').replace('/', " ");
            writeln!(
                page,
                "| `{figure}` | {} | {} | {} |",
                short(median),
                short(*least),
                short(*most)
            )?;
        }
    }
    Ok(())
}

/// Where numbers stand in a sample.
fn collect(sample: &Value, pointer: &str, into: &mut Vec<String>) {
    match sample {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| collect(value, &format!("{pointer}/{name}"), into)),
        Value::Number(_) => into.push(pointer.to_owned()),
        _ => {}
    }
}

/// Whole numbers as they are, others with three digits.
fn short(figure: f64) -> String {
    if figure.fract() == 0.0 {
        format!("{figure}")
    } else {
        format!("{figure:.3}")
    }
}
