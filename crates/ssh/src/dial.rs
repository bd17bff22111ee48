//! From a destination to connections: what is settled once, and what each connection repeats.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use crate::auth::{Login, Promise, Proven, Redeemed};
use crate::command::{self, SshProgram};
use crate::config::{self, Proxy, Settings};
use crate::connection::{Connection, Ssh};
use crate::destination::Destination;
use crate::error::{ConnectError, ConnectErrorKind};
use crate::handshake;
use crate::host_key::HostKeys;
use crate::jump;
use crate::options::Options;
use crate::prompt::Prompt;
use crate::session::Callbacks;
use crate::socket::Socket;
use crate::tcp::{self, Sockets};
use crate::wire::{Stream, Wire};

/// OpenSSH drops new connections at random once 10 have not logged in (`MaxStartups 10:30:100`).
const STARTUPS: usize = 8;

/// Jump hosts behind jump hosts; a configuration in which every host jumps through another never ends.
const MAX_HOPS: usize = 8;

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
    settings: Arc<Settings>,
    sockets: Sockets,
    program: Option<Arc<SshProgram>>,
    via: Option<Dialer>,
    host_keys: Arc<HostKeys>,
    login: Login,
    prompt: Arc<dyn Prompt>,
    startups: Mutex<Arc<Semaphore>>,
    /// Taken while a person may be asked.
    turn: tokio::sync::Mutex<()>,
    settled: OnceLock<Settled>,
    /// How far the first login has come, for those that wait beside it.
    first: watch::Sender<First>,
    /// Round-trip time of the first TCP connect.
    reached: watch::Sender<Option<Duration>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    /// Nothing is being tried.
    NotBegun,
    /// Not ended.
    Open,
    Succeeded,
    Failed,
}

/// What the first connection found out.
struct Settled {
    proven: Proven,
    address: Option<SocketAddr>,
}

/// By what a connection logs in that does not have to find out for itself.
enum Lead<'a> {
    /// The first has logged in.
    Settled(&'a Settled),
    /// The server has said that it takes the first one's key.
    Promised(Promise),
}

/// Whether a connection is made by itself or beside the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Company {
    Alone,
    Beside,
}

/// A stream to the host, and what is known of the way.
struct Way {
    stream: Box<dyn Stream>,
    /// Unknown through a ProxyCommand.
    rtt: Option<Duration>,
    address: Option<SocketAddr>,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("identity", &self.inner.identity)
            .finish_non_exhaustive()
    }
}

impl Dialer {
    /// Finds out who `dest` is, as ssh would, and the same for its jump hosts. Nothing goes over the network.
    ///
    /// # Errors
    /// [`Config`](ConnectErrorKind::Config) and [`NoAlgorithm`](ConnectErrorKind::NoAlgorithm).
    pub async fn resolve(dest: &Destination, options: &Options, prompt: Arc<dyn Prompt>) -> Result<Self, ConnectError> {
        Self::resolve_hop(dest, options, prompt, 0).await
    }

