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
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use self::patient::Patient;
use self::seats::Seats;
use crate::Hub;
use crate::tls::Certificate;

/// How long the head of a request may take, and how long a connection is kept without one.
const HEAD: Duration = Duration::from_secs(30);

/// `http` or `https`: how the request came.
#[derive(Clone, Copy, Debug)]
pub struct Scheme(pub &'static str);

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its certificate, checked against those who may sign one; none if it showed none.
    pub certificate: Option<CertificateDer<'static>>,
}

/// How a connection came.
struct Arrived {
    address: SocketAddr,
    scheme: Scheme,
    peer: Peer,
}

/// When a connection is to end, and who waits for that.
struct End {
    hub: Hub,
    /// Whoever stops waits until it is dropped.
    _watcher: Watcher,
}

/// Whose certificate is shown.
pub enum Tls {
    /// That of files.
    Files(Certificate),
    /// One of the hub's own authority.
    Own(TlsAcceptor),
}

impl Tls {
    /// For the next connection.
    fn acceptor(&self) -> TlsAcceptor {
        match self {
            Self::Files(certificate) => certificate.acceptor(),
            Self::Own(acceptor) => acceptor.clone(),
        }
    }
}

/// Where clients come in.
pub struct Door {
    pub listener: TcpListener,
    pub tls: Option<Tls>,
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
            let tls = self.tls.as_ref().map(Tls::acceptor);
            let router = router.clone();
            let end = End {
                hub: hub.clone(),
                _watcher: graceful.watcher(),
            };
            let open = hub.metrics.connection();
            let stream = Patient::new(stream);
            tokio::spawn(async move {
                let _held = (seat, open);
                let mut arrived = Arrived {
                    address,
                    scheme: Scheme("http"),
                    peer: Peer { certificate: None },
                };
                match tls {
                    None => requests(stream, arrived, router, end).await,
                    // Whoever says nothing is not waited for here either.
                    Some(tls) => match timeout(HEAD, tls.accept(stream)).await {
                        Ok(Ok(stream)) => {
                            let certificates = stream.get_ref().1.peer_certificates();
                            let own = certificates.and_then(|certificates| certificates.first());
                            arrived.peer.certificate = own.map(|own| own.clone().into_owned());
                            arrived.scheme = Scheme("https");
                            requests(stream, arrived, router, end).await;
                        }
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
fn turn_away(stream: &TcpStream, tls: Option<&Tls>) {
    if tls.is_none() {
        // A client that is not told sees that the connection has ended.
        let _ = stream.try_write(TOO_MANY);
    }
}

/// Serves the requests of one connection.
async fn requests<S>(stream: S, arrived: Arrived, router: Router, end: End)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let routes = TowerToHyperService::new(router);
    let address = arrived.address;
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(address));
        request.extensions_mut().insert(arrived.scheme);
        request.extensions_mut().insert(arrived.peer.clone());
        routes.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = end.hub.stopping() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%address, error = crate::problem::chain(&error), "a connection broke");
    }
}
