//! Running programs, inside a network namespace or not: with lists of words, never through a shell.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use serde::de::DeserializeOwned;

use super::error::NetworkError;

/// Where iproute2 keeps namespaces (ip-netns(8)).
const FOLDER: &str = "/run/netns";

/// A network namespace, or the one that we are in ourselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Space {
    name: String,
    path: Option<PathBuf>,
}

/// What a program is to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job<'a> {
    /// For errors: `look at the links of segment …`.
    pub doing: &'a str,
    /// The program and its arguments.
    pub words: &'a [&'a str],
    /// What it reads.
    pub input: &'a str,
}

/// A job without input.
pub(super) fn job<'a>(doing: &'a str, words: &'a [&'a str]) -> Job<'a> {
    Job {
        doing,
        words,
        input: "",
    }
}

impl Space {
    /// The namespace of this name.
    pub(super) fn named(name: &str) -> Result<Self, NetworkError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || name.len() > 60 || !name.bytes().all(allowed) {
            return Err(NetworkError::Name(name.to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            path: Some(Path::new(FOLDER).join(name)),
        })
    }

    /// The one that this process is in.
    pub(super) fn own() -> Self {
        Self {
            name: "of the host".to_owned(),
            path: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The file that leads into it; of our own one the one in /proc.
    pub(super) fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new("/proc/self/ns/net"))
    }

    /// Runs a program in it and gives what it writes.
    pub(super) fn run(&self, job: Job<'_>) -> Result<Vec<u8>, NetworkError> {
        let program = job.words.first().copied().unwrap_or_default();
        let start = |source| NetworkError::Start {
            program: program.to_owned(),
            doing: job.doing.to_owned(),
            source,
        };
        let mut child = self
            .command(job.words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        let mut stdin = child.stdin.take();
        let output = thread::scope(|scope| {
            // It may write before it has read all; a program that ends without reading says why by itself.
            scope.spawn(move || stdin.take().map(|mut pipe| pipe.write_all(job.input.as_bytes())));
            child.wait_with_output()
        })
        .map_err(start)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> = said.split_whitespace().collect();
        Err(NetworkError::Refused {
            program: program.to_owned(),
            doing: job.doing.to_owned(),
            said: if said.is_empty() {
                output.status.to_string()
            } else {
                said.join(" ")
            },
        })
    }

    /// Runs lines of `ip` in it, one after the other until one fails. None is nothing to do.
    pub(super) fn batch(&self, lines: &[String]) -> Result<(), NetworkError> {
        if lines.is_empty() {
            return Ok(());
        }
        let doing = format!("change the links of network namespace `{}`", self.name);
        let mut input = lines.join("\n");
        input.push('\n');
        let job = Job {
            doing: &doing,
            words: &["ip", "-batch", "-"],
            input: &input,
        };
        match self.run(job) {
            // `Command failed -:3` alone would not say which.
            Err(NetworkError::Refused { program, doing, said }) => Err(NetworkError::Refused {
                program,
                doing,
                said: in_words(&said, lines),
            }),
            other => other.map(drop),
        }
    }

    /// Runs a program in it and reads what it writes as JSON. Nothing is read as `null`: so `ip -j` says that there is nothing.
    pub(super) fn ask<T: DeserializeOwned>(&self, job: Job<'_>) -> Result<T, NetworkError> {
        let answer = self.run(job)?;
        let bytes: &[u8] = match answer.trim_ascii() {
            [] => b"null",
            bytes => bytes,
        };
        serde_json::from_slice(bytes).map_err(|source| NetworkError::Answer {
            program: job.words.first().copied().unwrap_or_default().to_owned(),
            doing: job.doing.to_owned(),
            source,
        })
    }

    /// `nsenter` and not `ip netns exec` or `ip -n`: those mount another /sys.
    fn command(&self, words: &[&str]) -> Command {
        let (program, arguments) = words.split_first().unwrap_or((&"true", &[]));
        let mut command = match &self.path {
            Some(path) => {
                let mut net = std::ffi::OsString::from("--net=");
                net.push(path);
                let mut command = Command::new("nsenter");
                command.arg(net).arg("--").arg(program);
                command
            }
            None => Command::new(program),
        };
        // A service may have a path without the folders of the system's tools.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/usr/bin:/sbin:/bin"));
        command.env("LC_ALL", "C");
        command.args(arguments);
        command
    }
}

/// What `ip -batch` says, with the line that failed.
fn in_words(said: &str, lines: &[String]) -> String {
    let number = said.rsplit_once("-:").map(|(_, rest)| rest);
    let number = number.and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok());
    let line = number.and_then(|number| lines.get(number.checked_sub(1)?));
    line.map_or_else(|| said.to_owned(), |line| format!("{said} (`{line}`)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_fails_is_shown() {
        let lines = ["link add a type veth".to_owned(), "link set b up".to_owned()];
        let said = "Cannot find device \"b\" Command failed -:2";
        assert_eq!(in_words(said, &lines), format!("{said} (`link set b up`)"));
        assert_eq!(in_words("no", &lines), "no");
    }

    #[test]
    fn a_program_that_refuses_is_quoted() {
        let job = Job {
            doing: "look at link `none`",
            words: &["ip", "-j", "link", "show", "dev", "renkei-none"],
            input: "",
        };
        let error = Space::own().run(job).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("cannot look at link `none`: `ip` says: "), "{text}");
        assert!(text.contains("does not exist"), "{text}");
    }

    #[test]
    fn what_is_no_file_name_is_no_namespace() {
        for name in ["", "a/b", "..", &"n".repeat(61)] {
            assert!(matches!(Space::named(name), Err(NetworkError::Name(_))), "{name}");
        }
    }
}
