//! A TLS connection to the hub's listener for agents.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long a connection may take to come about.
const PATIENCE: Duration = Duration::from_secs(15);
/// Without a port in the URL.
const PORT: u16 = 443;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// It is no such URL.
    #[error("`{url}` is not the address of a hub: it is `{scheme}://HOST:PORT`")]
    Url {
        /// What was given.
        url: String,
        /// `https` or `wss`.
        scheme: &'static str,
    },
    /// Nobody listens there, or TLS does not come about.
    #[error("cannot reach the hub at `{at}`")]
    Reach {
        /// Host and port.
        at: String,
        /// What the system or TLS said.
        source: io::Error,
    },
    /// Nothing happened.
    #[error("the hub at `{at}` does not answer")]
    Silent {
        /// Host and port.
        at: String,
    },
}

/// Where a URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    host: String,
    port: u16,
}

impl Target {
    /// Reads a URL with this scheme.
    pub fn parse(url: &str, scheme: &'static str) -> Result<Self, DialError> {
        let refused = || DialError::Url {
            url: url.to_owned(),
            scheme,
        };
        let uri: Uri = url.parse().map_err(|_| refused())?;
        let host = uri
            .host()
            .filter(|host| !host.is_empty() && uri.scheme_str() == Some(scheme));
        Ok(Self {
            host: host.ok_or_else(refused)?.to_owned(),
            port: uri.port_u16().unwrap_or(PORT),
        })
    }

    /// As it stands in the header `Host`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Connects.
    pub async fn dial(&self, config: Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, DialError> {
        let at = self.authority();
        let reach = |source| DialError::Reach { at: at.clone(), source };
        // IPv6 addresses stand in brackets in a URL, and nowhere else.
        let bare = self.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare.clone()).map_err(|error| reach(io::Error::other(error)))?;
        let dialled = timeout(PATIENCE, async {
            let stream = TcpStream::connect((bare.as_str(), self.port)).await?;
            stream.set_nodelay(true)?;
            TlsConnector::from(config).connect(name, stream).await
        });
        match dialled.await {
            Ok(stream) => stream.map_err(reach),
            Err(_) => Err(DialError::Silent { at: at.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_go() {
        let at = |url, scheme| Target::parse(url, scheme).map(|target| target.authority()).ok();
        assert_eq!(at("https://hub:8471", "https").as_deref(), Some("hub:8471"));
        assert_eq!(at("wss://[::1]:1/agent/v1", "wss").as_deref(), Some("[::1]:1"));
        assert_eq!(at("https://hub", "https").as_deref(), Some("hub:443"));
        for bad in ["http://hub:8471", "hub:8471", "", "https://"] {
            assert_eq!(at(bad, "https"), None, "{bad}");
        }
    }
}
