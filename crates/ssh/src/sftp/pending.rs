//! Requests in flight: what is queued to be sent, which replies are due, and who waits for them.
//!
//! One short lock holds all of it. A request costs one slot of a slab and bytes in the queue's tail, no task and no channel.
//! Wakers are called after the lock is given back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use slab::Slab;
use tokio::sync::Notify;

use super::error::{LostReason, ProtocolError, SftpError};
use super::packet::Request;
use super::queue::Queue;
use super::reply::{Payload, Wanted};

/// A slot's number takes the low bits of a request id.
const SLOT_BITS: u32 = 20;

/// Most requests without a reply; far above what callers keep in flight, and low enough for [`SLOT_BITS`].
const MAX_IN_FLIGHT: usize = 1 << SLOT_BITS;

/// What the client, its replies and its two tasks share.
#[derive(Debug)]
pub(super) struct Pending {
    state: Mutex<State>,
    max_packet: usize,
    ended: Notify,
    pub(super) requests: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
}

#[derive(Debug)]
struct State {
    slots: Slab<Slot>,
    /// Counts requests and takes the high bits of ids, so that a second reply to an id does not meet the slot's next use.
    generation: u32,
    queue: Queue,
    writer: Option<Waker>,
    end: Option<SftpError>,
}

#[derive(Debug)]
struct Slot {
    id: u32,
    wanted: Wanted,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    /// No reply yet; the waker of who polled last.
    Waiting(Option<Waker>),
    /// The reply is there and was not fetched.
    Ready(Payload),
    /// No reply yet, and nobody wants it.
    Abandoned,
}

