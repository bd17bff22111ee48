//! TLS by certificate files. They are read once, when the hub starts.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

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
