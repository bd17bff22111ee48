//! Why there is no connection.
//!
//! One type for every stage from reading the configuration to opening a channel. It says what kind of failure it was,
//! at which host, whether trying again may help, and what the user can do; it never decides to try again itself.

use std::error::Error as StdError;
use std::fmt;

/// The stage that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// An option or a configuration file cannot be used.
    Config,
    /// The host name has no address.
    Resolve,
    /// No address of the host accepted a TCP connection.
    Tcp,
    /// A ProxyCommand, a jump host or the ssh command did not give a stream to the host.
    Proxy,
    /// The host key or certificate is wrong, revoked, unknown or was declined.
    HostKey,
    /// The server accepted none of the ways to log in.
    Auth,
    /// The server and this program have no algorithm of some sort in common.
    NoAlgorithm,
    /// The server closed the connection before it said who it is: too many unfinished logins, or a penalty.
    Refused,
    /// Logged in, but the server would not open a channel or start the subsystem or command.
    Channel,
    /// A question had to be put and there was no one to put it to, or it was declined.
    Prompt,
    /// What answers is no SSH server, or breaks the protocol.
    Protocol,
    /// The connection broke while it was being made or used.
    Lost,
}

/// No connection, or no channel on one.
#[derive(Debug)]
pub struct ConnectError {
    kind: ConnectErrorKind,
    host: String,
    text: String,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl ConnectError {
    pub(crate) fn new(kind: ConnectErrorKind, host: impl fmt::Display, text: impl Into<String>) -> Self {
        Self {
            kind,
            host: host.to_string(),
            text: text.into(),
            hint: None,
            source: None,
        }
    }

    #[must_use]
    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    #[must_use]
    pub(crate) fn advise(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The stage that failed.
    #[must_use]
    pub fn kind(&self) -> ConnectErrorKind {
        self.kind
    }

    /// The host that it failed at, which may be a jump host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the same attempt may succeed a little later, with nothing changed by anyone.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        use ConnectErrorKind::{Lost, Proxy, Refused, Resolve, Tcp};
        matches!(self.kind, Resolve | Tcp | Proxy | Refused | Lost)
    }

    /// What the user can do about it, as a full clause.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.hint.clone().or_else(|| {
            let hint = match self.kind {
                ConnectErrorKind::Resolve => "check the name, or add it to ~/.ssh/config with a HostName",
                ConnectErrorKind::Tcp => "check host and port, and that a firewall lets you through",
                ConnectErrorKind::NoAlgorithm => {
                    "try --ssh-command ssh, which uses the system's ssh for the connection"
                }
                ConnectErrorKind::Auth => "see what `ssh -v` says for the same host",
                ConnectErrorKind::Prompt => "run it from a terminal, set SSH_ASKPASS, or use a key or an agent",
                ConnectErrorKind::Refused => "the server limits new connections; wait a minute and use fewer",
                _ => return None,
            };
            Some(hint.to_owned())
        })
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.host, self.text)
    }
}

impl StdError for ConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
