//! Installs Debian packages that are missing, and nothing else: no upgrades, no removals, no questions.
//!
//! On a system without dpkg it only says what is needed.

use std::process::Command;

use anyhow::{Result, bail};

use crate::timing::Minutes;
use crate::tool;

/// Makes sure that every package is installed. Asks the network only when one is missing.
pub fn install(packages: &[&str], minutes: &mut Minutes) -> Result<()> {
    if !tool::works("dpkg-query", &["--version"]) {
        bail!(
            "this is not a Debian system; install these by hand, then run again: {}",
            packages.join(" ")
        );
    }
    let missing: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|package| !is_installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let prefix = privilege(&missing)?;
    minutes.part("apt", || {
        println!("installing {}", missing.join(" "));
        tool::run(apt_get(prefix).args(["-q", "update"]))?;
        tool::run(
            apt_get(prefix)
                .args(["-q", "-y", "--no-install-recommends", "install"])
                .args(&missing),
        )
    })
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
