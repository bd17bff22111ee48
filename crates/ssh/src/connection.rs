//! A connection that is logged in, and the channels on it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use russh::ChannelOpenFailure;
use russh::client::{Handle, Msg};
use tokio::sync::watch;

use crate::channel::ByteChannel;
use crate::command::SshProgram;
use crate::error::{ConnectError, ConnectErrorKind};
use crate::session::{Callbacks, Ending};
use crate::wire::Observed;

/// How long handing over the last message may take; it is written after what is in the socket's buffer already.
const FAREWELL: Duration = Duration::from_millis(300);

/// How long a server that is alive may take to open a channel.
const CHANNEL_REPLY: Duration = Duration::from_secs(60);

/// One SSH connection, logged in. Dropping it and its channels closes it.
pub struct Connection {
    host: String,
    rtt: Duration,
    inner: Inner,
}

enum Inner {
    Ssh(Box<Ssh>),
    /// Each channel is a process of the system's ssh.
    Program(Arc<SshProgram>),
}

/// A connection made by this program.
pub(crate) struct Ssh {
    pub handle: Handle<Callbacks>,
    pub ended: watch::Receiver<Option<Ending>>,
    pub observed: Arc<Observed>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("host", &self.host)
            .field("rtt", &self.rtt)
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) fn over_ssh(host: String, rtt: Duration, ssh: Ssh) -> Self {
        Self {
            host,
            rtt,
            inner: Inner::Ssh(Box::new(ssh)),
        }
    }

    pub(crate) fn over_program(host: String, program: Arc<SshProgram>) -> Self {
        Self {
            host,
            rtt: Duration::ZERO,
            inner: Inner::Program(program),
        }
    }

    /// Opens a channel with the `sftp` subsystem at its other end.
    ///
    /// # Errors
    /// [`Channel`](ConnectErrorKind::Channel) if the server opens no more channels or has no SFTP,
    /// [`Lost`](ConnectErrorKind::Lost) if the connection is gone.
    pub async fn sftp_channel(&self) -> Result<ByteChannel, ConnectError> {
        match &self.inner {
            Inner::Ssh(ssh) => {
                let channel = self.session(ssh).await?;
                let asked = channel.request_subsystem(true, "sftp").await;
                asked.map_err(|_| self.lost(ssh))?;
                // To wait costs no round trip, although SFTP begins with a message of ours: OpenSSH opens a session
                // channel with a window of 0 and enlarges it together with this answer.
                self.accepted(ssh, channel, "it offers no SFTP to this user").await
            }
            Inner::Program(program) => program.sftp(),
        }
    }

    /// Runs `command` by the login shell of the far side.
    ///
    /// # Errors
    /// As [`sftp_channel`](Self::sftp_channel).
    pub async fn exec(&self, command: &str) -> Result<ByteChannel, ConnectError> {
        match &self.inner {
            Inner::Ssh(ssh) => {
                let channel = self.session(ssh).await?;
                channel.exec(true, command).await.map_err(|_| self.lost(ssh))?;
                self.accepted(ssh, channel, "it runs no commands for this user").await
            }
            Inner::Program(program) => program.exec(command),
        }
    }

    async fn accepted(
        &self,
        ssh: &Ssh,
        channel: russh::Channel<Msg>,
        otherwise: &str,
    ) -> Result<ByteChannel, ConnectError> {
        let mut channel = ByteChannel::over_ssh(channel, ssh.ended.clone());
        if channel.accepted().await {
            Ok(channel)
        } else if self.is_closed() {
            Err(self.lost(ssh))
        } else {
            let text = format!("the server refused the request: {otherwise}");
            Err(ConnectError::new(ConnectErrorKind::Channel, &self.host, text))
        }
    }

    async fn session(&self, ssh: &Ssh) -> Result<russh::Channel<Msg>, ConnectError> {
        let opened = tokio::time::timeout(CHANNEL_REPLY, ssh.handle.channel_open_session()).await;
        opened
            .unwrap_or(Err(russh::Error::Disconnect))
            .map_err(|error| match error {
                russh::Error::ChannelOpenFailure(reason) => self.no_channel(&reason),
                _ => self.lost(ssh),
            })
    }

    fn no_channel(&self, reason: &ChannelOpenFailure) -> ConnectError {
        let text = format!("the server opens no channel: {}", reason.description().to_lowercase());
        ConnectError::new(ConnectErrorKind::Channel, &self.host, text)
            .advise("the server limits the channels of a connection (MaxSessions)")
    }

    /// A channel from the far side to `host` and `port`, for a connection inside this one.
    pub(crate) async fn forward(&self, host: &str, port: u16) -> Result<ByteChannel, ConnectError> {
        let proxy = |text: String| ConnectError::new(ConnectErrorKind::Proxy, &self.host, text);
        match &self.inner {
            Inner::Ssh(ssh) => {
                let opened = ssh
                    .handle
                    .channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0)
                    .await;
                match opened {
                    Ok(channel) => Ok(ByteChannel::over_ssh(channel, ssh.ended.clone())),
                    Err(russh::Error::ChannelOpenFailure(reason)) => {
                        let reason = reason.description().to_lowercase();
                        Err(
                            proxy(format!("the jump host opens no connection to {host}:{port}: {reason}")).advise(
                                "see that the jump host allows forwarding (AllowTcpForwarding) and reaches the host",
                            ),
                        )
                    }
                    Err(_) => Err(self.lost(ssh)),
                }
            }
            Inner::Program(_) => Err(proxy("an ssh command cannot be a jump host".into())),
        }
    }

    fn lost(&self, ssh: &Ssh) -> ConnectError {
        let ending = ssh.ended.borrow().clone();
        match ending {
            Some(ending) => ending.error(&self.host),
            None => ConnectError::new(ConnectErrorKind::Lost, &self.host, "the connection is gone"),
        }
    }

    /// The round-trip time to the last host, measured once while connecting; zero where it cannot be known yet, as
    /// behind an ssh command.
    #[must_use]
    pub fn rtt(&self) -> Duration {
        self.rtt
    }

    /// Whether the login is known to be through. An ssh command logs in for each channel and does not tell.
    #[must_use]
    pub fn is_logged_in(&self) -> bool {
        matches!(self.inner, Inner::Ssh(_))
    }

    /// How many times this connection has waited for the far side so far, without the TCP handshake.
    #[must_use]
    pub fn round_trips(&self) -> u32 {
        match &self.inner {
            Inner::Ssh(ssh) => ssh.observed.round_trips(),
            Inner::Program(_) => 0,
        }
    }

    /// Tells the server that this is the end, so that both sides close at once, and a ProxyCommand between them with
    /// them. Waits no longer than it takes to hand the message over.
    pub async fn goodbye(&self) {
        if let Inner::Ssh(ssh) = &self.inner {
            let said = ssh.handle.disconnect(russh::Disconnect::ByApplication, "", "");
            let _ = tokio::time::timeout(FAREWELL, async {
                let _ = said.await;
                self.closed().await
            })
            .await;
        }
    }

    /// Whether the connection is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.inner {
            Inner::Ssh(ssh) => ssh.handle.is_closed() || ssh.ended.borrow().is_some(),
            Inner::Program(_) => false,
        }
    }

    /// Waits until the connection is gone and says why. With an ssh command each channel ends by itself, and this
    /// never returns.
    pub async fn closed(&self) -> ConnectError {
        match &self.inner {
            Inner::Ssh(ssh) => {
                let mut ended = ssh.ended.clone();
                // An error means that the session went away without a word.
                let _ = ended.wait_for(Option::is_some).await;
                self.lost(ssh)
            }
            Inner::Program(_) => std::future::pending().await,
        }
    }
}
