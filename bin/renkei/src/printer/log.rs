//! The log of the libraries as lines on standard error, for `-vv` and above.

use std::sync::Arc;

use log::{LevelFilter, Log, Metadata, Record};

use super::queue::{Item, Queue};

/// Hands records of our own crates to the printing thread.
struct Lines(Arc<Queue>);

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("renkei")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let level = record.level().as_str().to_ascii_lowercase();
            self.0.push(Item::Log(format!("{level}: {}", record.args())));
        }
    }

    fn flush(&self) {}
}

/// Starts the log; below level 2 there is none.
pub fn start(level: u8, queue: &Arc<Queue>) {
    let filter = match level {
        0 | 1 => return,
        2 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    // One command, one screen, one log: it cannot have been set before.
    if log::set_boxed_logger(Box::new(Lines(Arc::clone(queue)))).is_ok() {
        log::set_max_level(filter);
    }
}
