//! The built `renkei`, run as a user would run it, but with a home of its own.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{signal, spawn_tied};
use crate::wait;

/// The longest that a run in a test may take.
const LONGEST_RUN: Duration = Duration::from_secs(600);

/// The program with a private home; whatever it keeps there goes when this is dropped.
#[derive(Debug)]
pub struct Renkei {
    program: PathBuf,
    home: TempDir,
}

impl Renkei {
    /// The `renkei` that was built beside the running test.
    pub fn built() -> Result<Self> {
        Self::at(built_binary("renkei")?)
    }

    /// This `renkei`.
    pub fn at(program: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self {
            program: program.into(),
            home: tempfile::Builder::new().prefix("renkei-home-").tempdir()?,
        })
    }

    /// The program's file.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Where it keeps its journals: `$XDG_STATE_HOME/renkei`.
    pub fn state_dir(&self) -> PathBuf {
        self.home.path().join("state/renkei")
    }

    /// Its home directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The program without arguments, in its home's environment, with no agent and nobody to ask.
    pub fn command(&self) -> Command {
        self.prepare(Command::new(&self.program))
    }

    /// Gives that environment to a command that starts the program some other way, such as
    /// [`Wan::client_command`](crate::Wan::client_command).
    pub fn prepare(&self, mut command: Command) -> Command {
        command
            .env("HOME", self.home.path())
            .env("XDG_STATE_HOME", self.home.path().join("state"));
        for name in [
            "SSH_AUTH_SOCK",
            "SSH_ASKPASS",
            "SSH_ASKPASS_REQUIRE",
            "DISPLAY",
            "XDG_CONFIG_HOME",
        ] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Outcome> {
        self.spawn(arguments)?.finish()
    }

    /// Starts it.
    pub fn spawn<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Running> {
        let mut command = self.command();
        command.args(arguments);
        Running::start(command)
    }
}

/// What a finished run left.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: ExitStatus,
    /// All of standard output; what is not UTF-8 is replaced.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

impl Outcome {
    /// The exit code; none if it was killed.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The lines of standard output that are JSON, as `--json` writes them.
    pub fn events(&self) -> Vec<serde_json::Value> {
        self.stdout
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Both outputs, for a test that fails.
    pub fn text(&self) -> String {
        format!(
            "{}\n--- stdout\n{}\n--- stderr\n{}",
            self.status, self.stdout, self.stderr
        )
    }
}

/// A run that goes on; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts any command and collects what it writes.
    pub fn start(mut command: Command) -> Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = command.get_program().to_owned();
        let mut child = spawn_tied(command).with_context(|| format!("cannot start {name:?}"))?;
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let mut readers = vec![];
        if let Some(pipe) = child.stdout.take() {
            readers.push(collect(pipe, &stdout));
        }
        if let Some(pipe) = child.stderr.take() {
            readers.push(collect(pipe, &stderr));
        }
        Ok(Self {
            child,
            stdout,
            stderr,
            readers,
        })
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until a `--json` line tells of at least so many bytes done, or the run ends; gives the bytes last told.
    pub fn wait_for_bytes(&mut self, bytes: u64) -> Result<u64> {
        wait::until_some("enough bytes", LONGEST_RUN, || {
            let told = last_bytes(&self.stdout());
            (told >= bytes || self.has_ended()).then_some(told)
        })
    }

    /// Kills it, as the kernel does when memory runs out.
    pub fn kill(&self) {
        signal(self.child.id(), Signal::KILL);
    }

    /// As Ctrl-C does.
    pub fn interrupt(&self) {
        signal(self.child.id(), Signal::INT);
    }

    /// Waits for its end, which must come within ten minutes.
    pub fn finish(mut self) -> Result<Outcome> {
        let waited = wait::until_some("the end of the run", LONGEST_RUN, || self.child.try_wait().transpose());
        let Ok(status) = waited else {
            self.kill();
            bail!("the run did not end: {}\n{}", self.stdout(), self.stderr());
        };
        for reader in self.readers.drain(..) {
            // It cannot panic.
            let _ = reader.join();
        }
        Ok(Outcome {
            status: status?,
            stdout: self.stdout(),
            stderr: self.stderr(),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.kill();
            // It was killed, so this returns.
            let _ = self.child.wait();
        }
    }
}

fn collect(pipe: impl Read + Send + 'static, into: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let into = into.clone();
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        loop {
            match pipe.fill_buf() {
                Ok(bytes) if !bytes.is_empty() => {
                    into.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .extend_from_slice(bytes);
                    let length = bytes.len();
                    pipe.consume(length);
                }
                Ok(_) | Err(_) => return,
            }
        }
    })
}

fn text(bytes: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}

/// The `bytes` of the last progress line that is complete.
fn last_bytes(output: &str) -> u64 {
    let lines = output.rsplit('\n').skip(1);
    let mut values = lines.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    values
        .find(|value| value.get("event").is_some_and(|event| event == "progress"))
        .and_then(|value| value.get("bytes")?.as_u64())
        .unwrap_or(0)
}

/// A binary of this workspace that was built before the tests, found beside the running one.
///
/// # Errors
/// If it is not there: `cargo build --workspace --bins` makes it.
pub fn built_binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folders = own.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("no `{name}` beside {own:?}; run `cargo build --workspace --bins` first"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_status_are_collected() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo '{\"event\":\"progress\",\"bytes\":7}'; echo no >&2; exit 4"]);
        let mut running = Running::start(command).unwrap();
        running.wait_for_bytes(7).unwrap();
        let outcome = running.finish().unwrap();
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(4), "no\n"));
        assert_eq!(outcome.events().len(), 1);
    }

    #[test]
    fn the_last_complete_progress_counts() {
        let line = |bytes: u64| format!("{{\"event\":\"progress\",\"bytes\":{bytes}}}");
        assert_eq!(
            last_bytes(&format!(
                "{}\n{}\n{{\"event\":\"note\"}}\n{}",
                line(1),
                line(2),
                line(3)
            )),
            2
        );
        assert_eq!(last_bytes(""), 0);
    }
}
