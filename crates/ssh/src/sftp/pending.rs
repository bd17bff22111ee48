//! Requests in flight: what is queued to be sent, which replies are due, and who waits for them.
//!
//! One short lock holds all of it. A request costs one slot of a slab and bytes in the queue's tail, no task and no channel.
//! Wakers are called after the lock is given back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use slab::Slab;
use tokio::sync::Notify;

use super::error::{LostReason, ProtocolError, SftpError};
use super::extensions::{Extensions, Limits};
use super::packet::{Extended, Request};
use super::queue::Queue;
use super::reply::{Payload, Wanted};
use super::start::{Agreed, Start};

/// A slot's number takes the low bits of a request id.
const SLOT_BITS: u32 = 20;

/// Most requests without a reply; far above what callers keep in flight, and low enough for [`SLOT_BITS`].
const MAX_IN_FLIGHT: usize = 1 << SLOT_BITS;

/// What the client, its replies and its two tasks share.
#[derive(Debug)]
pub(super) struct Pending {
    state: Mutex<State>,
    /// How the start of the session came out, once it has.
    agreed: OnceLock<Result<Agreed, SftpError>>,
    /// Told when that is known.
    begun: Notify,
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
    start: Start,
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
    /// A session that begins: INIT is queued, and the question for limits that are not `known`.
    ///
    /// It is asked before it is known whether the server announces it. One that does not know an extension says so in a
    /// status (draft-ietf-secsh-filexfer-02 section 8).
    pub(super) fn new(known: Option<Limits>) -> Pending {
        let mut state = State {
            slots: Slab::new(),
            generation: 0,
            queue: Queue::new(),
            writer: None,
            start: Start {
                extensions: None,
                limits: known,
            },
            end: None,
        };
        state.queue.push_init();
        if known.is_none() {
            let request = Request::Extended(Extended::Limits);
            // The first request of a session: nothing can be in its way.
            let _ = state.submit(Wanted::Limits, Progress::Waiting(None), |id, queue| {
                queue.push(id, &request, usize::MAX)
            });
        }
        Pending {
            state: Mutex::new(state),
            agreed: OnceLock::new(),
            begun: Notify::new(),
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
        let max_packet = self.limits().max_packet as usize;
        let mut state = self.lock();
        let id = state.submit(wanted, Progress::Waiting(None), |id, queue| push(id, queue, max_packet))?;
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
        self.agree(&state.start);
        drop(state);
        for waker in wakers.drain(..) {
            waker.wake();
        }
        outcome
    }

    /// The server's VERSION has come.
    pub(super) fn announced(&self, extensions: Extensions) {
        let mut state = self.lock();
        state.start.extensions = Some(extensions);
        self.agree(&state.start);
    }

    fn agree(&self, start: &Start) {
        if self.agreed.get().is_none()
            && let Some(agreed) = start.agreed()
            && self.agreed.set(Ok(agreed)).is_ok()
        {
            self.begun.notify_waiters();
        }
    }

    /// How the start came out, if that is known.
    pub(super) fn agreed(&self) -> Option<&Result<Agreed, SftpError>> {
        self.agreed.get()
    }

    /// Waits until what was agreed on is known, or why nothing was.
    pub(super) async fn begun(&self) -> Result<Agreed, SftpError> {
        loop {
            let notified = self.begun.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if let Some(agreed) = self.agreed.get() {
                return agreed.clone();
            }
            notified.await;
        }
    }

    /// What every server takes until its own limits are known.
    pub(super) fn limits(&self) -> Limits {
        match self.agreed.get() {
            Some(Ok(agreed)) => agreed.limits,
            _ => Limits::default(),
        }
    }

    /// Ends everything: replies not yet there become this error, and so does every later request. The first call counts.
    ///
    /// Where the session has not begun, it is the start that failed of this; the requests may be made of another session.
    pub(super) fn close(&self, reason: SftpError) {
        let mut state = self.lock();
        if state.end.is_some() {
            return;
        }
        let never_began = self.agreed.set(Err(reason.clone())).is_ok();
        state.end = Some(if never_began {
            SftpError::Lost(LostReason::NotBegun)
        } else {
            reason
        });
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
        self.begun.notify_waiters();
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
                return match self.agreed.get() {
                    Some(Err(reason)) => reason.clone(),
                    _ => end,
                };
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
        if let Wanted::Limits = slot.wanted {
            self.slots.remove(key);
            self.start.limits = Some(match payload {
                Payload::Extended(body) => Limits::decode(&body)?,
                // A server that refuses to tell them has the default ones.
                _ => Limits::default(),
            });
            return Ok(None);
        }
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
