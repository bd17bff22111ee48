//! Everything that is printed goes through here; [`Output`], made once, decides what may be.
//!
//! The copy tells events from many threads; one thread of this module turns them into lines or a bar. Questions go to
//! the terminal through here as well, so that no bar is drawn over them. Lines: answers and what was done go to standard
//! output, what went wrong and what to do next to standard error.

mod bar;
mod journals;
mod json;
mod lines;
mod log;
mod queue;
mod screen;
#[cfg(feature = "hub")]
mod status;
#[cfg(test)]
mod tests;
mod text;

use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::SystemTime;

use renkei_transfer::journal::Listed;

pub use screen::Screen;
#[cfg(feature = "hub")]
pub use status::Status;
#[cfg(feature = "hub")]
#[cfg(feature = "hub")]
pub use text::safe;
pub use text::{chain, count, message};

/// The language that is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// None: nothing is printed.
    Silent,
    /// For people.
    Text,
    /// For machines, see docs/cp-json.md.
    Json,
}

/// How much people are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verbosity {
    /// How often `-v` was given.
    pub level: u8,
    /// From which level on a dry run shows what it would do.
    pub plan_from: u8,
    /// Level of the log of the connections, where it is not that of `-v`.
    pub log: u8,
}

impl Verbosity {
    /// Whether each file copied is named.
    fn names_files(self) -> bool {
        self.level > 0
    }

    /// Whether a dry run shows what it would do.
    fn shows_plan(self) -> bool {
        self.level >= self.plan_from
    }
}

/// What may be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// In which language.
    pub form: Form,
    /// How much.
    pub verbosity: Verbosity,
}

/// What is being done, for the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A copy.
    Copy,
    /// A copy that changes nothing.
    DryRun,
    /// `renkei verify`.
    Verify,
    /// Removing what an interrupted copy left.
    Drop,
}

/// A line and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    /// Standard output.
    Out(String),
    /// Standard error.
    Err(String),
}

impl Output {
    /// For what is said before the options are understood.
    pub const PLAIN: Self = Self {
        form: Form::Text,
        verbosity: Verbosity {
            level: 0,
            plan_from: 0,
            log: 0,
        },
    };

    /// An error outside a copy; `text` may have lines of hints.
    pub fn error(self, text: &str, exit_code: u8) {
        // Whether the message could be delivered changes nothing.
        let _ = match self.form {
            Form::Silent => Ok(()),
            Form::Text => writeln!(io::stderr(), "error: {}", text::message(text)),
            Form::Json => writeln!(io::stdout(), "{}", json::error(text, exit_code)),
        };
    }

    /// An error outside a copy, with its causes; gives back the exit code.
    pub fn failure(self, error: &dyn Error, exit_code: u8) -> u8 {
        self.error(&text::chain(error), exit_code);
        exit_code
    }

    /// A word to the person between questions.
    #[cfg(feature = "hub")]
    pub fn note(self, text: &str) {
        // Whether it could be delivered changes nothing.
        let _ = writeln!(io::stderr(), "{}", text::message(text));
    }

    /// The list of interrupted copies.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub fn journals(self, journals: &[Listed]) -> io::Result<()> {
        let list = journals::list(self.form, journals, SystemTime::now());
        self.answer(list.as_bytes())
    }

    /// The answer of a command that only answers; `text` is complete with its line ends and safe to print.
    ///
    /// # Errors
    /// As writing to standard output; a closed pipe is no error, its reader has seen enough.
    pub fn answer(self, text: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }

    /// Whether a bar that moves can be shown: both streams are the same person's.
    fn is_live(self) -> bool {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        self.form == Form::Text && !dumb && io::stdout().is_terminal() && io::stderr().is_terminal()
    }
}