impl Pending {
    pub(super) fn new(max_packet: u32) -> Pending {
        Pending {
            state: Mutex::new(State {
                slots: Slab::new(),
                generation: 0,
                queue: Queue::new(),
                writer: None,
                end: None,
            }),
            max_packet: max_packet as usize,
            ended: Notify::new(),
            requests: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a request and gives its id.
    pub(super) fn submit(&self, wanted: Wanted, request: &Request<'_>) -> Result<u32, SftpError> {
        self.submit_with(wanted, |id, queue, max| queue.push(id, request, max))
    }

    /// Queues what `push` makes for the id that it is given and gives that id.
    pub(super) fn submit_with(
        &self,
        wanted: Wanted,
        push: impl FnOnce(u32, &mut Queue, usize) -> Result<(), SftpError>,
    ) -> Result<u32, SftpError> {
        let mut state = self.lock();
        let id = state.submit(wanted, Progress::Waiting(None), |id, queue| {
            push(id, queue, self.max_packet)
        })?;
        let writer = state.writer.take();
        drop(state);
        self.requests.fetch_add(1, Ordering::Relaxed);
        if let Some(writer) = writer {
            writer.wake();
        }
        Ok(id)
    }

    /// All that is queued, moved into `batch`, which is empty; pending while there is nothing.
    pub(super) fn poll_queue(&self, cx: &mut Context<'_>, batch: &mut Vec<Bytes>) -> Poll<()> {
        let mut state = self.lock();
        if state.queue.is_empty() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.queue.take(batch);
        Poll::Ready(())
    }

    /// Gives replies to who waits for them. The first that cannot be is the error, and what comes after it is not looked at.
    pub(super) fn deliver(
        &self,
        replies: &mut Vec<(u32, Payload)>,
        wakers: &mut Vec<Waker>,
    ) -> Result<(), ProtocolError> {
        let mut state = self.lock();
        let mut outcome = Ok(());
        for (id, payload) in replies.drain(..) {
            match state.deliver(id, payload) {
                Ok(waker) => wakers.extend(waker),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        if !state.queue.is_empty() {
            // Handles that nobody wants are being closed.
            wakers.extend(state.writer.take());
        }
        drop(state);
        for waker in wakers.drain(..) {
            waker.wake();
        }
        outcome
    }

    /// Ends everything: replies not yet there become this error, and so does every later request. The first call counts.
    pub(super) fn close(&self, reason: SftpError) {
        let mut state = self.lock();
        if state.end.is_some() {
            return;
        }
        state.end = Some(reason);
        state.queue = Queue::default();
        let mut wakers: Vec<Waker> = state.writer.take().into_iter().collect();
        state.slots.retain(|_, slot| match &mut slot.progress {
            Progress::Waiting(waker) => {
                wakers.extend(waker.take());
                true
            }
            Progress::Ready(_) => true,
            Progress::Abandoned => false,
        });
        drop(state);
        for waker in wakers {
            waker.wake();
        }
        self.ended.notify_waiters();
    }

    pub(super) fn end(&self) -> Option<SftpError> {
        self.lock().end.clone()
    }

    pub(super) fn is_waiting(&self) -> bool {
        let state = self.lock();
        let is_due = |slot: &Slot| !matches!(slot.progress, Progress::Ready(_));
        state.slots.iter().any(|(_, slot)| is_due(slot))
    }

    pub(super) async fn ended(&self) -> SftpError {
        loop {
            let notified = self.ended.notified();
            tokio::pin!(notified);
            // Registered before the look at the state, so that an end between the two is not missed.
            notified.as_mut().enable();
            if let Some(end) = self.end() {
                return end;
            }
            notified.await;
        }
    }

    /// The reply to `id` if it is there; else `cx` is woken when it comes or when none will.
    pub(super) fn poll_reply(&self, id: u32, cx: &mut Context<'_>) -> Poll<Result<Payload, SftpError>> {
        // Declared before the lock and so dropped after it: a waker may own whatever it wakes, even other replies.
        let mut _stale = None;
        let mut state = self.lock();
        let State { slots, end, .. } = &mut *state;
        let key = slot_of(id);
        if let Some(slot) = slots.get_mut(key)
            && let Progress::Waiting(waker) = &mut slot.progress
            && end.is_none()
        {
            if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                _stale = waker.replace(cx.waker().clone());
            }
            return Poll::Pending;
        }
        let outcome = match slots.try_remove(key).map(|slot| slot.progress) {
            Some(Progress::Ready(payload)) => Ok(payload),
            // A reply has its slot for as long as it lives, so without one to wait for the session has ended.
            _ => Err(end.clone().unwrap_or(SftpError::Lost(LostReason::Dropped))),
        };
        Poll::Ready(outcome)
    }

    /// The reply to `id` is no longer wanted. A handle that it brings is closed.
    pub(super) fn abandon(&self, id: u32) {
        let mut state = self.lock();
        let key = slot_of(id);
        let ended = state.end.is_some();
        if let Some(slot) = state.slots.get_mut(key)
            && let Progress::Waiting(_) = slot.progress
            && !ended
        {
            let waiting = std::mem::replace(&mut slot.progress, Progress::Abandoned);
            drop(state);
            drop(waiting);
            return;
        }
        let slot = state.slots.try_remove(key);
        if let Some(Slot {
            progress: Progress::Ready(payload),
            ..
        }) = &slot
        {
            state.discard(payload);
        }
        let writer = if state.queue.is_empty() {
            None
        } else {
            state.writer.take()
        };
        drop(state);
        drop(slot);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

impl State {
    fn submit(
        &mut self,
        wanted: Wanted,
        progress: Progress,
        push: impl FnOnce(u32, &mut Queue) -> Result<(), SftpError>,
    ) -> Result<u32, SftpError> {
        if let Some(end) = &self.end {
            return Err(end.clone());
        }
        if self.slots.len() >= MAX_IN_FLIGHT {
            return Err(SftpError::TooManyInFlight);
        }
        let entry = self.slots.vacant_entry();
        // The key is below MAX_IN_FLIGHT: a slab takes the lowest free keys of those it ever had.
        let id = self.generation << SLOT_BITS | u32::try_from(entry.key()).unwrap_or(u32::MAX >> (32 - SLOT_BITS));
        push(id, &mut self.queue)?;
        entry.insert(Slot { id, wanted, progress });
        self.generation = self.generation.wrapping_add(1);
        Ok(id)
    }

    fn deliver(&mut self, id: u32, payload: Payload) -> Result<Option<Waker>, ProtocolError> {
        let key = slot_of(id);
        let slot = self
            .slots
            .get_mut(key)
            .filter(|slot| slot.id == id)
            .ok_or(ProtocolError::UnknownId(id))?;
        slot.wanted.check(&payload)?;
        match &mut slot.progress {
            Progress::Waiting(waker) => {
                let waker = waker.take();
                slot.progress = Progress::Ready(payload);
                Ok(waker)
            }
            Progress::Abandoned => {
                self.slots.remove(key);
                self.discard(&payload);
                Ok(None)
            }
            Progress::Ready(_) => Err(ProtocolError::UnknownId(id)),
        }
    }

    /// Drops a reply that nobody wants.
    fn discard(&mut self, payload: &Payload) {
        if let Payload::Handle(handle) = payload {
            let request = Request::Close { handle };
            // If it cannot be sent, the channel is ending and the handle with it.
            let _ = self.submit(Wanted::Status, Progress::Abandoned, |id, queue| {
                queue.push(id, &request, usize::MAX)
            });
        }
    }
}

fn slot_of(id: u32) -> usize {
    (id & (u32::MAX >> (32 - SLOT_BITS))) as usize
}
