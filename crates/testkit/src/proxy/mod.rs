//! A TCP proxy on loopback that spoils connections on command: resets, silence, refusals; and counts.
//!
//! Of SSH it knows only how a server turns clients away. It adds no delay; for links with a round-trip time see [`Wan`](crate::Wan).

mod connection;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::event::PollFlags;

use connection::{Connection, ready};

use crate::port::ReservedPort;
use crate::seed::Rng;
use crate::wait;

/// What OpenSSH says in place of its version to an address that it penalises (sshd.c, `drop_connection`, since 9.8).
const NOT_ALLOWED: &[u8] = b"Not allowed at this time\r\n";

/// A running proxy; ends, with its connections reset, when dropped.
#[derive(Debug)]
pub struct TcpProxy {
    port: ReservedPort,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    refusing: AtomicBool,
    listening: AtomicBool,
    stalled: AtomicBool,
    lifetime: Mutex<Option<Range<Duration>>>,
    penalised: Mutex<Range<u64>>,
    turned_away: AtomicU64,
    living: Mutex<Vec<Weak<Connection>>>,
    accepted: AtomicU64,
    open: AtomicUsize,
    most_open: AtomicUsize,
    resets: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    turns: AtomicU64,
}

impl TcpProxy {
    /// Starts to carry connections to `target`, unharmed until told otherwise.
    pub fn start(target: SocketAddr) -> Result<Self> {
        Self::before(vec![target])
    }

    /// Starts to carry connections to any of `targets` that answers, each time beginning with another one.
    pub fn before(targets: Vec<SocketAddr>) -> Result<Self> {
        let port = ReservedPort::take()?;
        let shared = Arc::new(Shared::default());
        let acceptor = Acceptor {
            targets,
            port: port.number(),
            shared: shared.clone(),
            rng: Rng::for_purpose("proxy"),
        };
        let acceptor = std::thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(|| acceptor.run())?;
        let proxy = Self {
            port,
            shared,
            acceptor: Some(acceptor),
        };
        proxy.accept()?;
        Ok(proxy)
    }

    /// The port on 127.0.0.1 to connect to.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The address to connect to.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port()).into()
    }

    /// From now on each new connection is reset after a random time out of this range; `None` ends that.
    pub fn reset_after(&self, lifetime: Option<Range<Duration>>) {
        *lock(&self.shared.lifetime) = lifetime;
    }

    /// Connections of these numbers, from 1 as [`TcpProxy::accepted`] counts them, are turned away as by an OpenSSH that
    /// penalises their address (`PerSourcePenalties` in sshd_config(5)).
    pub fn penalise(&self, numbers: Range<u64>) {
        *lock(&self.shared.penalised) = numbers;
    }

    /// Resets all connections now; gives how many.
    pub fn reset_all(&self) -> usize {
        let living: Vec<_> = lock(&self.shared.living).iter().filter_map(Weak::upgrade).collect();
        living.iter().filter(|connection| connection.reset()).count()
    }

    /// Carries nothing more, in either direction, and closes nothing.
    pub fn stall(&self) {
        self.shared.stalled.store(true, SeqCst);
    }

    /// Carries on after [`TcpProxy::stall`].
    pub fn resume(&self) {
        self.shared.stalled.store(false, SeqCst);
    }

    /// Refuses new connections; when this returns, it does.
    pub fn refuse(&self) -> Result<()> {
        self.shared.refusing.store(true, SeqCst);
        wait::until("the proxy to refuse", || !self.shared.listening.load(SeqCst))
    }

    /// Accepts connections again after [`TcpProxy::refuse`]; when this returns, it does.
    pub fn accept(&self) -> Result<()> {
        self.shared.refusing.store(false, SeqCst);
        wait::until("the proxy to listen", || self.shared.listening.load(SeqCst))
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(SeqCst)
    }

    /// Of these, the connections that were turned away; see [`TcpProxy::penalise`].
    pub fn turned_away(&self) -> u64 {
        self.shared.turned_away.load(SeqCst)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.shared.open.load(SeqCst)
    }

    /// The most connections that were ever open together.
    pub fn most_open(&self) -> usize {
        self.shared.most_open.load(SeqCst)
    }

    /// Connections that were reset.
    pub fn resets(&self) -> u64 {
        self.shared.resets.load(SeqCst)
    }

    /// Bytes carried to the target.
    pub fn bytes_up(&self) -> u64 {
        self.shared.up.load(SeqCst)
    }

    /// Bytes carried from the target.
    pub fn bytes_down(&self) -> u64 {
        self.shared.down.load(SeqCst)
    }

    /// How often, within connections, data towards the target followed data from it: round trips, where one side waits for
    /// the other.
    pub fn turns(&self) -> u64 {
        self.shared.turns.load(SeqCst)
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.reset_all();
        self.shared.stop.store(true, SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            // A panic in it has been printed already.
            let _ = acceptor.join();
        }
    }
}

