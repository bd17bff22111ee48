//! A byte channel to a process at the far side: an SSH channel, or the pipes of a local `ssh`.
//!
//! This is where the two halves of the crate meet. It moves [`Bytes`] in order with back-pressure and without copying,
//! keeps the end of what the far process wrote to its standard error, and knows how the channel ended. It has no idea
//! what the bytes mean.
//!
//! The two directions must be driven independently (two tasks, or one `select!`): a peer that is blocked writing to us
//! stops reading from us, so a task that waits in [`ByteSender::send`] without anyone in [`ByteReceiver::recv`] can
//! wait for ever.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::session::Ending;

/// How much of the far side's standard error is kept, in bytes: the end of it, which is where the reason stands.
const STDERR_KEPT: usize = 4096;

/// Room for one read from a pipe; Linux pipes hold 64 KiB.
const PIPE_READ: usize = 64 * 1024;

/// How long the last words of a process that has ended may take.
const STDERR_WAIT: Duration = Duration::from_secs(1);

/// Why bytes could not be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The far process or the connection under it is gone.
    #[error("the channel to the far side is closed")]
    Closed,
    /// Writing to the local process that carries the channel failed.
    #[error("cannot write to the ssh command")]
    Pipe(#[source] std::io::Error),
}

impl ChannelError {
    /// Whether the same bytes on a new connection may get through: always, a channel carries no verdict on them.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        true
    }
}

/// How the process at the far side ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(u32),
    /// It was ended by this signal, named without `SIG`.
    Signal(String),
}

impl Exit {
    /// Whether the process returned zero.
    #[must_use]
    pub fn is_success(&self) -> bool {
        *self == Self::Code(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(name) => write!(f, "signal {name}"),
        }
    }
}

/// What is known of a channel after [`ByteReceiver::recv`] gave `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelEnd {
    /// It has not ended.
    Open,
    /// The server refused the command or subsystem that the channel was opened for.
    Refused,
    /// The far side closed it, with the status of its process where it told one.
    Closed(Option<Exit>),
    /// The connection under it broke.
    Lost,
}

/// Both directions of a channel.
#[derive(Debug)]
pub struct ByteChannel {
    tx: ByteSender,
    rx: ByteReceiver,
}

/// The direction towards the far process's standard input. Dropping it closes the channel.
#[derive(Debug)]
pub struct ByteSender {
    inner: Outgoing,
    closed: watch::Receiver<bool>,
}

/// The direction from the far process's standard output.
#[derive(Debug)]
pub struct ByteReceiver {
    inner: Incoming,
    closed: watch::Sender<bool>,
    stderr: Stderr,
    exit: Option<Exit>,
    end: ChannelEnd,
    /// Bytes that came before the reply to the request.
    early: VecDeque<Bytes>,
}

#[derive(Debug)]
enum Outgoing {
    /// With the end of the session that carries it.
    Ssh(SshSender, watch::Receiver<Option<Ending>>),
    Pipe(Option<ChildStdin>),
}

#[derive(Debug)]
enum Incoming {
    Ssh(ChannelReadHalf),
    Pipe {
        stdout: ChildStdout,
        child: Box<Child>,
        drained: JoinHandle<()>,
        buffer: BytesMut,
    },
    Ended,
}

/// Tells the server that a channel is no longer wanted, however its owner came to drop it.
#[derive(Debug)]
struct SshSender(Option<ChannelWriteHalf<Msg>>);

impl Drop for SshSender {
    fn drop(&mut self) {
        if let (Some(half), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { half.close().await });
        }
    }
}

impl ByteChannel {
    /// Takes over a channel of a session that tells its end through `session`.
    pub(crate) fn over_ssh(channel: russh::Channel<Msg>, session: watch::Receiver<Option<Ending>>) -> Self {
        let (read, write) = channel.split();
        Self::new(
            Outgoing::Ssh(SshSender(Some(write)), session),
            Incoming::Ssh(read),
            Stderr::default(),
        )
    }

    /// Takes over a child with all three streams piped; `None` if one is missing.
    pub(crate) fn over_child(mut child: Child) -> Option<Self> {
        let stdin = child.stdin.take()?;
        let stdout = child.stdout.take()?;
        let stderr = Stderr::default();
        let drained = tokio::spawn(drain_stderr(child.stderr.take()?, stderr.clone()));
        let incoming = Incoming::Pipe {
            stdout,
            child: Box::new(child),
            drained,
            buffer: BytesMut::new(),
        };
        Some(Self::new(Outgoing::Pipe(Some(stdin)), incoming, stderr))
    }

