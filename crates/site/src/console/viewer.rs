//! One stream: dialled to the hub that waits for it, then bytes in both directions until either end leaves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::SplitStream;
use futures_util::{Sink, SinkExt as _, StreamExt as _};
use renkei_types::stream::{AT_ONCE, Answer, PATIENCE, Stream, ended};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::screen::Screen;
use super::tape::Next;
use crate::run::{Hub, Socket, cause, dial};

/// From one round through the hub's addresses to the next: behind one of them several hubs may stand, of which one waits.
const ROUND: Duration = Duration::from_millis(200);
/// The hub pings; who is silent for so long, or takes nothing, is gone.
const DEAD: Duration = Duration::from_secs(60);
/// How long what is typed waits for a machine that takes nothing.
const LOST: Duration = Duration::from_secs(10);
/// How long the end may take to be told.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is shown.
pub(super) enum Show {
    /// A console.
    Screen(Arc<Screen>),
    /// A log.
    Log(Vec<u8>),
}

/// Somebody who looks on.
pub(super) struct Viewer {
    pub hub: Hub,
    pub stream: Stream,
    pub stop: watch::Receiver<bool>,
}

/// How a stream ends: a code and a reason for people.
type End = (u16, &'static str);

const GONE: End = (ended::BROKEN, "the hub has gone");

impl Viewer {
    /// Serves it until it ends.
    pub async fn run(mut self, show: Result<Show, Answer>) {
        let deadline = Instant::now() + PATIENCE.unsigned_abs();
        let dialled = timeout_at(deadline, self.dial()).await;
        let Ok(socket) = dialled else {
            return;
        };
        let (mut sink, source) = socket.split();
        let answer = match &show {
            Ok(_) => Answer::Open,
            Err(refused) => refused.clone(),
        };
        let Ok(answer) = serde_json::to_string(&answer) else {
            return;
        };
        let said = timeout(DEAD, sink.send(Message::text(answer))).await;
        if !matches!(said, Ok(Ok(()))) {
            return;
        }
        let stopped = async {
            // A sender that is gone stops too.
            let _ = self.stop.wait_for(|stop| *stop).await;
        };
        let (code, reason) = match show {
            Err(_) => (ended::IN_ORDER, "it is not open"),
            Ok(Show::Log(log)) => tell(&mut sink, &log).await,
            Ok(Show::Screen(screen)) => tokio::select! {
                end = show_screen(&mut sink, &screen) => end,
                end = listen(source, &screen) => end,
                () = stopped => (ended::AWAY, "the agent of the machine's host stops"),
            },
        };
        let close = CloseFrame {
            code: CloseCode::from(code),
            reason: reason.into(),
        };
        // Whoever does not take it notices that the connection has ended.
        let _ = timeout(FAREWELL, sink.send(Message::Close(Some(close)))).await;
    }

    /// Tries the addresses in turn, until one of them takes the stream.
    async fn dial(&self) -> Socket {
        let mut known = BTreeSet::new();
        loop {
            for url in self.addresses() {
                let tried = match self.hub.at(&url) {
                    Ok(hub) => dial(hub).await.map_err(|error| cause(&error)),
                    Err(error) => Err(cause(&error)),
                };
                match tried {
                    Ok(socket) => return socket,
                    // The same fault in each round is one fault.
                    Err(why) if known.insert(why.clone()) => {
                        tracing::warn!(stream = %self.stream.id, "a console cannot be brought to the hub: {why}");
                    }
                    Err(_) => {}
                }
            }
            sleep(ROUND).await;
        }
    }

    /// Where the hub may be that waits, best first.
    fn addresses(&self) -> Vec<String> {
        let path = format!("/stream/{}", self.stream.id);
        let found = format!("{}{path}", self.hub.url.trim_end_matches('/'));
        let told = self.stream.at.iter().filter_map(|at| at.strip_prefix("https://"));
        let told = told.map(|authority| format!("wss://{}/agent/v1{path}", authority.trim_end_matches('/')));
        let mut addresses: Vec<String> = told.filter(|url| *url != found).collect();
        let place = if self.stream.here { 0 } else { addresses.len() };
        addresses.insert(place, found);
        addresses
    }
}

/// What the machine says, from what it said last.
async fn show_screen(sink: &mut (impl Sink<Message> + Unpin), screen: &Screen) -> End {
    let mut place = screen.start();
    loop {
        let bytes = match screen.read(place).await {
            Next::Bytes(bytes) => bytes,
            Next::End => return (ended::IN_ORDER, "the machine does not run any more"),
            Next::Behind => return BEHIND,
            Next::Wait => continue,
        };
        place += bytes.len() as u64;
        tokio::select! {
            sent = timeout(DEAD, sink.send(Message::binary(bytes))) => match sent {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return GONE,
                Err(_) => return BEHIND,
            },
            () = screen.passed(place) => return BEHIND,
        }
    }
}

const BEHIND: End = (ended::LATER, "what the machine says is not read as fast as it comes");

/// What is typed.
async fn listen(mut source: SplitStream<Socket>, screen: &Screen) -> End {
    loop {
        match timeout(DEAD, source.next()).await {
            // What a machine does not take for so long is lost, as on any serial line.
            Ok(Some(Ok(Message::Binary(keys)))) => drop(timeout(LOST, screen.type_in(keys)).await),
            Ok(Some(Ok(Message::Close(_)))) => return (ended::IN_ORDER, "nobody looks on any more"),
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(_)) | None) | Err(_) => return GONE,
        }
    }
}

