//! Installs what tests run from PyPI: each program in a virtual environment of its own under cargo's target directory.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use renkei_testkit::python::{SCHEMATHESIS, schemathesis};

use crate::timing::Minutes;
use crate::tool;

/// Makes sure that every program is installed. Asks the network only when one is missing.
pub fn install(minutes: &mut Minutes) -> Result<()> {
    let program = schemathesis(&tool::target_directory()?);
    if program.is_file() {
        return Ok(());
    }
    let folder = program
        .parent()
        .and_then(Path::parent)
        .context("a program has a folder")?;
    minutes.part("pip", || {
        println!("installing schemathesis {SCHEMATHESIS}");
        tool::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
        tool::run(
            Command::new(folder.join("bin/pip"))
                .args(["install", "--quiet", "--disable-pip-version-check"])
                .arg(format!("schemathesis=={SCHEMATHESIS}")),
        )
    })
}
