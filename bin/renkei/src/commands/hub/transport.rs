//! The way to the hub: HTTP/1.1 over TLS, or in clear to this machine. Knows nothing of what is asked.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::Response;
use hyper::body::{Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::failure::{Cause, Failure};
use crate::settings::hub::HubUrl;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may take, from asking to its last byte.
const ANSWER: Duration = Duration::from_secs(60);
/// The most bytes of an answer that are kept in memory.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// A request, complete.
pub type Request = hyper::Request<Full<Bytes>>;

/// What came back, complete.
pub struct Reply {
    /// Status and headers.
    pub head: hyper::http::response::Parts,
    /// The body.
    pub body: Bytes,
}

/// How an exchange failed.
pub enum Broken {
    /// The request, or its answer, was lost on the way: it may have been carried out.
    Midway(Failure),
    /// Anything else.
    Other(Failure),
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Midway(failure) | Broken::Other(failure) => failure,
        }
    }
}

/// See the module.
pub enum Transport {
    /// To this machine.
    Plain(Client<HttpConnector, Full<Bytes>>),
    /// To any.
    Tls(Box<Client<HttpsConnector<HttpConnector>, Full<Bytes>>>),
}

impl Transport {
    /// The way to `hub`. Certificates are checked against the authorities in `ca`, or those that this machine trusts.
    pub fn new(hub: &HubUrl, ca: Option<&Path>) -> Result<Self, Failure> {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new());
        if !hub.is_encrypted() {
            return Ok(Self::Plain(client.build(tcp)));
        }
        tcp.enforce_http(false);
        let builder = HttpsConnectorBuilder::new();
        let tls = match ca {
            Some(ca) => builder.with_tls_config(trusting(ca)?),
            None => builder.with_native_roots().map_err(Failure::Start)?,
        };
        Ok(Self::Tls(Box::new(
            client.build(tls.https_only().enable_http1().wrap_connector(tcp)),
        )))
    }

    /// Asks, and reads the whole answer.
    pub async fn exchange(&self, hub: &HubUrl, request: Request) -> Result<Reply, Broken> {
        let exchange = async {
            let (head, body) = self.send(hub, request).await?.into_parts();
            let body = read(hub, body).await?;
            Ok(Reply { head, body })
        };
        match tokio::time::timeout(ANSWER, exchange).await {
            Ok(result) => result,
            Err(_) => Err(silent(hub)),
        }
    }

    /// Asks, and gives the beginning of the answer.
    pub async fn open(&self, hub: &HubUrl, request: Request) -> Result<Response<Incoming>, Broken> {
        match tokio::time::timeout(ANSWER, self.send(hub, request)).await {
            Ok(result) => result,
            Err(_) => Err(silent(hub)),
        }
    }

    /// The rest of an answer.
    pub async fn rest(&self, hub: &HubUrl, answer: Response<Incoming>) -> Result<Bytes, Broken> {
        read(hub, answer.into_body()).await
    }

    async fn send(&self, hub: &HubUrl, request: Request) -> Result<Response<Incoming>, Broken> {
        let sent = match self {
            Self::Plain(client) => client.request(request).await,
            Self::Tls(client) => client.request(request).await,
        };
        sent.map_err(|error| {
            let never_began = error.is_connect();
            let failure = Failure::Unreachable {
                hub: hub.clone(),
                source: Cause::from(error),
            };
            if never_began {
                Broken::Other(failure)
            } else {
                Broken::Midway(failure)
            }
        })
    }
}

async fn read(hub: &HubUrl, body: Incoming) -> Result<Bytes, Broken> {
    match Limited::new(body, LARGEST_ANSWER).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(source) if source.is::<LengthLimitError>() => Err(Broken::Other(Failure::Answer {
            hub: hub.clone(),
            source,
        })),
        Err(source) => Err(Broken::Midway(Failure::Unreachable {
            hub: hub.clone(),
            source,
        })),
    }
}

fn silent(hub: &HubUrl) -> Broken {
    Broken::Other(Failure::Silent {
        hub: hub.clone(),
        seconds: ANSWER.as_secs(),
    })
}

/// TLS that believes the authorities in this file and no others.
fn trusting(ca: &Path) -> Result<ClientConfig, Failure> {
    let unusable = |source: Cause| Failure::Authorities {
        path: ca.to_owned(),
        source,
    };
    let read = CertificateDer::pem_file_iter(ca).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut roots = RootCertStore::empty();
    for certificate in read.map_err(|error| unusable(error.into()))? {
        roots.add(certificate).map_err(|error| unusable(error.into()))?;
    }
    if roots.is_empty() {
        return Err(unusable("it holds no certificate".into()));
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.into()))?;
    Ok(tls.with_root_certificates(roots).with_no_client_auth())
}
