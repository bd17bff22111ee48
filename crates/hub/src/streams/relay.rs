//! Joins a caller and the stream that an agent has brought: bytes in both directions, as they are. Neither direction waits for the
//! other; who takes nothing, or is silent to pings, is given up; and who looks on is asked for its right to again every few seconds.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use renkei_policy::Caller;
use renkei_types::id::VmId;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::stream::ended;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{Came, DEAD, reason};
use crate::Hub;
use crate::app::Asked;

/// From one ping to the next.
const PING: Duration = Duration::from_secs(10);
/// How often is asked whether the caller still may.
const ADMIT: Duration = Duration::from_secs(3);
/// A console at which nothing happens for so long is left.
const IDLE: Duration = Duration::from_secs(12 * 60 * 60);
/// How long an end may take to be told that it is the end.
const FAREWELL: Duration = Duration::from_secs(2);

/// Who looks on at a machine.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub asked: Asked,
    /// What was shown to be let in.
    pub secret: String,
    pub vm: VmId,
}

/// How a stream ends.
struct End(CloseFrame);

impl End {
    fn new(code: u16, reason: impl Into<String>) -> Self {
        let reason: String = reason.into();
        Self(CloseFrame {
            code,
            reason: reason.into(),
        })
    }

    fn broken(what: &str) -> Self {
        Self::new(ended::BROKEN, what)
    }
}

/// When something was last heard of an end.
struct Heard(Mutex<Instant>);

impl Heard {
    fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn since(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// What both directions know of one another.
struct Times {
    caller: Heard,
    agent: Heard,
    /// When bytes went either way.
    moved: Heard,
}

/// Serves until either end leaves, the hub stops, or the guest may not look on any more.
pub(crate) async fn relay(hub: Hub, guest: Guest, (caller, came): (WebSocket, Came)) {
    let Came { socket, counted } = came;
    hub.metrics.consoles.inc();
    let (mut to_caller, from_caller) = caller.split();
    let (mut to_agent, from_agent) = socket.split();
    let times = Times {
        caller: Heard::new(),
        agent: Heard::new(),
        moved: Heard::new(),
    };
    let End(end) = tokio::select! {
        end = down(from_agent, &mut to_caller, &times) => end,
        end = up(from_caller, &mut to_agent, &times) => end,
        end = admitted(&hub, guest, &times) => end,
        () = hub.stopping() => End::new(ended::AWAY, "this hub stops"),
        () = hub.schema_becoming_foreign() => End::new(ended::AWAY, "this hub waits to be replaced"),
    };
    let farewell = |close: CloseFrame| Message::Close(Some(close));
    // Whoever does not take it notices that the connection has ended.
    let _ = tokio::join!(
        timeout(FAREWELL, to_caller.send(farewell(end.clone()))),
        timeout(FAREWELL, to_agent.send(farewell(end))),
    );
    hub.metrics.consoles.dec();
    drop(counted);
}

/// What the machine says.
async fn down(mut from: SplitStream<WebSocket>, to: &mut SplitSink<WebSocket, Message>, times: &Times) -> End {
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            message = from.next() => {
                times.agent.now();
                match message {
                    Some(Ok(Message::Binary(bytes))) => {
                        times.moved.now();
                        Message::Binary(bytes)
                    }
                    Some(Ok(Message::Close(Some(close)))) => return End(close),
                    Some(Ok(Message::Text(_) | Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(None)) | Err(_)) | None => {
                        return End::broken("the connection to the machine's host broke");
                    }
                }
            }
            _ = ping.tick() => {
                if times.caller.since() >= 2 * DEAD {
                    return End::broken("the caller is silent");
                }
                Message::Ping(Bytes::new())
            }
        };
        match timeout(DEAD, to.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return End::broken("the caller has gone"),
            Err(_) => return End::new(ended::LATER, "what the machine says is not read"),
        }
    }
}

/// What is typed.
async fn up(mut from: SplitStream<WebSocket>, to: &mut SplitSink<WebSocket, Message>, times: &Times) -> End {
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            message = from.next() => {
                times.caller.now();
                match message {
                    Some(Ok(Message::Binary(bytes))) => {
                        times.moved.now();
                        Message::Binary(bytes)
                    }
                    Some(Ok(Message::Text(_))) => return End::new(ended::NOT_ALLOWED, "a console takes binary frames"),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::new(ended::IN_ORDER, "the caller has left"),
                }
            }
            _ = ping.tick() => {
                if times.agent.since() >= 2 * DEAD {
                    return End::broken("the machine's host is silent");
                }
                Message::Ping(Bytes::new())
            }
        };
        match timeout(DEAD, to.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return End::broken("the connection to the machine's host broke"),
            Err(_) => return End::new(ended::LATER, "the machine takes nothing of what is typed"),
        }
    }
}

/// Asks anew who the guest is and what they may: a token may have been revoked, a role taken away, a machine frozen since.
async fn admitted(hub: &Hub, mut guest: Guest, times: &Times) -> End {
    let mut tick = interval(ADMIT);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if times.moved.since() >= IDLE {
            return End::new(ended::LATER, "nothing has happened for twelve hours");
        }
        match admit(hub, &mut guest).await {
            Ok(()) => {}
            // What the database cannot say now is asked the next time.
            Err(problem) if problem.kind == ProblemKind::Unavailable => {}
            Err(problem) => return End::new(ended::NOT_ALLOWED, reason(&problem)),
        }
    }
}

async fn admit(hub: &Hub, guest: &mut Guest) -> Result<(), Problem> {
    let now = hub.app.now();
    let actor = hub.app.verify(&guest.secret, now).await?;
    guest.asked.caller = Caller::Known(Box::new(actor));
    guest.asked.now = now;
    hub.app.still_may_look_on(&guest.asked, guest.vm).await
}