async fn tell(sink: &mut (impl Sink<Message> + Unpin), log: &[u8]) -> End {
    for piece in log.chunks(AT_ONCE) {
        let piece = Bytes::copy_from_slice(piece);
        if !matches!(timeout(DEAD, sink.send(Message::Binary(piece))).await, Ok(Ok(()))) {
            return GONE;
        }
    }
    (ended::IN_ORDER, "that is all")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use futures_util::sink;
    use renkei_host::{Console, LONGEST_LOG};

    use super::*;

    /// A machine and its console, of which `log` was said before.
    fn console(log: &[u8]) -> (Screen, UnixStream) {
        let (stream, machine) = UnixStream::pair().unwrap();
        let log = log.to_vec();
        (Screen::open(Console { log, stream }).unwrap(), machine)
    }

    #[tokio::test]
    async fn who_takes_nothing_is_left_behind_as_soon_as_the_tape_has_passed() {
        let (screen, mut machine) = console(b"log");
        let mut stuck = Box::pin(sink::unfold((), |(), _: Message| pending::<Result<(), Infallible>>()));
        let flood = tokio::task::spawn_blocking(move || {
            // More than the tape holds; the console is read, so this comes to an end.
            for _ in 0..5 {
                machine.write_all(&vec![b'x'; LONGEST_LOG]).unwrap();
            }
            machine
        });
        assert_eq!(show_screen(&mut stuck, &screen).await, BEHIND);
        flood.await.unwrap();
    }

    #[tokio::test]
    async fn who_reads_gets_all_that_is_said_and_why_it_ends() {
        let (screen, mut machine) = console(b"log ");
        let mut read = Vec::new();
        let mut reader = Box::pin(sink::unfold(&mut read, async |read: &mut Vec<u8>, message: Message| {
            read.extend(message.into_data());
            Ok::<_, Infallible>(read)
        }));
        let said = tokio::task::spawn_blocking(move || machine.write_all(&[0, 255, b'\n', 0x1d]).unwrap());
        assert_eq!(show_screen(&mut reader, &screen).await.0, ended::IN_ORDER);
        said.await.unwrap();
        drop(reader);
        assert_eq!(read, b"log \x00\xff\n\x1d");
    }
}
