//! `cargo xtask dist`: a `renkei` that starts on old login nodes.
//!
//! Old means glibc 2.17 (Red Hat 7 and its kin), the oldest that the standard library itself supports. The linker that
//! can do it is zig's, driven by cargo-zigbuild; both come as wheels into a Python environment under `target/`, so that
//! nothing is installed on the machine but Debian packages. The result is checked, not assumed.

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::timing::Minutes;
use crate::{apt, tool};

const PACKAGES: &[&str] = &["python3", "python3-venv", "binutils"];
/// Pinned, because a release is to be made again from the same sources with the same result.
const WHEELS: &[&str] = &["ziglang==0.17.0", "cargo-zigbuild==0.24.0"];
/// The newest symbol version that the binary may ask for.
const OLDEST_GLIBC: Glibc = Glibc {
    major: 2,
    minor: 17,
    patch: 0,
};

/// Builds, checks and says where the binary is.
pub fn run() -> Result<()> {
    let mut minutes = Minutes::start("dist");
    apt::install(PACKAGES, &mut minutes)?;
    let target = tool::target_directory()?;
    let tools = target.join("dist-tools");
    minutes.part("tools", || install_wheels(&tools))?;
    // Apart from the other builds: they need not wait for this one, nor this one for them.
    let output = target.join("dist");
    let triple = host()?;
    minutes.part("build", || build(&tools, &output, &triple))?;
    let binary = output.join(&triple).join("dist/renkei");
    let newest = check(&binary)?;
    let version = tool::output(Command::new(&binary).arg("--version"))?;
    let size = std::fs::metadata(&binary)?.len();
    minutes.finish();
    println!("{}", version.trim());
    println!("{} bytes, needs glibc {newest} or newer: {}", size, binary.display());
    Ok(())
}

fn install_wheels(tools: &Path) -> Result<()> {
    if !tools.join("bin/pip").exists() {
        // Debian's own, because python3-venv belongs to it and another may come first in PATH.
        tool::run(Command::new("/usr/bin/python3").args(["-m", "venv"]).arg(tools))?;
    }
    tool::run(
        Command::new(tools.join("bin/pip"))
            .args(["install", "--quiet"])
            .args(WHEELS),
    )
}

fn host() -> Result<String> {
    let text = tool::output(Command::new("rustc").arg("-vV"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("rustc does not say for what it compiles")?.to_owned())
}

fn build(tools: &Path, output: &Path, triple: &str) -> Result<()> {
    let mut path = vec![tools.join("bin")];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut cargo = tool::cargo()?;
    cargo
        .env("PATH", std::env::join_paths(path)?)
        .env("CARGO_TARGET_DIR", output);
    cargo.args(["zigbuild", "--locked", "--profile", "dist", "--package", "renkei"]);
    // `cp` alone: the rest of the platform is not for login nodes.
    cargo.args(["--no-default-features", "--features", "cp"]);
    cargo.args([
        "--target",
        &format!("{triple}.{}.{}", OLDEST_GLIBC.major, OLDEST_GLIBC.minor),
    ]);
    tool::run(&mut cargo)
}

/// The newest glibc symbol version that the binary asks for; an error if it is too new.
fn check(binary: &Path) -> Result<Glibc> {
    let symbols = tool::output(Command::new("objdump").arg("--dynamic-syms").arg(binary))?;
    let newest = newest_glibc(&symbols).context("the binary asks for no glibc symbol: is it the right file?")?;
    if newest > OLDEST_GLIBC {
        bail!("the binary needs glibc {newest}, it may need {OLDEST_GLIBC} at most");
    }
    Ok(newest)
}

/// A version of the GNU C library, as in the symbol version `GLIBC_2.3.4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Glibc {
    major: u32,
    minor: u32,
    patch: u32,
}

impl fmt::Display for Glibc {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.major, self.minor)?;
        if self.patch > 0 {
            write!(out, ".{}", self.patch)
        } else {
            Ok(())
        }
    }
}

/// The newest in what `objdump --dynamic-syms` writes.
///
/// `GLIBC_PRIVATE` counts as newer than everything: it promises nothing between releases.
fn newest_glibc(symbols: &str) -> Option<Glibc> {
    let words = symbols.split(|char: char| char.is_whitespace() || char == '(' || char == ')');
    words
        .filter_map(|word| word.strip_prefix("GLIBC_"))
        .filter_map(parse)
        .max()
}

fn parse(version: &str) -> Option<Glibc> {
    if version == "PRIVATE" {
        return Some(Glibc {
            major: u32::MAX,
            minor: 0,
            patch: 0,
        });
    }
    let mut parts = version.split('.').map(str::parse::<u32>);
    let major = parts.next()?.ok()?;
    let minor = parts.next()?.ok()?;
    let patch = parts.next().unwrap_or(Ok(0)).ok()?;
    Some(Glibc { major, minor, patch })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYMBOLS: &str = "
DYNAMIC SYMBOL TABLE:
0000000000000000      DF *UND*\t0000000000000000 (GLIBC_2.2.5) pthread_create
0000000000000000  w   DF *UND*\t0000000000000000 (GLIBC_2.9) pipe2
0000000000000000      DF *UND*\t0000000000000000 (GCC_3.3) _Unwind_Resume
0000000000000000      DF *UND*\t0000000000000000 (GLIBC_2.17) clock_gettime
";

    #[test]
    fn the_newest_symbol_counts_by_number_and_not_by_text() {
        assert_eq!(newest_glibc(SYMBOLS), Some(OLDEST_GLIBC));
        assert_eq!(
            newest_glibc("(GLIBC_2.9) a (GLIBC_2.3.4) b")
                .map(|v| v.to_string())
                .as_deref(),
            Some("2.9")
        );
    }

    #[test]
    fn a_newer_or_private_symbol_is_too_new() {
        assert!(newest_glibc(&SYMBOLS.replace("2.9", "2.18")) > Some(OLDEST_GLIBC));
        assert!(newest_glibc(&SYMBOLS.replace("2.9", "PRIVATE")) > Some(OLDEST_GLIBC));
    }

    #[test]
    fn a_file_without_glibc_symbols_is_not_taken_for_old() {
        assert_eq!(newest_glibc("DYNAMIC SYMBOL TABLE:\n"), None);
    }

    #[test]
    fn the_scan_reads_a_real_binary() {
        let own = std::env::current_exe().unwrap();
        let symbols = tool::output(Command::new("objdump").arg("--dynamic-syms").arg(own)).unwrap();
        assert!(newest_glibc(&symbols).is_some_and(|newest| newest.major == 2 && newest >= parse("2.2.5").unwrap()));
    }
}
