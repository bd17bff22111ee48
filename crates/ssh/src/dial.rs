//! From a destination to connections: what is settled once, and what each connection repeats.

use std::sync::Arc;

use crate::connection::Connection;
use crate::destination::Destination;
use crate::error::ConnectError;
use crate::options::Options;
use crate::prompt::Prompt;

/// Who a destination turned out to be: what a journal may be keyed by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The login name.
    pub user: String,
    /// The host name after aliases (HostName).
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Whether more connections can log in without a person. Known after the first success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logins {
    /// Nothing has logged in yet.
    Unknown,
    /// Others may connect in parallel: a key, an agent, or a password that was accepted.
    Unattended,
    /// Each login asks a person (a code, a touch): open further channels on one connection instead.
    NeedsPerson,
}

/// Makes connections to one destination. Clones share what the first connection settled.
#[derive(Clone)]
pub struct Dialer {
    inner: Arc<Inner>,
}

struct Inner {
    identity: Identity,
}

impl Dialer {
    /// Finds out who `dest` is, as ssh would. Nothing goes over the network.
    ///
    /// # Errors
    /// [`Config`](crate::ConnectErrorKind::Config) and [`NoAlgorithm`](crate::ConnectErrorKind::NoAlgorithm).
    pub async fn resolve(dest: &Destination, options: &Options, prompt: Arc<dyn Prompt>) -> Result<Self, ConnectError> {
        let _ = (options, prompt);
        Err(ConnectError::new(crate::ConnectErrorKind::Config, dest, "not resolved"))
    }

    /// User, host and port after the configuration.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// Makes one connection and logs in. May be called many times at once: until one has succeeded they take turns, so
    /// that a person is asked everything once.
    ///
    /// # Errors
    /// Every kind of [`ConnectError`].
    pub async fn connect(&self) -> Result<Connection, ConnectError> {
        Err(ConnectError::new(
            crate::ConnectErrorKind::Tcp,
            &self.inner.identity.host,
            "not connected",
        ))
    }

    /// Whether more connections can be made without a person.
    #[must_use]
    pub fn logins(&self) -> Logins {
        Logins::Unknown
    }

    /// How many connections may be between TCP connect and login at once, at this host and each jump host; 8 unless
    /// set, of OpenSSH's `MaxStartups 10`. Holds for connections begun afterwards.
    pub fn set_startups(&self, _count: usize) {}
}
