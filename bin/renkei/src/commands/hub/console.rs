//! `renkei vm console`: bytes between this terminal and the serial console of a machine.
//!
//! At a terminal each key goes to the machine as it is, and Ctrl-] leaves. Without one, standard input goes to the machine, and after its
//! end what the machine still says is waited for until it falls silent.

mod keyboard;
mod plain;

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use renkei_types::stream::ended;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};

use self::keyboard::{Keyboard, Keys};
use super::Hub;
use super::client::WebSocket;
use super::failure::Failure;
use super::resolve::Collection;
use crate::arguments::hub::vm::Console;
use crate::exit;
use crate::terminal::Raw;

const HERE: Collection = Collection::Vms;
/// A machine that says nothing for so long after the end of standard input has said all.
const QUIET: Duration = Duration::from_secs(2);
/// The hub pings every 10 s; who is silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(45);
/// How long the hub may take to hear that it is the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Opens the console, or prints the log.
pub async fn run(hub: &Hub, console: &Console) -> Result<u8, Failure> {
    let path = format!("{}/console", HERE.one(hub.one(HERE, &console.one).await?));
    match console.log {
        true => log(hub, &path).await,
        false => sit_down(hub, &console.one.which, &path).await,
    }
}

async fn log(hub: &Hub, path: &str) -> Result<u8, Failure> {
    let log = hub.client.text(&format!("{path}/log")).await?;
    match hub.is_json() {
        true => hub.print_json(&json!({ "log": log })),
        false if io::stdout().is_terminal() => hub.print_text(&plain::plain(&log)),
        // Whoever reads it wants it as it is.
        false => hub.print_text(&log),
    }
}

/// How a session ends.
enum End {
    /// The person leaves.
    Left,
    /// Standard input has ended, and the machine is silent.
    Silent,
    /// A signal.
    Interrupted,
    /// Nobody reads standard output any more.
    Unread,
    /// The hub says so.
    Told(CloseFrame),
    /// The connection broke.
    Broken(tungstenite::Error),
}

async fn sit_down(hub: &Hub, called: &str, path: &str) -> Result<u8, Failure> {
    let mut signals = Signals::new().map_err(Failure::Start)?;
    let mut socket = hub.client.websocket(path).await?;
    if io::stdin().is_terminal() {
        hub.output
            .note(&format!("at the console of machine `{called}`; Ctrl-] leaves"));
    }
    let raw = Raw::enter().map_err(Failure::Stream)?;
    let keyboard = Keyboard::start(match raw {
        Some(_) => Keys::OfPerson,
        None => Keys::AsTheyAre,
    });
    let end = Session {
        socket: &mut socket,
        keyboard: keyboard.map_err(Failure::Start)?,
    }
    .run(&mut signals)
    .await;
    if !matches!(end, Ok(End::Told(_) | End::Broken(_))) {
        let close = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        // It notices anyway.
        let _ = timeout(FAREWELL, socket.close(Some(close))).await;
    }
    let at_terminal = raw.is_some();
    drop(raw);
    if at_terminal {
        // The cursor may stand anywhere in a line.
        hub.output.note("");
    }
    match end.map_err(Failure::Stream)? {
        End::Left => {
            hub.output.note(&format!("left the console of machine `{called}`"));
            Ok(exit::COMPLETE)
        }
        End::Silent | End::Unread => Ok(exit::COMPLETE),
        End::Interrupted => Ok(exit::INTERRUPTED),
        End::Told(told) => {
            let ends = format!("the console of machine `{called}` has ended: {}", told.reason);
            if u16::from(told.code) != ended::IN_ORDER {
                return Err(Failure::Ended(ends));
            }
            hub.output.note(&ends);
            Ok(exit::COMPLETE)
        }
        End::Broken(error) => Err(hub.client.broken(error)),
    }
}

struct Session<'a> {
    socket: &'a mut WebSocket,
    keyboard: Keyboard,
}

impl Session<'_> {
    async fn run(mut self, signals: &mut Signals) -> io::Result<End> {
        let mut heard = Instant::now();
        // Once standard input has ended.
        let mut quiet: Option<Instant> = None;
        loop {
            tokio::select! {
                message = self.socket.next() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(Message::Binary(bytes))) => {
                            quiet = quiet.map(|_| heard + QUIET);
                            if let Err(error) = show(&bytes) {
                                return match error.kind() {
                                    io::ErrorKind::BrokenPipe => Ok(End::Unread),
                                    _ => Err(error),
                                };
                            }
                        }
                        Some(Ok(Message::Close(Some(told)))) => return Ok(End::Told(told)),
                        Some(Ok(Message::Close(None))) | None => return Ok(End::Broken(tungstenite::Error::ConnectionClosed)),
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return Ok(End::Broken(error)),
                    }
                }
                keys = self.keyboard.next(), if quiet.is_none() => match keys? {
                    keyboard::Typed::Keys(keys) => {
                        if let Err(error) = self.socket.send(Message::binary(keys)).await {
                            // What the hub has said before it closed is still to be read.
                            if !matches!(error, tungstenite::Error::Protocol(_)) {
                                return Ok(End::Broken(error));
                            }
                        }
                    }
                    keyboard::Typed::Leave => return Ok(End::Left),
                    keyboard::Typed::End => quiet = Some(Instant::now() + QUIET),
                },
                () = sleep_until(quiet.unwrap_or_else(Instant::now)), if quiet.is_some() => return Ok(End::Silent),
                () = sleep_until(heard + SILENCE) => {
                    let silent = io::Error::new(io::ErrorKind::TimedOut, "it is silent");
                    return Ok(End::Broken(tungstenite::Error::Io(silent)));
                }
                () = signals.any() => return Ok(End::Interrupted),
            }
        }
    }
}

fn show(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}

/// What ends a program, and must not leave a terminal in which nothing is shown that is typed.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> io::Result<Self> {
        let [hangup, interrupt, terminate] =
            [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        Ok(Self([hangup?, interrupt?, terminate?]))
    }

    async fn any(&mut self) {
        let [one, two, three] = &mut self.0;
        tokio::select! {
            _ = one.recv() => {}
            _ = two.recv() => {}
            _ = three.recv() => {}
        }
    }
}
