//! The ring around the agent: a WebSocket under mutual TLS, a clock, and a log. The hub is dialled again and again; meanwhile the
//! agent goes on with what it was last told.

mod wire;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use renkei_host::{Driver, chain};
use renkei_types::agent::{FromAgent, FromHub};
use rustls::ClientConfig;
use tokio::time::{Instant, sleep_until};

use self::wire::{Event, Wire};
pub(crate) use self::wire::{Socket, dial};
use crate::agent::{Agent, Who};
use crate::console::Consoles;
use crate::dial::{DialError, Target};
use crate::identity::{DataFolder, FolderError};
use crate::keep::{FileKeep, KeepError};
use crate::tls::{self, TlsError};

/// What an agent is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its folder, in which it has joined.
    pub folder: DataFolder,
    /// Where the hub is, if it has moved since: `wss://HOST:PORT/agent/v1`.
    pub url: Option<String>,
    /// Its own version, for people.
    pub version: String,
}

/// Why an agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Its folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Its memory cannot be read.
    #[error("cannot read what was done before, and will not do it twice")]
    Keep(#[from] KeepError),
    /// Its certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It does not know where its hub is.
    #[error(transparent)]
    Url(#[from] DialError),
}

/// A new one at each start of the computer (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Runs the agent until `stop`. Machines go on without it.
///
/// # Errors
/// If it cannot begin. Once it runs, nothing but `stop` ends it.
pub async fn run<D: Driver>(settings: Settings, driver: D, stop: impl Future<Output = ()>) -> Result<(), RunError> {
    let _lock = settings.folder.lock()?;
    let identity = settings.folder.identity()?;
    let key = settings.folder.key()?.serialize_pem();
    let url = settings.url.unwrap_or_else(|| identity.url.clone());
    let hub = Hub {
        target: Target::parse(&url, "wss")?,
        url,
        config: Arc::new(tls::of_host(&identity, &key)?),
    };
    let who = Who {
        host: identity.host,
        boot_id: std::fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned(),
        version: settings.version,
    };
    let agent = Agent::new(who, driver, FileKeep::new(&settings.folder.agent()))?;
    Ring {
        agent,
        consoles: Consoles::new(hub.clone()),
        wire: Wire::new(hub),
        known: Vec::new(),
    }
    .run(stop)
    .await;
    Ok(())
}

/// Where the hub is, and whom to believe there.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    target: Target,
    /// `wss://HOST:PORT/agent/v1`.
    pub url: String,
    config: Arc<ClientConfig>,
}

impl Hub {
    /// The same hubs, at another address.
    pub fn at(&self, url: &str) -> Result<Self, DialError> {
        Ok(Self {
            target: Target::parse(url, "wss")?,
            url: url.to_owned(),
            config: self.config.clone(),
        })
    }
}

struct Ring<D> {
    agent: Agent<D, FileKeep>,
    consoles: Consoles,
    wire: Wire,
    /// What went wrong at the tick before, and was told.
    known: Vec<String>,
}

impl<D: Driver> Ring<D> {
    async fn run(&mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut tick = Instant::now();
        loop {
            let frames = tokio::select! {
                () = &mut stop => break,
                () = sleep_until(tick) => {
                    let frames = self.agent.tick(Timestamp::now());
                    self.tell_notes();
                    frames
                }
                event = self.wire.next() => self.happened(event),
            };
            self.wire.send(&frames).await;
            tick = Instant::now() + Duration::try_from(self.agent.pace()).unwrap_or(Duration::from_secs(1));
        }
        tokio::join!(self.wire.close(), self.consoles.close());
    }

    fn happened(&mut self, event: Event) -> Vec<FromAgent> {
        let now = Timestamp::now();
        match event {
            Event::Open => {
                tracing::info!("connected to the hub");
                self.agent.connected(now)
            }
            Event::Said(frame) => {
                let frame = match *frame {
                    FromHub::Stream(stream) => {
                        self.consoles.asked(stream, &mut self.agent);
                        return Vec::new();
                    }
                    frame => frame,
                };
                if let FromHub::Welcome { .. } = frame {
                    self.wire.welcomed();
                }
                let frames = self.agent.frame(frame, now);
                self.tell_notes();
                frames
            }
            Event::Cut(why) => {
                tracing::warn!("no connection to the hub: {why}");
                self.agent.disconnected();
                Vec::new()
            }
            Event::Nothing => Vec::new(),
        }
    }

    /// What was told at the tick before is not told again.
    fn tell_notes(&mut self) {
        let notes = self.agent.notes();
        for note in notes.iter().filter(|note| !self.known.contains(note)) {
            tracing::warn!("{note}");
        }
        self.known = notes;
    }
}

pub(crate) fn cause(error: &dyn std::error::Error) -> String {
    chain(error)
}
