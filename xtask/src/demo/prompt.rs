//! Commands as a newcomer would type them: each is printed, then run, then what it wrote and how long it took.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use renkei_testkit::renkei::{Outcome, Running};
use renkei_testkit::{process, wait};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The longest that one command may take, or a guest until one can log in: QEMU interprets it where KVM does not work, and the computer
/// may be busy.
const LONGEST: Duration = Duration::from_secs(300);
/// Between two commands that ask the same.
const PAUSE: Duration = Duration::from_millis(300);

/// Where commands are typed: a folder, and variables.
pub struct Prompt {
    renkei: PathBuf,
    folder: PathBuf,
    variables: Vec<(&'static str, String)>,
    interrupted: Arc<AtomicBool>,
}

/// Prints a line. Whoever reads them may be gone; what was begun is brought to its end all the same.
pub fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

impl Prompt {
    /// In `folder`, with this `renkei`. From now on Ctrl-C does not end this process but is to be asked for.
    pub fn new(renkei: &Path, folder: &Path) -> Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, interrupted.clone()).context("cannot listen to Ctrl-C")?;
        }
        Ok(Self {
            renkei: renkei.to_owned(),
            folder: folder.to_owned(),
            variables: Vec::new(),
            interrupted,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sets and shows a variable of all commands that follow.
    pub fn export(&mut self, name: &'static str, value: &str) {
        say(&format!("$ {}", set(name, value)));
        self.variables.push((name, value.to_owned()));
    }

    /// What makes another shell one like this: the variables, and where `renkei` is.
    pub fn settings(&self) -> Vec<String> {
        let path = self
            .renkei
            .parent()
            .map(|folder| format!("export PATH={}:$PATH", quoted(&folder.display().to_string())));
        let variables = self.variables.iter().map(|(name, value)| set(name, value));
        variables.chain(path).collect()
    }

    /// Whether somebody wants this to end.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Fails if somebody wants this to end.
    pub fn go_on(&self) -> Result<()> {
        if self.is_interrupted() {
            bail!("interrupted");
        }
        Ok(())
    }

    /// The command, not shown and not started.
    pub fn command(&self, words: &[&str]) -> Command {
        let (program, arguments) = words
            .split_first()
            .map_or(("true", words), |(first, rest)| (*first, rest));
        let mut command = match program {
            "renkei" => Command::new(&self.renkei),
            other => Command::new(other),
        };
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        // What the user has set up must not change what is shown.
        for name in [
            "RENKEI_HUB",
            "RENKEI_PROJECT",
            "RENKEI_TOKEN",
            "SSH_AUTH_SOCK",
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_STATE_HOME",
        ] {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs and shows it; fails unless it exits 0.
    pub fn run(&self, words: &[&str]) -> Result<()> {
        must(show(self.command(words), &line(words))?, &line(words))
    }

    /// Runs and shows it with the file `input` of the folder to read from; fails unless it exits 0.
    pub fn run_with(&self, words: &[&str], input: &str) -> Result<()> {
        let mut command = self.command(words);
        command.stdin(File::open(self.folder.join(input))?);
        let line = format!("{} < {input}", line(words));
        must(show(command, &line)?, &line)
    }

    /// Runs and shows what is to be refused; fails if it is not.
    pub fn refused(&self, words: &[&str]) -> Result<()> {
        let line = line(words);
        let status = show(self.command(words), &line)?;
        self.go_on()?;
        if status.success() {
            bail!("`{line}` should have been refused");
        }
        Ok(())
    }

    /// Runs it without showing it; fails unless it exits 0. Gives what it writes.
    pub fn quietly(&self, words: &[&str]) -> Result<String> {
        let line = line(words);
        let outcome = finish(self.command(words), &line)?;
        if outcome.code() != Some(0) {
            bail!("`{line}` failed ({}): {}", outcome.status, outcome.stderr.trim());
        }
        Ok(outcome.stdout)
    }

    /// Runs `renkei … --json` without showing it, and reads what it answers.
    pub fn ask(&self, words: &[&str]) -> Result<serde_json::Value> {
        let words = [&["renkei"], words, &["--json"]].concat();
        let answer = self.quietly(&words)?;
        serde_json::from_str(&answer).with_context(|| format!("cannot understand the answer to `{}`", line(&words)))
    }

    /// Waits until `condition` gives something, or somebody wants this to end.
    pub fn until<T>(&self, what: &str, patience: Duration, mut condition: impl FnMut() -> Option<T>) -> Result<T> {
        wait::until_some(what, patience, || match self.go_on() {
            Ok(()) => condition().map(Ok),
            Err(interrupted) => Some(Err(interrupted)),
        })?
    }

    /// As [`Self::until`], for a condition that takes a command: asked too often it would keep guests from booting.
    pub fn asking_until<T>(&self, what: &str, condition: impl Fn() -> Option<T>) -> Result<T> {
        let mut asked: Option<Instant> = None;
        self.until(what, LONGEST, || {
            if asked.is_some_and(|asked| asked.elapsed() < PAUSE) {
                return None;
            }
            let found = condition();
            asked = Some(Instant::now());
            found
        })
    }
}

fn must(status: ExitStatus, line: &str) -> Result<()> {
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Both outputs as they come, which is the order in which they are read at a terminal.
fn show(mut command: Command, line: &str) -> Result<ExitStatus> {
    say(&format!("$ {line}"));
    let start = Instant::now();
    let (output, end) = io::pipe()?;
    command.stdout(end.try_clone()?).stderr(end);
    let mut child = process::spawn_tied(command).with_context(|| format!("cannot start `{line}`"))?;
    let (lines, heard) = channel();
    std::thread::spawn(move || {
        // What is not UTF-8 ends it as the end does; nobody waits for lines any more when a command has taken too long.
        let all = BufReader::new(output).lines().map_while(Result::ok);
        all.for_each(|line| drop(lines.send(line)));
    });
    loop {
        match heard.recv_timeout(LONGEST.saturating_sub(start.elapsed())) {
            Ok(line) => say(&line),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                child.kill()?;
                child.wait()?;
                bail!("`{line}` did not end within {} s", LONGEST.as_secs());
            }
        }
    }
    let status = child.wait()?;
    say(&format!("# {:.1} s", start.elapsed().as_secs_f64()));
    Ok(status)
}

fn finish(command: Command, line: &str) -> Result<Outcome> {
    let mut running = Running::start(command)?;
    wait::until_some(&format!("the end of `{line}`"), LONGEST, || {
        running.has_ended().then_some(())
    })?;
    running.finish()
}

fn set(name: &str, value: &str) -> String {
    format!("export {name}={}", quoted(value))
}

/// The words as they are typed into a shell.
pub fn line(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=./:,@+%".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_be_typed_into_a_shell() {
        let words = ["renkei", "vm", "deploy", "demo[1-2]", "--key=/a_b.pub", "", "it's"];
        let line = line(&words);
        assert_eq!(line, r"renkei vm deploy 'demo[1-2]' --key=/a_b.pub '' 'it'\''s'");
        let shell = Command::new("sh")
            .args(["-c", &format!("printf '%s\\n' {line}")])
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8(shell.stdout).unwrap(),
            words.map(|word| format!("{word}\n")).concat()
        );
    }
}
