//! What the link can carry, by `iperf3`.

use std::net::Ipv4Addr;
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::namespace::Namespace;
use crate::process::{kill_family, run, spawn_tied};
use crate::wait;

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// Bits a second received, by so many streams in so many seconds.
pub(super) fn measure(
    client: &Namespace,
    (server, address): (&Namespace, Ipv4Addr),
    direction: Direction,
    (streams, seconds): (u32, u32),
) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let mut command = server.command("iperf3");
    command
        .args(["--server", "--one-off", "--forceflush", "--logfile"])
        .arg(&log);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut serving = spawn_tied(command).context("cannot start iperf3")?;
    let listens = || std::fs::read_to_string(&log).is_ok_and(|text| text.contains("Server listening"));
    let outcome = wait::until("iperf3 to listen", listens).and_then(|()| {
        let mut command = client.command("iperf3");
        command.args(["--json", "--client", &address.to_string()]);
        command.args(["--parallel", &streams.to_string(), "--time", &seconds.to_string()]);
        if direction == Direction::Down {
            command.arg("--reverse");
        }
        run(&mut command)
    });
    kill_family(serving.id());
    // It was killed if it had not ended; its status says nothing.
    let _ = serving.wait();
    let answer: serde_json::Value = serde_json::from_slice(&outcome?.stdout).context("iperf3 gave no JSON")?;
    answer
        .pointer("/end/sum_received/bits_per_second")
        .and_then(serde_json::Value::as_f64)
        .context("iperf3 gave no rate")
}
