//! How long each part of a task took, in minutes, on lines that a script can find.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Collects the parts of one task.
pub struct Minutes {
    task: &'static str,
    start: Instant,
}

impl Minutes {
    /// Starts the clock of the whole task.
    pub fn start(task: &'static str) -> Minutes {
        Minutes {
            task,
            start: Instant::now(),
        }
    }

    /// Runs one part and prints how long it took, whether it worked or not.
    pub fn part<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let result = work();
        println!("minutes: {} {name} {}", self.task, shown(start.elapsed()));
        result
    }

    /// Prints the sum; takes the value because nothing can follow.
    pub fn finish(self) {
        println!("minutes: {} total {}", self.task, shown(self.start.elapsed()));
    }
}

fn shown(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() / 60.0)
}
