//! The hub: projects and what belongs to them, who may do what, what is meant, and what happened.
//!
//! A request goes from [`api`] to [`app`] to the store. A hub keeps nothing that it cannot rebuild: any number of them work
//! over one database.

pub mod admin;
pub mod agents;
pub mod api;
pub mod app;
mod certificate;
pub mod config;
mod connections;
pub mod jobs;
pub mod link;
pub mod master_key;
pub mod metrics;
mod problem;
pub mod schema;
mod serve;
mod streams;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use uuid::Uuid;

pub use self::agents::Agents;
pub use self::serve::{Listening, ServeError, listen, listen_as, open};
pub use self::tls::TlsError;
use crate::app::App;
use crate::app::first::NoFirst;
use crate::metrics::Metrics;
use crate::schema::Foreign;

/// How long the database may take to close.
const CLOSING: Duration = Duration::from_secs(5);

/// What every request is served from. Clones are the same hub.
#[derive(Clone)]
pub struct Hub {
    /// What it does.
    pub app: App,
    /// What it counts.
    pub metrics: Metrics,
    /// Drawn at each start: who holds an agent's connection.
    pub id: Uuid,
    agents: Arc<agents::Watch>,
    streams: Arc<streams::Streams>,
    stop: Arc<watch::Sender<bool>>,
    foreign: Arc<watch::Sender<Option<Foreign>>>,
}

impl Hub {
    /// A hub over a store, with a master key that is gone with it: only for what is not kept.
    pub fn new(store: renkei_store::Store) -> Self {
        Self::with(App::new(store))
    }

    /// A hub that does what `app` does.
    pub fn with(app: App) -> Self {
        Self {
            app,
            metrics: Metrics::default(),
            id: Uuid::now_v7(),
            agents: Arc::default(),
            streams: Arc::default(),
            stop: Arc::new(watch::Sender::new(false)),
            foreign: Arc::new(watch::Sender::new(None)),
        }
    }

    /// In a hub without users: makes one, and gives the password, which must be changed at the first sign-in.
    pub async fn first_administrator(&self) -> Result<Option<String>, NoFirst> {
        self.app.first_administrator(self.app.now()).await
    }

    /// The schema that the database had at the last look, if it is not this hub's: then nothing is answered.
    pub fn foreign_schema(&self) -> Option<Foreign> {
        *self.foreign.borrow()
    }

    /// Returns once the database has a schema that is not this hub's.
    pub async fn schema_becoming_foreign(&self) {
        let mut foreign = self.foreign.subscribe();
        // The sender lives as long as `self`.
        let _ = foreign.wait_for(Option::is_some).await;
    }

    /// Lets requests that are being served end, and streams and jobs stop.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Closes the database, when nobody asks this hub any more: of SQLite everything is in the one file then.
    pub async fn close(&self) {
        // What hangs is not waited for: everything that was answered is safe.
        let _ = tokio::time::timeout(CLOSING, self.app.store.close()).await;
    }

    /// Returns once the hub is to stop.
    pub async fn stopping(&self) {
        let mut stop = self.stop.subscribe();
        // The sender lives as long as `self`.
        let _ = stop.wait_for(|stop| *stop).await;
    }
}
