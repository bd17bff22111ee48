//! A real PostgreSQL server, private to one test: its own folder, its own port on loopback.
//!
//! For tests it does not sync, so that they are quick: it survives being killed, not a power cut. For measurements it does.

use std::cell::Cell;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::port::ReservedPort;
use crate::process::{kill_family, run, signal, spawn_tied};
use crate::wait;

/// Where Debian keeps each version's programs, which are not on the path.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The server refuses to run as root; Debian's package makes this user for it.
const USER: &str = "postgres";
/// The role that owns everything in it. It needs no password.
const ROLE: &str = "renkei";

/// A running server; ends when dropped.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    account: Option<Account>,
    port: ReservedPort,
    server: Option<Child>,
    databases: Cell<u32>,
    survives: Survives,
}

/// What its commits survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Survives {
    /// The server's end, in any way.
    Kill,
    /// The machine's end too.
    PowerCut,
}

/// A user of the machine.
#[derive(Clone, Copy, Debug)]
struct Account {
    user: u32,
    group: u32,
}

impl Postgres {
    /// Makes an empty server and waits until it answers.
    pub fn start() -> Result<Self> {
        Self::that_survives(Survives::Kill)
    }

    /// The same, but each commit is on the disk before it is answered, as in a server that people use.
    pub fn start_synced() -> Result<Self> {
        Self::that_survives(Survives::PowerCut)
    }

    fn that_survives(survives: Survives) -> Result<Self> {
        let mut postgres = Self {
            survives,
            folder: tempfile::tempdir()?,
            programs: programs()?,
            account: account()?,
            port: ReservedPort::take()?,
            server: None,
            databases: Cell::new(0),
        };
        if let Some(account) = postgres.account {
            let folder = postgres.folder.path();
            std::os::unix::fs::chown(folder, Some(account.user), Some(account.group))?;
        }
        let mut initdb = postgres.program("initdb");
        initdb.arg("--pgdata").arg(postgres.data());
        initdb.args(["--username", ROLE, "--auth=trust", "--encoding=UTF8", "--no-sync"]);
        // Texts are compared as people do unless a column says otherwise, as in many real servers: whoever relies on the order
        // of bytes must say so.
        initdb.args(["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]);
        run(&mut initdb)?;
        postgres.launch()?;
        Ok(postgres)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// Makes an empty database; gives its name.
    pub fn create(&self) -> Result<String> {
        let number = self.databases.get() + 1;
        self.databases.set(number);
        let name = format!("hub{number}");
        run(self.client("createdb").arg(&name))?;
        Ok(name)
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        self.url_through(self.address(), database)
    }

    /// The URL of a database for whoever reaches the server at another address.
    pub fn url_through(&self, address: SocketAddr, database: &str) -> String {
        format!("postgres://{ROLE}@{address}/{database}")
    }

    /// Runs `statements` in a database.
    pub fn execute(&self, database: &str, statements: &str) -> Result<()> {
        let mut psql = self.client("psql");
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--set=ON_ERROR_STOP=1",
            "--dbname",
            database,
            "--command",
        ]);
        run(psql.arg(statements)).map(drop)
    }

    /// Stops it as an administrator does who is in a hurry: connections are cut, what was committed is kept.
    pub fn stop(&mut self) {
        self.end(Signal::INT);
    }

    /// Starts it again after [`Postgres::stop`].
    pub fn start_again(&mut self) -> Result<()> {
        self.launch()
    }

    /// Kills it, as the kernel would when memory runs out, and starts it again.
    pub fn crash(&mut self) -> Result<()> {
        self.end(Signal::KILL);
        self.launch()
    }

    fn launch(&mut self) -> Result<()> {
        let log = File::create(self.folder.path().join("log"))?;
        let mut server = self.program("postgres");
        server.arg("-D").arg(self.data());
        let port = self.port.number().to_string();
        let sockets = format!("unix_socket_directories={}", self.folder.path().display());
        let mut settings = vec!["listen_addresses=127.0.0.1", &sockets];
        if self.survives == Survives::Kill {
            settings.extend(["fsync=off", "full_page_writes=off"]);
        }
        server.args(["-p", &port]);
        server.args(settings.iter().flat_map(|setting| ["-c", setting]));
        server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.server = Some(spawn_tied(server).context("cannot start postgres")?);
        let mut ready = self.client("pg_isready");
        ready.stdout(Stdio::null()).stderr(Stdio::null());
        let answers = || ready.status().is_ok_and(|status| status.success());
        wait::until("postgres to answer", answers).with_context(|| self.log())
    }

    /// What the server has said.
    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn client(&self, name: &str) -> Command {
        let mut command = self.program(name);
        command.args(["--host=127.0.0.1", "--username", ROLE]);
        command.arg(format!("--port={}", self.port.number()));
        command
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.folder.path());
        if let Some(account) = self.account {
            command.gid(account.group).uid(account.user);
        }
        command
    }

    fn end(&mut self, how: Signal) {
        let Some(mut server) = self.server.take() else { return };
        if how == Signal::KILL {
            kill_family(server.id());
        } else {
            signal(server.id(), how);
        }
        // It is our own child and has been told to end.
        let _ = server.wait();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGQUIT: at once, without cleaning what is deleted anyway (postgres(1)).
        self.end(Signal::QUIT);
    }
}

/// The newest version's folder.
fn programs() -> Result<PathBuf> {
    let versions = std::fs::read_dir(VERSIONS).with_context(|| format!("no PostgreSQL in {VERSIONS}"))?;
    let folder = |entry: std::fs::DirEntry| -> Option<(u32, PathBuf)> {
        let version = entry.file_name().to_str()?.parse().ok()?;
        let programs = entry.path().join("bin");
        programs.join("postgres").is_file().then_some((version, programs))
    };
    let newest = versions.flatten().filter_map(folder).max();
    newest
        .map(|(_, programs)| programs)
        .with_context(|| format!("no PostgreSQL in {VERSIONS}"))
}

/// As whom it runs: another than us only if we are root.
fn account() -> Result<Option<Account>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string(Path::new("/etc/passwd"))?;
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    for field in fields {
        if let [USER, _, user, group, ..] = field.as_slice() {
            let (user, group) = (user.parse()?, group.parse()?);
            return Ok(Some(Account { user, group }));
        }
    }
    bail!("there is no user `{USER}` as whom PostgreSQL could run")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_what_was_committed_when_it_is_killed() {
        let mut postgres = Postgres::start().unwrap();
        let name = postgres.create().unwrap();
        postgres
            .execute(&name, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
            .unwrap();
        postgres.crash().unwrap();
        postgres
            .execute(&name, "DO 'BEGIN ASSERT (SELECT count(*) FROM t) = 1; END'")
            .unwrap();
        assert!(postgres.execute(&name, "SELECT * FROM nothing").is_err());
    }
}
