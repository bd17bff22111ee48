//! TLS by certificate files. They are read when the hub starts, and again when they have changed: connections that come later get what
//! is new, and what cannot be used leaves the old in its place.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::Hub;
use crate::config::TlsConfig;

/// Bits of a mode by which others than the owner may read or change a file.
const OTHERS: u32 = 0o077;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// There is no certificate in the file.
    #[error("there is no certificate in `{}`", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The key is not secret.
    #[error("`{}` can be read by others (mode {mode:o})\nhint: chmod 600", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Certificate and key do not go together, or rustls cannot use them.
    #[error("the certificate in `{}` cannot be used with this key", certificate.display())]
    Unusable {
        /// The file with the certificate.
        certificate: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// From one look at the files to the next.
const EVERY: Duration = Duration::from_secs(2);

/// What tells that a file has changed: its time, its size, and which file it is.
type Stamp = (Option<SystemTime>, u64, u64);

/// The certificate that is shown now. Clones are the same.
#[derive(Clone)]
pub struct Certificate {
    files: Arc<TlsConfig>,
    shown: Arc<watch::Sender<(Vec<Stamp>, TlsAcceptor)>>,
}

impl Certificate {
    /// Reads the files.
    pub fn read(files: TlsConfig) -> Result<Self, TlsError> {
        // Before they are read: what changes meanwhile is read again.
        let stamps = stamps(&files);
        let acceptor = acceptor(&files)?;
        Ok(Self {
            files: Arc::new(files),
            shown: Arc::new(watch::Sender::new((stamps, acceptor))),
        })
    }

    /// For the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.shown.borrow().1.clone()
    }

    /// Reads the files again if they have changed since the last time.
    fn look(&self) {
        let stamps = stamps(&self.files);
        let mut shown = self.shown.borrow().clone();
        if shown.0 == stamps {
            return;
        }
        shown.0 = stamps;
        let name = self.files.certificate.display();
        match acceptor(&self.files) {
            Ok(acceptor) => {
                shown.1 = acceptor;
                tracing::info!("the certificate in `{name}` has changed and is shown from now on");
            }
            // One file of the two may be there already: the other one will be seen.
            Err(error) => tracing::error!(
                error = crate::problem::chain(&error),
                "the certificate has changed and cannot be used; the old one is still shown"
            ),
        }
        self.shown.send_replace(shown);
    }
}

/// Looks at the files of a certificate until the hub stops.
pub async fn watch(certificate: Option<Certificate>, hub: Hub) {
    let Some(certificate) = certificate else { return };
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => certificate.look(),
            () = hub.stopping() => return,
        }
    }
}

fn stamps(files: &TlsConfig) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| match path.metadata() {
        Ok(found) => (found.modified().ok(), found.size(), found.ino()),
        Err(_) => (None, 0, 0),
    };
    [&files.certificate, &files.key].map(stamp).to_vec()
}

/// Reads the files.
pub fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, TlsError> {
    let certificates = certificates(&config.certificate)?;
    let key = key(&config.key)?;
    let unusable = |source| TlsError::Unusable {
        certificate: config.certificate.clone(),
        source,
    };
    let mut server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(unusable)?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// Those in a file, the hub's own first.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |source| TlsError::Read {
        path: path.to_owned(),
        source,
    };
    let certificates = CertificateDer::pem_file_iter(path).map_err(read)?;
    let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(read)?;
    if certificates.is_empty() {
        return Err(TlsError::Empty { path: path.to_owned() });
    }
    Ok(certificates)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let read = |source| TlsError::Read {
        path: path.to_owned(),
        source,
    };
    let mode = std::fs::metadata(path)
        .map_err(|error| read(pem::Error::Io(error)))?
        .mode()
        & 0o777;
    if mode & OTHERS != 0 {
        return Err(TlsError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    PrivateKeyDer::from_pem_file(path).map_err(read)
}
