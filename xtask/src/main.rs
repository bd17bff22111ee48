//! `cargo xtask`: everything a developer runs, with nothing to install first but cargo.
//!
//! One file a verb. Tasks call cargo and Debian's tools; none holds logic of the product.

// Printing is what tasks are for; the product's own crates may not.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod apt;
mod check;
mod test;
mod timing;
mod tool;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
}

fn main() -> ExitCode {
    let result = match Args::parse().task {
        Task::Test { filter } => test::run(&filter),
        Task::Check => check::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
