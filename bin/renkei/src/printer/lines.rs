//! The display for people, as lines: which events are worth a line, and on which stream.
//!
//! Knows neither the clock nor the terminal: time comes from the events. The progress bar is drawn elsewhere.

use std::collections::HashSet;
use std::time::Duration;

use renkei_transfer::{Event, Failure, Progress, Summary};
use renkei_types::printable::Printable;

use super::{Line, Task, Verbosity, text};

/// How often a line of progress is written where there is no terminal.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Notes remembered so that none is told twice.
const NOTES_REMEMBERED: usize = 1000;

/// Whether progress goes into lines, or is shown by a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressLines {
    /// A line every five seconds.
    Written,
    /// None.
    Left,
}

/// The state of the display.
#[derive(Debug)]
pub struct Lines {
    task: Task,
    verbosity: Verbosity,
    progress: ProgressLines,
    last_progress: Duration,
    failed: u64,
    notes: HashSet<String>,
}

impl Lines {
    /// A display that has shown nothing.
    pub fn new(task: Task, verbosity: Verbosity, progress: ProgressLines) -> Self {
        Self {
            task,
            verbosity,
            progress,
            last_progress: Duration::ZERO,
            failed: 0,
            notes: HashSet::new(),
        }
    }

    /// Failures so far.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// The lines that an event is worth.
    pub fn event(&mut self, event: Event) -> Option<Line> {
        match event {
            Event::Progress(progress) => self.progress(&progress),
            Event::Copied { path, bytes } => self.verbose(Line::Out(text::sized(&path, bytes))),
            Event::Skipped { path, reason } => self.verbose(Line::Out(format!(
                "skipped {}: {}",
                Printable(&path),
                text::message(&reason)
            ))),
            Event::LeftOut { path, reason } => Some(Line::Err(format!(
                "left out: {}: {}",
                Printable(&path),
                text::message(&reason)
            ))),
            Event::Would { action, path, bytes } => {
                let what = match action {
                    "copy" => text::sized(&path, bytes),
                    _ => Printable(&path).to_string(),
                };
                self.verbosity
                    .shows_plan()
                    .then(|| Line::Out(format!("would {action} {what}")))
            }
            Event::Failed(failure) => self.failure(&failure),
            Event::Note(note) => self.note(&note),
            Event::Retry { reason } => self.verbose(Line::Err(format!("retry: {}", text::message(&reason)))),
        }
    }

    /// The lines of the end: failures, the one line, and what to do next.
    pub fn end(&mut self, summary: &Summary) -> Vec<Line> {
        let mut lines: Vec<Line> = summary
            .failures
            .iter()
            .map(|failure| Line::Err(text::failure(failure)))
            .collect();
        let listed = u64::try_from(summary.failures.len()).unwrap_or(u64::MAX);
        if summary.failed > listed && listed > 0 {
            lines.push(Line::Err(format!("failed: {} more", summary.failed - listed)));
        }
        for note in &summary.notes {
            lines.extend(self.note(note));
        }
        if let Some(cause) = &summary.cause {
            lines.push(Line::Err(format!("error: {}", text::message(cause))));
        }
        if self.is_worth_the_end_line(summary) {
            lines.push(Line::Out(text::end_line(summary, self.task)));
        }
        if let Some(journal) = &summary.journal {
            lines.push(Line::Err(format!(
                "hint: go on with `renkei cp --resume {journal}`, or run the same command again"
            )));
        }
        lines
    }

    /// Where nothing was begun, a line about no bytes in no files would only hide the error.
    fn is_worth_the_end_line(&self, summary: &Summary) -> bool {
        use renkei_transfer::Ending;
        !matches!(summary.ending, Ending::NotConnected | Ending::Usage) || summary.files > 0 || summary.bytes > 0
    }

    fn progress(&mut self, progress: &Progress) -> Option<Line> {
        if self.progress == ProgressLines::Left || progress.elapsed < self.last_progress + PROGRESS_INTERVAL {
            return None;
        }
        self.last_progress = progress.elapsed;
        Some(Line::Out(text::progress_line(progress, self.failed)))
    }

    fn failure(&mut self, failure: &Failure) -> Option<Line> {
        self.failed += 1;
        self.verbose(Line::Err(text::failure(failure)))
    }

    fn note(&mut self, note: &str) -> Option<Line> {
        if self.notes.contains(note) {
            return None;
        }
        if self.notes.len() < NOTES_REMEMBERED {
            self.notes.insert(note.to_owned());
        }
        Some(Line::Err(format!("note: {}", text::message(note))))
    }

    fn verbose(&self, line: Line) -> Option<Line> {
        self.verbosity.names_files().then_some(line)
    }
}
