//! Who waits for which stream. An id is known here until its stream has come, once, from the host that was asked, or nobody waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::ws::WebSocket;
use renkei_types::id::{HostId, StreamId};
use renkei_types::problem::{Problem, ProblemKind};
use tokio::sync::{oneshot, watch};

/// Streams at once: each has two sockets and some buffers.
const MOST: usize = 512;
/// How long a hub that stops waits for those who are told.
const LEAVE: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    waiting: Mutex<HashMap<StreamId, Waiting>>,
    /// Those that wait and those that have come.
    count: watch::Sender<usize>,
    at: OnceLock<Vec<String>>,
}

#[derive(Debug)]
struct Waiting {
    host: HostId,
    come: oneshot::Sender<WebSocket>,
}

/// Counts as a stream until this is dropped.
#[derive(Debug)]
pub(super) struct Counted(Arc<Streams>);

/// Somebody waits until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    id: StreamId,
    come: oneshot::Receiver<WebSocket>,
    counted: Option<Counted>,
    streams: Arc<Streams>,
}

/// A stream that has come.
#[derive(Debug)]
pub(crate) struct Came {
    pub socket: WebSocket,
    pub(super) counted: Option<Counted>,
}

impl Streams {
    /// Agents find this hub there, best address first.
    pub fn at(&self, at: Vec<String>) {
        // A hub listens for agents once.
        let _ = self.at.set(at);
    }

    /// Where agents find this hub; nowhere if it takes none.
    pub fn found_at(&self) -> Option<Vec<String>> {
        self.at.get().cloned()
    }

    /// Waits for a stream of a host.
    pub fn wait(self: &Arc<Self>, id: StreamId, host: HostId) -> Result<Place, Problem> {
        let room = self.count.send_if_modified(|count| {
            let room = *count < MOST;
            *count += usize::from(room);
            room
        });
        if !room {
            let problem = Problem::new(
                ProblemKind::Unavailable,
                format!("{MOST} consoles are open at this hub"),
            );
            return Err(problem.hint("try again when one is left"));
        }
        let counted = Some(Counted(self.clone()));
        let (sender, come) = oneshot::channel();
        self.waiting().insert(id, Waiting { host, come: sender });
        Ok(Place {
            id,
            come,
            counted,
            streams: self.clone(),
        })
    }

    /// Takes the place of whoever waits for this stream of this host. Only once.
    pub fn take(&self, id: StreamId, host: HostId) -> Option<oneshot::Sender<WebSocket>> {
        let mut waiting = self.waiting();
        waiting.get(&id).filter(|waiting| waiting.host == host)?;
        waiting.remove(&id).map(|waiting| waiting.come)
    }

    /// Returns when no stream is left, or has not ended in time.
    pub async fn emptied(&self) {
        let mut count = self.count.subscribe();
        // The sender lives as long as `self`.
        let _ = tokio::time::timeout(LEAVE, count.wait_for(|count| *count == 0)).await;
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<StreamId, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The stream, when it has come.
    pub async fn come(&mut self) -> Option<Came> {
        let socket = (&mut self.come).await.ok()?;
        let counted = self.counted.take();
        Some(Came { socket, counted })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.streams.waiting().remove(&self.id);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.count.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const HOST: HostId = HostId(Uuid::from_u128(1));
    const OTHER: HostId = HostId(Uuid::from_u128(2));

    fn id(number: u128) -> StreamId {
        StreamId(Uuid::from_u128(number))
    }

    #[test]
    fn an_id_is_worth_one_stream_of_the_host_that_was_asked() {
        let streams = Arc::new(Streams::default());
        let place = streams.wait(id(1), HOST).unwrap();
        assert!(streams.take(id(2), HOST).is_none());
        assert!(streams.take(id(1), OTHER).is_none(), "another host");
        assert!(streams.take(id(1), HOST).is_some(), "which does not use it up");
        assert!(streams.take(id(1), HOST).is_none(), "once");
        drop(place);
        let place = streams.wait(id(3), HOST).unwrap();
        drop(place);
        assert!(streams.take(id(3), HOST).is_none(), "nobody waits any more");
        assert_eq!(*streams.count.borrow(), 0);
    }

    #[test]
    fn there_are_so_many_at_most() {
        let streams = Arc::new(Streams::default());
        let mut places: Vec<Place> = (0..MOST as u128).map(|n| streams.wait(id(n), HOST).unwrap()).collect();
        assert_eq!(streams.wait(id(9999), HOST).unwrap_err().kind, ProblemKind::Unavailable);
        places.pop();
        streams.wait(id(9999), HOST).unwrap();
    }
}
