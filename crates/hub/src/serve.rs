//! Listening, and stopping without cutting anybody off.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use renkei_policy::seal::NotOpened;
use renkei_store::Store;
use renkei_store::open::{DatabaseUrl, NotADatabase, OpenError};
use tokio::net::TcpListener;

use crate::Hub;
use crate::agents::Agents;
use crate::app::App;
use crate::config::{DEFAULT_CONNECTIONS, HubConfig};
use crate::connections::{Door, Tls};
use crate::master_key::{self, NoMasterKey};
use crate::tls::{self, Certificate, TlsError};

/// The hub could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The database's URL makes no sense.
    #[error("`database` of the hub is not understood")]
    Database(#[source] NotADatabase),
    /// The database cannot be opened.
    #[error("cannot open the database {database}")]
    Open {
        /// Which, without its password.
        database: String,
        /// Why.
        source: OpenError,
    },
    /// Nothing can listen there.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// There is no TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The master key is another one than that with which the database was sealed.
    #[error(
        "the database {database} was sealed with another master key\nhint: put the file with that key back, or add its line to this one"
    )]
    OtherMasterKey {
        /// Which, without its password.
        database: String,
        /// Which key is needed, and which are there.
        source: NotOpened,
    },
    /// There is no master key, and the database was sealed with one.
    #[error(
        "the database {database} was sealed with a master key, and there is none\nhint: put the file `master.key` back that was kept beside the old database; a backup does not hold it"
    )]
    MissingMasterKey {
        /// Which, without its password.
        database: String,
        /// Which key is needed.
        source: NotOpened,
    },
    /// There is no master key.
    #[error(transparent)]
    MasterKey(#[from] NoMasterKey),
    /// The hub's authority cannot be had, and without it agents and hub would not know one another.
    #[error("cannot take agents: {0}")]
    Authority(String),
    /// Agents could not find the hub there.
    #[error("`{url}` is no address for agents: it is `https://HOST:PORT`")]
    AgentsUrl {
        /// What was told.
        url: String,
    },
    /// It must not listen there.
    #[error("will not listen on {address} without TLS: plain HTTP is for this machine only")]
    Plain {
        /// Where.
        address: SocketAddr,
    },
}

/// A hub over the database that `config` names, which is brought to this version's schema.
pub async fn open(config: &HubConfig) -> Result<Hub, ServeError> {
    let url: DatabaseUrl = config.database.parse().map_err(ServeError::Database)?;
    let found = master_key::look(config.master_key.as_deref(), &url)?;
    let opened = Store::open(&url).await;
    let store = opened.map_err(|source| ServeError::Open {
        database: url.to_string(),
        source,
    })?;
    let master_key = match found {
        Some(key) => key,
        None => {
            // A new key would open nothing of what is there, and would stand where the right one has to be put.
            if let Ok(Err(source)) = App::new(store.clone()).check_master_key().await {
                let database = url.to_string();
                return Err(ServeError::MissingMasterKey { database, source });
            }
            master_key::load(config.master_key.as_deref(), &url)?
        }
    };
    let app = App::with_key(store, master_key);
    // If the database does not answer now, it is asked again each second.
    let _ = app.look_at_clock().await;
    // A hub that could sign nothing would refuse everybody who comes by the mdx dialect, one by one. If the database does not
    // answer now, it will be told when it is asked.
    if let Ok(Err(source)) = app.check_master_key().await {
        let database = url.to_string();
        return Err(ServeError::OtherMasterKey { database, source });
    }
    Ok(Hub::with(app))
}

/// A hub that listens.
pub struct Listening {
    /// Where; with the port that the system chose if 0 was asked for.
    pub address: SocketAddr,
    listener: TcpListener,
    tls: Option<Certificate>,
    connections: NonZeroU32,
    agents: Option<Agents>,
    hub: Hub,
}

/// Listens where `config` says. Connections wait until [`Listening::serve`].
pub async fn listen_as(hub: Hub, config: &HubConfig) -> Result<Listening, ServeError> {
    let tls = config.tls.clone().map(Certificate::read).transpose()?;
    if tls.is_none() && !config.listen.ip().is_loopback() {
        return Err(ServeError::Plain { address: config.listen });
    }
    let agents = match &config.agents {
        Some(agents) => Some(Agents::listen(&hub, agents).await?),
        None => None,
    };
    Ok(Listening {
        tls,
        agents,
        connections: config.connections,
        ..bind(hub, config.listen).await?
    })
}

/// Listens on `address` of this machine, without TLS. Connections wait until [`Listening::serve`].
pub async fn listen(hub: Hub, address: SocketAddr) -> Result<Listening, ServeError> {
    if !address.ip().is_loopback() {
        return Err(ServeError::Plain { address });
    }
    bind(hub, address).await
}

async fn bind(hub: Hub, address: SocketAddr) -> Result<Listening, ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Listening {
        address,
        listener,
        tls: None,
        connections: DEFAULT_CONNECTIONS,
        agents: None,
        hub,
    })
}

impl Listening {
    /// Takes agents too.
    #[must_use]
    pub fn with_agents(self, agents: Agents) -> Self {
        let agents = Some(agents);
        Self { agents, ..self }
    }

    /// Where agents find it, if it takes any.
    pub fn agents_url(&self) -> Option<&str> {
        self.agents.as_ref().map(|agents| agents.url.as_str())
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until [`Hub::stop`], then lets what is being served end.
    pub async fn serve(self) -> Result<(), ServeError> {
        let hub = self.hub.clone();
        let jobs = tokio::spawn(crate::jobs::run(hub.clone()));
        let watch = tokio::spawn(crate::schema::watch(hub.clone()));
        let door = Door {
            listener: self.listener,
            tls: self.tls.clone().map(Tls::Files),
            connections: self.connections,
        };
        let certificate = tokio::spawn(tls::watch(self.tls, hub.clone()));
        let agents = async {
            if let Some(agents) = self.agents {
                agents.serve(&hub).await;
            }
        };
        tokio::join!(door.serve(crate::api::router(self.hub), &hub), agents);
        // Jobs stop by themselves; one that broke has been logged.
        let _ = jobs.await;
        let _ = watch.await;
        let _ = certificate.await;
        Ok(())
    }
}
