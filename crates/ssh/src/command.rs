//! Processes as transport: ProxyCommand under our own SSH, and the system's ssh in its place (`--ssh-command`).

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, Join, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::channel::ByteChannel;
use crate::config;
use crate::destination::Destination;
use crate::dial::Logins;
use crate::error::{ConnectError, ConnectErrorKind};
use crate::options::Options;
use crate::wire::Stream;

/// Starts `command`, tokens replaced, as ssh starts a ProxyCommand: by the user's shell, its errors on ours.
pub(crate) fn proxy(command: &str, host: &str) -> Result<Box<dyn Stream>, ConnectError> {
    let shell = std::env::var_os("SHELL")
        .filter(|shell| !shell.is_empty())
        .unwrap_or_else(|| "/bin/sh".into());
    let failed = || {
        ConnectError::new(
            ConnectErrorKind::Proxy,
            host,
            format!("ProxyCommand `{command}` cannot be run"),
        )
    };
    let mut child = Command::new(shell)
        .arg("-c")
        .arg(format!("exec {command}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed().because(error))?;
    match (child.stdout.take(), child.stdin.take()) {
        (Some(stdout), Some(stdin)) => Ok(Box::new(ProxyStream {
            pipes: tokio::io::join(stdout, stdin),
            child: Some(child),
        })),
        _ => Err(failed()),
    }
}

/// How long a ProxyCommand may take to end by itself when its pipes are closed.
const PROXY_END: Duration = Duration::from_secs(2);

/// The pipes of a ProxyCommand, with the process that must live as long.
struct ProxyStream {
    pipes: Join<ChildStdout, ChildStdin>,
    child: Option<Child>,
}

impl Drop for ProxyStream {
    /// The end of its input tells the command to end, and what it has started with it. One that does not is killed,
    /// unless this program ends before.
    fn drop(&mut self) {
        let (Some(mut child), Ok(runtime)) = (self.child.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        runtime.spawn(async move {
            if tokio::time::timeout(PROXY_END, child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        });
    }
}

impl AsyncRead for ProxyStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.pipes).poll_read(cx, out)
    }
}

impl AsyncWrite for ProxyStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.pipes).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.pipes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.pipes).poll_shutdown(cx)
    }
}

/// The first bytes of SFTP: INIT for version 3 (draft-ietf-secsh-filexfer-02, section 4). Any answer proves the login.
const SFTP_INIT: &[u8] = &[0, 0, 0, 5, 1, 0, 0, 0, 3];

/// A login with questions answered by a person.
const PERSON: Duration = Duration::from_secs(180);

/// A program called as ssh is, that carries channels.
pub(crate) struct SshProgram {
    words: Vec<OsString>,
    arguments: Vec<OsString>,
    host: String,
    shown: String,
    /// Where a shared connection listens; only if a person has to log in.
    control: OnceLock<tempdir::Private>,
    logins: OnceLock<Logins>,
}

impl SshProgram {
    pub(crate) fn new(dest: &Destination, options: &Options) -> Option<Arc<Self>> {
        let command = options.ssh_command.as_ref()?;
        let words = command
            .as_bytes()
            .split(|byte| byte.is_ascii_whitespace())
            .filter(|word| !word.is_empty());
        let mut arguments = config::arguments(dest, options);
        if options
            .compression
            .as_deref()
            .is_some_and(|choice| choice != "no" && choice != "none")
        {
            arguments.push("-C".into());
        }
        Some(Arc::new(Self {
            words: words.map(|word| OsString::from_vec(word.to_vec())).collect(),
            arguments,
            host: dest.host.clone(),
            shown: dest.to_string(),
            control: OnceLock::new(),
            logins: OnceLock::new(),
        }))
    }

    pub(crate) fn logins(&self) -> Logins {
        self.logins.get().copied().unwrap_or(Logins::Unknown)
    }

    /// Finds out whether the program can log in without a person; if not, one process logs in and the others share its
    /// connection.
    pub(crate) async fn settle(&self) -> Result<(), ConnectError> {
        if self.logins.get().is_some() {
            return Ok(());
        }
        let quiet = self.try_login(&["-S", "none", "-o", "BatchMode=yes"], PERSON).await;
        let Err(reason) = quiet else {
            let _ = self.logins.set(Logins::Unattended);
            return Ok(());
        };
        let asks = [
            "Permission denied",
            "Host key verification failed",
            "Too many authentication failures",
        ];
        if !asks.iter().any(|text| reason.contains(text)) {
            return Err(self.failed(&reason));
        }
        let control =
            tempdir::Private::new().map_err(|error| self.failed("no folder for its socket").because(error))?;
        let _ = self.control.set(control);
        let _ = self.logins.set(Logins::NeedsPerson);
        Ok(())
    }

