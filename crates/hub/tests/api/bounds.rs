//! So many connections at most, and none for those who do not read.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use renkei_store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::hub::{Running, until_some};

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// A connection from 127.0.0.`host`: all of them are this machine.
async fn from(host: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

async fn all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn one_address_gets_half_and_whoever_comes_late_waits() {
    let running = Running::bounded(Store::memory(), 4).await;
    let (hub, to) = (&running.hub, running.address);
    let open = async |count| {
        until_some("connections to be counted", async || {
            (hub.metrics.connections() == count).then_some(())
        })
        .await;
    };
    let first = [from(1, to).await, from(1, to).await];
    open(2).await;
    let refused = all(&mut from(1, to).await).await;
    assert!(
        refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after"),
        "{refused}"
    );
    // Others are served meanwhile.
    let mut other = from(2, to).await;
    other.write_all(HEALTH).await.unwrap();
    assert!(all(&mut other).await.starts_with("HTTP/1.1 200 "));
    open(2).await;
    let second = [from(2, to).await, from(2, to).await];
    open(4).await;
    // All are taken: this one waits until one is free.
    let mut late = from(3, to).await;
    late.write_all(HEALTH).await.unwrap();
    assert_eq!(hub.metrics.connections(), 4);
    drop(second);
    assert!(all(&mut late).await.starts_with("HTTP/1.1 200 "));
    drop(first);
    open(0).await;
    assert!(hub.metrics.text().contains("renkei_connections_turned_away_total 1\n"));
}

/// Asks for more than the system keeps for a connection, and reads nothing of it. Time passes by itself here when nobody does anything.
pub async fn clients_who_do_not_read_are_given_up(running: Running) {
    const TIMES: usize = 60;
    let page = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: a\r\n";
    let mut once = TcpStream::connect(running.address).await.unwrap();
    let ask = format!("{page}connection: close\r\n\r\n");
    once.write_all(ask.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    once.read_to_end(&mut answer).await.unwrap();
    assert!(answer.len() > 500_000, "{}", answer.len());

    let mut greedy = TcpStream::connect(running.address).await.unwrap();
    let asks = format!("{page}\r\n").repeat(TIMES);
    greedy.write_all(asks.as_bytes()).await.unwrap();
    let given_up = async || (running.hub.metrics.connections() == 0).then_some(());
    let waited = async {
        while given_up().await.is_none() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    // An hour of this clock.
    tokio::time::timeout(Duration::from_secs(3600), waited).await.unwrap();
    let mut some = Vec::new();
    // What was sent is there, and then the connection breaks.
    let _ = greedy.read_to_end(&mut some).await;
    assert!(some.len() < answer.len() * TIMES);
}
