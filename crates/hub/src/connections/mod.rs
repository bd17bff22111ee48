//! Connections of clients. Whoever says nothing, or does not read, is not waited for without end; there are so many at most, of which one
//! address has half: a thousand who only connect must not keep anybody else from being answered.

mod patient;
mod seats;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use self::patient::Patient;
use self::seats::Seats;
use crate::Hub;
use crate::tls::Certificate;

/// How long the head of a request may take, and how long a connection is kept without one.
const HEAD: Duration = Duration::from_secs(30);

/// `http` or `https`: how the request came.
#[derive(Clone, Copy, Debug)]
pub struct Scheme(pub &'static str);

/// Where clients come in.
pub struct Door {
    pub listener: TcpListener,
    pub tls: Option<Certificate>,
    /// At most so many connections.
    pub connections: NonZeroU32,
}

/// What a connection too many is told, if it may be told in clear.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
    content-type: text/plain\r\ncontent-length: 41\r\n\r\ntoo many connections come from your side\n";

impl Door {
    /// Serves until the hub stops, then lets what is being served end.
    pub async fn serve(mut self, router: Router, hub: &Hub) {
        let graceful = GracefulShutdown::new();
        let seats = Seats::new(self.connections);
        loop {
            // Whoever comes while none is free waits in the system's queue.
            let next = async {
                let free = seats.free().await;
                // What goes wrong with accepting, too many open files for one, ends by itself: axum waits and tries again.
                (free, Listener::accept(&mut self.listener).await)
            };
            let (free, (stream, address)) = tokio::select! {
                next = next => next,
                () = hub.stopping() => break,
            };
            let Some(seat) = seats.take(free, address.ip()) else {
                hub.metrics.turned_away();
                turn_away(&stream, self.tls.as_ref());
                continue;
            };
            let tls = self.tls.as_ref().map(Certificate::acceptor);
            let (router, watcher) = (router.clone(), graceful.watcher());
            let open = hub.metrics.connection();
            let stream = Patient::new(stream);
            tokio::spawn(async move {
                let _held = (seat, open);
                match tls {
                    None => requests(stream, (address, Scheme("http")), router, watcher).await,
                    // Whoever says nothing is not waited for here either.
                    Some(tls) => match timeout(HEAD, tls.accept(stream)).await {
                        Ok(Ok(stream)) => requests(stream, (address, Scheme("https")), router, watcher).await,
                        Ok(Err(error)) => tracing::debug!(%address, %error, "no TLS came about"),
                        Err(_) => tracing::debug!(%address, "no TLS came about in time"),
                    },
                }
            });
        }
        drop(self.listener);
        graceful.shutdown().await;
    }
}

/// Tells why, if that is possible at once.
fn turn_away(stream: &TcpStream, tls: Option<&Certificate>) {
    if tls.is_none() {
        // A client that is not told sees that the connection has ended.
        let _ = stream.try_write(TOO_MANY);
    }
}

/// Serves the requests of one connection.
async fn requests<S>(stream: S, (address, scheme): (SocketAddr, Scheme), router: Router, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(address));
        request.extensions_mut().insert(scheme);
        routes.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let connection = watcher.watch(http.serve_connection(TokioIo::new(stream), service));
    if let Err(error) = connection.await {
        tracing::debug!(%address, error = crate::problem::chain(&error), "a connection broke");
    }
}
