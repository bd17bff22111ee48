//! How this computer becomes a host: one request with a token, answered with a certificate.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rcgen::CertificateParams;
use renkei_host::Driver;
use renkei_types::join::{Join, JoinToken, Joined};
use renkei_types::name::Name;
use renkei_types::problem::Problem;
use tokio::time::timeout;

use crate::dial::{DialError, Target};
use crate::identity::{DataFolder, FolderError, Identity};
use crate::tls::{self, TlsError};

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most bytes of an answer.
const LARGEST: usize = 256 * 1024;

/// Who joins, and where.
#[derive(Clone, Debug)]
pub struct Joining {
    /// The hub's listener for agents: `https://HOST:PORT`.
    pub url: String,
    /// From the invitation.
    pub token: JoinToken,
    /// What the host will be called.
    pub name: Name,
    /// Where the site's other hosts reach it; the address from which the hub is reached without.
    pub address: Option<IpAddr>,
}

/// Why it did not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// It is a host already.
    #[error(
        "this computer is already the host `{name}`, {host}, by the folder `{folder}`\nhint: choose another folder with `--data`, or remove this one when the host is gone from its hub"
    )]
    Already {
        /// Its name.
        name: String,
        /// Its id.
        host: String,
        /// The folder that says so.
        folder: String,
    },
    /// The hub cannot be reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// TLS cannot be had, or the hub is another one.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A request cannot be made of the key.
    #[error("cannot make a certificate signing request")]
    Request(#[source] rcgen::Error),
    /// The conversation broke. The same command may be given again.
    #[error("the hub did not answer\nhint: the same command may be given again")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It says no.
    #[error("the hub says no: {0}")]
    Refused(String),
}

/// Asks to join, and keeps the answer. May be done again with the same token if the answer was lost.
///
/// # Errors
/// If the computer is a host already, the hub cannot be reached, is not the one that the token names, or says no.
pub async fn join(folder: &DataFolder, joining: Joining, driver: &dyn Driver) -> Result<Identity, JoinError> {
    let _lock = folder.lock()?;
    if let Some(identity) = folder.joined()? {
        return Err(JoinError::Already {
            name: identity.name,
            host: identity.host.to_string(),
            folder: folder.path().display().to_string(),
        });
    }
    let key = folder.key()?;
    let csr = CertificateParams::default().serialize_request(&key);
    let csr_pem = csr.and_then(|csr| csr.pem()).map_err(JoinError::Request)?;
    let target = Target::parse(&joining.url, "https")?;
    let stream = target.dial(Arc::new(tls::of_stranger(*joining.token.ca())?)).await?;
    let own = stream
        .get_ref()
        .0
        .local_addr()
        .map_err(|error| JoinError::Broken(error.into()))?;
    let asked = Join {
        token: joining.token.reveal(),
        name: joining.name.clone(),
        address: joining.address.unwrap_or(own.ip()),
        csr_pem,
        capacity: driver.capacity(),
        driver: driver.which(),
    };
    let answer = timeout(PATIENCE, ask(&target, TokioIo::new(stream), &asked)).await;
    let joined = answer.map_err(|late| JoinError::Broken(late.into()))??;
    tls::check_ca(&joined.ca_pem, joining.token.ca())?;
    let identity = Identity {
        host: joined.host,
        site: joined.site,
        name: joining.name.to_string(),
        url: joined.url,
        certificate_pem: joined.certificate_pem,
        ca_pem: joined.ca_pem,
    };
    // What could not be used later must not be kept.
    tls::of_host(&identity, &key.serialize_pem())?;
    Target::parse(&identity.url, "wss")?;
    folder.join(&identity)?;
    Ok(identity)
}

async fn ask<S>(target: &Target, stream: TokioIo<S>, asked: &Join) -> Result<Joined, JoinError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| JoinError::Broken(error.into());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(broken)?;
    let connection = tokio::spawn(connection);
    let body = serde_json::to_vec(asked).map_err(|error| JoinError::Broken(error.into()))?;
    let request = Request::post("/join")
        .header(HOST, target.authority())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| JoinError::Broken(error.into()))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LARGEST).collect().await;
    let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
        Ok(_) => JoinError::Refused("its answer is too long".to_owned()),
        Err(error) => JoinError::Broken(error),
    })?;
    connection.abort();
    let body = body.to_bytes();
    match status {
        StatusCode::OK | StatusCode::CREATED => {
            serde_json::from_slice(&body).map_err(|error| JoinError::Broken(error.into()))
        }
        _ => Err(JoinError::Refused(refusal(status, &body))),
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> String {
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        return format!("it answers with {status}");
    };
    match problem.hint {
        Some(hint) => format!("{}\nhint: {hint}", problem.title),
        None => problem.title,
    }
}
