//! The running server.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use super::config::{self, Files};
use super::{Builder, Sftp, sshd_program};
use crate::port::ReservedPort;
use crate::process::{children, cpu_time, descendants, is_alive, kill_family, run, signal, spawn_tied};
use crate::seed::Rng;
use crate::wait;

/// A running private sshd; ends with all its sessions when dropped.
#[derive(Debug)]
pub struct Sshd {
    child: Mutex<Option<Child>>,
    builder: Builder,
    files: Files,
    address: SocketAddr,
    user: String,
    home: PathBuf,
    launcher: Vec<String>,
    chroot: Option<TempDir>,
    _port: Option<ReservedPort>,
    _folder: TempDir,
}

impl Sshd {
    /// What the server shall be like.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A stock server with one key for whoever runs the test.
    pub fn stock() -> Result<Self> {
        Self::builder().start()
    }

    pub(super) fn start(builder: Builder) -> Result<Self> {
        prepare_privilege_separation()?;
        let temporary = tempfile::Builder::new().prefix("renkei-sshd-").tempdir()?;
        let folder = temporary.path().to_owned();
        // A session of another user has to reach its home in it.
        std::fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
        let home = folder.join("home");
        std::fs::create_dir(&home)?;
        let mut launcher = builder.launcher.clone();
        let (user, home) = match &builder.account {
            Some(account) => {
                launcher.extend(account.prepare(&folder, &home, builder.login)?);
                (account.name().to_owned(), home)
            }
            None => {
                let name = run(Command::new("id").arg("-un"))?.stdout;
                let own = std::env::var_os("HOME").map_or(home, PathBuf::from);
                (String::from_utf8(name)?.trim().to_owned(), own)
            }
        };
        let chroot = (builder.sftp == Sftp::Chroot)
            .then(|| make_chroot(&builder))
            .transpose()?;
        let files = Files::make(&builder, &folder, &user)?;
        let (reserved, port) = match builder.port {
            Some(port) => (None, port),
            None => {
                let reserved = ReservedPort::take()?;
                let number = reserved.number();
                (Some(reserved), number)
            }
        };
        let chroot_path = chroot.as_ref().map(TempDir::path);
        std::fs::write(
            folder.join("sshd_config"),
            files.sshd_config(&builder, port, chroot_path)?,
        )?;
        std::fs::write(folder.join("known_hosts"), files.known_hosts(&builder, port)?)?;
        std::fs::write(folder.join("ssh_config"), files.ssh_config(&builder, port, &user))?;
        let address = SocketAddr::new(builder.listen, port);
        let sshd = Self {
            child: Mutex::new(None),
            builder,
            files,
            address,
            user,
            home,
            launcher,
            chroot,
            _port: reserved,
            _folder: temporary,
        };
        sshd.restart()?;
        Ok(sshd)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Address and port that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The user who can log in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// A client configuration for `-F`, in which `testhost` (and the bare address) is this server.
    pub fn ssh_config(&self) -> PathBuf {
        self.folder().join("ssh_config")
    }

    /// The same for clients that reach the server through a proxy on 127.0.0.1 at `port`; known_hosts learns that port.
    pub fn ssh_config_via(&self, port: u16) -> Result<PathBuf> {
        let mut known_hosts = OpenOptions::new().append(true).open(self.known_hosts())?;
        known_hosts.write_all(self.files.known_hosts(&self.builder, port)?.as_bytes())?;
        let path = self.folder().join(format!("ssh_config_{port}"));
        std::fs::write(&path, self.files.ssh_config(&self.builder, port, &self.user))?;
        Ok(path)
    }

    /// The known_hosts file that the configuration names.
    pub fn known_hosts(&self) -> PathBuf {
        self.folder().join("known_hosts")
    }

    /// The server's names as known_hosts writes them, to give it another key there.
    pub fn known_host_names(&self) -> String {
        config::known_names(self.builder.listen, self.port())
    }

    /// The user's private key.
    pub fn identity(&self) -> &Path {
        self.files.user_key.private()
    }

    /// The keys that may log in.
    pub fn authorized_keys(&self) -> PathBuf {
        self.folder().join("authorized_keys")
    }

    /// Home directory of the user: a private one with an [`Account`](super::Account), else the real one.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A folder that goes with the server, for whatever belongs to it.
    pub fn folder(&self) -> &Path {
        &self.files.folder
    }

    /// What the user sees as `/`, where the server has a chroot; `data` in it is the user's to write.
    pub fn chroot_dir(&self) -> Option<&Path> {
        self.chroot.as_ref().map(TempDir::path)
    }

    /// Process of the listening server; none while it is down.
    pub fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// All that the server has logged.
    pub fn log_text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// How many lines of the log contain `text`.
    pub fn count_in_log(&self, text: &str) -> usize {
        self.log_text().lines().filter(|line| line.contains(text)).count()
    }

    /// How many connections there are, logged in or not.
    pub fn connections(&self) -> usize {
        self.pid()
            .map_or(0, |id| children(id).into_iter().filter(|id| is_alive(*id)).count())
    }

    /// Processor time that the server and its sessions have used since it was started.
    pub fn cpu_time(&self) -> Duration {
        self.pid().map(cpu_time).unwrap_or_default()
    }

    /// Ends the server with all its sessions, as a host that goes down would.
    pub fn kill(&self) {
        self.end(&mut self.child());
    }

    /// Ends the server if it runs, and starts it on the same port.
    pub fn restart(&self) -> Result<()> {
        let mut slot = self.child();
        self.end(&mut slot);
        let logged = self.log_text().len();
        let output = OpenOptions::new().create(true).append(true).open(self.log_path())?;
        let mut words = self.launcher.clone();
        words.push(sshd_program().display().to_string());
        let (program, first_words) = words.split_first().context("nothing to start")?;
        let mut command = Command::new(program);
        command
            .args(first_words)
            .args(["-D", "-e", "-f"])
            .arg(self.folder().join("sshd_config"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let child = slot.insert(spawn_tied(command).context("cannot start sshd")?);
        // The line is written after listen(2), and the port is reserved for us, so nobody else can be meant.
        let ready = format!(
            "Server listening on {} port {}.",
            self.address.ip(),
            self.address.port()
        );
        let outcome = wait::until_some("sshd to listen", wait::PATIENCE, || {
            let text = self.log_text();
            match child.try_wait() {
                Ok(None) => text
                    .get(logged..)
                    .is_some_and(|new| new.contains(&ready))
                    .then_some(Ok(())),
                Ok(Some(status)) => Some(Err(io::Error::other(format!("it ended with {status}: {text}")))),
                Err(error) => Some(Err(error)),
            }
        })
        .with_context(|| self.log_text());
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                *slot = None;
                bail!("sshd did not start: {error}")
            }
            Err(error) => Err(error),
        }
    }

    /// Ends some of the connections at random, at least one where there is any; gives how many.
    pub fn drop_connections(&self, rng: &mut Rng) -> usize {
        let mut living = self.sessions();
        let mut count = 0;
        while !living.is_empty() {
            let at = rng.within(0..living.len() as u64) as usize;
            kill_family(living.swap_remove(at));
            count += 1;
            if rng.unit() < 0.5 {
                break;
            }
        }
        count
    }

    /// Ends all connections; the server itself stays.
    pub fn drop_all_connections(&self) -> usize {
        let living = self.sessions();
        living.iter().for_each(|id| kill_family(*id));
        living.len()
    }

    /// Stops the server and its sessions without closing anything: to a client it has gone silent.
    pub fn freeze(&self) {
        self.signal_all(Signal::STOP);
    }

    /// Lets it go on after [`Sshd::freeze`].
    pub fn thaw(&self) {
        self.signal_all(Signal::CONT);
    }

    fn signal_all(&self, which: Signal) {
        if let Some(id) = self.pid() {
            signal(id, which);
            descendants(id).into_iter().for_each(|id| signal(id, which));
        }
    }

    fn sessions(&self) -> Vec<u32> {
        self.pid()
            .map(children)
            .unwrap_or_default()
            .into_iter()
            .filter(|id| is_alive(*id))
            .collect()
    }

    fn end(&self, slot: &mut Option<Child>) {
        if let Some(mut child) = slot.take() {
            kill_family(child.id());
            // It was killed, so this returns; its status is of no interest.
            let _ = child.wait();
        }
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_path(&self) -> PathBuf {
        self.folder().join("log")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// sshd started by root insists on this directory, which Debian's service makes at its start.
fn prepare_privilege_separation() -> Result<()> {
    if rustix::process::getuid().is_root() {
        std::fs::create_dir_all("/run/sshd").context("cannot make `/run/sshd`")?;
    }
    Ok(())
}

/// sshd wants every component of the path owned by root and writable by nobody else, so not in /tmp.
fn make_chroot(builder: &Builder) -> Result<TempDir> {
    ensure!(rustix::process::getuid().is_root(), "a chroot needs root");
    let root = tempfile::Builder::new().prefix("renkei-chroot-").tempdir_in("/run")?;
    std::fs::set_permissions(root.path(), Permissions::from_mode(0o755))?;
    let data = root.path().join("data");
    std::fs::create_dir(&data)?;
    let owner = builder.account.as_ref().map(super::Account::owner);
    std::os::unix::fs::chown(&data, owner, owner)?;
    Ok(root)
}
