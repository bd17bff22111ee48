//! Running other programs: what was run is named when it fails.
//!
//! Deliberately no shell: arguments are passed as they are.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The workspace's root directory.
///
/// `cargo run` tells where this crate's manifest is at run time, so the binary holds no path of the machine that built
/// it.
pub fn root() -> Result<PathBuf> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .context("start this as `cargo xtask`, so that cargo says where the workspace is")?;
    let root = Path::new(&manifest)
        .parent()
        .context("the xtask crate has no directory above it")?;
    Ok(root.to_path_buf())
}

/// The cargo that started us, ready for arguments, in the workspace's root.
pub fn cargo() -> Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()?);
    // These describe xtask's own build; a build script of another crate must not see them.
    for name in [
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_PKG_NAME",
        "CARGO_PKG_VERSION",
    ] {
        command.env_remove(name);
    }
    Ok(command)
}

/// Where cargo puts what it builds.
pub fn target_directory() -> Result<PathBuf> {
    let text = output(cargo()?.args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text).context("cannot understand `cargo metadata`")?;
    let directory = metadata["target_directory"]
        .as_str()
        .context("`cargo metadata` names no target directory")?;
    Ok(directory.into())
}

/// Builds `renkei` as users have it and says where it is.
pub fn release_binary() -> Result<PathBuf> {
    run(cargo()?.args(["build", "--release", "--package", "renkei"]))?;
    Ok(target_directory()?.join("release/renkei"))
}

/// Runs to the end with our own standard output and error; fails unless it exits 0.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs to the end and returns what it wrote to standard output; fails unless it exits 0.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed ({}): {}", shown(command), output.status, said.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` did not write UTF-8", shown(command)))
}

/// The first line of what it writes, or `fallback` where it is not there or fails: for versions in reports.
pub fn first_line(program: &str, args: &[&str], fallback: &str) -> String {
    let Ok(output) = Command::new(program).args(args).stdin(Stdio::null()).output() else {
        return fallback.to_owned();
    };
    // `ssh -V` and others write their version to standard error.
    let text = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    String::from_utf8_lossy(&text)
        .lines()
        .next()
        .unwrap_or(fallback)
        .trim()
        .to_owned()
}

/// Whether the program can be started and exits 0.
pub fn works(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A command line as a person would type it, for messages only.
fn shown(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args().map(OsStr::to_string_lossy) {
        line.push(' ');
        line.push_str(&arg);
    }
    line
}
