//! The running display of one copy: the thread that prints, and the doors that lead to it.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use renkei_transfer::ssh::{Echo, Prompt, PromptError, Terminal};
use renkei_transfer::{Event, Observer, Summary};

use super::bar::Bar;
use super::lines::{Lines, ProgressLines};
use super::queue::{Item, Queue};
use super::{Form, Line, Output, Task, json, log, text};

/// How long an interrupted copy waits for a reader of its output that may have paused.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// A display that is running.
pub struct Screen {
    output: Output,
    bar: Option<Bar>,
    queue: Arc<Queue>,
    interrupted: Arc<AtomicBool>,
    ended: Receiver<()>,
}

impl Screen {
    /// Starts the display.
    pub fn start(output: Output, task: Task) -> Self {
        let queue = Arc::new(Queue::default());
        let bar = output.is_live().then(Bar::new);
        if output.form != Form::Silent {
            log::start(output.verbosity.level.max(output.verbosity.log), &queue);
        }
        let (done, ended) = channel();
        let face = Face::new(output, task, bar.clone());
        let source = Arc::clone(&queue);
        thread::spawn(move || {
            face.run(&source);
            // The screen may have stopped waiting.
            let _ = done.send(());
        });
        Self {
            output,
            bar,
            queue,
            interrupted: Arc::default(),
            ended,
        }
    }

    /// For the engine to tell events to.
    pub fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(Teller {
            output: self.output,
            queue: Arc::clone(&self.queue),
        })
    }

    /// For the engine to ask a person through.
    pub fn prompt(&self) -> Arc<dyn Prompt> {
        Arc::new(Asker {
            output: self.output,
            bar: self.bar.clone(),
            queue: Arc::clone(&self.queue),
        })
    }

    /// To be called when the copy is told to stop: from now on output is not waited for.
    pub fn on_interrupt(&self) -> impl Fn() + Send + 'static {
        let queue = Arc::clone(&self.queue);
        let interrupted = Arc::clone(&self.interrupted);
        move || {
            interrupted.store(true, Ordering::Relaxed);
            queue.hurry();
        }
    }

    /// Prints the end and waits until it stands.
    pub fn end(self, summary: Summary) {
        self.queue.push(Item::End(Box::new(summary)));
        // Either way the display is over; the thread dies with the process.
        let _ = if self.interrupted.load(Ordering::Relaxed) {
            self.ended.recv_timeout(LAST_WORDS).is_ok()
        } else {
            self.ended.recv().is_ok()
        };
    }
}

/// Takes events that the display has a use for.
struct Teller {
    output: Output,
    queue: Arc<Queue>,
}

impl Observer for Teller {
    fn event(&self, event: Event) {
        let verbosity = self.output.verbosity;
        let wanted = match (self.output.form, &event) {
            (Form::Silent, _) => false,
            (Form::Json, _) => true,
            (Form::Text, Event::Copied { .. } | Event::Skipped { .. } | Event::Retry { .. }) => verbosity.names_files(),
            (Form::Text, Event::Would { .. }) => verbosity.shows_plan(),
            (Form::Text, _) => true,
        };
        if wanted {
            self.queue.push(Item::Event(event));
        }
    }
}

/// Asks at the terminal, with the bar out of the way.
struct Asker {
    output: Output,
    bar: Option<Bar>,
    queue: Arc<Queue>,
}

impl Prompt for Asker {
    fn ask(&self, text: &str, echo: Echo) -> Result<String, PromptError> {
        let text = text::safe(text);
        match &self.bar {
            Some(bar) => bar.aside(|| Terminal.ask(&text, echo)),
            None => Terminal.ask(&text, echo),
        }
    }

    fn note(&self, text: &str) {
        match (self.output.form, &self.bar) {
            (Form::Silent, _) => {}
            (Form::Json, _) => self.queue.push(Item::Event(Event::Note(text.to_owned()))),
            (Form::Text, Some(bar)) => bar.aside(|| Terminal.note(&text::message(text))),
            (Form::Text, None) => Terminal.note(&text::message(text)),
        }
    }
}

/// What the printing thread owns.
struct Face {
    form: Form,
    task: Task,
    lines: Lines,
    bar: Option<Bar>,
    /// The reader of standard output has gone; the copy goes on without it.
    deaf: bool,
}

impl Face {
    fn new(output: Output, task: Task, bar: Option<Bar>) -> Self {
        let progress = match bar {
            Some(_) => ProgressLines::Left,
            None => ProgressLines::Written,
        };
        Self {
            form: output.form,
            task,
            lines: Lines::new(task, output.verbosity, progress),
            bar,
            deaf: false,
        }
    }

    fn run(mut self, queue: &Queue) {
        if self.form == Form::Json {
            self.write(&[Line::Out(json::start(self.task))]);
        }
        loop {
            match queue.pop() {
                Item::Event(event) => self.event(event),
                Item::Log(line) => self.write(&[Line::Err(text::message(&line))]),
                Item::End(summary) => return self.end(&summary),
            }
        }
    }

    fn event(&mut self, event: Event) {
        if let (Some(bar), Event::Progress(progress)) = (&self.bar, &event) {
            return bar.show(progress, self.lines.failed());
        }
        let line = match self.form {
            Form::Silent => None,
            Form::Text => self.lines.event(event),
            Form::Json => Some(Line::Out(json::event(&event))),
        };
        self.write(line.as_slice());
    }

    fn end(&mut self, summary: &Summary) {
        if let Some(bar) = self.bar.take() {
            bar.clear();
        }
        let lines = match self.form {
            Form::Silent => Vec::new(),
            Form::Text => self.lines.end(summary),
            Form::Json => vec![Line::Out(json::summary(summary))],
        };
        self.write(&lines);
    }

    fn write(&mut self, lines: &[Line]) {
        if lines.is_empty() {
            return;
        }
        let bar = self.bar.clone();
        let mut write = || {
            for line in lines {
                match line {
                    Line::Out(line) if !self.deaf => self.deaf = writeln!(io::stdout(), "{line}").is_err(),
                    Line::Out(_) => {}
                    // There is nowhere left to complain.
                    Line::Err(line) => drop(writeln!(io::stderr(), "{line}")),
                }
            }
        };
        match bar {
            Some(bar) => bar.aside(write),
            None => write(),
        }
    }
}
