//! The progress bar on a terminal: two lines that move, on standard error.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use renkei_transfer::Progress;

use super::text;

/// Redraws a second: enough to look alive, few enough for a slow terminal.
const REDRAWS: u8 = 10;

/// A bar; clones are the same bar.
#[derive(Clone, Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar that is not drawn before the first progress.
    pub fn new() -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(REDRAWS);
        let bar = ProgressBar::with_draw_target(Some(1), target);
        if let Ok(style) = ProgressStyle::with_template("[{wide_bar}] {prefix}\n{msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    /// Shows a snapshot.
    pub fn show(&self, progress: &Progress, failed: u64) {
        let (beside, below) = text::progress_bar(progress, failed);
        // Without content, files are the measure.
        let (position, length) = match progress.total_bytes {
            0 => (progress.files, progress.total_files),
            total => (progress.bytes, total),
        };
        self.0.set_length(length.max(1));
        self.0.set_prefix(beside);
        self.0.set_message(below);
        self.0.set_position(position);
    }

    /// Does something on the terminal while the bar is out of the way.
    pub fn aside<T>(&self, action: impl FnOnce() -> T) -> T {
        self.0.suspend(action)
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}
