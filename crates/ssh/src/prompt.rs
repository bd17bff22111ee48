//! Questions to a person: host keys, passphrases, passwords, one-time codes.
//!
//! [`Prompt`] is the question, [`Terminal`] the way ssh puts it: at `/dev/tty`, whatever standard input is, or through
//! SSH_ASKPASS. A question that no one can be asked is an error at once; nothing here waits for a terminal to appear.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};

/// The longest answer taken, in bytes.
const LONGEST_ANSWER: u64 = 4096;

/// What Ctrl-C sends when the terminal does not turn it into a signal.
const INTERRUPT: u8 = 0x03;

/// Whether what is typed shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// It shows.
    On,
    /// It does not: passwords and codes.
    Off,
}

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromptError {
    /// There is neither a terminal nor a usable SSH_ASKPASS, or `BatchMode yes` forbids questions.
    #[error("there is no one to ask: no terminal, and no SSH_ASKPASS")]
    NoOne,
    /// The person declined, or broke off with Ctrl-C or end of file.
    #[error("the question was not answered")]
    Declined,
    /// The terminal or the askpass program failed.
    #[error("cannot ask through {through}")]
    Failed {
        /// `/dev/tty`, or the program.
        through: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Someone who can be asked. Calls block; they are made from a thread of their own, one at a time in the process.
pub trait Prompt: Send + Sync {
    /// Puts `text` as it stands and returns one line without its end.
    ///
    /// # Errors
    /// When there is no one to ask, or no answer.
    fn ask(&self, text: &str, echo: Echo) -> Result<String, PromptError>;

    /// Shows `text` to the person without waiting.
    fn note(&self, text: &str);

    /// A question to be answered with `yes` or `no`; asked again, at most three times, until it is.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    fn confirm(&self, text: &str) -> Result<bool, PromptError> {
        for _ in 0..3 {
            match self.ask(text, Echo::On)?.trim() {
                "yes" => return Ok(true),
                "no" => return Ok(false),
                _ => self.note("please answer yes or no"),
            }
        }
        Err(PromptError::Declined)
    }
}

/// Text from the far side with everything that could steer a terminal made visible as `?`.
pub(crate) fn printable(text: &str) -> String {
    let harmless = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().map(|c| if harmless(c) { c } else { '?' }).collect()
}

/// How many people are being waited for; while it is not zero a silent server is not at fault.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Stands for a wait for a person: a question, or an agent that may ask for a touch.
pub(crate) struct Waiting(());

impl Waiting {
    pub(crate) fn begin() -> Self {
        WAITING.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// Whether anyone is being waited for.
    pub(crate) fn any() -> bool {
        WAITING.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs a blocking question on a thread of its own, so that neither the runtime nor its end waits for a person, and
/// never two at once: two hosts asking into one terminal cannot be told apart.
pub(crate) async fn put<T: Send + 'static>(
    prompt: &Arc<dyn Prompt>,
    question: impl FnOnce(&dyn Prompt) -> Result<T, PromptError> + Send + 'static,
) -> Result<T, PromptError> {
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _waiting = Waiting::begin();
    let _turn = ONE_AT_A_TIME.lock().await;
    let (answer, wait) = tokio::sync::oneshot::channel();
    let prompt = Arc::clone(prompt);
    std::thread::Builder::new()
        .name("prompt".into())
        .spawn(move || answer.send(question(prompt.as_ref())).is_ok())
        .map_err(|source| PromptError::Failed {
            through: "a new thread".into(),
            source,
        })?;
    wait.await.unwrap_or(Err(PromptError::Declined))
}

/// The terminal, or SSH_ASKPASS by the rules of ssh(1): SSH_ASKPASS_REQUIRE `never`, `prefer` or `force`; without it
/// the program is used when there is no terminal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal;

impl Prompt for Terminal {
    fn ask(&self, text: &str, echo: Echo) -> Result<String, PromptError> {
        let askpass = std::env::var_os("SSH_ASKPASS").filter(|program| !program.is_empty());
        let require = std::env::var("SSH_ASKPASS_REQUIRE").unwrap_or_default();
        let askpass = if require == "never" { None } else { askpass };
        let tty = || OpenOptions::new().read(true).write(true).open("/dev/tty");
        match (askpass, require.as_str()) {
            (Some(program), "force" | "prefer") => ask_program(&program, text),
            (None, "force") => Err(PromptError::NoOne),
            (askpass, _) => match (tty(), askpass) {
                (Ok(tty), _) => ask_terminal(tty, text, echo).map_err(|source| match source.kind() {
                    io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => PromptError::Declined,
                    _ => PromptError::Failed {
                        through: "/dev/tty".into(),
                        source,
                    },
                }),
                (Err(_), Some(program)) => ask_program(&program, text),
                (Err(_), None) => Err(PromptError::NoOne),
            },
        }
    }

    fn note(&self, text: &str) {
        // A note that cannot be shown is no reason to stop.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

fn ask_program(program: &std::ffi::OsStr, text: &str) -> Result<String, PromptError> {
    let failed = |source| PromptError::Failed {
        through: program.to_string_lossy().into_owned(),
        source,
    };
    let mut child = Command::new(program)
        .arg(text)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(LONGEST_ANSWER).read_to_end(&mut answer).map_err(failed)?;
    }
    if !child.wait().map_err(failed)?.success() {
        return Err(PromptError::Declined);
    }
    let line = answer
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .next()
        .unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}

/// Sets the terminal back however the question ends.
struct Restore<'a> {
    tty: &'a File,
    before: Termios,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(self.tty.as_fd(), OptionalActions::Now, &self.before);
    }
}

fn ask_terminal(tty: File, text: &str, echo: Echo) -> io::Result<String> {
    let before = termios::tcgetattr(tty.as_fd())?;
    let mut during = before.clone();
    // Ctrl-C must not kill the process while echo is off, so it ends the line instead of raising a signal.
    during.local_modes.remove(LocalModes::ISIG);
    during.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
    if echo == Echo::Off {
        during.local_modes.remove(LocalModes::ECHO);
        during.local_modes.insert(LocalModes::ECHONL);
    }
    termios::tcsetattr(tty.as_fd(), OptionalActions::Flush, &during)?;
    let restore = Restore { tty: &tty, before };
    (&tty).write_all(text.as_bytes())?;
    let line = read_line(&tty);
    drop(restore);
    if line.is_err() {
        let _ = (&tty).write_all(b"\n");
    }
    String::from_utf8(line?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn read_line(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut byte = [0_u8];
    while (line.len() as u64) < LONGEST_ANSWER {
        let count = from.read(&mut byte)?;
        match byte {
            _ if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            [b'\n' | b'\r'] => return Ok(line),
            [INTERRUPT] => return Err(io::ErrorKind::Interrupted.into()),
            [other] => line.push(other),
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "the answer is too long"))
}
