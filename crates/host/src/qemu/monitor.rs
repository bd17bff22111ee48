//! What QEMU says and is told over its socket: the QEMU Machine Protocol (docs/interop/qmp-spec of QEMU 7.2).
//!
//! QEMU takes one client at a time, so there is one [`Monitor`] for each machine that runs, and all threads share it: a thread of its
//! own reads answers and events. Whoever waits is woken by either.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long QEMU may take to answer. It answers from its main loop, which a slow disk can hold up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the greeting may take. A machine whose monitor is silent is asked again at the next look.
const GREETING: Duration = Duration::from_secs(2);

/// Why QEMU does not do what it was told.
#[derive(Debug, thiserror::Error)]
pub(super) enum MonitorError {
    /// Nobody listens at its socket, or it has gone away.
    #[error("QEMU's monitor cannot be reached")]
    Cut(#[source] io::Error),
    /// It says no.
    #[error("QEMU refuses `{command}`: {why}")]
    Refused {
        /// What it was told.
        command: String,
        /// Its own words.
        why: String,
    },
    /// It says nothing.
    #[error("QEMU does not answer to `{command}`")]
    Silent {
        /// What it was told.
        command: String,
    },
}

/// How a guest is, of what QEMU's `RunState` tells apart (qapi/run-state.json).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// It runs.
    Running,
    /// It stands still, and can go on.
    Still,
    /// It has ended by itself; QEMU waits because of `-no-shutdown`.
    Ended,
    /// QEMU is gone, or will say no more.
    Gone,
}

/// See the module. Clones are the same connection.
#[derive(Clone, Debug)]
pub(super) struct Monitor {
    line: Arc<Line>,
}

#[derive(Debug)]
struct Line {
    writer: Mutex<UnixStream>,
    heard: Mutex<Heard>,
    news: Condvar,
}

#[derive(Debug)]
struct Heard {
    run: Run,
    asked: u64,
    answers: BTreeMap<u64, Result<Value, String>>,
}

impl Monitor {
    /// Connects to the socket of this name in a folder. The folder's own path may be longer than a socket's may be (unix(7)).
    pub fn connect(folder: &Path, name: &str) -> Result<Self, MonitorError> {
        let stream = socket(folder, name).map_err(MonitorError::Cut)?;
        stream.set_read_timeout(Some(GREETING)).map_err(MonitorError::Cut)?;
        let mut reader = BufReader::new(stream.try_clone().map_err(MonitorError::Cut)?);
        let mut greeting = String::new();
        let read = reader.read_line(&mut greeting).map_err(MonitorError::Cut)?;
        if read == 0 {
            return Err(MonitorError::Cut(io::ErrorKind::UnexpectedEof.into()));
        }
        stream.set_read_timeout(None).map_err(MonitorError::Cut)?;
        let monitor = Self {
            line: Arc::new(Line {
                writer: Mutex::new(stream),
                heard: Mutex::new(Heard {
                    run: Run::Still,
                    asked: 0,
                    answers: BTreeMap::new(),
                }),
                news: Condvar::new(),
            }),
        };
        let line = Arc::clone(&monitor.line);
        let listening = std::thread::Builder::new().name("qmp".to_owned());
        listening
            .spawn(move || line.listen(reader))
            .map_err(MonitorError::Cut)?;
        monitor.tell("qmp_capabilities", json!({}))?;
        let status = monitor.tell("query-status", json!({}))?;
        monitor.line.hear(|heard| {
            if heard.run != Run::Gone {
                heard.run = run_of(status["status"].as_str().unwrap_or_default());
            }
        });
        Ok(monitor)
    }

    /// Tells it something and gives its answer.
    pub fn tell(&self, command: &str, arguments: Value) -> Result<Value, MonitorError> {
        let number = self.line.hear(|heard| {
            heard.asked += 1;
            heard.asked
        });
        let mut text = json!({ "execute": command, "arguments": arguments, "id": number }).to_string();
        text.push('\n');
        lock(&self.line.writer)
            .write_all(text.as_bytes())
            .map_err(MonitorError::Cut)?;
        let until = Instant::now() + PATIENCE;
        let mut heard = lock(&self.line.heard);
        loop {
            if let Some(answer) = heard.answers.remove(&number) {
                return answer.map_err(|why| MonitorError::Refused {
                    command: command.to_owned(),
                    why,
                });
            }
            if heard.run == Run::Gone {
                return Err(MonitorError::Cut(io::ErrorKind::ConnectionReset.into()));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(MonitorError::Silent {
                    command: command.to_owned(),
                });
            }
            heard = wait(&self.line.news, heard, left);
        }
    }

    /// How the guest is now.
    pub fn run(&self) -> Run {
        lock(&self.line.heard).run
    }

    /// Waits until something has happened, at most so long, and says how the guest is then.
    pub fn changed(&self, from: Run, longest: Duration) -> Run {
        let heard = lock(&self.line.heard);
        if heard.run != from {
            return heard.run;
        }
        wait(&self.line.news, heard, longest).run
    }

