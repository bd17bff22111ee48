//! `renkei-fleet`: hosts and clients in numbers, against a hub that runs. `cargo xtask bench hub` starts it.
//!
//! Each command measures one thing and writes what came out as JSON, a line a round. The hosts are the real agents, as many of them in
//! one process, each with a folder, a certificate and a connection of its own; their driver only pretends, in memory.

// What it writes is all that it is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod change;
mod client;
mod deploy;
mod fill;
mod hosts;
mod read;
mod scene;
mod sign_in;
mod steady;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use serde_json::Value;

#[derive(Parser)]
#[command(
    name = "renkei-fleet",
    about = "Hosts and clients in numbers, against a hub that runs"
)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Write projects and machines into a database that no hub uses, past all rules
    Fill(Fill),
    /// Sign in as the first administrator, whose one-time password comes on standard input
    SignIn {
        /// Where the API listens, HOST:PORT
        #[arg(long)]
        hub: String,
    },
    /// List machines, show one and refresh a token, each at a steady rate
    Read(Read),
    /// Join hosts, and deploy machines on them
    Deploy(Fleet),
    /// Join hosts with a machine each, and change every machine
    Change(Fleet),
}

#[derive(Args)]
struct Fill {
    /// `sqlite:PATH` or `postgres://USER@HOST/NAME`
    #[arg(long)]
    database: String,
    #[arg(long, default_value_t = 1_000)]
    projects: usize,
    #[arg(long, default_value_t = 10_000)]
    machines: usize,
}

/// Who asks, and where.
#[derive(Args)]
struct Asking {
    /// Where the API listens, HOST:PORT
    #[arg(long)]
    hub: String,
    /// An administrator's token
    #[arg(long, env = "RENKEI_TOKEN", hide_env_values = true)]
    token: String,
    /// How often it is measured
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

#[derive(Args)]
struct Read {
    #[command(flatten)]
    asking: Asking,
    /// A token of mdx's dialect
    #[arg(long, env = "RENKEI_MDX_TOKEN", hide_env_values = true)]
    mdx_token: String,
    /// Requests a second
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// How long each lasts
    #[arg(long, default_value_t = 5)]
    seconds: u32,
}

#[derive(Args)]
struct Fleet {
    #[command(flatten)]
    asking: Asking,
    /// Where the agents keep their folders
    #[arg(long)]
    folder: PathBuf,
    #[arg(long)]
    hosts: usize,
    /// Machines in all
    #[arg(long)]
    machines: usize,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("renkei-fleet: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments = Arguments::parse();
    let mut limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limits.current = limits.maximum;
    // Each agent has some open files; with too few, joining fails and says so.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, limits);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match arguments.what {
            What::Fill(fill) => fill::run(&fill).await,
            What::SignIn { hub } => sign_in::run(&hub).await,
            What::Read(read) => read::run(&read).await,
            What::Deploy(fleet) => deploy::run(&fleet).await,
            What::Change(fleet) => change::run(&fleet).await,
        }
    })
}

/// What came out of a round.
fn tell(what: &Value) {
    println!("{what}");
}

/// For people and programs: enough digits, not more.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e6
}
