//! The connection to the hub: dialled, kept alive by pings, and dialled again with growing pauses.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use aws_lc_rs::rand;
use futures_util::{SinkExt as _, StreamExt as _};
use renkei_types::agent::{FromAgent, FromHub, LARGEST_FRAME, READ_AT_ONCE};
use tokio::net::TcpStream;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Bytes, Message};

use super::{Hub, cause};
use crate::dial::DialError;

/// From one ping to the next.
const PING: Duration = Duration::from_secs(10);
/// Who says nothing for so long, or takes nothing, is gone.
const DEAD: Duration = Duration::from_secs(30);
/// The first pause before the hub is dialled again; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

pub(crate) type Socket = WebSocketStream<TlsStream<TcpStream>>;
type Dialling = Pin<Box<dyn Future<Output = Result<Socket, WireError>> + Send>>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("the hub at `{url}` does not take this agent")]
    WebSocket {
        url: String,
        source: Box<tungstenite::Error>,
    },
    #[error("the hub at `{url}` does not answer")]
    Silent { url: String },
}

/// What has happened.
pub(super) enum Event {
    /// There is a connection.
    Open,
    /// The hub has said something.
    Said(Box<FromHub>),
    /// There is no connection, or no longer.
    Cut(String),
    /// Nothing that matters here.
    Nothing,
}

/// See the module.
pub(super) struct Wire {
    hub: Hub,
    state: State,
    failures: u32,
}

enum State {
    Pause(Instant),
    Dial(Dialling),
    Open(Box<Open>),
}

struct Open {
    socket: Socket,
    heard: Instant,
    ping: Interval,
}

impl Wire {
    pub fn new(hub: Hub) -> Self {
        Self {
            hub,
            state: State::Pause(Instant::now()),
            failures: 0,
        }
    }

    /// Waits for the next thing to happen. May be dropped at any moment.
    pub async fn next(&mut self) -> Event {
        match &mut self.state {
            State::Pause(until) => {
                sleep_until(*until).await;
                self.state = State::Dial(Box::pin(dial(self.hub.clone())));
                Event::Nothing
            }
            State::Dial(dialling) => match dialling.await {
                Ok(socket) => {
                    let mut ping = interval(PING);
                    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
                    let heard = Instant::now();
                    self.state = State::Open(Box::new(Open { socket, heard, ping }));
                    Event::Open
                }
                Err(error) => self.cut(cause(&error)),
            },
            State::Open(open) => match open.next().await {
                Ok(Some(frame)) => Event::Said(Box::new(frame)),
                Ok(None) => Event::Nothing,
                Err(why) => self.cut(why),
            },
        }
    }

    /// The hub takes this agent: the next pause is a short one again.
    pub fn welcomed(&mut self) {
        self.failures = 0;
    }

    /// Says these; nothing if there is no connection, for then the next one begins with everything.
    pub async fn send(&mut self, frames: &[FromAgent]) {
        let State::Open(open) = &mut self.state else { return };
        for frame in frames {
            let Ok(text) = serde_json::to_string(frame) else {
                continue;
            };
            if let Err(why) = open.send(Message::text(text)).await {
                // It is noticed at the next look at the connection.
                open.heard = Instant::now() - DEAD;
                tracing::debug!("cannot tell the hub: {why}");
                return;
            }
        }
    }

    /// Leaves.
    pub async fn close(&mut self) {
        if let State::Open(open) = &mut self.state {
            // The hub notices anyway.
            let _ = timeout(Duration::from_secs(1), open.socket.close(None)).await;
        }
    }

    fn cut(&mut self, why: String) -> Event {
        self.failures = self.failures.saturating_add(1);
        self.state = State::Pause(Instant::now() + pause(self.failures, drawn()));
        Event::Cut(why)
    }
}

impl Open {
    async fn next(&mut self) -> Result<Option<FromHub>, String> {
        tokio::select! {
            message = self.socket.next() => {
                self.heard = Instant::now();
                match message {
                    Some(Ok(Message::Text(text))) => said(&text),
                    Some(Ok(Message::Binary(_))) => Err("the hub sends what is no text".to_owned()),
                    Some(Ok(Message::Close(_))) | None => Err("it was closed".to_owned()),
                    Some(Ok(_)) => Ok(None),
                    Some(Err(error)) => Err(cause(&error)),
                }
            }
            _ = self.ping.tick() => {
                if self.heard.elapsed() >= DEAD {
                    return Err("the hub is silent".to_owned());
                }
                self.send(Message::Ping(Bytes::new())).await.map(|()| None)
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), String> {
        match timeout(DEAD, self.socket.send(message)).await {
            Ok(sent) => sent.map_err(|error| cause(&error)),
            Err(_) => Err("the hub takes nothing".to_owned()),
        }
    }
}

fn said(text: &str) -> Result<Option<FromHub>, String> {
    let frame = serde_json::from_str(text);
    frame
        .map(Some)
        .map_err(|error| format!("the hub says what is not understood: {error}"))
}

/// Opens a WebSocket at the hub's address.
pub(crate) async fn dial(hub: Hub) -> Result<Socket, WireError> {
    let stream = hub.target.dial(hub.config.clone()).await?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_AT_ONCE)
        .max_message_size(Some(LARGEST_FRAME))
        .max_frame_size(Some(LARGEST_FRAME));
    let greeted = tokio_tungstenite::client_async_with_config(hub.url.as_str(), stream, Some(config));
    match timeout(DEAD, greeted).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(WireError::WebSocket {
            url: hub.url,
            source: Box::new(error),
        }),
        Err(_) => Err(WireError::Silent { url: hub.url }),
    }
}

/// Doubles up to the longest, and is cut by up to a half, so that the agents of a hub that comes back do not all come at once.
fn pause(failures: u32, drawn: u8) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    let whole = FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE);
    whole / 2 + whole / 2 * u32::from(drawn) / u32::from(u8::MAX)
}

fn drawn() -> u8 {
    let mut byte = [0];
    // Without randomness the pause is only the same for all.
    let _ = rand::fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_differ() {
        assert_eq!(pause(1, u8::MAX), FIRST_PAUSE);
        assert_eq!(pause(1, 0), FIRST_PAUSE / 2);
        assert_eq!(pause(3, u8::MAX), FIRST_PAUSE * 4);
        assert_eq!(pause(u32::MAX, u8::MAX), LONGEST_PAUSE);
    }
}
