//! `renkei up` in an empty folder: how soon it answers, and what it takes while nothing is asked of it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use renkei_testkit::port::ReservedPort;
use renkei_testkit::renkei::Running;
use renkei_testkit::wait;
use serde_json::{Value, json};

use super::place::memory_of_family;

/// After this it is idle.
const IDLE: Duration = Duration::from_secs(10);
/// For one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts and stops it in each round.
pub fn run(renkei: &Path, rounds: usize) -> Result<Vec<Value>> {
    (0..rounds).map(|_| round(renkei)).collect()
}

fn round(renkei: &Path) -> Result<Value> {
    let data = tempfile::Builder::new().prefix("renkei-bench-").tempdir()?;
    let port = ReservedPort::take()?;
    let address: SocketAddr = ([127, 0, 0, 1], port.number()).into();
    let command = || {
        let mut command = Command::new(renkei);
        command
            .args(["up", "--driver", "fake", "--listen", &address.to_string(), "--data"])
            .arg(data.path());
        command
    };
    let (seconds, up) = start(command(), address)?;
    // The hub, the agent, and what started them.
    let whole = || renkei_testkit::process::descendants(up.pid()).len() == 2;
    wait::until("the agent to start", whole)?;
    std::thread::sleep(IDLE);
    let memory = memory_of_family(up.pid())?;
    stop(up)?;
    let (again_seconds, up) = start(command(), address)?;
    stop(up)?;
    Ok(json!({"seconds": seconds, "again_seconds": again_seconds, "idle_mb": memory}))
}

/// How long until it answers that it is ready.
fn start(command: Command, address: SocketAddr) -> Result<(f64, Running)> {
    let begun = Instant::now();
    let up = Running::start(command)?;
    loop {
        if is_ready(address).unwrap_or(false) {
            return Ok((begun.elapsed().as_secs_f64(), up));
        }
        ensure!(begun.elapsed() < 6 * PATIENCE, "it does not answer: {}", up.stderr());
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn is_ready(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

fn stop(up: Running) -> Result<()> {
    up.interrupt();
    let outcome = up.finish()?;
    ensure!(outcome.status.success(), "it ended badly: {}", outcome.text());
    Ok(())
}
