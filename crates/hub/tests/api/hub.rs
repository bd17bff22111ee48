//! A real hub that listens, over a database of each kind.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use renkei_hub::config::HubConfig;
use renkei_hub::{Hub, listen, listen_as};
use renkei_store::{DatabaseUrl, Store};
use renkei_testkit::Postgres;
use tempfile::TempDir;
use tokio::runtime::Builder;

use crate::client::Client;

pub type Opening = Pin<Box<dyn Future<Output = Store>>>;

/// A hub that serves until its runtime ends.
#[derive(Clone)]
pub struct Running {
    pub hub: Hub,
    pub address: SocketAddr,
}

/// A folder for a database file.
pub struct Files(TempDir);

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn database(&self) -> PathBuf {
        self.0.path().join("hub.db")
    }

    /// Every byte that the database has written.
    pub fn bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.0.path()).unwrap();
        files
            .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
            .collect()
    }
}

pub fn memory() -> Opening {
    Box::pin(std::future::ready(Store::memory()))
}

pub fn sqlite(files: &Files) -> Opening {
    open(DatabaseUrl::Sqlite(files.database()))
}

pub fn postgres(server: &Postgres) -> Opening {
    let name = server.create().unwrap();
    open(server.url(&name).parse().unwrap())
}

pub fn open(url: DatabaseUrl) -> Opening {
    Box::pin(async move { Store::open(&url).await.unwrap() })
}

impl Running {
    /// With so many connections at most.
    pub async fn bounded(store: Store, connections: u32) -> Self {
        let hub = Hub::new(store);
        let config = HubConfig {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            connections: connections.try_into().unwrap(),
            ..HubConfig::over("in memory")
        };
        let listening = listen_as(hub.clone(), &config).await.unwrap();
        let address = listening.address;
        tokio::spawn(async move { listening.serve().await.unwrap() });
        Self { hub, address }
    }

    pub async fn over(store: Store) -> Self {
        let hub = Hub::new(store);
        // No case connects there; invitations name it.
        hub.app.agents_at("https://127.0.0.1:8471".to_owned());
        let listening = listen(hub.clone(), (Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let address = listening.address;
        tokio::spawn(async move { listening.serve().await.unwrap() });
        Self { hub, address }
    }

    /// Somebody without a token.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }
}

/// Opens and runs a case, both in one runtime.
pub fn run<F: Future<Output = ()>>(store: Opening, case: impl FnOnce(Running) -> F) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { case(Running::over(store.await).await).await });
    // Streams that a case has left open wait for what does not come any more.
    runtime.shutdown_background();
}

/// Runs a case on a clock that jumps to the next thing that waits, so that half a minute passes at once.
pub fn run_in_virtual_time<F: Future<Output = ()>>(case: impl FnOnce(Running) -> F) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async { case(Running::over(Store::memory()).await).await });
}

/// Asks until there is an answer; fails when it takes longer than anything on this machine may.
pub async fn until_some<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let found = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(renkei_testkit::wait::PATIENCE, found).await;
    found.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
