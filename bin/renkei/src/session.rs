//! One piece of work of the engine with all that stands around it: runtime, display, Ctrl-C, exit code.

use std::io;
use std::process;
use std::sync::Arc;

use renkei_transfer::ssh::Prompt;
use renkei_transfer::{Observer, Stop, Summary};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit;
use crate::printer::{Output, Screen, Task};
use crate::terminal::Terminal;

/// Runs `work` to its end and gives the exit code.
pub fn run<F>(output: Output, task: Task, work: impl FnOnce(Arc<dyn Prompt>, Arc<dyn Observer>, Stop) -> F) -> u8
where
    F: Future<Output = Summary>,
{
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.error(&format!("cannot start: {error}"), exit::FAILED);
            return exit::FAILED;
        }
    };
    let terminal = Terminal::remember();
    let screen = Screen::start(output, task);
    let stop = Stop::new();
    let summary = runtime.block_on(async {
        // Before anything begins, so that no signal finds the process without a handler. Without handlers a signal ends the
        // process as it always did.
        if let Ok(signals) = Signals::new() {
            tokio::spawn(signals.listen(stop.clone(), screen.on_interrupt(), terminal.clone()));
        }
        work(screen.prompt(), screen.observer(), stop).await
    });
    let code = exit::code(summary.ending);
    screen.end(summary);
    // A thread may still wait in a read of a dead file system or at the terminal; nobody waits for it.
    runtime.shutdown_background();
    terminal.restore();
    code
}

/// The runtime of everything that waits for a network.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build()
}

/// Wishes to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The first SIGINT or SIGTERM lets the work end in order, the second ends the process.
    async fn listen(mut self, stop: Stop, on_interrupt: impl Fn(), terminal: Terminal) {
        for number in 1.. {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
            if number > 1 {
                terminal.restore();
                process::exit(exit::INTERRUPTED.into());
            }
            on_interrupt();
            stop.interrupt();
        }
    }
}
