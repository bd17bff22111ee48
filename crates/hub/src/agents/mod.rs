//! Where hosts' agents come in: a listener of its own, under TLS by the hub's own authority. What is said there is decided in
//! [`link`](crate::link); here are sockets, clocks and tasks.

mod session;
mod tls;
mod watch;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use renkei_types::id::HostId;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub(crate) use self::session::run;
pub(crate) use self::watch::{Watch, watch};
use crate::Hub;
use crate::config::AgentsConfig;
use crate::connections::{Door, Tls};
use crate::serve::ServeError;

/// Connections that are being made at once; those that are made count no more.
const AT_ONCE: NonZeroU32 = NonZeroU32::new(1024).unwrap();

/// A listener for agents. They wait until [`Agents::serve`].
pub struct Agents {
    /// Where; with the port that the system chose if 0 was asked for.
    pub address: SocketAddr,
    /// Where agents find it.
    pub url: String,
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl Agents {
    /// Listens where `config` says.
    ///
    /// # Errors
    ///
    /// When nothing can listen there, the URL is none, or the hub's authority cannot be had.
    pub async fn listen(hub: &Hub, config: &AgentsConfig) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (url, name) = match &config.url {
            Some(url) => (url.trim_end_matches('/').to_owned(), name_in(url)?),
            None => (format!("https://{address}"), address.ip().to_string()),
        };
        let authority = hub.app.authority(hub.app.now()).await;
        let authority = authority.map_err(|problem| ServeError::Authority(problem.title))?;
        let tls = tls::acceptor(authority, names(name, address.ip()))?;
        hub.app.agents_at(url.clone());
        hub.streams.at(found_at(address, config.url.is_some().then_some(&url)));
        Ok(Self {
            address,
            url,
            listener,
            tls,
        })
    }

    /// Serves until [`Hub::stop`], and until all who are connected were told.
    pub async fn serve(self, hub: &Hub) {
        let door = Door {
            listener: self.listener,
            tls: Some(Tls::Own(self.tls)),
            connections: AT_ONCE,
        };
        let woken = tokio::spawn(watch(hub.clone()));
        door.serve(crate::api::agents::router(hub.clone()), hub).await;
        hub.agents.emptied().await;
        hub.streams.emptied().await;
        let _ = woken.await;
    }
}

/// The host whose certificate this is.
pub fn host_of(certificate: &CertificateDer<'_>) -> Option<HostId> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let mut names = certificate.subject().iter_common_name();
    names.next()?.as_str().ok()?.parse().ok()
}

/// Host name or address in a URL.
fn name_in(url: &str) -> Result<String, ServeError> {
    let no = || ServeError::AgentsUrl { url: url.to_owned() };
    let parsed: axum::http::Uri = url.parse().map_err(|_| no())?;
    let path = parsed.path_and_query().map_or("/", |path| path.as_str());
    match (parsed.scheme_str(), parsed.host()) {
        (Some("https"), Some(host)) if path == "/" && !host.is_empty() => {
            Ok(host.trim_start_matches('[').trim_end_matches(']').to_owned())
        }
        _ => Err(no()),
    }
}

/// Where agents find this hub and no other, best first: its own address, unless it listens on all, then what it was told, behind which
/// others may stand too.
fn found_at(address: SocketAddr, url: Option<&String>) -> Vec<String> {
    let own = (!address.ip().is_unspecified()).then(|| format!("https://{address}"));
    let mut at: Vec<String> = own.into_iter().chain(url.cloned()).collect();
    at.dedup();
    at
}

/// The names in the listener's certificate: that of the URL and, for those on this machine, where it listens.
fn names(name: String, listens: IpAddr) -> Vec<String> {
    let mut names = vec![name];
    if !listens.is_unspecified() {
        names.push(listens.to_string());
    }
    if listens.is_loopback() {
        names.push("localhost".to_owned());
    }
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_found_at_its_own_address_first() {
        let at = |address: &str, url: Option<&str>| found_at(address.parse().unwrap(), url.map(str::to_owned).as_ref());
        let url = "https://hub.example.org";
        assert_eq!(at("192.0.2.7:8471", Some(url)), ["https://192.0.2.7:8471", url]);
        assert_eq!(at("[2001:db8::7]:8471", None), ["https://[2001:db8::7]:8471"]);
        assert_eq!(at("0.0.0.0:8471", Some(url)), [url]);
        assert!(at("[::]:8471", None).is_empty());
    }

    #[test]
    fn a_url_names_who_is_certified() {
        for (url, name) in [
            ("https://hub.example.org:8471", "hub.example.org"),
            ("https://hub.example.org/", "hub.example.org"),
            ("https://[2001:db8::7]:8471", "2001:db8::7"),
            ("https://192.0.2.7", "192.0.2.7"),
        ] {
            assert_eq!(name_in(url).unwrap(), name);
        }
        for url in [
            "http://hub",
            "hub:8471",
            "",
            "https://",
            "https://hub/x",
            "https://hub/?x",
        ] {
            assert!(name_in(url).is_err(), "{url}");
        }
    }
}
