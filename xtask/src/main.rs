//! `cargo xtask`: everything a developer runs, with nothing to install first but cargo.
//!
//! One file a verb. Tasks call cargo and Debian's tools; none holds logic of the product.

// Printing is what tasks are for; the product's own crates may not.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod apt;
mod bench;
mod check;
mod content;
mod demo;
mod dist;
mod machine;
mod openapi;
mod python;
mod soak;
mod test;
mod timing;
mod tool;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::demo::After;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Renkei's own tasks")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need, build once, run all tests
    Test {
        /// Passed on to the test runner
        filter: Vec<String>,
    },
    /// Format, lints and the rules of the workspace
    Check,
    /// Copy files to a private server and back, then run two machines and log in to one; goes on until Ctrl-C
    Demo {
        /// End everything when all has been shown
        #[arg(long)]
        once: bool,
    },
    /// Measure, and write the report under docs/benchmarks
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
    /// Run the tests longer, and write docs/assurance.md
    Soak {
        /// Begin new rounds until so many minutes have passed
        #[arg(long, default_value_t = 0)]
        minutes: u64,
        /// Passed on to the test runner
        filter: Vec<String>,
    },
    /// Write docs/openapi.json
    Openapi,
    /// Build a binary for old systems
    Dist,
}

#[derive(Subcommand)]
enum Bench {
    /// `renkei cp` beside scp, rsync and rclone
    Cp(bench::cp::Args),
    /// The hub, over SQLite and PostgreSQL
    Hub(bench::hub::Args),
}

fn main() -> ExitCode {
    let result = match Args::parse().task {
        Task::Test { filter } => test::run(&filter),
        Task::Check => check::run(),
        Task::Demo { once: false } => demo::run(After::GoOn),
        Task::Demo { once: true } => demo::run(After::End),
        Task::Bench { what: Bench::Cp(args) } => bench::cp::run(args),
        Task::Bench { what: Bench::Hub(args) } => bench::hub::run(args),
        Task::Soak { minutes, filter } => soak::run(Duration::from_secs(60 * minutes), &filter),
        Task::Openapi => openapi::run(),
        Task::Dist => dist::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
