//! A proxy that looks for COMMIT, and loses it or its answer in every way there is.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use renkei_store::Store;
use renkei_testkit::Postgres;
use renkei_testkit::seed::Rng;

use crate::ledger::{Ledger, Told, compare, enter, prepare};

/// What becomes of a COMMIT.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It never arrives.
    Lost,
    /// It arrives in part.
    Half,
    /// It arrives, and its answer does not.
    Answered,
    /// It is sent, and both sides are cut at once.
    Race,
    /// It never arrives, and the server hears of the end only after a while: until then the transaction is open.
    Held,
}

const FATES: [Fate; 5] = [Fate::Lost, Fate::Half, Fate::Answered, Fate::Race, Fate::Held];

struct Thief {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    armed: AtomicBool,
    commits: AtomicUsize,
}

impl Thief {
    /// Ends with the process.
    fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (armed, commits) = Default::default();
        let shared = Arc::new(Shared { server, armed, commits });
        let thief = Self {
            address,
            shared: shared.clone(),
        };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                shared.clone().carry(client);
            }
        });
        thief
    }
}

impl Shared {
    fn carry(self: Arc<Self>, client: TcpStream) {
        let server = TcpStream::connect(self.server).unwrap();
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let deaf = Arc::new(AtomicBool::new(false));
        let (up, down) = (
            (client.try_clone().unwrap(), server.try_clone().unwrap()),
            (server, client),
        );
        let hears = deaf.clone();
        std::thread::spawn(move || self.upwards(up.0, up.1, &hears));
        std::thread::spawn(move || downwards(down.0, down.1, &deaf));
    }

    /// Every third COMMIT meets a fate, one after the other.
    fn fate(&self, bytes: &[u8]) -> Option<Fate> {
        if !self.armed.load(SeqCst) || !bytes.windows(6).any(|window| window == b"COMMIT") {
            return None;
        }
        let number = self.commits.fetch_add(1, SeqCst);
        number.is_multiple_of(3).then(|| FATES[number / 3 % FATES.len()])
    }

    fn upwards(&self, mut client: TcpStream, mut server: TcpStream, deaf: &AtomicBool) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            let bytes = &buffer[..length];
            match self.fate(bytes) {
                Some(Fate::Lost) => break,
                Some(Fate::Half) => {
                    let _ = server.write_all(&bytes[..length / 2]);
                    break;
                }
                Some(Fate::Answered) => deaf.store(true, SeqCst),
                Some(Fate::Race) => {
                    let _ = server.write_all(bytes);
                    break;
                }
                Some(Fate::Held) => {
                    let _ = client.shutdown(Shutdown::Both);
                    std::thread::sleep(Duration::from_micros(
                        Rng::for_purpose(&format!("held {}", self.commits.load(SeqCst))).within(0..50_000),
                    ));
                    break;
                }
                None => {}
            }
            if server.write_all(bytes).is_err() {
                break;
            }
        }
        end(&client, &server);
    }
}

fn downwards(mut server: TcpStream, mut client: TcpStream, deaf: &AtomicBool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = server.read(&mut buffer) {
        if deaf.load(SeqCst) || client.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    end(&client, &server);
}

/// One that has ended already is fine.
fn end(client: &TcpStream, server: &TcpStream) {
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

#[test]
fn whatever_becomes_of_commit_each_batch_is_done_once() {
    let server = Postgres::start().unwrap();
    let name = server.create().unwrap();
    let thief = Thief::before(server.address());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let direct = Store::open(&server.url(&name).parse().unwrap()).await.unwrap();
        let counter = prepare(&direct).await;
        let url = server.url_through(thief.address, &name).parse().unwrap();
        let store = Store::open(&url).await.unwrap();
        thief.shared.armed.store(true, SeqCst);
        let mut ledger = Ledger::new();
        for number in 0..crate::cuts() {
            let name = format!("{number}");
            ledger.insert(name.clone(), enter(&store, counter, &name).await);
        }
        thief.shared.armed.store(false, SeqCst);
        assert!(
            thief.shared.commits.load(SeqCst) > 3 * FATES.len(),
            "every fate was met"
        );
        let done = compare(&direct, counter, &ledger).await;
        assert!(ledger.values().all(|told| *told == Told::Done), "{ledger:?}");
        assert_eq!(done, crate::cuts());
    });
}
