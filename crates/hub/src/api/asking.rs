//! Who asks, and what: credential, `If-Match`, `Idempotency-Key`, `?plan=true` and the body, read the same way for every
//! request.
//!
//! Order matters: a caller that is not known learns nothing of what else is wrong with its request.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, MatchedPath, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use jiff::Timestamp;
use renkei_policy::{Actor, Caller};
use renkei_types::event::Doer;
use renkei_types::problem::{Problem, ProblemKind};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::answer::Failure;
use super::request_id::RequestId;
use crate::Hub;
use crate::app::list::Paging;
use crate::app::{Asked, Mode, Once};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const LONGEST_KEY: usize = 255;
/// How long a body may take to arrive.
const BODY: Duration = Duration::from_secs(30);

/// A request that changes nothing.
pub struct Look(pub Asked);

/// A request that changes something, with its body; `Change<()>` has none.
pub struct Change<T> {
    /// Who, and how.
    pub asked: Asked,
    /// What.
    pub body: T,
}

/// In the OpenAPI document: what any change takes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PlanQuery {
    /// Say what would happen, and do nothing.
    #[serde(default)]
    #[param(required = false)]
    pub plan: bool,
}

/// In the OpenAPI document: what any change of something that is there takes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a header in the OpenAPI document")]
pub struct IfMatch {
    /// The `ETag` that was seen; 412 if it has been changed since.
    #[serde(rename = "If-Match")]
    #[param(required = false, example = "\"3\"", pattern = "^(\\*|\"[0-9]{1,18}\")$")]
    if_match: String,
}

/// In the OpenAPI document: what any create takes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a header in the OpenAPI document")]
pub struct IdempotencyKey {
    /// A word of the caller's own; the same request with the same key is done once.
    #[serde(rename = "Idempotency-Key")]
    #[param(required = false, min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    idempotency_key: String,
}

/// Which page of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// At most so many entries, 1 to 1000; 100 without.
    #[param(required = false, minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[param(required = false)]
    pub after: Option<String>,
}

impl PageQuery {
    /// Checked.
    pub fn paging(&self) -> Result<Paging, Failure> {
        Ok(Paging::new(self.limit, self.after.as_deref())?)
    }
}

impl FromRequestParts<Hub> for Look {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, hub: &Hub) -> Result<Self, Failure> {
        Ok(Self(asked(parts, hub).await?))
    }
}

impl<T: DeserializeOwned + Send> FromRequest<Hub> for Change<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, hub: &Hub) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let mut asked = asked(&parts, hub).await?;
        asked.seen = if_match(&parts.headers)?;
        asked.mode = mode(&mut parts).await?;
        let key = idempotency_key(&parts.headers)?;
        let described = format!("{} {}\n", parts.method, parts.uri.path());
        let (bytes, body) = read(Request::from_parts(parts, body)).await?;
        asked.once = key.map(|key| once(&key, described.as_bytes(), &bytes));
        Ok(Self { asked, body })
    }
}

/// A body without a caller: signing in.
pub struct Unknown<T> {
    /// From where.
    pub address: IpAddr,
    /// For the audit.
    pub doer: Doer,
    /// When.
    pub now: Timestamp,
    /// What.
    pub body: T,
}

/// Somebody who has not said who it is.
pub struct Stranger {
    /// From where.
    pub address: IpAddr,
    /// For the audit.
    pub doer: Doer,
    /// When.
    pub now: Timestamp,
}

impl Stranger {
    fn of(extensions: &axum::http::Extensions, hub: &Hub) -> Self {
        let address = address(extensions);
        let doer = Doer {
            address: address.to_string(),
            request: request_id(extensions),
            ..Doer::default()
        };
        let now = hub.app.now();
        Self { address, doer, now }
    }
}

impl FromRequestParts<Hub> for Stranger {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, hub: &Hub) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.extensions, hub))
    }
}

impl<T: DeserializeOwned + Send> FromRequest<Hub> for Unknown<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, hub: &Hub) -> Result<Self, Failure> {
        let Stranger { address, doer, now } = Stranger::of(request.extensions(), hub);
        let (_, body) = read(request).await?;
        Ok(Self {
            address,
            doer,
            now,
            body,
        })
    }
}

/// Who it is, for the audit.
pub(super) fn doer(actor: &Actor, extensions: &axum::http::Extensions) -> Doer {
    Doer {
        user: Some(actor.user),
        name: actor.name.to_string(),
        token: Some(actor.credential.token),
        address: address(extensions).to_string(),
        request: request_id(extensions),
    }
}

async fn asked(parts: &Parts, hub: &Hub) -> Result<Asked, Failure> {
    let now = hub.app.now();
    let secret = bearer(&parts.headers)?;
    let actor = hub.app.verify(secret, now).await?;
    let doer = doer(&actor, &parts.extensions);
    let caller = Caller::Known(Box::new(actor));
    Ok(Asked {
        caller,
        doer,
        now,
        mode: Mode::Apply,
        seen: None,
        once: None,
    })
}

/// The secret that is shown.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(crate::problem::unauthenticated("this needs a token"));
    };
    let value = value.to_str().unwrap_or_default();
    match value.split_once(' ') {
        Some((scheme, secret)) if scheme.eq_ignore_ascii_case("bearer") => Ok(secret.trim()),
        _ => Err(crate::problem::unauthenticated("`Authorization` is not `Bearer TOKEN`")),
    }
}