    fn new(outgoing: Outgoing, incoming: Incoming, stderr: Stderr) -> Self {
        let (closed, watch) = watch::channel(false);
        Self {
            tx: ByteSender {
                inner: outgoing,
                closed: watch,
            },
            rx: ByteReceiver {
                inner: incoming,
                closed,
                stderr,
                exit: None,
                end: ChannelEnd::Open,
                early: VecDeque::new(),
            },
        }
    }

    /// See [`ByteReceiver::accepted`].
    pub(crate) async fn accepted(&mut self) -> bool {
        self.rx.accepted().await
    }

    /// See [`ByteSender::send`].
    ///
    /// # Errors
    /// As [`ByteSender::send`].
    pub async fn send(&mut self, data: Bytes) -> Result<(), ChannelError> {
        self.tx.send(data).await
    }

    /// See [`ByteReceiver::recv`].
    pub async fn recv(&mut self) -> Option<Bytes> {
        self.rx.recv().await
    }

    /// See [`ByteSender::finish`].
    ///
    /// # Errors
    /// As [`ByteSender::finish`].
    pub async fn finish(&mut self) -> Result<(), ChannelError> {
        self.tx.finish().await
    }

    /// The two directions, to be driven by different tasks.
    #[must_use]
    pub fn split(self) -> (ByteSender, ByteReceiver) {
        (self.tx, self.rx)
    }
}

impl ByteSender {
    /// Queues `data` and returns as soon as the connection has taken all of it; waits while the peer's window is full.
    ///
    /// Each call becomes at least one packet of its own, so small pieces are best joined by the caller. Not safe to
    /// cancel: a part of `data` may have gone out.
    ///
    /// # Errors
    /// [`ChannelError::Closed`] once the channel has ended.
    pub async fn send(&mut self, data: Bytes) -> Result<(), ChannelError> {
        match &mut self.inner {
            // `Handle::data` would take the whole of `data` in one message, but it parks what does not fit the window
            // inside the session, which then serves no other channel; here each channel waits for its own window. The
            // session never wakes a sender whose channel is gone, hence the other branches.
            Outgoing::Ssh(SshSender(Some(half)), session) => tokio::select! {
                biased;
                sent = half.data_bytes(data) => sent.map_err(|_| ChannelError::Closed),
                _ = self.closed.wait_for(|closed| *closed) => Err(ChannelError::Closed),
                _ = session.wait_for(Option::is_some) => Err(ChannelError::Closed),
            },
            Outgoing::Pipe(Some(stdin)) => stdin.write_all(&data).await.map_err(ChannelError::Pipe),
            Outgoing::Ssh(SshSender(None), _) | Outgoing::Pipe(None) => Err(ChannelError::Closed),
        }
    }

    /// Ends the far process's standard input; receiving goes on.
    ///
    /// # Errors
    /// [`ChannelError::Closed`] once the channel has ended.
    pub async fn finish(&mut self) -> Result<(), ChannelError> {
        match &mut self.inner {
            Outgoing::Ssh(SshSender(Some(half)), _) => half.eof().await.map_err(|_| ChannelError::Closed),
            Outgoing::Ssh(SshSender(None), _) => Err(ChannelError::Closed),
            Outgoing::Pipe(stdin) => {
                *stdin = None;
                Ok(())
            }
        }
    }
}

impl ByteReceiver {
    /// The next bytes of standard output; `None` once the far side closed the channel or the connection broke, after
    /// which [`end`](Self::end) and [`stderr`](Self::stderr) say why. Safe to cancel.
    pub async fn recv(&mut self) -> Option<Bytes> {
        if let Some(early) = self.early.pop_front() {
            return Some(early);
        }
        loop {
            match &mut self.inner {
                Incoming::Ssh(half) => {
                    let message = half.wait().await;
                    if let Some(data) = self.take(message) {
                        return Some(data);
                    }
                }
                Incoming::Pipe {
                    stdout,
                    child,
                    drained,
                    buffer,
                } => {
                    buffer.reserve(PIPE_READ);
                    match stdout.read_buf(buffer).await {
                        Ok(count) if count > 0 => return Some(buffer.split().freeze()),
                        _ => {
                            let status = child.wait().await.ok();
                            // A process that it left behind may hold its standard error open for ever.
                            let _ = tokio::time::timeout(STDERR_WAIT, drained).await;
                            self.finish(ChannelEnd::Closed(status.map(exit_of)));
                        }
                    }
                }
                Incoming::Ended => return None,
            }
        }
    }

