//! From a stream to an SSH session: key exchange, and telling the ways it fails apart.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use russh::client::{self, Handle};
use russh::{Limits, SshId};
use tokio::sync::watch;

use crate::config::Settings;
use crate::error::{ConnectError, ConnectErrorKind};
use crate::host_key::HostKeys;
use crate::prompt::{Waiting, printable};
use crate::session::{Callbacks, Ending, SessionError};
use crate::wire::{Observed, Wire};

/// What the server may have sent to us without our leave, in bytes. OpenSSH's own 2 MiB hold a connection at 100 ms to
/// 20 MB/s; this is enough for 300 MB/s at that.
const WINDOW: u32 = 32 << 20;

/// The largest packet we take; OpenSSH fills it as far as its own buffers let it.
const PACKET: u32 = 65_535;

/// Packets between the session and who reads a channel. Beyond that the TCP stream stops, which it must not do because
/// a reader is busy for a moment.
const CHANNEL_MESSAGES: usize = 256;

/// A bound for what `ServerAliveInterval` and `ServerAliveCountMax` may multiply to.
const LONGEST_PATIENCE: Duration = Duration::from_secs(86_400);

/// How long a server may say nothing during the login: wrong passwords are answered late, and directories are slow.
pub(crate) const LOGIN_SILENCE: Duration = Duration::from_secs(60);

/// How long a server that is logged in may be silent: all keepalives and the time to answer the last one.
pub(crate) fn patience(settings: &Settings) -> Duration {
    let intervals = u32::try_from(settings.alive_count)
        .unwrap_or(u32::MAX)
        .saturating_add(1);
    settings.alive_interval.saturating_mul(intervals).min(LONGEST_PATIENCE)
}

/// russh's configuration for one connection.
pub(crate) fn config(settings: &Settings, host_keys: &HostKeys) -> Arc<client::Config> {
    let (keys, certificates) = host_keys.offer(&settings.algorithms);
    let mut preferred = settings.algorithms.preferred.clone();
    preferred.key = Cow::Owned(keys);
    preferred.host_key_certificates = Cow::Owned(certificates);
    let per_key = settings
        .rekey_bytes
        .unwrap_or_else(|| settings.algorithms.bytes_per_key());
    let per_key = usize::try_from(per_key).unwrap_or(usize::MAX);
    Arc::new(client::Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-renkei_", env!("CARGO_PKG_VERSION")))),
        limits: Limits {
            rekey_write_limit: per_key,
            rekey_read_limit: per_key,
            rekey_time_limit: settings.rekey_after.unwrap_or(Duration::from_secs(365 * 86_400)),
        },
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        channel_buffer_size: CHANNEL_MESSAGES,
        preferred,
        keepalive_interval: Some(settings.alive_interval),
        keepalive_max: settings.alive_count,
        // The socket is ours and has its options.
        nodelay: false,
        ..client::Config::default()
    })
}

/// Exchanges versions and keys. The host key is judged within.
pub(crate) async fn exchange(
    config: Arc<client::Config>,
    wire: Wire,
    observed: &Arc<Observed>,
    callbacks: Callbacks,
    settings: &Settings,
) -> Result<Handle<Callbacks>, ConnectError> {
    let connecting = client::connect_stream(config, wire, callbacks);
    match unless_silent(connecting, observed, settings.connect_timeout).await {
        Some(Ok(handle)) => Ok(handle),
        Some(Err(SessionError::HostKey(error))) => Err(error),
        Some(Err(SessionError::Ssh(error))) => Err(failure(error, &observed.greeting(), settings)),
        None => Err(silent(settings)),
    }
}

/// Runs `work` as long as the server says something every `limit`; none if it fell silent. Time in which a person is
/// asked does not count.
pub(crate) async fn unless_silent<T>(work: impl Future<Output = T>, observed: &Observed, limit: Duration) -> Option<T> {
    let silence = async {
        let mut heard = observed.reads();
        loop {
            tokio::time::sleep(limit).await;
            let now = observed.reads();
            if now == heard && !Waiting::any() {
                return;
            }
            heard = now;
        }
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = silence => None,
    }
}

/// The error for a server that fell silent.
pub(crate) fn silent(settings: &Settings) -> ConnectError {
    ConnectError::new(ConnectErrorKind::Lost, settings.shown(), "the server does not answer")
}

fn failure(error: russh::Error, greeting: &str, settings: &Settings) -> ConnectError {
    let host = settings.shown();
    if let russh::Error::NoCommonAlgo { kind, ours, theirs } = &error {
        let sort = match kind {
            russh::AlgorithmKind::Kex => "key exchange",
            russh::AlgorithmKind::Key => "host key algorithm",
            russh::AlgorithmKind::Cipher => "cipher",
            russh::AlgorithmKind::Compression => "compression",
            russh::AlgorithmKind::Mac => "MAC",
        };
        let text = format!(
            "no {sort} in common: the server has {}, this side {}",
            printable(&theirs.join(",")),
            ours.join(",")
        );
        return ConnectError::new(ConnectErrorKind::NoAlgorithm, host, text);
    }
    let spoke_ssh = greeting.contains("SSH-");
    let first_line = printable(greeting.lines().next().unwrap_or_default());
    let gone = matches!(
        error,
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::IO(_) | russh::Error::SendError
    );
    let failed = match (gone, spoke_ssh, first_line.is_empty()) {
        (true, false, true) => ConnectError::new(
            ConnectErrorKind::Refused,
            host,
            "the server closed the connection without a word",
        ),
        (true, false, false) => ConnectError::new(
            ConnectErrorKind::Refused,
            host,
            format!("the server closed the connection: {first_line}"),
        ),
        (true, true, _) => ConnectError::new(
            ConnectErrorKind::Lost,
            host,
            "the connection closed during the key exchange",
        ),
        (false, false, false) => ConnectError::new(
            ConnectErrorKind::Protocol,
            host,
            format!("what answers is no SSH server: {first_line}"),
        ),
        (false, ..) => ConnectError::new(ConnectErrorKind::Protocol, host, "the key exchange failed"),
    };
    match error {
        russh::Error::Disconnect | russh::Error::Version => failed,
        other => failed.because(other),
    }
}

/// Puts the server's own words in place of the bare fact that the connection closed.
pub(crate) async fn explain(
    error: ConnectError,
    ended: &watch::Receiver<Option<Ending>>,
    settings: &Settings,
) -> ConnectError {
    if error.kind() != ConnectErrorKind::Lost {
        return error;
    }
    // The login notices the end a moment before the session has said why.
    let mut ended = ended.clone();
    let ending = tokio::time::timeout(Duration::from_secs(1), ended.wait_for(Option::is_some)).await;
    let Some(ending) = ending.ok().and_then(Result::ok).and_then(|ending| ending.clone()) else {
        return error;
    };
    if ending.text.contains("Too many authentication failures") {
        let text = "the server gave up after too many keys or passwords";
        return ConnectError::new(ConnectErrorKind::Auth, settings.shown(), text)
            .advise("name the right key with -i and set `-o IdentitiesOnly=yes`");
    }
    ending.error(&settings.shown())
}

/// Measures a round trip by a question that every server answers.
pub(crate) async fn ping(handle: &Handle<Callbacks>) -> Duration {
    let begun = Instant::now();
    // A connection that is gone shows at its first use.
    let _ = handle.send_ping().await;
    begun.elapsed()
}