/// From where the connection came. Headers that a proxy could set are not believed.
fn address(extensions: &axum::http::Extensions) -> IpAddr {
    let info = extensions.get::<ConnectInfo<SocketAddr>>();
    info.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(address)| {
        address.ip().to_canonical()
    })
}

fn request_id(extensions: &axum::http::Extensions) -> String {
    extensions
        .get::<RequestId>()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let value = value.to_str().unwrap_or_default().trim();
    if value == "*" {
        return Ok(None);
    }
    let version = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    match version.and_then(|version| version.parse().ok()) {
        Some(version) => Ok(Some(version)),
        None => Err(
            Problem::new(ProblemKind::Invalid, "`If-Match` is not an `ETag` of this hub")
                .field("If-Match")
                .hint("send the `ETag` of the answer as it was, with its quotes"),
        ),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(Some(key.to_owned()))
        }
        _ => Err(Problem::new(ProblemKind::Invalid, "`Idempotency-Key` is not a key")
            .field("Idempotency-Key")
            .hint(format!(
                "use 1 to {LONGEST_KEY} printable ASCII characters without spaces, for example a UUID"
            ))),
    }
}

/// What is kept of a key and of the request that came with it. A body may hold a password: whoever reads the database must not
/// be able to try passwords on a hash that is quick to compute, so it needs the key, which is not kept as it is.
fn once(key: &str, described: &[u8], body: &[u8]) -> Once {
    let kept = blake3::derive_key("renkei 2026-11 idempotency key", key.as_bytes());
    let with = blake3::derive_key("renkei 2026-11 idempotency request", key.as_bytes());
    let mut request = blake3::Hasher::new_keyed(&with);
    request.update(described).update(body);
    Once {
        key: blake3::Hash::from(kept).to_hex().to_string(),
        request: request.finalize().to_hex().to_string(),
    }
}

async fn mode(parts: &mut Parts) -> Result<Mode, Failure> {
    let Params(PlanQuery { plan }) = Params::from_request_parts(parts, &()).await?;
    Ok(if plan { Mode::Plan } else { Mode::Apply })
}

/// The body, if it is not too large and not too slow.
pub(super) async fn bytes(request: Request) -> Result<Bytes, Problem> {
    tokio::time::timeout(BODY, Bytes::from_request(request, &()))
        .await
        .map_err(|_| too_slow())?
        .map_err(|rejection| too_much(&rejection))
}

/// The body as it came, and what it says.
async fn read<T: DeserializeOwned>(request: Request) -> Result<(Bytes, T), Failure> {
    let json = is_json(request.headers());
    let bytes = bytes(request).await?;
    // Nothing was sent: `null`, which is what `()` is read from.
    let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
    if !bytes.is_empty() && !json {
        let problem = Problem::new(ProblemKind::UnsupportedMediaType, "the body is not said to be JSON");
        return Err(problem.hint("send `Content-Type: application/json`").into());
    }
    // serde would take the fields of an object from a list in their order.
    if text.trim_ascii_start().starts_with(b"[") {
        let problem = Problem::new(ProblemKind::Invalid, "the body is a list, not an object");
        return Err(problem.hint("`/docs` shows what is expected").into());
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let body = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let mut problem = Problem::new(
            ProblemKind::Invalid,
            format!("the body cannot be read: {}", error.inner()),
        );
        if path != "." && path != "?" {
            problem = problem.field(path);
        }
        problem.hint("`/docs` shows what is expected")
    })?;
    deserializer
        .end()
        .map_err(|_| Problem::new(ProblemKind::Invalid, "something follows the JSON body"))?;
    Ok((bytes, body))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn too_slow() -> Problem {
    let seconds = BODY.as_secs();
    Problem::new(
        ProblemKind::TimedOut,
        format!("the body did not arrive within {seconds} s"),
    )
    .hint("try again")
}

fn too_much(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let problem = Problem::new(ProblemKind::TooLarge, "the body is too large");
        return problem.hint(format!("send at most {} bytes", super::LARGEST_BODY));
    }
    Problem::new(ProblemKind::Invalid, "the body did not arrive whole")
}

/// What stands after `?`.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => {
                let text = rejection.body_text();
                let text = text
                    .strip_prefix("Failed to deserialize query string: ")
                    .unwrap_or(&text);
                let mut problem = Problem::new(ProblemKind::Invalid, format!("the query cannot be read: {text}"));
                if let Some((field, _)) = text.split_once(':') {
                    problem = problem.field(field);
                }
                Err(problem.hint("`/docs` shows what is expected").into())
            }
        }
    }
}

/// Ids in the path.
pub struct Ids<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Ids<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(ids)) => Ok(Self(ids)),
            Err(rejection) => {
                let problem = Problem::new(
                    ProblemKind::Invalid,
                    format!("`{}` has no id where it needs one", parts.uri.path()),
                );
                let problem = match parameter(&rejection, parts) {
                    Some(parameter) => problem.field(parameter),
                    None => problem,
                };
                Err(problem.hint("an id is a UUID; lists show the ids").into())
            }
        }
    }
}

/// The parameter of the path that is at fault; the last one, if it is not told.
fn parameter(rejection: &PathRejection, parts: &Parts) -> Option<String> {
    if let PathRejection::FailedToDeserializePathParams(failed) = rejection
        && let ErrorKind::DeserializeError { key, .. } | ErrorKind::InvalidUtf8InPathParam { key } = failed.kind()
    {
        return Some(key.clone());
    }
    let template = parts.extensions.get::<MatchedPath>()?.as_str();
    let (_, last) = template.rsplit_once('{')?;
    last.split_once('}').map(|(name, _)| name.to_owned())
}
