//! What a hub is told: the table `[hub]` of the file that `renkei serve --config FILE` reads. A key that is not known is an
//! error.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Deserialize;

/// See the module; `docs/operators/renkei.toml` shows every key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubConfig {
    /// Where the API listens. Without TLS only on this machine.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME`.
    pub database: String,
    /// The file with the master key; without it that of systemd's credential `master-key`, or `master.key` beside an SQLite file.
    #[serde(default)]
    pub master_key: Option<PathBuf>,
    /// Connections of clients at once, of which one address may have half; more wait.
    #[serde(default = "default_connections")]
    pub connections: NonZeroU32,
    /// Certificate and key; without them the API speaks plain HTTP.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Where hosts' agents come in; without it this hub takes none.
    #[serde(default)]
    pub agents: Option<AgentsConfig>,
}

/// The table `[hub.agents]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentsConfig {
    /// Where it listens, always with TLS by the hub's own authority.
    #[serde(default = "default_agents")]
    pub listen: SocketAddr,
    /// How hosts reach it, `https://HOST:PORT`; without it `https://` and where it listens.
    #[serde(default)]
    pub url: Option<String>,
}

/// The table `[hub.tls]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM, the hub's own certificate first, then those up to the CA's.
    pub certificate: PathBuf,
    /// PEM; nobody but its owner may read it.
    pub key: PathBuf,
}

/// On this machine only.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8470);

/// Connections of clients at once.
pub const DEFAULT_CONNECTIONS: NonZeroU32 = NonZeroU32::new(1024).unwrap();

impl HubConfig {
    /// A hub over this database, with the defaults of everything else.
    pub fn over(database: impl Into<String>) -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            database: database.into(),
            master_key: None,
            connections: DEFAULT_CONNECTIONS,
            tls: None,
            agents: None,
        }
    }
}

fn default_connections() -> NonZeroU32 {
    DEFAULT_CONNECTIONS
}

/// Agents of this machine only.
pub const DEFAULT_AGENTS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8471);

fn default_agents() -> SocketAddr {
    DEFAULT_AGENTS
}

fn default_listen() -> SocketAddr {
    DEFAULT_LISTEN
}