    /// Waits for the server's reply to a request on an SSH channel; false if it refused or the channel ended.
    ///
    /// Waiting costs nothing: until a server has accepted a request its window is closed (OpenSSH opens it together
    /// with the reply), so no first message could go out with the request.
    pub(crate) async fn accepted(&mut self) -> bool {
        while let Incoming::Ssh(half) = &mut self.inner {
            match half.wait().await {
                Some(ChannelMsg::Success) => return true,
                message => {
                    let early = self.take(message);
                    self.early.extend(early);
                }
            }
        }
        self.end == ChannelEnd::Open
    }

    /// Notes what a message says; gives the bytes in it.
    fn take(&mut self, message: Option<ChannelMsg>) -> Option<Bytes> {
        match message {
            Some(ChannelMsg::Data { data }) => return Some(data),
            Some(ChannelMsg::ExtendedData { data, .. }) => self.stderr.push(&data),
            Some(ChannelMsg::ExitStatus { exit_status }) => self.exit = Some(Exit::Code(exit_status)),
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                self.exit = Some(Exit::Signal(format!("{signal_name:?}")));
            }
            Some(ChannelMsg::Failure) => self.finish(ChannelEnd::Refused),
            Some(ChannelMsg::Close) => {
                let exit = self.exit.take();
                self.finish(ChannelEnd::Closed(exit));
            }
            Some(_) => {}
            None => self.finish(ChannelEnd::Lost),
        }
        None
    }

    /// How the channel ended, or [`ChannelEnd::Open`].
    #[must_use]
    pub fn end(&self) -> &ChannelEnd {
        &self.end
    }

    /// The last 4 KiB of the far process's standard error so far, made into text. It comes from the far side: escape
    /// it before it goes to a terminal.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// The standard error of a local process that has ended, once all of it has come.
    pub(crate) async fn stderr_at_end(&mut self) -> String {
        while self.recv().await.is_some() {}
        self.stderr.text()
    }

    fn finish(&mut self, end: ChannelEnd) {
        self.end = end;
        self.inner = Incoming::Ended;
        self.closed.send_replace(true);
    }
}

fn exit_of(status: std::process::ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code.unsigned_abs()),
        (None, signal) => Exit::Signal(signal.unwrap_or_default().to_string()),
    }
}

async fn drain_stderr(mut pipe: ChildStderr, tail: Stderr) {
    let mut buffer = BytesMut::with_capacity(STDERR_KEPT);
    while let Ok(1..) = pipe.read_buf(&mut buffer).await {
        tail.push(&buffer);
        buffer.clear();
    }
}

/// The end of the standard error, shared by who reads it and who reports it.
#[derive(Debug, Clone, Default)]
struct Stderr(Arc<Mutex<VecDeque<u8>>>);

impl Stderr {
    fn push(&self, data: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(data);
        let excess = kept.len().saturating_sub(STDERR_KEPT);
        kept.drain(..excess);
    }

    fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = kept.iter().copied().collect();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    fn child(script: &str) -> ByteChannel {
        let child = tokio::process::Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        ByteChannel::over_child(child).unwrap()
    }

    #[tokio::test]
    async fn bytes_go_through_a_process_and_its_status_comes_back() {
        let (mut tx, mut rx) = child("cat; exit 3").split();
        tx.send(Bytes::from_static(b"both ")).await.unwrap();
        tx.send(Bytes::from_static(b"ways")).await.unwrap();
        tx.finish().await.unwrap();
        let mut all = Vec::new();
        while let Some(data) = rx.recv().await {
            all.extend_from_slice(&data);
        }
        assert_eq!(all, b"both ways");
        assert_eq!(*rx.end(), ChannelEnd::Closed(Some(Exit::Code(3))));
    }

    #[tokio::test]
    async fn only_the_end_of_standard_error_is_kept() {
        let tail = Stderr::default();
        tail.push(&[b'a'; 5000]);
        tail.push(b"the reason\n");
        assert!(tail.text().ends_with("the reason"));
        assert_eq!(tail.0.lock().unwrap().len(), STDERR_KEPT);
    }

    #[tokio::test]
    async fn sending_after_the_end_of_input_is_an_error() {
        let mut channel = child("cat");
        channel.finish().await.unwrap();
        assert!(channel.send(Bytes::from_static(b"late")).await.is_err());
        assert!(channel.recv().await.is_none());
    }
}
