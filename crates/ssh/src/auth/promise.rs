//! What the first login tells the connections beside it before it has ended: that the server would take its key.
//!
//! A server says so (SSH_MSG_USERAUTH_PK_OK, RFC 4252 section 7) one round trip before it lets in, and then only a bad
//! signature or a rule for the account can stand in the way. Nothing is promised of passwords, which would be tried in
//! vain by all, nor of keys that ask a person each time.

use russh::client::Handle;

use super::keys::Candidate;
use super::{Login, Outcome, Proven, Step};
use crate::error::ConnectError;
use crate::session::Callbacks;

/// A key that the server takes as the first step of a login.
#[derive(Clone)]
pub(crate) struct Promise(Box<Candidate>);

/// How far a promise led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redeemed {
    LoggedIn,
    /// The server wants more after the key.
    Partly,
}

impl Login {
    /// Tells the connections beside the first that the server takes `key`, which has just signed without asking anyone.
    pub(super) fn promise(&self, key: &Candidate) {
        if !key.needs_person() {
            self.promised.send_replace(Some(Promise(Box::new(key.clone()))));
        }
    }

    /// Waits for the first login's promise; for ever if there is none.
    pub(crate) async fn promised(&self) -> Promise {
        let mut promised = self.promised.subscribe();
        match promised.wait_for(Option::is_some).await.map(|promise| promise.clone()) {
            Ok(Some(promise)) => promise,
            _ => std::future::pending().await,
        }
    }

    /// The login that promised something has failed.
    pub(crate) fn take_back(&self) {
        self.promised.send_replace(None);
    }

    /// Logs in with a key that the server takes.
    pub(crate) async fn redeem(
        &self,
        handle: &mut Handle<Callbacks>,
        promise: &Promise,
    ) -> Result<Redeemed, ConnectError> {
        let step = Step::Key(promise.0.clone());
        match self.repeat(handle, &step).await.map_err(|error| self.failed(error))? {
            Outcome::Accepted => Ok(Redeemed::LoggedIn),
            Outcome::Partial(_) => Ok(Redeemed::Partly),
            Outcome::Rejected(_) if handle.is_closed() => Err(self.failed(super::LoginError::Closed)),
            Outcome::Rejected(_) => Err(self.error("the server knows the key and does not let in with it")),
        }
    }

    /// Goes on after the key, by what the first login did after it.
    pub(crate) async fn rest(&self, handle: &mut Handle<Callbacks>, proven: &Proven) -> Result<(), ConnectError> {
        let steps = proven.steps.get(1..).unwrap_or_default();
        self.repeat_all(handle, proven, steps).await
    }
}
