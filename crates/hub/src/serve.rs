//! Listening, and stopping without cutting anybody off.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::Hub;

/// The hub could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Nothing can listen there.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// It must not listen there.
    #[error("will not listen on {address} without TLS: plain HTTP is for this machine only")]
    Plain {
        /// Where.
        address: SocketAddr,
    },
    /// While serving.
    #[error("the listener failed")]
    Serve(#[source] std::io::Error),
}

/// A hub that listens.
pub struct Listening {
    /// Where; with the port that the system chose if 0 was asked for.
    pub address: SocketAddr,
    listener: TcpListener,
    hub: Hub,
}

/// Listens on `address`. Connections wait until [`Listening::serve`].
pub async fn listen(hub: Hub, address: SocketAddr) -> Result<Listening, ServeError> {
    if !address.ip().is_loopback() {
        return Err(ServeError::Plain { address });
    }
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Listening { address, listener, hub })
}

impl Listening {
    /// Serves until [`Hub::stop`], then lets what is being served end.
    pub async fn serve(self) -> Result<(), ServeError> {
        let hub = self.hub.clone();
        let jobs = tokio::spawn(crate::jobs::run(hub.clone()));
        let service = crate::api::router(self.hub).into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(self.listener, service)
            .with_graceful_shutdown(async move { hub.stopping().await })
            .await;
        // Jobs stop by themselves; one that broke has been logged.
        let _ = jobs.await;
        served.map_err(ServeError::Serve)
    }
}
