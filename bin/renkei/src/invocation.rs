//! From the words of the process to settings: by which name it was called, and what was typed after it.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use clap::{CommandFactory as _, Parser as _};
use renkei_transfer::journal;
use renkei_types::printable::Printable;

use crate::arguments::{Renkei, mscp::Mscp};
use crate::exit;
use crate::printer::Output;
use crate::settings::{Program, Recall, RecallError, Settings, UsageError, recalled_checkpoint};

/// Why there is nothing to carry out.
#[derive(Debug)]
pub enum Refusal {
    /// clap's word: a usage error, or the help or version that was asked for.
    Words(clap::Error),
    /// mscp without arguments.
    NoWords,
    /// What the words say makes no sense.
    Usage(UsageError),
    /// The checkpoint of mscp's `-R` cannot be used.
    Checkpoint(CheckpointError),
    /// There is no working directory.
    Directory(io::Error),
}

/// A checkpoint that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot go on from the checkpoint `{file}`")]
pub struct CheckpointError {
    file: String,
    source: Box<dyn std::error::Error>,
}

/// Understands the words of a process, the first of which is the name that it was called by.
pub fn understand(words: impl Iterator<Item = OsString>) -> Result<Settings, Refusal> {
    let words: Vec<OsString> = words.collect();
    let (name, typed) = match words.split_first() {
        Some((name, typed)) => (name.as_os_str(), typed),
        None => (OsStr::new("renkei"), &[][..]),
    };
    let directory = std::env::current_dir().map_err(Refusal::Directory)?;
    match program(name) {
        Program::Renkei => {
            let recall = Recall::new(Program::Renkei, &directory, typed);
            let renkei = Renkei::try_parse_from(recall.command_line()).map_err(Refusal::Words)?;
            Settings::of_renkei(renkei, &recall).map_err(Refusal::Usage)
        }
        Program::Mscp if typed.is_empty() => Err(Refusal::NoWords),
        Program::Mscp => {
            let recall = Recall::new(Program::Mscp, &directory, typed);
            mscp(recall)
        }
    }
}

fn program(name: &OsStr) -> Program {
    match Path::new(name).file_name() {
        Some(name) if name == "mscp" => Program::Mscp,
        _ => Program::Renkei,
    }
}

/// With `-R`, sources and target are those of the checkpoint, and so is what the next checkpoint will remember.
fn mscp(mut recall: Recall) -> Result<Settings, Refusal> {
    let mut typed = Mscp::try_parse_from(recall.command_line()).map_err(Refusal::Words)?;
    if let Some(file) = &typed.resume {
        let refuse = |source: Box<dyn std::error::Error>| {
            Refusal::Checkpoint(CheckpointError {
                file: Printable(file.as_os_str().as_bytes()).to_string(),
                source,
            })
        };
        let loaded = journal::load_at(file).map_err(|error| refuse(error.into()))?;
        let remembered = Recall::from_bytes(&loaded.header.request);
        let paths = remembered.and_then(|remembered| {
            recall = remembered;
            recalled_checkpoint(&recall)
        });
        typed.paths = paths.map_err(|error: RecallError| refuse(error.into()))?;
    }
    Settings::of_mscp(typed, &recall).map_err(Refusal::Usage)
}

impl Refusal {
    /// Tells the person, and gives the exit code.
    pub fn tell(self) -> u8 {
        match self {
            Self::Words(error) => {
                // Help that nobody reads to its end is no failure.
                let _ = error.print();
                u8::try_from(error.exit_code()).unwrap_or(exit::USAGE)
            }
            Self::NoWords => {
                let help = Mscp::command().render_help();
                let _ = write!(io::stderr(), "{help}");
                exit::USAGE
            }
            Self::Usage(error) => Output::PLAIN.failure(&error, exit::USAGE),
            Self::Checkpoint(error) => Output::PLAIN.failure(&error, exit::USAGE),
            Self::Directory(error) => {
                Output::PLAIN.error(&format!("there is no working directory: {error}"), exit::FAILED);
                exit::FAILED
            }
        }
    }
}
