//! Leaves the terminal as it was found: a question may be open, with echo off, when the process ends; or a console, which takes each key
//! as it is.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd as _;
use std::sync::Arc;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The controlling terminal and its modes, if there is one.
#[derive(Clone)]
pub struct Terminal(Option<Arc<(File, Termios)>>);

impl Terminal {
    /// Notes the modes as they are now.
    pub fn remember() -> Self {
        let tty = OpenOptions::new().read(true).write(true).open("/dev/tty");
        Self(tty.ok().and_then(|tty| {
            let modes = tcgetattr(tty.as_fd()).ok()?;
            Some(Arc::new((tty, modes)))
        }))
    }

    /// Sets them again where they differ: a background process that sets them for nothing would be stopped.
    pub fn restore(&self) {
        let Some((tty, modes)) = self.0.as_deref() else { return };
        let changed = tcgetattr(tty.as_fd()).is_ok_and(|now| now.local_modes != modes.local_modes);
        if changed {
            // Nothing can be done about a terminal that has gone.
            let _ = tcsetattr(tty.as_fd(), OptionalActions::Now, modes);
        }
    }
}

/// Standard input takes each key as it is, until this is dropped.
#[cfg(feature = "hub")]
pub struct Raw(Termios);

#[cfg(feature = "hub")]
impl Raw {
    /// Nothing, if standard input is no terminal.
    pub fn enter() -> std::io::Result<Option<Self>> {
        let input = rustix::stdio::stdin();
        if !rustix::termios::isatty(input) {
            return Ok(None);
        }
        let before = tcgetattr(input)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(input, OptionalActions::Now, &raw)?;
        Ok(Some(Self(before)))
    }
}

#[cfg(feature = "hub")]
impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that has gone.
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &self.0);
    }
}
