//! A database on the disk, the hub over it, and the fleet that asks it.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use renkei_testkit::renkei::Running;
use renkei_testkit::{Postgres, process, wait};
use serde_json::Value;
use tempfile::TempDir;

use super::Programs;

/// How long the hub may take to listen.
const START: Duration = Duration::from_secs(60);

/// What a hub keeps its rows in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Database {
    /// A file of its own.
    Sqlite,
    /// A server on this machine.
    Postgres,
}

impl Database {
    /// For tables.
    pub fn word(self) -> &'static str {
        match self {
            Database::Sqlite => "SQLite",
            Database::Postgres => "PostgreSQL",
        }
    }
}

/// An empty database with a master key; gone when dropped.
pub struct Place {
    url: String,
    key: PathBuf,
    // Ends before the folder goes.
    _server: Option<Postgres>,
    _folder: TempDir,
}

impl Place {
    /// Makes it.
    pub fn new(database: Database) -> Result<Place> {
        let folder = tempfile::Builder::new().prefix("renkei-bench-").tempdir()?;
        let key = folder.path().join("master.key");
        write_key(&key)?;
        let (url, server) = match database {
            Database::Sqlite => (format!("sqlite:{}", folder.path().join("hub.sqlite").display()), None),
            Database::Postgres => {
                let server = Postgres::start_synced()?;
                (server.url(&server.create()?), Some(server))
            }
        };
        Ok(Place {
            url,
            key,
            _server: server,
            _folder: folder,
        })
    }

    /// The database's.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs `renkei-fleet` to its end; gives what it told.
    pub fn fleet(&self, programs: &Programs, hub: Option<&Hub>, words: &[&str]) -> Result<Vec<Value>> {
        let mut command = Command::new(&programs.fleet);
        command.args(words).stdin(Stdio::null());
        if let Some(hub) = hub {
            command.args(["--hub", &hub.api]);
            command
                .env("RENKEI_TOKEN", &hub.token)
                .env("RENKEI_MDX_TOKEN", &hub.mdx_token);
        }
        let told = told_by(&mut command, "");
        told.with_context(|| match hub {
            Some(hub) => format!("the hub says: {}", hub.running.stderr()),
            None => "nothing is measured".to_owned(),
        })
    }
}

/// A hub that runs, with its administrator signed in. Killed when dropped.
pub struct Hub {
    running: Running,
    api: String,
    token: String,
    mdx_token: String,
}

impl Hub {
    /// Starts it.
    pub fn start(programs: &Programs, place: &Place) -> Result<Hub> {
        let mut command = Command::new(&programs.renkei);
        command.args(["serve", "--listen", "127.0.0.1:0", "--agents", "127.0.0.1:0"]);
        command.args(["--database", &place.url, "--master-key"]).arg(&place.key);
        let mut running = Running::start(command)?;
        let told = wait::until_some("the hub to listen", START, || {
            let told = running.stdout();
            let whole = told.contains("one-time password: ") && told.ends_with('\n');
            (whole || running.has_ended()).then_some(told)
        })?;
        let after = |words: &str| {
            let rest = told
                .split_once(words)
                .map(|(_, rest)| rest.lines().next().unwrap_or_default());
            rest.with_context(|| format!("the hub does not start: {told}{}", running.stderr()))
        };
        let api = after("listening on http://")?.to_owned();
        let password = after("one-time password: ")?;
        let mut sign_in = Command::new(&programs.fleet);
        sign_in.args(["sign-in", "--hub", &api]);
        let told = told_by(&mut sign_in, password)?;
        let token = |field: &str| {
            let found = told.first().and_then(|told| told[field].as_str());
            found.map(str::to_owned).context("the administrator is not signed in")
        };
        let (token, mdx_token) = (token("token")?, token("mdx_token")?);
        Ok(Hub {
            running,
            api,
            token,
            mdx_token,
        })
    }

    /// The most resident memory that it ever had, MB.
    pub fn memory(&self) -> Result<f64> {
        memory(self.running.pid(), "VmHWM")
    }

    /// Ends it, in order.
    pub fn stop(self) -> Result<()> {
        self.running.interrupt();
        let outcome = self.running.finish()?;
        ensure!(outcome.status.success(), "the hub ended badly: {}", outcome.text());
        Ok(())
    }
}

/// A line of `/proc/PID/status` that tells of memory (proc(5)), MB.
pub fn memory(pid: u32, line: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let found = status
        .lines()
        .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kilobytes = found.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kilobytes.context("the kernel does not tell its memory")? * 1024.0 / 1e6)
}

/// Memory of a process and all that it has started, MB. What they share counts for each.
pub fn memory_of_family(pid: u32) -> Result<f64> {
    let family = process::descendants(pid).into_iter().chain([pid]);
    family.map(|pid| memory(pid, "VmRSS")).sum()
}

/// A directory in tmpfs.
pub fn folder_in_memory() -> Result<TempDir> {
    let builder = tempfile::Builder::new().prefix("renkei-bench-").tempdir_in("/dev/shm");
    builder.context("cannot use /dev/shm")
}

/// Gives it this to read, and reads its lines of JSON.
fn told_by(command: &mut Command, input: &str) -> Result<Vec<Value>> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "the fleet has failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let text = String::from_utf8(output.stdout)?;
    text.lines()
        .map(|line| serde_json::from_str(line).context("the fleet does not write JSON"))
        .collect()
}

/// 32 bytes in base64: of 43 digits the last has two bits that do not count.
fn write_key(path: &Path) -> Result<()> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut random = [0_u8; 43];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    random[42] &= 0b11_1100;
    let mut text: Vec<u8> = random.iter().map(|byte| DIGITS[usize::from(byte & 63)]).collect();
    text.extend(b"=\n");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    Ok(options.open(path)?.write_all(&text)?)
}