    /// Leaves; QEMU goes on, and takes the next client.
    pub fn leave(&self) {
        // It may be gone already.
        let _ = lock(&self.line.writer).shutdown(Shutdown::Both);
    }
}

impl Line {
    fn hear<T>(&self, change: impl FnOnce(&mut Heard) -> T) -> T {
        let told = change(&mut lock(&self.heard));
        self.news.notify_all();
        told
    }

    fn listen(&self, mut reader: BufReader<UnixStream>) {
        let mut text = String::new();
        while reader.read_line(&mut text).is_ok_and(|read| read > 0) {
            if let Ok(said) = serde_json::from_str::<Value>(&text) {
                self.hear(|heard| heard.take(&said));
            }
            text.clear();
        }
        self.hear(|heard| heard.run = Run::Gone);
    }
}

impl Heard {
    fn take(&mut self, said: &Value) {
        if let Some(event) = said["event"].as_str() {
            self.run = after(self.run, event, &said["data"]);
        } else if let Some(number) = said["id"].as_u64() {
            let answer = match said.get("return") {
                Some(value) => Ok(value.clone()),
                None => Err(said["error"]["desc"].as_str().unwrap_or("without a reason").to_owned()),
            };
            self.answers.insert(number, answer);
        }
    }
}

/// How a guest is after an event (qapi/run-state.json). The one that says that a guest has ended comes before the one that it stands.
fn after(run: Run, event: &str, data: &Value) -> Run {
    match (event, run) {
        (_, Run::Gone) => Run::Gone,
        ("SHUTDOWN", _) if data["guest"] == true => Run::Ended,
        ("RESUME", _) => Run::Running,
        ("STOP", Run::Running) => Run::Still,
        _ => run,
    }
}

fn run_of(status: &str) -> Run {
    match status {
        "running" => Run::Running,
        "shutdown" | "guest-panicked" => Run::Ended,
        _ => Run::Still,
    }
}

/// Connects to a socket by way of its opened folder: the path that is given to the kernel is short then.
pub(super) fn socket(folder: &Path, name: &str) -> io::Result<UnixStream> {
    let opened = File::open(folder)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{name}", opened.as_raw_fd()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait<'a, T>(news: &Condvar, guard: MutexGuard<'a, T>, longest: Duration) -> MutexGuard<'a, T> {
    let (guard, _) = news
        .wait_timeout(guard, longest)
        .unwrap_or_else(PoisonError::into_inner);
    guard
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A monitor that answers every command with what is given, in that order, and is then gone.
    fn pretend(folder: &Path, answers: Vec<&'static str>) -> std::thread::JoinHandle<()> {
        let listener = UnixListener::bind(folder.join("qmp.sock")).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            stream.write_all(b"{\"QMP\": {}}\n").unwrap();
            for answer in answers {
                let mut text = String::new();
                reader.read_line(&mut text).unwrap();
                let asked: Value = serde_json::from_str(&text).unwrap();
                let text = answer.replace("ID", &asked["id"].to_string());
                stream.write_all(text.as_bytes()).unwrap();
            }
        })
    }

    const YES: &str = "{\"return\": {}, \"id\": ID}\n";
    const RUNNING: &str = "{\"return\": {\"status\": \"running\"}, \"id\": ID}\n";

    #[test]
    fn it_answers_refuses_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let no = "{\"event\": \"STOP\"}\n{\"id\": ID, \"error\": {\"class\": \"GenericError\", \"desc\": \"no such thing\"}}\n";
        let served = pretend(folder.path(), vec![YES, RUNNING, YES, no]);
        let monitor = Monitor::connect(folder.path(), "qmp.sock").unwrap();
        assert_eq!(monitor.run(), Run::Running);
        monitor.tell("cont", json!({})).unwrap();
        let refused = monitor.tell("eject", json!({})).unwrap_err().to_string();
        assert!(refused.contains("`eject`: no such thing"), "{refused}");
        served.join().unwrap();
        assert!(matches!(monitor.tell("cont", json!({})), Err(MonitorError::Cut(_))));
        assert_eq!(monitor.run(), Run::Gone);
    }

    #[test]
    fn a_guest_that_ended_does_not_merely_stand_still() {
        let ended = after(
            Run::Running,
            "SHUTDOWN",
            &json!({"guest": true, "reason": "guest-shutdown"}),
        );
        assert_eq!(after(ended, "STOP", &Value::Null), Run::Ended);
        assert_eq!(after(ended, "RESUME", &Value::Null), Run::Running);
        let told = after(
            Run::Running,
            "SHUTDOWN",
            &json!({"guest": false, "reason": "host-qmp-quit"}),
        );
        assert_eq!(after(told, "STOP", &Value::Null), Run::Still);
    }

    #[test]
    fn a_long_path_is_no_hindrance_and_an_empty_folder_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let error = Monitor::connect(&deep, "qmp.sock").unwrap_err();
        assert!(
            matches!(error, MonitorError::Cut(ref why) if why.kind() == io::ErrorKind::NotFound),
            "{error}"
        );
    }
}
