//! Tells the binary which commit it was built from.
//!
//! `RENKEI_COMMIT` wins, for builds from an archive; else git is asked; without either the version says so and the
//! build goes on.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=RENKEI_COMMIT");
    let commit = std::env::var("RENKEI_COMMIT")
        .ok()
        .or_else(|| git(&["rev-parse", "--short=12", "HEAD"]))
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=RENKEI_COMMIT={commit}");
    // The log of HEAD changes with every commit and every switch. A path that does not exist would make cargo build
    // this crate again each time.
    match git(&["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"]) {
        Some(path) if std::path::Path::new(&path).exists() => println!("cargo::rerun-if-changed={path}"),
        _ => println!("cargo::rerun-if-changed=build.rs"),
    }
}

/// One line of git's answer; none without git or outside a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !answer.is_empty()).then_some(answer)
}
