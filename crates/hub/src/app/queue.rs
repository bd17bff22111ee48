//! Queues of requests that take from the same bounded thing.
//!
//! The store alone keeps two decisions from taking the same last piece; but a decision that lost that race has to be made again,
//! and with many at once most work would be lost. So, in each hub, those that take from one thing wait for one another, first come
//! first served. Other hubs are not waited for: what collides with them is tried again by [`App::decide`].
//!
//! Whoever is next need not read again what the one before has read and nobody has changed since: a queue has a [`Memory`], which is
//! gone with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use renkei_types::host::Host;
use renkei_types::id::{SegmentId, SiteId};
use renkei_types::quota::Amounts;

use super::App;
use super::lease::Held;
use super::quota::Share;
use super::remembered::Remembered;

/// A bounded thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bound {
    /// What a project may use of a site.
    Quota(Share),
    /// The addresses of a network.
    Segment(SegmentId),
    /// The room, the numbers of networks and the outside addresses of a site.
    Site(SiteId),
}

/// The queues that somebody stands in.
#[derive(Debug, Default)]
pub struct Queues(Mutex<HashMap<Bound, Arc<Queue>>>);

#[derive(Debug, Default)]
struct Queue {
    turn: tokio::sync::Mutex<()>,
    memory: Arc<Memory>,
}

/// What was read by those who stood in one queue.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// What the machines of [`Bound::Quota`] take, each.
    pub taking: Remembered<Amounts>,
    /// The hosts of its site.
    pub hosts: Remembered<Host>,
    /// The addresses of [`Bound::Segment`].
    pub leases: Remembered<Held>,
}

/// A place in a queue; the queue is gone with the last one.
struct Place<'a> {
    queues: &'a Queues,
    bound: Bound,
    queue: Arc<Queue>,
}

impl App {
    /// Does `work` when it is its turn at `bound`. Whoever needs several takes them in their order (quota, segment, site), or two
    /// could wait for one another for ever; the same one a second time inside of `work` would.
    pub async fn in_turn<T>(&self, bound: Bound, work: impl Future<Output = T>) -> T {
        let place = self.queues.join(bound);
        let queue = Arc::clone(&place.queue);
        let _mine = queue.turn.lock().await;
        work.await
    }

    /// What is remembered at `bound`; nothing where nobody stands.
    pub(super) fn memory(&self, bound: Bound) -> Arc<Memory> {
        let queues = self.queues.0.lock().unwrap_or_else(PoisonError::into_inner);
        queues
            .get(&bound)
            .map(|queue| Arc::clone(&queue.memory))
            .unwrap_or_default()
    }
}

impl Queues {
    fn join(&self, bound: Bound) -> Place<'_> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = Arc::clone(queues.entry(bound).or_default());
        let queues = self;
        Place { queues, bound, queue }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut queues = self.queues.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The one in the map and ours: nobody else stands there.
        if Arc::strong_count(&self.queue) <= 2 {
            queues.remove(&self.bound);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::sync::Notify;
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn those_at_one_thing_wait_for_one_another_and_others_do_not() {
        let app = App::new(renkei_store::Store::memory());
        let (one, other) = (
            Bound::Site(SiteId(Uuid::from_u128(1))),
            Bound::Segment(SegmentId(Uuid::from_u128(1))),
        );
        let (told, go) = (RefCell::new(Vec::new()), Notify::new());
        let tell = |what: &'static str| told.borrow_mut().push(what);
        tokio::join!(
            app.in_turn(one, async {
                tell("first begins");
                go.notified().await;
                tell("first ends");
            }),
            app.in_turn(one, async { tell("second") }),
            app.in_turn(one, async { tell("third") }),
            app.in_turn(other, async {
                tell("other");
                go.notify_one();
            }),
        );
        assert_eq!(
            *told.borrow(),
            ["first begins", "other", "first ends", "second", "third"]
        );
        assert!(app.queues.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_is_in_nobodys_way() {
        let app = App::new(renkei_store::Store::memory());
        let bound = Bound::Site(SiteId(Uuid::from_u128(1)));
        app.in_turn(bound, async {
            let waiting = app.in_turn(bound, std::future::ready(()));
            tokio::select! {
                biased;
                () = waiting => panic!("two at once"),
                () = std::future::ready(()) => {}
            }
        })
        .await;
        app.in_turn(bound, std::future::ready(())).await;
        assert!(app.queues.0.lock().unwrap().is_empty());
    }
}
