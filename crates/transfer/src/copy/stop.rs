//! Ending a copy before it is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// Ends a copy from outside (Ctrl-C) or inside (nothing works any more). Clones are the same switch.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    reason: AtomicU8,
    wake: Notify,
}

/// Why a copy was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    Interrupted,
    Lost,
}

impl Stop {
    /// A switch that is not thrown.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The user wants it to end: it ends within a second, with the journal in order.
    pub fn interrupt(&self) {
        self.throw(StopReason::Interrupted);
    }

    pub(crate) fn throw(&self, reason: StopReason) {
        let code = match reason {
            StopReason::Interrupted => 1,
            StopReason::Lost => 2,
        };
        // The first reason is the true one.
        let _ = self
            .inner
            .reason
            .compare_exchange(0, code, Ordering::SeqCst, Ordering::SeqCst);
        self.inner.wake.notify_waiters();
    }

    pub(crate) fn reason(&self) -> Option<StopReason> {
        match self.inner.reason.load(Ordering::SeqCst) {
            1 => Some(StopReason::Interrupted),
            2 => Some(StopReason::Lost),
            _ => None,
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.reason().is_some()
    }

    /// Returns when the switch is thrown.
    pub(crate) async fn stopped(&self) {
        self.until(|reason| reason.is_some()).await;
    }

    /// Returns when the user wants it to end.
    pub(crate) async fn interrupted(&self) {
        self.until(|reason| reason == Some(StopReason::Interrupted)).await;
    }

    async fn until(&self, holds: impl Fn(Option<StopReason>) -> bool) {
        loop {
            let mut wake = std::pin::pin!(self.inner.wake.notified());
            wake.as_mut().enable();
            if holds(self.reason()) {
                return;
            }
            wake.await;
        }
    }
}
