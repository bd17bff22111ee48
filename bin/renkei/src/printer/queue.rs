//! Carries events from the engine's threads to the one thread that prints.
//!
//! Telling an event never waits for the terminal, with one exception: when a reader of our output has paused and a
//! whole queue of lines waits for it, the copy pauses too, as it must if nothing may be lost and memory stays flat.
//! Progress never waits: only the latest snapshot is kept.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use renkei_transfer::{Event, Progress, Summary};

/// Lines that may wait: some megabytes at most.
const CAPACITY: usize = 16_384;

/// What the printing thread is given.
#[derive(Debug)]
pub enum Item {
    /// The engine told something.
    Event(Event),
    /// A line of the log.
    Log(String),
    /// The last word.
    End(Box<Summary>),
}

/// A bounded queue; any number of threads push, one pops.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    drained: Condvar,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    progress: Option<Progress>,
    hurried: bool,
}

impl Queue {
    /// Adds an item; waits while the queue is full, unless [`hurry`](Self::hurry) was called.
    pub fn push(&self, item: Item) {
        let mut state = self.lock();
        if let Item::Event(Event::Progress(progress)) = item {
            state.progress = Some(progress);
        } else {
            while state.items.len() >= CAPACITY && !state.hurried {
                state = self.drained.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.items.push_back(item);
        }
        drop(state);
        self.filled.notify_one();
    }

    /// The next item; waits for one. Of progress only the latest, ahead of what else waits.
    pub fn pop(&self) -> Item {
        let mut state = self.lock();
        loop {
            if let Some(progress) = state.progress.take() {
                return Item::Event(Event::Progress(progress));
            }
            if let Some(item) = state.items.pop_front() {
                self.drained.notify_one();
                return item;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// From now on nobody waits for room: the copy is being interrupted and must end within a second.
    pub fn hurry(&self) {
        self.lock().hurried = true;
        self.drained.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn note(text: &str) -> Item {
        Item::Event(Event::Note(text.to_owned()))
    }

    #[test]
    fn only_the_latest_progress_is_kept() {
        let queue = Queue::default();
        for files in 1..=3 {
            let progress = Progress {
                files,
                ..Progress::default()
            };
            queue.push(Item::Event(Event::Progress(progress)));
        }
        queue.push(note("after"));
        assert!(matches!(
            queue.pop(),
            Item::Event(Event::Progress(Progress { files: 3, .. }))
        ));
        assert!(matches!(queue.pop(), Item::Event(Event::Note(_))));
    }

    #[test]
    fn a_full_queue_holds_its_writer_until_there_is_room() {
        let queue = Arc::new(Queue::default());
        let writer = Arc::clone(&queue);
        let thread = std::thread::spawn(move || {
            for number in 0..2 * CAPACITY {
                writer.push(note(&number.to_string()));
            }
        });
        for number in 0..2 * CAPACITY {
            let Item::Event(Event::Note(text)) = queue.pop() else {
                panic!("only notes were pushed");
            };
            assert_eq!(text, number.to_string());
        }
        thread.join().unwrap();
    }

    #[test]
    fn a_hurried_queue_holds_nobody() {
        let queue = Queue::default();
        queue.hurry();
        for _ in 0..=CAPACITY {
            queue.push(note("one more"));
        }
    }
}
