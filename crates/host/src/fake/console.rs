//! The consoles of machines that only pretend: a guest says a line when it starts, and answers each line that it is sent with its name
//! and that line.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use renkei_types::id::VmId;
use renkei_types::vm::Power;
use serde::{Deserialize, Serialize};

use super::world::{Made, World};
use super::{Fake, Inner};
use crate::console::{Console, LONGEST_LOG};
use crate::driver::DriverError;

/// The longest line that a guest waits for the end of, bytes, as that of a terminal under Linux (termios(3)).
const LONGEST_LINE: usize = 4096;
/// For how long a guest waits for those who do not read what it says; then it is lost to them.
const PATIENCE: Duration = Duration::from_millis(10);

/// A serial console: what was said, and who listens.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Line {
    /// As text, for the file that it is kept in.
    said: String,
    #[serde(skip)]
    open: Vec<Arc<UnixStream>>,
}

impl Line {
    /// The machine says something.
    pub fn say(&mut self, bytes: &[u8]) {
        self.said.push_str(&String::from_utf8_lossy(bytes));
        let much = self.said.len().saturating_sub(LONGEST_LOG);
        let cut = (much..=self.said.len()).find(|at| self.said.is_char_boundary(*at));
        self.said.drain(..cut.unwrap_or(0));
        for mut stream in self.open.iter().map(AsRef::as_ref) {
            // Who has gone is noticed by the one that reads.
            let _ = stream.write_all(bytes);
        }
    }

    pub fn log(&self) -> Vec<u8> {
        self.said.clone().into_bytes()
    }

    fn hang_up(&mut self) {
        for stream in self.open.drain(..) {
            // The other end may have gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn left(&mut self, gone: &Arc<UnixStream>) {
        self.open.retain(|stream| !Arc::ptr_eq(stream, gone));
    }
}

/// A machine that is gone leaves nobody waiting.
impl Drop for Line {
    fn drop(&mut self) {
        self.hang_up();
    }
}

impl World {
    /// Ends the streams of all machines that do not run.
    pub fn hang_up(&mut self) {
        let idle = |made: &&mut Made| made.machine.power != Power::On;
        self.machines
            .values_mut()
            .filter(idle)
            .for_each(|made| made.line.hang_up());
    }

    pub fn made(&mut self, id: VmId) -> Result<&mut Made, DriverError> {
        let missing = || DriverError::permanent(format!("there is no machine {id} that has a console"));
        self.machines.get_mut(&id).ok_or_else(missing)
    }
}

impl Fake {
    pub(super) fn open_console(&self, id: VmId) -> Result<Console, DriverError> {
        let failed =
            |error: io::Error| DriverError::transient(format!("the console of machine {id} does not open: {error}"));
        let mut inner = self.lock();
        let made = inner.world.made(id)?;
        if made.machine.power != Power::On {
            return Err(DriverError::permanent(format!(
                "machine {id} does not run: it has no console"
            )));
        }
        let (stream, ours) = UnixStream::pair().map_err(failed)?;
        ours.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        let guest = Guest {
            host: Arc::downgrade(&self.inner),
            id,
            stream: Arc::new(ours),
        };
        let log = made.line.log();
        made.line.open.push(guest.stream.clone());
        let spawned = thread::Builder::new().name("fake console".to_owned());
        spawned.spawn(move || guest.listen()).map_err(failed)?;
        Ok(Console { log, stream })
    }
}

/// Who is at the other end of an open console.
struct Guest {
    host: Weak<Mutex<Inner>>,
    id: VmId,
    stream: Arc<UnixStream>,
}

impl Guest {
    /// Answers until either end leaves.
    fn listen(self) {
        let mut line = Typed::default();
        let mut bytes = [0; LONGEST_LINE];
        loop {
            let read = match self.stream.as_ref().read(&mut bytes) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            for byte in &bytes[..read] {
                if let Some(line) = line.push(*byte) {
                    self.answer(&line);
                }
            }
        }
        self.with(|made| made.line.left(&self.stream));
    }

    fn answer(&self, line: &[u8]) {
        self.with(|made| {
            let mut answer = format!("{}: ", made.machine.record.name).into_bytes();
            answer.extend_from_slice(line);
            answer.extend_from_slice(b"\r\n");
            made.line.say(&answer);
        });
    }

    /// Nothing, if the machine or its host is gone.
    fn with(&self, change: impl FnOnce(&mut Made)) {
        let Some(host) = self.host.upgrade() else { return };
        let mut inner = host.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = inner.world.machines.get_mut(&self.id) {
            change(made);
            // What is not kept is told, and lost with the agent.
            let _ = inner.save();
        }
    }
}

/// What was typed since the last end of a line.
#[derive(Default)]
struct Typed {
    line: Vec<u8>,
    last: u8,
}

impl Typed {
    /// Gives the line that this byte ends. `\r\n` is one end.
    fn push(&mut self, byte: u8) -> Option<Vec<u8>> {
        let last = std::mem::replace(&mut self.last, byte);
        match byte {
            b'\n' if last == b'\r' => return None,
            b'\r' | b'\n' => {}
            _ => {
                self.line.push(byte);
                if self.line.len() < LONGEST_LINE {
                    return None;
                }
            }
        }
        Some(std::mem::take(&mut self.line))
    }
}
