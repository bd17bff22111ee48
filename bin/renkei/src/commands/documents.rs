//! Completions and manual pages, made from the definitions of the options.

use std::io;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::env::{CompleteEnv, Shells};

use crate::arguments::{Renkei, mscp::Mscp};
use crate::exit;
use crate::printer::Output;

/// Set by the completion scripts, to the name of the shell.
const COMPLETE: &str = "RENKEI_COMPLETE";

/// Prints a completion script, which asks this program what to complete: some names only a hub knows.
pub fn completions(shell: clap_complete::Shell) -> u8 {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let written = match shells.completer(&shell.to_string()) {
        Some(shell) => shell.write_registration(COMPLETE, "renkei", "renkei", "renkei", &mut script),
        None => Err(io::Error::other(format!("nothing is known of the shell {shell}"))),
    };
    told(written.and_then(|()| Output::PLAIN.answer(&script)))
}

/// Whether a completion script has called, and was answered.
pub fn complete() -> bool {
    let directory = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(command).var(COMPLETE);
    // What cannot be completed is not completed: the shell shows nothing else.
    asked
        .try_complete(std::env::args_os(), directory.as_deref())
        .unwrap_or(true)
}

#[cfg(feature = "hub")]
fn command() -> clap::Command {
    super::hub::with_names(Renkei::command())
}

#[cfg(not(feature = "hub"))]
fn command() -> clap::Command {
    Renkei::command()
}

/// Writes all manual pages into a directory, or prints the one of `renkei`.
pub fn man(directory: Option<&Path>) -> u8 {
    told(match directory {
        Some(directory) => write_pages(directory),
        None => print_page(),
    })
}

fn print_page() -> io::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Renkei::command()).render(&mut page)?;
    Output::PLAIN.answer(&page)
}

fn write_pages(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Renkei::command(), directory)?;
    clap_mangen::generate_to(Mscp::command(), directory)
}

fn told(result: io::Result<()>) -> u8 {
    match result {
        Ok(()) => exit::COMPLETE,
        Err(error) => Output::PLAIN.failure(&error, exit::FAILED),
    }
}
