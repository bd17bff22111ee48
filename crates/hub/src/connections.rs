//! Connections of clients. Whoever says nothing is not waited for without end: a thousand who only connect must not keep
//! anybody else from being answered.

use std::net::SocketAddr;
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
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::Hub;

/// How long the head of a request may take, and how long a connection is kept without one.
const HEAD: Duration = Duration::from_secs(30);

/// `http` or `https`: how the request came.
#[derive(Clone, Copy, Debug)]
pub struct Scheme(pub &'static str);

/// Where clients come in.
pub struct Door {
    pub listener: TcpListener,
    pub tls: Option<TlsAcceptor>,
}

impl Door {
    /// Serves until the hub stops, then lets what is being served end.
    pub async fn serve(mut self, router: Router, hub: &Hub) {
        let graceful = GracefulShutdown::new();
        loop {
            let (stream, address) = tokio::select! {
                // What goes wrong with accepting, too many open files for one, ends by itself: axum waits and tries again.
                accepted = Listener::accept(&mut self.listener) => accepted,
                () = hub.stopping() => break,
            };
            let (tls, router, watcher) = (self.tls.clone(), router.clone(), graceful.watcher());
            tokio::spawn(async move {
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
