//! `renkei up`: everything on this machine, for a newcomer. Starts `renkei serve` as a process of its own, so that the hub can be
//! without the rights that machines and networks need.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit;
use crate::printer::Output;
use crate::settings::{UpSettings, database_in};

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
    match runtime.block_on(up(settings)) {
        Ok(()) => exit::COMPLETE,
        Err(error) => output.failure(&error, exit::FAILED),
    }
}

async fn up(settings: &UpSettings) -> Result<(), Failed> {
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
    // Before the child is there: a Ctrl-C in between would leave it alone.
    let mut terminate = signal(SignalKind::terminate()).map_err(Failed::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failed::Start)?;
    let mut hub = start(settings, user).map_err(Failed::Start)?;
    // Waiting for a child closes its standard input otherwise.
    let _held = hub.stdin.take();
    let status = loop {
        tokio::select! {
            status = hub.wait() => break status.map_err(Failed::Start)?,
            _ = terminate.recv() => stop(&hub),
            _ = interrupt.recv() => stop(&hub),
        }
    };
    if status.success() {
        Ok(())
    } else {
        Err(Failed::Ended(status))
    }
}

fn start(settings: &UpSettings, user: Option<User>) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("serve")
        .arg("--database")
        .arg(database_in(&settings.data))
        .arg("--listen")
        .arg(settings.listen.to_string())
        .args(["--log", settings.log])
        // This process holds the other end: when it is gone, however, the hub stops too.
        .arg("--stop-with-stdin")
        .stdin(Stdio::piped())
        // Ctrl-C at the terminal comes to this process alone.
        .process_group(0);
    if let Some(User { id, group }) = user {
        command.uid(id).gid(group);
    }
    command.spawn()
}

fn stop(hub: &Child) {
    let pid = hub.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended by itself just now.
        let _ = kill_process(pid, Signal::TERM);
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

/// The folder and the files in it belong to the hub's user; there are no folders in it.
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
