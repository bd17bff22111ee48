//! Whether a host certificate counts: signed by a trusted authority, for a host, for this host, now.
//!
//! The rules are those of `sshkey_cert_check_host` in OpenSSH 9.2. Revocation is looked up by the caller.

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate};

use super::parse::Line;
use crate::pattern;

/// Why a host certificate does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// No `@cert-authority` line for this host has the key that signed it.
    #[error("no @cert-authority line for this host has the key that signed the certificate")]
    UnknownAuthority,
    /// The signature does not verify, or uses SHA-1.
    #[error("the signature on the certificate is not valid")]
    Signature,
    /// It certifies a user.
    #[error("the certificate is for a user, not for a host")]
    NotForHosts,
    /// It names other hosts.
    #[error("the certificate is not for {wanted} but for {principals}")]
    Principal {
        /// The host that was connected to.
        wanted: String,
        /// The names in the certificate.
        principals: String,
    },
    /// Its time has not come.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// Its time is over.
    #[error("the certificate has expired")]
    Expired,
    /// It carries a condition that no one here understands.
    #[error("the certificate has the critical option `{0}`, which is not known for hosts")]
    CriticalOption(String),
}

/// Checks `certificate`, presented by `host`, against the authorities known for that host, at `now` in seconds since
/// 1970.
///
/// # Errors
/// The first rule that it breaks.
pub(super) fn check<'a>(
    certificate: &Certificate,
    host: &str,
    authorities: impl IntoIterator<Item = &'a Line>,
    now: u64,
) -> Result<(), CertificateError> {
    use russh::keys::PublicKeyBase64;
    let signer = russh::keys::PublicKey::new(certificate.signature_key().clone(), "").public_key_bytes();
    if !authorities.into_iter().any(|line| line.key == signer) {
        return Err(CertificateError::UnknownAuthority);
    }
    if certificate.signature().algorithm() == (Algorithm::Rsa { hash: None }) || certificate.verify_signature().is_err()
    {
        return Err(CertificateError::Signature);
    }
    if certificate.cert_type() != CertType::Host {
        return Err(CertificateError::NotForHosts);
    }
    if let Some((name, _)) = certificate.critical_options().iter().next() {
        return Err(CertificateError::CriticalOption(name.clone()));
    }
    if now < certificate.valid_after() {
        return Err(CertificateError::NotYetValid);
    }
    if now >= certificate.valid_before() {
        return Err(CertificateError::Expired);
    }
    let principals = certificate.valid_principals();
    // A certificate without names is for every host of the authority (PROTOCOL.certkeys).
    if !principals.is_empty() && !principals.iter().any(|name| pattern::matches(name, host)) {
        return Err(CertificateError::Principal {
            wanted: host.to_owned(),
            principals: principals.join(", "),
        });
    }
    Ok(())
}
