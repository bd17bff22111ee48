//! Who waits for which stream. An id is known here until its stream has come, once, from the host that was asked, or nobody waits.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::ws::WebSocket;
use renkei_types::id::{HostId, StreamId, UserId};
use renkei_types::problem::{Problem, ProblemKind};
use tokio::sync::{oneshot, watch};

/// Streams at once: each has two sockets and some buffers.
const MOST: usize = 512;
/// Of one user: nobody takes all of them.
const MOST_OF_USER: usize = 32;
/// How long a hub that stops waits for those who are told.
const LEAVE: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    waiting: Mutex<HashMap<StreamId, Waiting>>,
    /// Those that wait and those that have come, by whose they are.
    count: watch::Sender<HashMap<UserId, usize>>,
    at: OnceLock<Vec<String>>,
}

#[derive(Debug)]
struct Waiting {
    host: HostId,
    come: oneshot::Sender<WebSocket>,
}

/// Counts as a stream until this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    streams: Arc<Streams>,
    user: UserId,
}

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

    /// A user waits for a stream of a host.
    pub fn wait(self: &Arc<Self>, user: UserId, (id, host): (StreamId, HostId)) -> Result<Place, Problem> {
        let mut room = Ok(());
        self.count.send_if_modified(|count| {
            let own = count.get(&user).copied().unwrap_or(0);
            if own >= MOST_OF_USER {
                room = Err(full(format!("you have {MOST_OF_USER} consoles open at this hub")));
            } else if count.values().sum::<usize>() >= MOST {
                room = Err(full(format!("{MOST} consoles are open at this hub")));
            } else {
                count.insert(user, own + 1);
            }
            room.is_ok()
        });
        room?;
        let streams = self.clone();
        let counted = Some(Counted { streams, user });
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
        let _ = tokio::time::timeout(LEAVE, count.wait_for(HashMap::is_empty)).await;
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
        self.streams.count.send_modify(|count| {
            if let Entry::Occupied(mut own) = count.entry(self.user) {
                *own.get_mut() -= 1;
                if *own.get() == 0 {
                    own.remove();
                }
            }
        });
    }
}

fn full(title: String) -> Problem {
    Problem::new(ProblemKind::Unavailable, title).hint("try again when one is left")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const HOST: HostId = HostId(Uuid::from_u128(1));
    const USER: UserId = UserId(Uuid::from_u128(3));
    const OTHER: HostId = HostId(Uuid::from_u128(2));

    fn id(number: u128) -> StreamId {
        StreamId(Uuid::from_u128(number))
    }

    #[test]
    fn an_id_is_worth_one_stream_of_the_host_that_was_asked() {
        let streams = Arc::new(Streams::default());
        let place = streams.wait(USER, (id(1), HOST)).unwrap();
        assert!(streams.take(id(2), HOST).is_none());
        assert!(streams.take(id(1), OTHER).is_none(), "another host");
        assert!(streams.take(id(1), HOST).is_some(), "which does not use it up");
        assert!(streams.take(id(1), HOST).is_none(), "once");
        drop(place);
        let place = streams.wait(USER, (id(3), HOST)).unwrap();
        drop(place);
        assert!(streams.take(id(3), HOST).is_none(), "nobody waits any more");
        assert!(streams.count.borrow().is_empty());
    }

    #[test]
    fn there_are_so_many_at_most_and_fewer_of_each() {
        let streams = Arc::new(Streams::default());
        let wait = |user: usize, number: usize| {
            let user = UserId(Uuid::from_u128(user as u128));
            streams.wait(user, (id(number as u128), HOST))
        };
        let mut places: Vec<Place> = (0..MOST).map(|n| wait(n / MOST_OF_USER, n).unwrap()).collect();
        let refused = |user| wait(user, MOST).unwrap_err();
        assert!(refused(0).title.contains("you have 32 consoles open"));
        assert!(refused(MOST).title.contains("512 consoles are open"));
        places.remove(0);
        assert!(refused(1).title.contains("you have 32"), "another one has left");
        wait(0, MOST).unwrap();
    }
}
