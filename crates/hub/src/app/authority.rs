//! The hub's own certificate authority: hosts' agents believe it, and the hub knows them by the certificates that it has signed.
//!
//! ECDSA on P-256; one for all hubs over a database, made when it is first needed, its key sealed with the master key.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use renkei_policy::seal::Sealed;
use renkei_store::noun::authority::AuthorityRow;
use renkei_store::{Batch, CommitError};
use renkei_types::id::HostId;
use renkei_types::problem::{Problem, ProblemKind};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use uuid::Uuid;

use super::App;

/// How long the authority lasts.
const LASTS: SignedDuration = SignedDuration::from_hours(24 * 365 * 20);
/// How long the certificate of a host, or of the hub's listener, lasts.
pub const CERTIFICATE_LASTS: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Clocks that differ must not make a new certificate one that is not valid yet.
const SKEW: SignedDuration = SignedDuration::from_hours(2);
/// What the authority is called.
const NAME: &str = "Renkei hub, for agents of hosts";

/// The authority, with its key.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// What a host wants to be certified: a key that it has shown to have.
#[derive(Debug)]
pub struct Request {
    key: rcgen::PublicKey,
}

/// A certificate signing request that is none.
#[derive(Debug, thiserror::Error)]
#[error("this is no certificate signing request that was signed with its own key")]
pub struct NotARequest(#[source] rcgen::Error);

/// Something that only a broken library or row can bring about.
#[derive(Debug, thiserror::Error)]
pub enum NoAuthority {
    /// X.509.
    #[error("certificates cannot be made")]
    Certificate(#[from] rcgen::Error),
    /// PEM.
    #[error("the certificate in the database cannot be read")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// The row.
    #[error("the key in the database cannot be read")]
    Row(#[source] serde_json::Error),
    /// The key cannot be opened.
    #[error("the key of the hub's authority cannot be opened")]
    Sealed(#[from] renkei_policy::seal::NotOpened),
    /// The key cannot be sealed.
    #[error("the key of the hub's authority cannot be sealed")]
    NotSealed(#[from] renkei_policy::seal::NotSealed),
}

impl Request {
    /// Reads one, and checks that whoever made it has the key.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn parse(pem: &str) -> Result<Self, NotARequest> {
        let request = CertificateSigningRequestParams::from_pem(pem).map_err(NotARequest)?;
        let key = request.public_key;
        Ok(Self { key })
    }

    /// A hash of the key, hexadecimal.
    pub fn key_hash(&self) -> String {
        hex(digest(&SHA256, &self.key.subject_public_key_info()).as_ref())
    }
}

impl Authority {
    fn make(now: Timestamp) -> Result<(Self, KeyPair), NoAuthority> {
        let key = KeyPair::generate()?;
        let mut params = params(NAME, now, LASTS);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key)?.pem();
        let copy = KeyPair::try_from(key.serialized_der())?;
        Ok((Self::of(pem, key)?, copy))
    }

    fn of(pem: String, key: KeyPair) -> Result<Self, NoAuthority> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(NoAuthority::Pem)?;
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        Ok(Self { pem, der, issuer })
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its certificate.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// By what hosts know it: the SHA-256 of its certificate's DER.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, &self.der).as_ref());
        bytes
    }

    /// A certificate for a host that is reached at `address`, PEM.
    ///
    /// # Errors
    ///
    /// When the library refuses.
    pub fn certify(
        &self,
        (host, address): (HostId, Option<IpAddr>),
        request: &Request,
        now: Timestamp,
    ) -> Result<String, NoAuthority> {
        let mut params = params(&host.to_string(), now, CERTIFICATE_LASTS);
        params.subject_alt_names = address.map(SanType::IpAddress).into_iter().collect();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Hosts of a site reach one another: each is server and client.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        Ok(params.signed_by(&request.key, &self.issuer)?.pem())
    }

    /// A certificate for the hub's listener under these names, with its key, which is kept nowhere.
    ///
    /// # Errors
    ///
    /// When a name is none.
    pub fn listener(
        &self,
        names: &[String],
        now: Timestamp,
    ) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), NoAuthority> {
        let key = KeyPair::generate()?;
        let named = CertificateParams::new(names)?;
        let mut params = params("Renkei hub", now, CERTIFICATE_LASTS);
        params.subject_alt_names = named.subject_alt_names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((certificate.der().clone(), key.into()))
    }
}

fn params(name: &str, now: Timestamp, lasts: SignedDuration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // As the library has it.
    let moment = |at: Timestamp| {
        let seconds = u64::try_from(at.as_second()).unwrap_or(0);
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    params.not_before = moment(now - SKEW);
    params.not_after = moment(now + lasts);
    params.use_authority_key_identifier_extension = true;
    params
}

/// Lower-case digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a hub has read of it: it never changes.
pub(super) type Remembered = OnceLock<Arc<Authority>>;

impl App {
    /// The authority; it is made when it is first asked for.
    ///
    /// # Errors
    ///
    /// When the database does not answer, or the key was sealed with another master key.
    pub async fn authority(&self, now: Timestamp) -> Result<Arc<Authority>, Problem> {
        if let Some(known) = self.authority.get() {
            return Ok(known.clone());
        }
        let row = match self.find::<AuthorityRow>("signs", AuthorityRow::SIGNS).await? {
            Some(row) => row.value,
            None => self.new_authority(now).await?,
        };
        let authority = Arc::new(self.open_authority(&row).map_err(|error| broken(&error))?);
        Ok(self.authority.get_or_init(|| authority).clone())
    }

    /// What the authority's key was sealed for, and the sealed key; nothing before there is one.
    pub(super) async fn sealed_authority(&self) -> Result<Option<(String, serde_json::Value)>, Problem> {
        let row = self.find::<AuthorityRow>("signs", AuthorityRow::SIGNS).await?;
        Ok(row.map(|row| (purpose(row.value.id), row.value.key)))
    }

    async fn new_authority(&self, now: Timestamp) -> Result<AuthorityRow, Problem> {
        let row = self.make_authority(now).map_err(|error| broken(&error))?;
        let mut batch = Batch::new();
        batch.insert(&row);
        match self.store.state.commit(batch).await {
            Ok(()) => return Ok(row),
            Err(CommitError::Taken { .. }) => {}
            Err(error) => return Err(crate::problem::commit(&error)),
        }
        // Another hub was first.
        let found = self.find::<AuthorityRow>("signs", AuthorityRow::SIGNS).await?;
        let none = || Problem::new(ProblemKind::Unavailable, "there is no authority yet").hint("try again");
        found.map(|row| row.value).ok_or_else(none)
    }

    fn make_authority(&self, now: Timestamp) -> Result<AuthorityRow, NoAuthority> {
        let (authority, key) = Authority::make(now)?;
        let id = self.draw(now);
        let sealed = self.master_key.seal(&purpose(id), key.serialized_der())?;
        Ok(AuthorityRow {
            id,
            certificate_pem: authority.pem,
            key: serde_json::to_value(sealed).map_err(NoAuthority::Row)?,
            created: now,
        })
    }

    fn open_authority(&self, row: &AuthorityRow) -> Result<Authority, NoAuthority> {
        let sealed: Sealed = serde_json::from_value(row.key.clone()).map_err(NoAuthority::Row)?;
        let key = self.master_key.open(&purpose(row.id), &sealed)?;
        Authority::of(row.certificate_pem.clone(), KeyPair::try_from(key)?)
    }
}

/// What the key is sealed for.
fn purpose(id: Uuid) -> String {
    format!("certificate authority {id}")
}

/// The cause goes to the log: a caller can do nothing about it.
pub(super) fn broken(error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(error = crate::problem::chain(error), "hosts cannot be certified");
    Problem::new(ProblemKind::Internal, "the hub's certificate authority does not work")
        .hint("those who run the hub find the cause in its log")
}

#[cfg(test)]
mod tests {
    use renkei_store::Store;

    use super::*;

    fn request() -> (String, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let request = CertificateParams::default().serialize_request(&key).unwrap();
        (request.pem().unwrap(), key)
    }

    #[tokio::test]
    async fn there_is_one_and_it_is_read_back() {
        let app = App::new(Store::memory());
        let now = Timestamp::now();
        let first = app.authority(now).await.unwrap();
        // Another hub over the same database.
        let other = App::with_key(app.store.clone(), app.master_key.clone());
        let read = other.authority(now).await.unwrap();
        assert_eq!((first.pem(), first.fingerprint()), (read.pem(), read.fingerprint()));
        let rows = app.store.state.all::<AuthorityRow>(None, 10).await.unwrap();
        let key = first.issuer.key().serialized_der();
        let kept = serde_json::to_string(&rows[0].value).unwrap();
        assert_eq!(rows.len(), 1);
        assert!(!kept.contains(&hex(key)) && !kept.contains("PRIVATE"));
        let stranger = App::new(app.store.clone());
        assert_eq!(stranger.authority(now).await.unwrap_err().kind, ProblemKind::Internal);
    }

    #[tokio::test]
    async fn a_host_gets_a_certificate_for_thirty_days() {
        let app = App::new(Store::memory());
        let now = Timestamp::now();
        let authority = app.authority(now).await.unwrap();
        let (pem, key) = request();
        let host = HostId(Uuid::now_v7());
        let request = Request::parse(&pem).unwrap();
        let certified = authority
            .certify((host, Some([10, 0, 0, 7].into())), &request, now)
            .unwrap();
        let der = CertificateDer::from_pem_slice(certified.as_bytes()).unwrap();
        let (_, read) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert_eq!(crate::agents::host_of(&der), Some(host));
        assert_eq!(read.public_key().raw, key.subject_public_key_info());
        let end = read.validity().not_after.timestamp();
        assert_eq!(end, (now + CERTIFICATE_LASTS).as_second());
        let (_, ca) = x509_parser::parse_x509_certificate(authority.der()).unwrap();
        read.verify_signature(Some(ca.public_key())).unwrap();
    }

    #[test]
    fn a_request_that_somebody_else_signed_is_none() {
        let (pem, _) = request();
        assert!(Request::parse(&pem).is_ok());
        let mut der = pem_bytes(&pem);
        let last = der.len() - 1;
        der[last] ^= 1;
        let forged = rcgen_pem(&der);
        assert!(Request::parse(&forged).is_err());
        assert!(Request::parse("-----BEGIN NOTHING-----").is_err());
    }

    fn pem_bytes(pem: &str) -> Vec<u8> {
        let der = rustls::pki_types::CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap();
        der.to_vec()
    }

    fn rcgen_pem(der: &[u8]) -> String {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n")
    }
}
