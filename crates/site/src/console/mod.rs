//! Streams that the hub asks for: the agent dials one more connection for each, so that a console never stands in the way of control.
//!
//! What cannot be opened is told on the stream too: somebody waits for it there.

mod screen;
mod tape;
mod viewer;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use renkei_host::{Driver, DriverError, Lasting};
use renkei_types::id::VmId;
use renkei_types::stream::{Answer, Of, Stream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use self::screen::Screen;
use self::viewer::{Show, Viewer};
use crate::agent::Agent;
use crate::keep::Keep;
use crate::run::Hub;

/// Streams at once; each has a connection.
const MOST: usize = 256;
/// How long an agent that stops waits for those who are told.
const LEAVE: Duration = Duration::from_secs(2);

/// All streams of an agent.
pub(crate) struct Consoles {
    hub: Hub,
    /// Consoles that somebody looks at.
    open: HashMap<VmId, Weak<Screen>>,
    room: Arc<Semaphore>,
    stop: watch::Sender<bool>,
}

impl Consoles {
    /// None yet.
    pub fn new(hub: Hub) -> Self {
        Self {
            hub,
            open: HashMap::new(),
            room: Arc::new(Semaphore::new(MOST)),
            stop: watch::Sender::new(false),
        }
    }

    /// The hub wants a stream. Waits for nothing: a task of its own dials and serves it.
    pub fn asked<D: Driver, K: Keep>(&mut self, stream: Stream, agent: &mut Agent<D, K>) {
        let room = self.room.clone().try_acquire_owned();
        let show = match (&room, stream.of) {
            (Err(_), _) => Err(refused(format!("{MOST} consoles are open at this host"), true)),
            (Ok(_), Of::Console(vm)) => self.screen(vm, agent).map(Show::Screen).map_err(told),
            (Ok(_), Of::Log(vm)) => agent.console_log(vm).map(Show::Log).map_err(told),
        };
        let viewer = Viewer {
            hub: self.hub.clone(),
            stream,
            stop: self.stop.subscribe(),
        };
        tokio::spawn(async move {
            let _room = room;
            viewer.run(show).await;
        });
    }

    /// Tells all who look on that the agent stops.
    pub async fn close(&self) {
        self.stop.send_replace(true);
        // Whoever does not take it notices that the connection has ended.
        let _ = timeout(LEAVE, self.stop.closed()).await;
    }

    /// The console of a machine: the one that is open, or a new one.
    fn screen<D: Driver, K: Keep>(&mut self, vm: VmId, agent: &mut Agent<D, K>) -> Result<Arc<Screen>, DriverError> {
        self.open.retain(|_, screen| screen.strong_count() > 0);
        let open = self.open.get(&vm).and_then(Weak::upgrade);
        if let Some(screen) = open.filter(|screen| !screen.has_ended()) {
            return Ok(screen);
        }
        let console = agent.console(vm)?;
        let screen = Screen::open(console)
            .map_err(|error| DriverError::transient(format!("the console of machine {vm} cannot be read: {error}")))?;
        let screen = Arc::new(screen);
        self.open.insert(vm, Arc::downgrade(&screen));
        Ok(screen)
    }
}

fn told(error: DriverError) -> Answer {
    refused(error.message, error.lasting == Lasting::Transient)
}

fn refused(why: String, again: bool) -> Answer {
    Answer::Refused { why, again }
}