struct Acceptor {
    targets: Vec<SocketAddr>,
    port: u16,
    shared: Arc<Shared>,
    rng: Rng,
}

impl Acceptor {
    fn run(mut self) {
        let mut listener: Option<TcpListener> = None;
        while !self.shared.stop.load(SeqCst) {
            if self.shared.refusing.load(SeqCst) {
                listener = None;
                self.shared.listening.store(false, SeqCst);
                std::thread::park_timeout(Duration::from_millis(5));
                continue;
            }
            match &listener {
                None => listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).ok(),
                Some(listener) => {
                    self.shared.listening.store(true, SeqCst);
                    if ready(listener, PollFlags::IN)
                        && let Ok((client, _)) = listener.accept()
                    {
                        self.carry(client);
                    }
                }
            }
        }
    }

    fn carry(&mut self, mut client: TcpStream) {
        let number = self.shared.accepted.fetch_add(1, SeqCst) + 1;
        if lock(&self.shared.penalised).contains(&number) {
            self.shared.turned_away.fetch_add(1, SeqCst);
            // It may have gone already. Closed without reading what it says, as sshd does.
            let _ = client.write_all(NOT_ALLOWED);
            return;
        }
        let lifetime = lock(&self.shared.lifetime).clone();
        let ends = lifetime.map(|range| {
            let micros = range.start.as_micros() as u64..range.end.as_micros() as u64;
            Instant::now() + Duration::from_micros(self.rng.within(micros))
        });
        // If the target refuses, the client is closed at once, which is as near as a proxy can come.
        let server = self.targets.iter().find_map(|target| TcpStream::connect(target).ok());
        self.targets.rotate_left(1);
        let Some(server) = server else { return };
        if let Ok(connection) = Connection::start((client, server), ends, &self.shared) {
            let mut living = lock(&self.shared.living);
            living.retain(|connection| connection.strong_count() > 0);
            living.push(Arc::downgrade(&connection));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read};

    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        address
    }

    fn ask(stream: &mut TcpStream) -> std::io::Result<()> {
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])
    }

    #[test]
    fn it_carries_and_counts() {
        let proxy = TcpProxy::start(echo()).unwrap();
        let mut streams = [(); 3].map(|()| TcpStream::connect(proxy.address()).unwrap());
        streams.iter_mut().for_each(|stream| ask(stream).unwrap());
        ask(&mut streams[0]).unwrap();
        assert_eq!((proxy.accepted(), proxy.open(), proxy.turns()), (3, 3, 1));
        assert_eq!((proxy.bytes_up(), proxy.bytes_down()), (4, 4));
        drop(streams);
        wait::until("all closed", || proxy.open() == 0).unwrap();
        assert_eq!(proxy.most_open(), 3);
    }

    #[test]
    fn of_several_targets_one_that_answers_is_taken() {
        let away = ReservedPort::take().unwrap();
        let away = (Ipv4Addr::LOCALHOST, away.number()).into();
        let proxy = TcpProxy::before(vec![away, echo()]).unwrap();
        for _ in 0..3 {
            ask(&mut TcpStream::connect(proxy.address()).unwrap()).unwrap();
        }
    }

    #[test]
    fn a_reset_is_a_reset() {
        let proxy = TcpProxy::start(echo()).unwrap();
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        ask(&mut stream).unwrap();
        assert_eq!(proxy.reset_all(), 1);
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn connections_end_by_themselves_when_asked() {
        let proxy = TcpProxy::start(echo()).unwrap();
        proxy.reset_after(Some(Duration::from_millis(1)..Duration::from_millis(20)));
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        while ask(&mut stream).is_ok() {}
        wait::until("it to be counted", || proxy.resets() == 1).unwrap();
    }

    #[test]
    fn silence_closes_nothing() {
        let proxy = TcpProxy::start(echo()).unwrap();
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        ask(&mut stream).unwrap();
        proxy.stall();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(ask(&mut stream).unwrap_err().kind(), ErrorKind::WouldBlock);
        proxy.resume();
        stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
        stream.read_exact(&mut [0]).unwrap();
    }

    #[test]
    fn penalised_connections_are_told_so_and_the_others_carried() {
        let proxy = TcpProxy::start(echo()).unwrap();
        proxy.penalise(2..3);
        let mut streams = [(); 3].map(|()| TcpStream::connect(proxy.address()).unwrap());
        let mut told = String::new();
        streams[1].read_to_string(&mut told).unwrap();
        assert_eq!(told, "Not allowed at this time\r\n");
        [0, 2].into_iter().for_each(|at| ask(&mut streams[at]).unwrap());
        assert_eq!((proxy.accepted(), proxy.turned_away()), (3, 1));
    }

    #[test]
    fn it_refuses_for_a_while() {
        let proxy = TcpProxy::start(echo()).unwrap();
        proxy.refuse().unwrap();
        assert_eq!(
            TcpStream::connect(proxy.address()).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        proxy.accept().unwrap();
        ask(&mut TcpStream::connect(proxy.address()).unwrap()).unwrap();
    }
}
