//! One line about a wait, on standard error.

use std::io::{self, IsTerminal as _, Write as _};

use super::text;

/// A line that stays where it is on a terminal; elsewhere a line whenever something else is waited for.
#[derive(Debug, Default)]
pub struct Status {
    subject: String,
}

impl Status {
    /// Shows what is waited for, and what changes meanwhile.
    pub fn show(&mut self, subject: &str, meanwhile: &str) {
        let mut out = io::stderr();
        // Whether it could be shown changes nothing.
        if out.is_terminal() {
            let line = text::message(&format!("{subject} {meanwhile}"));
            let _ = write!(out, "\r\u{1b}[K{line}").and_then(|()| out.flush());
        } else if self.subject != subject {
            let _ = writeln!(out, "{}", text::message(subject));
        }
        subject.clone_into(&mut self.subject);
    }

    /// Takes it from the terminal.
    pub fn clear(&mut self) {
        let mut out = io::stderr();
        if out.is_terminal() && !self.subject.is_empty() {
            let _ = write!(out, "\r\u{1b}[K").and_then(|()| out.flush());
        }
    }
}
