//! What happened in a run, a line each: to be read by people, and to see that the same seed gives the same run.

use std::fmt;
use std::time::Duration;

/// How much is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// What is done.
    #[default]
    Deeds,
    /// Every frame too.
    Frames,
}

/// The lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    lines: Vec<String>,
    detail: Detail,
}

impl Trace {
    /// Nothing yet.
    pub fn new(detail: Detail) -> Self {
        let lines = Vec::new();
        Self { lines, detail }
    }

    /// Writes a line.
    pub fn note(&mut self, at: Duration, what: impl fmt::Display) {
        self.lines.push(format!("{:>10.3} {what}", at.as_secs_f64()));
    }

    /// Writes a line, if such lines are wanted.
    pub fn frame(&mut self, at: Duration, what: impl fmt::Display) {
        if self.detail == Detail::Frames {
            self.note(at, what);
        }
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The last lines.
    pub fn tail(&self, count: usize) -> &[String] {
        self.lines
            .get(self.lines.len().saturating_sub(count)..)
            .unwrap_or_default()
    }

    /// Lines that hold a word.
    pub fn about<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a String> {
        self.lines.iter().filter(move |line| line.contains(word))
    }
}
