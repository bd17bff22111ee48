//! Completions and manual pages, made from the definitions of the options.

use std::io;
use std::path::Path;

use clap::CommandFactory as _;

use crate::arguments::{Renkei, mscp::Mscp};
use crate::exit;
use crate::printer::Output;

/// Prints a completion script.
pub fn completions(shell: clap_complete::Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Renkei::command(), "renkei", &mut script);
    told(Output::PLAIN.answer(&script))
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
