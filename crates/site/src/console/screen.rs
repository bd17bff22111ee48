//! The console of one machine, shared by all who look on: a driver gives one at a time. It is held as long as somebody looks on.

use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use renkei_host::Console;
use renkei_types::stream::AT_ONCE;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_tungstenite::tungstenite::Bytes;

use super::tape::{Next, Tape};

/// Pieces that were typed and the machine has not taken yet.
const TYPED: usize = 8;

/// What somebody who looks on holds; the last one to let go closes the console.
#[derive(Debug)]
pub(super) struct Screen {
    shown: Arc<Shown>,
    typed: mpsc::Sender<Bytes>,
    /// Dropped with it.
    _held: oneshot::Sender<()>,
}

/// What the machine says.
#[derive(Debug)]
struct Shown {
    tape: Mutex<Tape>,
    /// Grows with each thing that happens.
    turns: watch::Sender<u64>,
}

impl Shown {
    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Tape)) {
        change(&mut self.tape());
        self.turns.send_modify(|turns| *turns += 1);
    }
}

impl Screen {
    /// Takes a console, inside a runtime.
    pub fn open(Console { log, stream }: Console) -> io::Result<Self> {
        let stream = asynchronous(stream)?;
        let shown = Arc::new(Shown {
            tape: Mutex::new(Tape::of(&log)),
            turns: watch::Sender::new(0),
        });
        let (typed, keys) = mpsc::channel(TYPED);
        let (held, let_go) = oneshot::channel();
        let attended = shown.clone();
        tokio::spawn(async move {
            let (from, to) = stream.into_split();
            tokio::select! {
                () = listen(from, &attended) => {}
                () = write(to, keys) => {}
                // Nobody looks on any more.
                _ = let_go => {}
            }
            attended.change(Tape::end);
        });
        Ok(Self {
            shown,
            typed,
            _held: held,
        })
    }

    /// Whether the machine says nothing any more.
    pub fn has_ended(&self) -> bool {
        self.shown.tape().has_ended()
    }

    /// Where a newcomer begins to read.
    pub fn start(&self) -> u64 {
        self.shown.tape().start()
    }

    /// What comes at a place, as soon as there is something.
    pub async fn read(&self, place: u64) -> Next {
        let mut turns = self.shown.turns.subscribe();
        loop {
            let next = self.shown.tape().read(place, AT_ONCE);
            if next != Next::Wait {
                return next;
            }
            // The sender lives as long as `self`.
            let _ = turns.changed().await;
        }
    }

    /// Returns when what comes at a place is lost.
    pub async fn passed(&self, place: u64) {
        let mut turns = self.shown.turns.subscribe();
        while !self.shown.tape().has_passed(place) {
            // The sender lives as long as `self`.
            let _ = turns.changed().await;
        }
    }

    /// Types; waits while the machine takes nothing.
    pub async fn type_in(&self, keys: Bytes) {
        // Without a machine it goes nowhere, and whoever types is told that by the end of what they read.
        let _ = self.typed.send(keys).await;
    }
}

fn asynchronous(stream: StdStream) -> io::Result<UnixStream> {
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

async fn listen(mut from: OwnedReadHalf, shown: &Shown) {
    let mut bytes = vec![0; AT_ONCE];
    loop {
        match from.read(&mut bytes).await {
            // A machine that is gone may also break its connection.
            Ok(0) | Err(_) => return,
            Ok(read) => shown.change(|tape| tape.write(&bytes[..read])),
        }
    }
}

/// A machine that takes nothing any more may still have something to say.
async fn write(mut to: OwnedWriteHalf, mut keys: mpsc::Receiver<Bytes>) {
    while let Some(keys) = keys.recv().await {
        if to.write_all(&keys).await.is_err() {
            break;
        }
    }
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    fn console() -> (Console, StdStream) {
        let (stream, machine) = StdStream::pair().unwrap();
        let log = b"before ".to_vec();
        (Console { log, stream }, machine)
    }

    #[tokio::test]
    async fn all_read_the_same_and_the_last_one_closes_it() {
        let (console, mut machine) = console();
        let one = Arc::new(Screen::open(console).unwrap());
        let two = one.clone();
        machine.write_all(b"now").unwrap();
        for screen in [&one, &two] {
            let mut read = Vec::new();
            while read != b"before now" {
                let Next::Bytes(bytes) = screen.read(read.len() as u64).await else {
                    panic!("it has ended after {read:?}");
                };
                read.extend(bytes);
            }
        }
        one.type_in(Bytes::from_static(b"hello")).await;
        drop(one);
        let typed = tokio::task::spawn_blocking(move || {
            let mut typed = [0; 5];
            machine.read_exact(&mut typed).unwrap();
            (typed, machine)
        });
        let (typed, mut machine) = typed.await.unwrap();
        assert_eq!(&typed, b"hello");
        drop(two);
        let closed = tokio::task::spawn_blocking(move || machine.read(&mut [0]).unwrap());
        assert_eq!(closed.await.unwrap(), 0);
    }

    #[tokio::test]
    async fn it_ends_with_the_machine() {
        let (console, machine) = console();
        let screen = Screen::open(console).unwrap();
        drop(machine);
        assert_eq!(screen.read(7).await, Next::End);
        assert!(screen.has_ended());
        screen.type_in(Bytes::from_static(b"x")).await;
    }

    #[tokio::test]
    async fn a_machine_that_takes_nothing_is_heard_and_let_go() {
        let (console, mut machine) = console();
        let screen = Screen::open(console).unwrap();
        let key = Bytes::from(vec![b'x'; 1 << 20]);
        let stuck = async {
            loop {
                screen.type_in(key.clone()).await;
            }
        };
        machine.write_all(b"busy").unwrap();
        let heard = async { while screen.read(7).await == Next::Wait {} };
        tokio::select! {
            () = stuck => {}
            () = heard => {}
        }
        drop(screen);
        let gone = tokio::task::spawn_blocking(move || std::io::copy(&mut machine, &mut std::io::sink()).is_ok());
        assert!(
            gone.await.unwrap(),
            "it is closed though much was typed that it has not taken"
        );
    }
}
