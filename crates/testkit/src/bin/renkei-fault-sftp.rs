//! An SFTP server on standard input and output, which misbehaves as the plan in the given folder says.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use renkei_testkit::fault::{Plan, serve};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let folder = std::env::args_os().nth(1).context("usage: renkei-fault-sftp FOLDER")?;
    let folder = Path::new(&folder);
    serve(std::io::stdin(), std::io::stdout(), &Plan::read(folder)?, folder)
}

#[expect(
    clippy::print_stderr,
    reason = "ssh shows it to the client, as it does for a real server"
)]
fn complain(error: &anyhow::Error) {
    eprintln!("renkei-fault-sftp: {error:#}");
}
