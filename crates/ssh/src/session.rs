//! What russh calls back into: the host key, the banner, the end.

use std::sync::Arc;

use russh::client::{DisconnectReason, Handler, Session};
use russh::keys::PublicKeyOrCertificate;
use tokio::sync::watch;

use crate::error::{ConnectError, ConnectErrorKind};
use crate::host_key::HostKeys;
use crate::prompt::{Prompt, printable};

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub text: String,
    /// The server said goodbye by itself, with this reason.
    pub by_server: bool,
}

impl Ending {
    pub(crate) fn error(&self, host: &str) -> ConnectError {
        let text = if self.by_server {
            format!("the server ended the connection: {}", self.text)
        } else {
            format!("the connection broke: {}", self.text)
        };
        ConnectError::new(ConnectErrorKind::Lost, host, text)
    }
}

/// A failure inside the session.
#[derive(Debug)]
pub(crate) enum SessionError {
    Ssh(russh::Error),
    HostKey(ConnectError),
}

impl From<russh::Error> for SessionError {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

/// Characters of banners that are shown; a server may send as many as it likes.
const BANNER: usize = 16 * 1024;

/// The callbacks of one connection.
pub(crate) struct Callbacks {
    host_keys: Arc<HostKeys>,
    banner: Option<Arc<dyn Prompt>>,
    /// Characters of banners that may still be shown.
    room: usize,
    ended: watch::Sender<Option<Ending>>,
}

impl Callbacks {
    /// Callbacks that show the server's banner to `banner`, and what tells why the session ended.
    pub(crate) fn new(
        host_keys: Arc<HostKeys>,
        banner: Option<Arc<dyn Prompt>>,
    ) -> (Self, watch::Receiver<Option<Ending>>) {
        let (ended, watch) = watch::channel(None);
        let callbacks = Self {
            host_keys,
            banner,
            room: BANNER,
            ended,
        };
        (callbacks, watch)
    }
}

impl Handler for Callbacks {
    type Error = SessionError;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, SessionError> {
        self.host_keys
            .check(key)
            .await
            .map(|()| true)
            .map_err(SessionError::HostKey)
    }

    async fn auth_banner(&mut self, banner: &str, _session: &mut Session) -> Result<(), SessionError> {
        if let Some(prompt) = &self.banner {
            let shown: String = printable(banner).trim_end().chars().take(self.room).collect();
            self.room -= shown.chars().count();
            if !shown.is_empty() {
                prompt.note(&shown);
            }
        }
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<SessionError>) -> Result<(), SessionError> {
        let ending = match &reason {
            DisconnectReason::ReceivedDisconnect(info) => Ending {
                text: printable(&info.message),
                by_server: true,
            },
            DisconnectReason::Error(SessionError::Ssh(russh::Error::KeepaliveTimeout)) => Ending {
                text: "the server no longer answers".into(),
                by_server: false,
            },
            DisconnectReason::Error(SessionError::Ssh(error)) => Ending {
                text: error.to_string(),
                by_server: false,
            },
            DisconnectReason::Error(SessionError::HostKey(error)) => Ending {
                text: error.to_string(),
                by_server: false,
            },
        };
        self.ended.send_replace(Some(ending));
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            DisconnectReason::Error(error) => Err(error),
        }
    }
}
