//! `renkei up`: everything on this machine, for a newcomer. Starts `renkei serve` twice, as two processes of their own: a hub, which
//! can be without the rights that machines and networks need, and the agent of the one host of the site `local`. The first time the
//! hub invites this computer over a pipe that nobody else reads.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use renkei_site::identity::{DataFolder, FolderError};
use renkei_site::join::{JoinError, Joining};
use renkei_site::pick::{PickError, Wish, pick};
use renkei_types::name::{Name, NotAName};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines};
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::serve::{INVITED, TAKING_AGENTS};
use crate::arguments::serve::Driver;
use crate::exit;
use crate::printer::Output;
use crate::settings::{self, SITE_FOLDER, UpSettings, database_in, own_name};

/// The site's name, and the host's if this computer has none.
const LOCAL: &str = "local";
/// Machines of a newcomer rarely use all of their memory.
const MEMORY_PERCENT: u32 = 200;

/// Who the hub is, if root starts it: the first of these that the system knows.
const USERS: [&str; 2] = ["renkei", "nobody"];

/// Why it did not start, or how it ended.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("cannot make the folder `{}`", .path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("this is root, and the system knows no user `{}` for the hub\nhint: useradd --system renkei", USERS.join("` or `"))]
    NoUser,
    #[error("the hub, which is not root, cannot reach `{}`: `{}` lets nobody but its owner in\nhint: choose another folder with `--data`", .folder.display(), .closed.display())]
    Closed { folder: PathBuf, closed: PathBuf },
    #[error("cannot start the hub")]
    Start(#[source] io::Error),
    #[error("the hub ended: {0}")]
    Ended(ExitStatus),
    #[error("the agent ended: {0}")]
    Agent(ExitStatus),
    #[error("the hub's invitation is not understood")]
    Invitation,
    #[error(transparent)]
    Site(#[from] FolderError),
    #[error(transparent)]
    Pick(#[from] PickError),
    #[error("this computer cannot join its own hub")]
    Join(#[from] JoinError),
    #[error("this computer cannot join its own hub\nhint: if this is a restored database, it knows this computer as a host already: put the folder `{SITE_FOLDER}` of the old data folder to `{}`. docs/recovery.md says what to do if that folder is lost", .folder.display())]
    KnownAlready { folder: PathBuf, source: JoinError },
    #[error(transparent)]
    Name(#[from] NotAName),
}

/// A user of the system.
#[derive(Clone, Copy, Debug)]
struct User {
    id: u32,
    group: u32,
}

/// Starts everything, waits for Ctrl-C or SIGTERM, and stops it.
pub fn run(settings: &UpSettings, output: Output) -> u8 {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output.failure(&Failed::Start(error), exit::FAILED),
    };
    match runtime.block_on(up(settings, output)) {
        Ok(()) => exit::COMPLETE,
        Err(error) => output.failure(&error, exit::FAILED),
    }
}

async fn up(settings: &UpSettings, output: Output) -> Result<(), Failed> {
    let folder = |source| Failed::Folder {
        path: settings.data.clone(),
        source,
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&settings.data)
        .map_err(folder)?;
    let user = match rustix::process::geteuid().is_root() {
        true => Some(own_user().await.ok_or(Failed::NoUser)?),
        false => None,
    };
    if let Some(user) = user {
        if let Some(closed) = closed_to(user, &settings.data) {
            return Err(Failed::Closed {
                folder: settings.data.clone(),
                closed,
            });
        }
        give(&settings.data, user).map_err(folder)?;
    }
    let site = DataFolder::new(&settings.data.join(SITE_FOLDER))?;
    let joined = site.joined()?.is_some();
    // Before a child is there: a Ctrl-C in between would leave it alone.
    let mut terminate = signal(SignalKind::terminate()).map_err(Failed::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failed::Start)?;
    let mut hub = Role::start(hub(settings, user, joined)).map_err(Failed::Start)?;
    let mut lines = hub.lines();
    let mut agent: Option<Role> = None;
    let mut stopping = false;
    loop {
        if stopping {
            hub.stop();
            agent.iter().for_each(Role::stop);
        }
        tokio::select! {
            line = lines.next_line() => match line {
                Ok(Some(line)) => {
                    if let Some(url) = heard(&line, (settings, &site), joined, output).await? {
                        let started = Role::start(agent_of(settings, &site, &url));
                        agent = Some(started.map_err(Failed::Start)?);
                    }
                }
                // It says no more.
                Ok(None) | Err(_) => break,
            },
            _ = terminate.recv() => stopping = true,
            _ = interrupt.recv() => stopping = true,
            status = ended(&mut agent), if !stopping => {
                hub.stop();
                hub.wait().await.map_err(Failed::Start)?;
                return Err(Failed::Agent(status.map_err(Failed::Start)?));
            }
        }
    }
    let status = hub.wait().await.map_err(Failed::Start)?;
    if let Some(agent) = &mut agent {
        agent.stop();
        agent.wait().await.map_err(Failed::Start)?;
    }
    if status.success() {
        Ok(())
    } else {
        Err(Failed::Ended(status))
    }
}

/// The hub has said something: tells people what is for them, joins if this computer is invited, and gives where the agent is to dial
/// once it can.
async fn heard(
    line: &str,
    (settings, site): (&UpSettings, &DataFolder),
    joined: bool,
    output: Output,
) -> Result<Option<String>, Failed> {
    if let Some(invited) = line.strip_prefix(INVITED) {
        let (url, token) = invited.split_once(' ').ok_or(Failed::Invitation)?;
        let joining = Joining {
            url: url.to_owned(),
            token: token.parse().map_err(|_| Failed::Invitation)?,
            name: own_name().or_else(|_| Name::try_from(LOCAL.to_owned()))?,
            address: None,
        };
        let driver = pick(
            site,
            &Wish {
                driver: settings::pick(settings.driver),
                memory_percent: MEMORY_PERCENT,
                uplink: Default::default(),
            },
        )?;
        let joined = renkei_site::join::join(site, joining, &*driver).await;
        let identity = joined.map_err(|error| match error {
            refused @ JoinError::Refused(_) => Failed::KnownAlready {
                folder: site.path().to_owned(),
                source: refused,
            },
            other => Failed::Join(other),
        })?;
        return Ok(Some(identity.url));
    }
    // Whoever reads this may be gone; the hub serves all the same.
    let _ = output.answer(format!("{line}\n").as_bytes());
    let url = line.strip_prefix(TAKING_AGENTS).filter(|_| joined);
    // The port may be another one than when it joined.
    Ok(url.map(|url| format!("{}/agent/v1", url.replacen("https://", "wss://", 1))))
}

/// Never without an agent.
async fn ended(agent: &mut Option<Role>) -> io::Result<ExitStatus> {
    match agent {
        Some(agent) => agent.wait().await,
        None => std::future::pending().await,
    }
}

fn hub(settings: &UpSettings, user: Option<User>, joined: bool) -> Command {
    let mut command = Command::new(program());
    // Beside the API's port, or any.
    let beside = settings
        .listen
        .port()
        .checked_add(1)
        .filter(|port| *port > 1)
        .unwrap_or(0);
    command
        .arg("serve")
        .arg("--database")
        .arg(database_in(&settings.data))
        .arg("--listen")
        .arg(settings.listen.to_string())
        .arg("--agents")
        .arg(SocketAddr::new(settings.listen.ip(), beside).to_string())
        .args(["--log", settings.log])
        .stdout(Stdio::piped());
    if !joined {
        command.args(["--invite", LOCAL]);
    }
    if let Some(User { id, group }) = user {
        command.uid(id).gid(group);
    }
    command
}

fn agent_of(settings: &UpSettings, site: &DataFolder, url: &str) -> Command {
    let mut command = Command::new(program());
    command
        .arg("serve")
        .arg("--site")
        .arg(site.path())
        .args(["--hub", url])
        .args(["--memory-percent", &MEMORY_PERCENT.to_string()])
        .args(["--driver", word(settings.driver)])
        .args(
            settings
                .transit
                .iter()
                .flat_map(|transit| ["--transit".to_owned(), transit.to_string()]),
        )
        .args(["--log", settings.log]);
    command
}

/// As it is typed.
fn word(driver: Driver) -> &'static str {
    match driver {
        Driver::Auto => "auto",
        Driver::Qemu => "qemu",
        Driver::Fake => "fake",
    }
}

/// This one. If it cannot be said which that is, starting it tells so.
fn program() -> PathBuf {
    std::env::current_exe().unwrap_or_default()
}

/// A process that serves.
struct Role {
    child: Child,
    /// It stops when this process is gone, however that comes: this is the other end of its standard input.
    _held: Option<ChildStdin>,
}

impl Role {
    fn start(mut command: Command) -> io::Result<Self> {
        command
            .arg("--stop-with-stdin")
            .stdin(Stdio::piped())
            // Ctrl-C at the terminal comes to this process alone.
            .process_group(0);
        let mut child = command.spawn()?;
        // Waiting for a child closes its standard input otherwise.
        let held = child.stdin.take();
        Ok(Self { child, _held: held })
    }

    fn lines(&mut self) -> Lines<BufReader<Box<dyn AsyncRead + Unpin>>> {
        let out: Box<dyn AsyncRead + Unpin> = match self.child.stdout.take() {
            Some(out) => Box::new(out),
            None => Box::new(tokio::io::empty()),
        };
        BufReader::new(out).lines()
    }

    fn stop(&self) {
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself just now.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }
}

/// Asked of `id`, which knows users that are in no file of this machine too.
async fn own_user() -> Option<User> {
    for name in USERS {
        if let (Some(id), Some(group)) = (number("-u", name).await, number("-g", name).await) {
            return Some(User { id, group });
        }
    }
    None
}

async fn number(which: &str, name: &str) -> Option<u32> {
    let output = Command::new("id")
        .args([which, "--", name])
        .stderr(Stdio::null())
        .output()
        .await
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// A folder above that `user` may not pass through.
fn closed_to(user: User, folder: &Path) -> Option<PathBuf> {
    let passes = |above: &&Path| {
        // What cannot be looked at now will be told when the database is opened.
        let Ok(found) = above.metadata() else { return true };
        let mode = found.mode();
        match (found.uid() == user.id, found.gid() == user.group) {
            (true, _) => mode & 0o100 != 0,
            (false, true) => mode & 0o010 != 0,
            (false, false) => mode & 0o001 != 0,
        }
    };
    folder
        .ancestors()
        .skip(1)
        .find(|above| !passes(above))
        .map(Path::to_path_buf)
}

/// The folder and the files in it belong to the hub's user; the folder in it is the agent's.
fn give(folder: &Path, user: User) -> io::Result<()> {
    chown(folder, Some(user.id), Some(user.group))?;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        // A link could lead to anybody's file.
        if path.symlink_metadata()?.is_file() {
            chown(&path, Some(user.id), Some(user.group))?;
        }
    }
    Ok(())
}
