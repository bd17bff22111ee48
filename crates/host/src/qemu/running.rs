//! A machine that runs: its QEMU, and the way to talk to it.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use super::command::MONITOR;
use super::machines::lock;
use super::monitor::{Monitor, MonitorError, Run};
use super::process::Process;
use crate::chain::chain;
use crate::driver::DriverError;

/// See the module.
#[derive(Debug)]
pub(super) struct Running {
    folder: PathBuf,
    process: Process,
    monitor: Mutex<Option<Monitor>>,
}

impl Running {
    pub fn new(folder: PathBuf, process: Process) -> Self {
        Self {
            folder,
            process,
            monitor: Mutex::new(None),
        }
    }

    /// Whether its process is there.
    pub fn lives(&self) -> bool {
        self.process.lives()
    }

    /// The process's number.
    pub fn pid(&self) -> rustix::process::Pid {
        self.process.pid()
    }

    /// Ends it at once.
    pub fn kill(&self) -> Result<(), DriverError> {
        let killed = self.process.kill();
        killed.map_err(|error| DriverError::transient(format!("cannot end QEMU: {error}")))
    }

    /// The connection to it, made anew if there is none.
    pub fn monitor(&self) -> Result<Monitor, MonitorError> {
        let mut held = lock(&self.monitor);
        if let Some(monitor) = held.as_ref().filter(|monitor| monitor.run() != Run::Gone) {
            return Ok(monitor.clone());
        }
        let monitor = Monitor::connect(&self.folder, MONITOR)?;
        *held = Some(monitor.clone());
        Ok(monitor)
    }

    /// How the guest is; gone if QEMU cannot be asked.
    pub fn run(&self) -> Run {
        self.monitor().map_or(Run::Gone, |monitor| monitor.run())
    }

    /// Waits until something has happened, at most so long, and says how the guest is.
    pub fn changed(&self, from: Run, longest: Duration) -> Run {
        self.monitor()
            .map_or(Run::Gone, |monitor| monitor.changed(from, longest))
    }

    /// Tells it something.
    pub fn tell(&self, command: &str, arguments: Value) -> Result<Value, DriverError> {
        let told = self.monitor().and_then(|monitor| monitor.tell(command, arguments));
        told.map_err(|error| DriverError::transient(chain(&error)))
    }

    /// Tells it something that has no arguments.
    pub fn say(&self, command: &str) -> Result<(), DriverError> {
        self.tell(command, json!({})).map(drop)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(monitor) = lock(&self.monitor).take() {
            monitor.leave();
        }
    }
}
