//! Running the programs that the builder needs.

use std::io;
use std::process::{Command, Output, Stdio};

use super::SmallError;

/// A program and the Debian package that it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tool {
    program: &'static str,
    package: &'static str,
}

pub(super) const APT_GET: Tool = Tool::of("apt-get", "apt");
pub(super) const APT_CACHE: Tool = Tool::of("apt-cache", "apt");
pub(super) const DPKG_DEB: Tool = Tool::of("dpkg-deb", "dpkg");
pub(super) const QEMU_IMG: Tool = Tool::of("qemu-img", "qemu-utils");
pub(super) const XZ: Tool = Tool::of("xz", "xz-utils");

impl Tool {
    const fn of(program: &'static str, package: &'static str) -> Self {
        Self { program, package }
    }

    /// Ready for arguments; speaks English.
    pub(super) fn command(self) -> Command {
        let mut command = Command::new(self.program);
        command.env("LC_ALL", "C").stdin(Stdio::null());
        command
    }

    /// Runs to the end, whatever comes of it.
    pub(super) fn output(self, command: &mut Command) -> Result<Output, SmallError> {
        command.output().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => SmallError::NoProgram {
                program: self.program,
                package: self.package,
            },
            _ => SmallError::file("start", self.program)(source),
        })
    }

    /// Runs to the end and gives what it wrote.
    pub(super) fn run(self, command: &mut Command) -> Result<Vec<u8>, SmallError> {
        let output = self.output(command)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(SmallError::Failed {
            program: self.program.to_owned(),
            said: last_words(&output),
        })
    }
}

/// The last line that it wrote to standard error, or how it ended.
pub(super) fn last_words(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    last.map_or_else(|| output.status.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_named_with_its_package() {
        let absent = Tool::of("renkei-has-no-such-program", "nothing");
        let error = absent.run(&mut absent.command()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the program `renkei-has-no-such-program` is not installed; it is in Debian's package `nothing`"
        );
    }

    #[test]
    fn a_program_that_fails_is_quoted() {
        let error = DPKG_DEB
            .run(DPKG_DEB.command().args(["-x", "/nonexistent.deb", "/"]))
            .unwrap_err();
        assert!(
            matches!(&error, SmallError::Failed { said, .. } if said.contains("nonexistent")),
            "{error}"
        );
    }
}