    /// Logs in once with `more` options and lets go; the error is what the program said.
    async fn try_login(&self, more: &[&str], patience: Duration) -> Result<(), String> {
        let mut command = self.command();
        command.args(more).args(["-s", "--"]).arg(&self.host).arg("sftp");
        let channel = spawn(command).map_err(|error| error.to_string())?;
        let (mut tx, mut rx) = channel.split();
        let sent = tx.send(Bytes::from_static(SFTP_INIT)).await;
        match tokio::time::timeout(patience, rx.recv()).await {
            Ok(Some(_)) if sent.is_ok() => Ok(()),
            Ok(_) => {
                // Its last words come by another pipe.
                tokio::task::yield_now().await;
                Err(rx.stderr_at_end().await)
            }
            Err(_) => Err("it does not answer".into()),
        }
    }

    fn command(&self) -> Command {
        let mut words = self.words.iter();
        let mut command = Command::new(words.next().map_or("ssh".as_ref(), OsString::as_os_str));
        command.args(words).args(&self.arguments);
        command
    }

    fn shared(&self) -> Command {
        let mut command = self.command();
        match self.control.get() {
            None => command.args(["-S", "none"]),
            Some(folder) => command
                .args(["-o", "ControlMaster=auto", "-o", "ControlPersist=yes", "-S"])
                .arg(folder.socket()),
        };
        command
    }

    pub(crate) fn sftp(&self) -> Result<ByteChannel, ConnectError> {
        let mut command = self.shared();
        command.args(["-s", "--"]).arg(&self.host).arg("sftp");
        spawn(command).map_err(|error| self.failed("it cannot be run").because(error))
    }

    pub(crate) fn exec(&self, run: &str) -> Result<ByteChannel, ConnectError> {
        let mut command = self.shared();
        command.arg("--").arg(&self.host).arg(run);
        spawn(command).map_err(|error| self.failed("it cannot be run").because(error))
    }

    fn failed(&self, reason: &str) -> ConnectError {
        let name = self.words.first().map_or("ssh".into(), |word| word.to_string_lossy());
        ConnectError::new(
            ConnectErrorKind::Proxy,
            &self.shown,
            format!("{name} gives no connection: {reason}"),
        )
    }
}

impl Drop for SshProgram {
    fn drop(&mut self) {
        // The process that holds the shared connection outlives its channels and has to be told.
        if let Some(folder) = self.control.get() {
            let mut command =
                std::process::Command::new(self.words.first().map_or("ssh".as_ref(), OsString::as_os_str));
            command
                .args(self.words.iter().skip(1))
                .arg("-S")
                .arg(folder.socket())
                .args(["-O", "exit", "--"]);
            command
                .arg(&self.host)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let _ = command.status();
        }
    }
}

fn spawn(mut command: Command) -> std::io::Result<ByteChannel> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = command.spawn()?;
    ByteChannel::over_child(child).ok_or_else(|| std::io::ErrorKind::BrokenPipe.into())
}

/// A private folder for a socket.
mod tempdir {
    use std::io;
    use std::os::unix::fs::DirBuilderExt;
    use std::path::PathBuf;

    /// Mode 0700, removed at the end.
    pub(super) struct Private(PathBuf);

    impl Private {
        pub(super) fn new() -> io::Result<Self> {
            let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
            let mut random = [0_u8; 8];
            getrandom::fill(&mut random).map_err(io::Error::other)?;
            let path = base.join(format!("renkei-{:016x}", u64::from_ne_bytes(random)));
            // Fails if it exists, so no one else can have made it.
            std::fs::DirBuilder::new().mode(0o700).create(&path)?;
            Ok(Self(path))
        }

        /// Short, since the path of a socket may have 108 bytes, and ssh adds a suffix of its own while it is made.
        pub(super) fn socket(&self) -> PathBuf {
            self.0.join("s")
        }
    }

    impl Drop for Private {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