    async fn resolve_hop(
        dest: &Destination,
        options: &Options,
        prompt: Arc<dyn Prompt>,
        depth: usize,
    ) -> Result<Self, ConnectError> {
        let settings = Arc::new(config::settings(dest, options).await?);
        for note in &settings.notes {
            prompt.note(note);
        }
        let program = SshProgram::new(dest, options);
        let via = match &settings.proxy {
            Proxy::Jump(hosts) if program.is_none() => {
                let (hop, hop_options) = last_hop(hosts, dest, options)?;
                if depth >= MAX_HOPS {
                    let text = format!("ProxyJump goes through more than {MAX_HOPS} hosts");
                    return Err(ConnectError::new(ConnectErrorKind::Config, dest, text)
                        .advise("see that a jump host does not jump through itself"));
                }
                Some(Box::pin(Self::resolve_hop(&hop, &hop_options, Arc::clone(&prompt), depth + 1)).await?)
            }
            _ => None,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                identity: Identity {
                    user: settings.user.clone(),
                    host: settings.hostname.clone(),
                    port: settings.port,
                },
                sockets: Sockets::new(options),
                program,
                via,
                host_keys: Arc::new(HostKeys::new(&settings, &prompt)?),
                login: Login::new(Arc::clone(&settings), options, &prompt),
                settings,
                prompt,
                startups: Mutex::new(Arc::new(Semaphore::new(STARTUPS))),
                turn: tokio::sync::Mutex::new(()),
                settled: OnceLock::new(),
                first: watch::Sender::new(First::NotBegun),
                reached: watch::Sender::new(None),
            }),
        })
    }

    /// User, host and port after the configuration.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// Makes one connection and logs in. May be called many times at once: until one has succeeded, and where each
    /// login asks a person, they take turns.
    ///
    /// # Errors
    /// Every kind of [`ConnectError`].
    pub async fn connect(&self) -> Result<Connection, ConnectError> {
        let inner = &*self.inner;
        let turn = match self.logins() {
            Logins::Unattended => None,
            Logins::Unknown | Logins::NeedsPerson => Some(inner.turn.lock().await),
        };
        // While this one waited, another may have found out that no turns are needed.
        let _turn = turn.filter(|_| self.logins() != Logins::Unattended);
        if let Some(program) = &inner.program {
            program.settle().await?;
            return Ok(Connection::over_program(inner.settings.shown(), Arc::clone(program)));
        }
        let connected = async {
            let startups = Arc::clone(&inner.startups.lock().unwrap_or_else(PoisonError::into_inner));
            let _unfinished = startups.acquire().await;
            if inner.settled.get().is_none() {
                inner.first.send_replace(First::Open);
            }
            let way = self.way(Company::Alone).await?;
            self.login(way, Company::Alone).await
        }
        .await;
        if inner.settled.get().is_none() {
            inner.login.take_back();
            inner.first.send_replace(First::Failed);
        }
        connected
    }

    /// Makes a connection while the first is being made: reaches the host and exchanges keys at the same time, and logs
    /// in with what works there: a key as soon as the server has said that it takes it, anything else when the first is in.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); and [`Auth`](ConnectErrorKind::Auth) without an attempt at the server if the first
    /// login fails or needs a person.
    pub async fn connect_beside(&self) -> Result<Connection, ConnectError> {
        let inner = &*self.inner;
        if inner.program.is_some() || inner.settled.get().is_some() {
            return self.connect().await;
        }
        // The first has its place among the unfinished logins before any that waits for it takes one.
        let mut first = inner.first.subscribe();
        let _ = first.wait_for(|first| *first != First::NotBegun).await;
        let startups = Arc::clone(&inner.startups.lock().unwrap_or_else(PoisonError::into_inner));
        let _unfinished = startups.acquire().await;
        let way = self.way(Company::Beside).await?;
        self.login(way, Company::Beside).await
    }

    /// Round-trip time to the host, or to the first jump host, as soon as the first TCP connection stands; none for a
    /// ProxyCommand or `--ssh-command`, where it does not end.
    pub async fn reached(&self) -> Duration {
        if let Some(via) = &self.inner.via {
            return Box::pin(via.reached()).await;
        }
        let mut reached = self.inner.reached.subscribe();
        match reached.wait_for(Option::is_some).await.map(|rtt| *rtt) {
            Ok(Some(rtt)) => rtt,
            _ => std::future::pending().await,
        }
    }

    /// Waits until it is known by what to log in.
    async fn lead(&self) -> Result<Lead<'_>, ConnectError> {
        tokio::select! {
            biased;
            settled = self.after_first() => settled.map(Lead::Settled),
            promise = self.inner.login.promised() => Ok(Lead::Promised(promise)),
        }
    }

    /// Waits for the first login, and tells by which to log in again.
    async fn after_first(&self) -> Result<&Settled, ConnectError> {
        let inner = &*self.inner;
        let mut first = inner.first.subscribe();
        let _ = first.wait_for(|first| *first != First::Open).await;
        match inner.settled.get() {
            Some(settled) if !settled.proven.needs_person() => Ok(settled),
            Some(_) => Err(self.unattempted("each login needs a person")),
            None => Err(self.unattempted("the first login failed")),
        }
    }

    fn unattempted(&self, text: &str) -> ConnectError {
        ConnectError::new(ConnectErrorKind::Auth, self.inner.settings.shown(), text)
    }

    /// A stream to the host: a socket of its own, through every jump host or a ProxyCommand.
    async fn way(&self, company: Company) -> Result<Way, ConnectError> {
        let Inner { settings, via, .. } = &*self.inner;
        if let Some(via) = via {
            // Boxed because a jump host may have jump hosts.
            let hop = match company {
                Company::Alone => Box::pin(via.connect()).await?,
                Company::Beside => Box::pin(via.connect_beside()).await?,
            };
            let opening = jump::through(hop, &settings.hostname, settings.port);
            let opened = tokio::time::timeout(settings.connect_timeout, opening).await;
            let (stream, rtt) = opened.unwrap_or_else(|_| {
                let text = "the jump host does not reach it in time";
                Err(ConnectError::new(ConnectErrorKind::Proxy, settings.shown(), text))
            })?;
            return Ok(Way {
                stream,
                rtt: Some(rtt),
                address: None,
            });
        }
        if let Proxy::Command(command) = &settings.proxy {
            return Ok(Way {
                stream: command::proxy(&settings.proxy_command(command), &settings.shown())?,
                rtt: None,
                address: None,
            });
        }
        let favourite = self.inner.settled.get().and_then(|settled| settled.address);
        let connected = tcp::connect(settings, &self.inner.sockets, favourite).await?;
        self.inner
            .reached
            .send_if_modified(|reached| reached.is_none() && reached.replace(connected.rtt).is_none());
        Ok(Way {
            stream: Box::new(Socket::new(connected.stream)),
            rtt: Some(connected.rtt),
            address: Some(connected.address),
        })
    }

    async fn login(&self, way: Way, company: Company) -> Result<Connection, ConnectError> {
        let inner = &*self.inner;
        let settled = inner.settled.get();
        let (wire, observed) = Wire::new(way.stream, handshake::patience(&inner.settings));
        let banner = (settled.is_none() && company == Company::Alone).then(|| Arc::clone(&inner.prompt));
        let (callbacks, watch) = Callbacks::new(Arc::clone(&inner.host_keys), banner);
        let config = handshake::config(&inner.settings, &inner.host_keys);
        let mut handle = match handshake::exchange(config, wire, &observed, callbacks, &inner.settings).await {
            Ok(handle) => handle,
            Err(error) => return Err(handshake::explain(error, &watch, &inner.settings).await),
        };
        let lead = match (settled, company) {
            (Some(settled), _) => Some(Lead::Settled(settled)),
            (None, Company::Beside) => Some(self.lead().await?),
            (None, Company::Alone) => None,
        };
        let attempt = async {
            match lead {
                Some(Lead::Settled(settled)) => inner.login.again(&mut handle, &settled.proven).await?,
                Some(Lead::Promised(promise)) => {
                    if inner.login.redeem(&mut handle, &promise).await? == Redeemed::Partly {
                        let settled = self.after_first().await?;
                        inner.login.rest(&mut handle, &settled.proven).await?;
                    }
                }
                None => {
                    let first = inner.login.first(&mut handle, inner.host_keys.trust());
                    return first.await.map(Some);
                }
            }
            Ok(None)
        };
        let proven = match handshake::unless_silent(attempt, &observed, handshake::LOGIN_SILENCE).await {
            Some(Ok(proven)) => proven,
            Some(Err(error)) => return Err(handshake::explain(error, &watch, &inner.settings).await),
            None => return Err(handshake::silent(&inner.settings)),
        };
        if let Some(proven) = proven {
            let _ = inner.settled.set(Settled {
                proven,
                address: way.address,
            });
            inner.first.send_replace(First::Succeeded);
        }
        let rtt = match way.rtt {
            Some(rtt) => rtt,
            None => handshake::ping(&handle).await,
        };
        let ssh = Ssh {
            handle,
            ended: watch,
            observed,
        };
        Ok(Connection::over_ssh(inner.settings.shown(), rtt, ssh))
    }

    /// Whether more connections can be made without a person, here and at every jump host.
    #[must_use]
    pub fn logins(&self) -> Logins {
        if let Some(program) = &self.inner.program {
            return program.logins();
        }
        let own = match self.inner.settled.get() {
            None => Logins::Unknown,
            Some(settled) if settled.proven.needs_person() => Logins::NeedsPerson,
            Some(_) => Logins::Unattended,
        };
        match (own, self.inner.via.as_ref().map(Self::logins)) {
            (Logins::Unattended, Some(Logins::NeedsPerson)) => Logins::NeedsPerson,
            (own, _) => own,
        }
    }

    /// How many connections may be between TCP connect and login at once, at this host and each jump host; 8 unless
    /// set. Holds for connections begun afterwards.
    pub fn set_startups(&self, count: usize) {
        *self.inner.startups.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(Semaphore::new(count.max(1)));
        if let Some(via) = &self.inner.via {
            via.set_startups(count);
        }
    }
}

/// The last jump host of a list, and the options for it: the hosts before it are its own jump hosts. Of the command
/// line it gets what ssh hands on to the ssh that it starts for a jump host, which is little.
fn last_hop(hosts: &str, dest: &Destination, options: &Options) -> Result<(Destination, Options), ConnectError> {
    let (before, last) = match hosts.rsplit_once(',') {
        Some((before, last)) => (Some(before.to_owned()), last),
        None => (None, hosts),
    };
    let hop: Destination = last.trim().parse().map_err(|error: crate::DestinationError| {
        ConnectError::new(ConnectErrorKind::Config, dest, "ProxyJump names no host").because(error)
    })?;
    let options = Options {
        config_file: options.config_file.clone(),
        jump: before,
        family: options.family,
        congestion: options.congestion.clone(),
        nagle: options.nagle,
        connect_timeout: options.connect_timeout,
        verbose: options.verbose,
        passphrase: options.passphrase.clone(),
        ..Options::default()
    };
    Ok((hop, options))
}
