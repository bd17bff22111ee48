//! TLS by the hub's own authority. The listener's certificate lasts thirty days, and is made anew in time without anybody's help.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::app::authority::{Authority, CERTIFICATE_LASTS};
use crate::serve::ServeError;

/// Whoever has a certificate must have one of the authority's; whoever has none may only ask to join.
pub(super) fn acceptor(authority: Arc<Authority>, names: Vec<String>) -> Result<TlsAcceptor, ServeError> {
    let unusable = |error: &dyn fmt::Display| ServeError::Authority(error.to_string());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).map_err(|error| unusable(&error))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| unusable(&error))?;
    let shown = Shown {
        authority,
        names,
        made: Mutex::new(None),
    };
    // What cannot be made is told now, not to the first agent.
    shown.fresh(Timestamp::now()).map_err(ServeError::Authority)?;
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(shown));
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// The certificate that agents are shown.
struct Shown {
    authority: Arc<Authority>,
    names: Vec<String>,
    made: Mutex<Option<(Timestamp, Arc<CertifiedKey>)>>,
}

impl Shown {
    fn fresh(&self, now: Timestamp) -> Result<Arc<CertifiedKey>, String> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, key)) = &*made
            && now.duration_since(*at) < SignedDuration::from_secs(CERTIFICATE_LASTS.as_secs() / 2)
        {
            return Ok(key.clone());
        }
        let key = self.make(now)?;
        *made = Some((now, key.clone()));
        Ok(key)
    }

    fn make(&self, now: Timestamp) -> Result<Arc<CertifiedKey>, String> {
        let made = self.authority.listener(&self.names, now);
        let (certificate, key) = made.map_err(|error| crate::problem::chain(&error))?;
        let key = aws_lc_rs::sign::any_supported_type(&key).map_err(|error| error.to_string())?;
        // Who asks to join knows the authority by its hash only, and has to see it.
        let chain = vec![certificate, self.authority.der().clone()];
        Ok(Arc::new(CertifiedKey::new(chain, key)))
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let fresh = self.fresh(Timestamp::now());
        fresh
            .inspect_err(|error| tracing::error!(error, "there is no certificate for agents"))
            .ok()
    }
}
