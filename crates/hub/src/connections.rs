//! Connections of clients. Whoever says nothing is not waited for without end: a thousand who only connect must not keep
//! anybody else from being answered.

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
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use crate::Hub;

/// How long the head of a request may take, and how long a connection is kept without one.
const HEAD: Duration = Duration::from_secs(30);

/// Serves until the hub stops, then lets what is being served end.
pub async fn serve(mut listener: TcpListener, router: Router, hub: &Hub) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, address) = tokio::select! {
            // What goes wrong with accepting, too many open files for one, ends by itself: axum waits and tries again.
            accepted = Listener::accept(&mut listener) => accepted,
            () = hub.stopping() => break,
        };
        let routes = TowerToHyperService::new(router.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(address));
            routes.call(request)
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%address, error = crate::problem::chain(&error), "a connection broke");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}
