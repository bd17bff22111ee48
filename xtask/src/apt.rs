//! Installs Debian packages that are missing, and nothing else: no upgrades, no questions.
//!
//! On a system without dpkg it only says what is needed.

use std::process::Command;

use anyhow::{Result, bail};

use crate::timing::Minutes;
use crate::tool;

/// How often it is looked again what is missing after something was installed.
const ROUNDS: usize = 2;

/// Makes sure that every package is installed. Asks the network only when one is missing.
///
/// What was asked for is looked at again afterwards: where a package came from backports, installing one of its family from the
/// stable release can remove it without a word (`qemu-system-x86` of Debian 12 beside `qemu-utils` of its backports).
pub fn install(packages: &[&str], minutes: &mut Minutes) -> Result<()> {
    if !tool::works("dpkg-query", &["--version"]) {
        bail!(
            "this is not a Debian system; install these by hand, then run again: {}",
            packages.join(" ")
        );
    }
    for round in 0..ROUNDS {
        let missing = missing(packages);
        if missing.is_empty() {
            return Ok(());
        }
        let prefix = privilege(&missing)?;
        minutes.part("apt", || {
            println!("installing {}", missing.join(" "));
            if round == 0 {
                tool::run(apt_get(prefix).args(["-q", "update"]))?;
            }
            tool::run(
                apt_get(prefix)
                    .args(["-q", "-y", "--no-install-recommends", "install"])
                    .args(&missing),
            )
        })?;
    }
    let missing = missing(packages);
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "these packages do not stay installed beside one another, perhaps because some are from backports: {}",
        missing.join(" ")
    );
}

fn missing<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    packages
        .iter()
        .copied()
        .filter(|package| !is_installed(package))
        .collect()
}

fn is_installed(package: &str) -> bool {
    let status = tool::output(Command::new("dpkg-query").args(["-W", "-f", "${Status}", package]));
    status.is_ok_and(|status| status == "install ok installed")
}

/// What has to stand before `apt-get`.
fn privilege(missing: &[&str]) -> Result<&'static [&'static str]> {
    if tool::output(Command::new("id").arg("-u"))?.trim() == "0" {
        return Ok(&[]);
    }
    if tool::works("sudo", &["-n", "true"]) {
        return Ok(&["sudo", "-n"]);
    }
    bail!(
        "packages are missing and this user may not install them; run: apt-get install {}",
        missing.join(" ")
    );
}

fn apt_get(prefix: &[&str]) -> Command {
    // `env` and not Command::env, because sudo passes no environment on.
    let mut words = prefix
        .iter()
        .copied()
        .chain(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    let mut command = Command::new(words.next().unwrap_or("env"));
    command.args(words);
    command
}
