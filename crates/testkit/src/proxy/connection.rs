//! One connection through the proxy: two threads, one for each way.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};

use super::Shared;

/// How late a thread notices a command.
const TICK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 10_000_000,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

#[derive(Debug)]
pub(super) struct Connection {
    client: TcpStream,
    server: TcpStream,
    ends: Option<Instant>,
    dead: AtomicBool,
    /// Whether the last data came from the target.
    answering: AtomicBool,
    shared: Arc<Shared>,
}

impl Connection {
    /// Carries between a client and a server, until `ends` if that is said.
    pub(super) fn start(
        (client, server): (TcpStream, TcpStream),
        ends: Option<Instant>,
        shared: &Arc<Shared>,
    ) -> io::Result<Arc<Self>> {
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
        }
        let open = shared.open.fetch_add(1, SeqCst) + 1;
        shared.most_open.fetch_max(open, SeqCst);
        let connection = Arc::new(Self {
            client,
            server,
            ends,
            dead: AtomicBool::new(false),
            answering: AtomicBool::new(false),
            shared: shared.clone(),
        });
        for way in [Way::Up, Way::Down] {
            let connection = connection.clone();
            std::thread::spawn(move || connection.pump(way));
        }
        Ok(connection)
    }

    /// Lets both threads go; the last of them closes both sockets, and without lingering that is a reset.
    pub(super) fn reset(&self) -> bool {
        if self.dead.swap(true, SeqCst) {
            return false;
        }
        for stream in [&self.client, &self.server] {
            // It can only fail on a socket that is closed already.
            let _ = sockopt::set_socket_linger(stream, Some(Duration::ZERO));
        }
        self.shared.resets.fetch_add(1, SeqCst);
        true
    }

    fn is_over(&self) -> bool {
        if self.ends.is_some_and(|end| Instant::now() >= end) {
            self.reset();
        }
        self.dead.load(SeqCst) || self.shared.stop.load(SeqCst)
    }

    fn pump(&self, way: Way) {
        let shared = &self.shared;
        let (from, to, count) = match way {
            Way::Up => (&self.client, &self.server, &shared.up),
            Way::Down => (&self.server, &self.client, &shared.down),
        };
        let mut buffer = vec![0; 256 << 10];
        while !self.is_over() {
            if shared.stalled.load(SeqCst) {
                std::thread::park_timeout(Duration::from_millis(5));
                continue;
            }
            // Asked again: what comes in while this waits must not slip through.
            if !ready(from, PollFlags::IN) || shared.stalled.load(SeqCst) {
                continue;
            }
            match recv(from, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => {
                    // Fails only if the other side is gone as well.
                    let _ = to.shutdown(Shutdown::Write);
                    return;
                }
                Ok((length, _)) => {
                    if self.answering.swap(way == Way::Down, SeqCst) && way == Way::Up {
                        shared.turns.fetch_add(1, SeqCst);
                    }
                    count.fetch_add(length as u64, SeqCst);
                    if !self.write(to, &buffer[..length]) {
                        return;
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => {
                    // One side was reset: so is the other.
                    self.reset();
                    return;
                }
            }
        }
    }

    fn write(&self, to: &TcpStream, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.is_over() {
                return false;
            }
            match send(to, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(Errno::AGAIN | Errno::INTR) => {
                    ready(to, PollFlags::OUT);
                }
                Err(_) => {
                    self.reset();
                    return false;
                }
            }
        }
        true
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, SeqCst);
    }
}

/// Waits for one tick at most; says whether there is something to do.
pub(super) fn ready(socket: &impl AsFd, what: PollFlags) -> bool {
    let mut polled = [PollFd::new(socket, what)];
    matches!(poll(&mut polled, Some(&TICK)), Ok(count) if count > 0)
}
