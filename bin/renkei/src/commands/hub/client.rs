//! Asking a hub: paths below `/api/v1`, problems, versions, plans, and trying once more what may be tried again.

use std::path::Path;

use hyper::body::{Bytes, Incoming};
use hyper::http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, ETAG, HeaderValue, IF_MATCH, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use hyper::upgrade::Upgraded;
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use renkei_types::change::Plan;
use renkei_types::problem::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use uuid::Uuid;

use super::failure::{Cause, Failure};
use super::transport::{Broken, Reply, Request, Transport};
use crate::settings::hub::{HubUrl, Secret};

/// Where the native API is.
const API: &str = "/api/v1";
/// Entries of a page: as many as the hub gives.
const PAGE: u32 = renkei_types::page::MAX_LIMIT;

/// A WebSocket to the hub.
pub type WebSocket = WebSocketStream<TokioIo<Upgraded>>;

/// A hub, and what is shown to it.
pub struct Client {
    hub: HubUrl,
    token: Option<Secret>,
    transport: Transport,
}

/// What the hub answered, with the version of the object.
#[derive(Debug)]
pub struct Answer {
    /// The `ETag`, if it has one.
    pub version: Option<String>,
    /// The body; null if it is empty.
    pub body: Value,
}

/// Whether a change is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Say what would happen.
    Plan,
    /// Do it.
    Apply,
    /// Do it, and wait until it is so.
    Wait,
}

/// What came of a change.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing was changed; this would be.
    Planned(Value),
    /// It is done.
    Done(Value),
}

/// A change of something at the hub.
#[derive(Clone, Debug)]
pub struct Change {
    method: Method,
    path: String,
    body: Option<Value>,
    seen: Option<String>,
    key: Option<Uuid>,
    mode: Mode,
}

impl Change {
    /// Makes something below `path`. It has a key of its own: sent twice, it is done once.
    pub fn create(path: impl Into<String>, body: &impl Serialize) -> Self {
        Self {
            key: Some(Uuid::now_v7()),
            ..Self::new(Method::POST, path, Some(body))
        }
    }

    /// Changes some fields.
    pub fn patch(path: impl Into<String>, body: &impl Serialize) -> Self {
        Self::new(Method::PATCH, path, Some(body))
    }

    /// Sets the whole.
    pub fn put(path: impl Into<String>, body: &impl Serialize) -> Self {
        Self {
            key: Some(Uuid::now_v7()),
            ..Self::new(Method::PUT, path, Some(body))
        }
    }

    /// Takes away.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, None::<&()>)
    }

    /// Does it, or asks what would happen.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether it is to be waited for.
    pub fn waits(&self) -> bool {
        self.mode == Mode::Wait
    }

    /// Only if the object is still as it was seen.
    #[must_use]
    pub fn seen(mut self, version: Option<String>) -> Self {
        self.seen = version;
        self
    }

    fn new(method: Method, path: impl Into<String>, body: Option<&impl Serialize>) -> Self {
        // Structs of strings, numbers and lists: nothing that serialising could refuse.
        let body = body.map(|body| serde_json::to_value(body).unwrap_or_default());
        Self {
            method,
            path: path.into(),
            body,
            seen: None,
            key: None,
            mode: Mode::Apply,
        }
    }
}

impl Client {
    /// For `hub`; without a token only signing in works.
    ///
    /// Its certificate is checked against the authorities in `ca`, or those that this machine trusts.
    pub fn new(hub: HubUrl, token: Option<Secret>, ca: Option<&Path>) -> Result<Self, Failure> {
        let transport = Transport::new(&hub, ca)?;
        Ok(Self { hub, token, transport })
    }

    /// The hub that is asked.
    pub fn hub(&self) -> &HubUrl {
        &self.hub
    }

    /// From now on with another token.
    pub fn show(&mut self, token: Secret) {
        self.token = Some(token);
    }

    /// Reads.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Answer, Failure> {
        self.signed_in()?;
        let asked = Change::new(Method::GET, path, None::<&()>);
        self.ask(&asked, query).await
    }

    /// Reads all pages of a list.
    pub async fn all(&self, path: &str, query: &[(&str, String)]) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.push(("limit", PAGE.to_string()));
            query.extend(after.clone().map(|after| ("after", after)));
            let mut page = self.get(path, &query).await?.body;
            match page.get_mut("items").map(Value::take) {
                Some(Value::Array(some)) => items.extend(some),
                _ => return Err(self.not_understood("a list has no `items`")),
            }
            let next = page.get("next").and_then(Value::as_str).map(str::to_owned);
            match next {
                None => return Ok(items),
                // Else this would never end.
                Some(_) if next == after => return Err(self.not_understood("a page follows itself")),
                next => after = next,
            }
        }
    }

    /// Changes something, or asks what would happen.
    pub async fn change(&self, change: &Change) -> Result<Outcome, Failure> {
        self.signed_in()?;
        let query = match change.mode {
            Mode::Plan => vec![("plan", "true".to_owned())],
            Mode::Apply | Mode::Wait => Vec::new(),
        };
        let body = self.ask(change, &query).await?.body;
        Ok(match change.mode {
            Mode::Plan => Outcome::Planned(body),
            Mode::Apply | Mode::Wait => Outcome::Done(body),
        })
    }

    /// What would happen.
    pub async fn plan(&self, change: &Change) -> Result<Plan, Failure> {
        match self.change(&change.clone().mode(Mode::Plan)).await? {
            Outcome::Planned(plan) | Outcome::Done(plan) => self.read(plan),
        }
    }

    /// Signs in: the one thing that needs no token.
    pub async fn sign_in(&self, body: &impl Serialize) -> Result<Value, Failure> {
        let asked = Change::new(Method::POST, "/sessions", Some(body));
        Ok(self.ask(&asked, &[]).await?.body)
    }

    /// Opens a stream of events after this one; its end is that of the connection.
    pub async fn stream(&self, path: &str, query: &[(&str, String)]) -> Result<Incoming, Failure> {
        self.signed_in()?;
        let asked = Change::new(Method::GET, path, None::<&()>);
        let opened = self.transport.open(&self.hub, self.request(&asked, query)?).await;
        match opened {
            Ok(opened) if opened.status().is_success() => Ok(opened.into_body()),
            Ok(refused) => {
                let status = refused.status();
                let body = self.transport.rest(&self.hub, refused).await;
                Err(body.map_or_else(Broken::into, |body| self.refused(status, &body)))
            }
            Err(broken) => Err(broken.into()),
        }
    }

    /// Reads a text.
    pub async fn text(&self, path: &str) -> Result<String, Failure> {
        self.signed_in()?;
        let asked = Change::new(Method::GET, path, None::<&()>);
        let Reply { head, body } = self.transport.exchange(&self.hub, self.request(&asked, &[])?).await?;
        if !head.status.is_success() {
            return Err(self.refused(head.status, &body));
        }
        String::from_utf8(body.to_vec()).map_err(|error| self.not_understood(error))
    }

    /// Opens a WebSocket (RFC 6455).
    pub async fn websocket(&self, path: &str) -> Result<WebSocket, Failure> {
        self.signed_in()?;
        let key = generate_key();
        let mut request = self.request(&Change::new(Method::GET, path, None::<&()>), &[])?;
        let headers = request.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let shown = HeaderValue::from_str(&key).map_err(|error| self.not_understood(error))?;
        headers.insert(SEC_WEBSOCKET_KEY, shown);
        let answer = self.transport.open(&self.hub, request).await?;
        let status = answer.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            let body = self.transport.rest(&self.hub, answer).await?;
            return Err(self.refused(status, &body));
        }
        let accepted = answer.headers().get(SEC_WEBSOCKET_ACCEPT);
        if accepted.is_none_or(|accepted| accepted.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes()) {
            return Err(self.not_understood("this is no WebSocket"));
        }
        let upgraded = hyper::upgrade::on(answer).await;
        let upgraded = upgraded.map_err(|error| self.broken(error))?;
        Ok(WebSocket::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await)
    }

    /// The connection broke.
    pub fn broken(&self, why: impl Into<Cause>) -> Failure {
        Failure::Unreachable {
            hub: self.hub.clone(),
            source: why.into(),
        }
    }

    /// The answer as what it should be.
    pub fn read<T: DeserializeOwned>(&self, value: Value) -> Result<T, Failure> {
        serde_json::from_value(value).map_err(|error| self.not_understood(error))
    }

    fn signed_in(&self) -> Result<(), Failure> {
        match self.token {
            Some(_) => Ok(()),
            None => Err(Failure::NotSignedIn(self.hub.clone())),
        }
    }

    async fn ask(&self, asked: &Change, query: &[(&str, String)]) -> Result<Answer, Failure> {
        let request = || self.request(asked, query);
        // What is read, and what has a key, may be asked twice; anything else may have been done already.
        let again = asked.method == Method::GET || asked.key.is_some();
        let reply = match self.transport.exchange(&self.hub, request()?).await {
            Err(Broken::Midway(_)) if again => self.transport.exchange(&self.hub, request()?).await,
            reply => reply,
        };
        match reply {
            Ok(reply) => self.understand(reply),
            Err(Broken::Midway(failure) | Broken::Other(failure)) => Err(failure),
        }
    }

    fn request(&self, asked: &Change, query: &[(&str, String)]) -> Result<Request, Failure> {
        let mut uri = format!("{}{API}{}", self.hub, asked.path);
        for (index, (name, value)) in query.iter().enumerate() {
            uri.push(if index == 0 { '?' } else { '&' });
            uri.push_str(name);
            uri.push('=');
            uri.push_str(&encoded(value));
        }
        let mut request = hyper::Request::builder()
            .method(&asked.method)
            .uri(uri)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("renkei/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = &self.token {
            let value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()));
            let mut value = value.map_err(|_| Failure::NotSignedIn(self.hub.clone()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(version) = &asked.seen {
            request = request.header(IF_MATCH, version);
        }
        if let Some(key) = asked.key {
            request = request.header("Idempotency-Key", key.to_string());
        }
        let body = match &asked.body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        request.body(body.into()).map_err(|error| self.not_understood(error))
    }

    fn understand(&self, reply: Reply) -> Result<Answer, Failure> {
        let Reply { head, body } = reply;
        if !head.status.is_success() {
            return Err(self.refused(head.status, &body));
        }
        let body = match body.as_ref() {
            b"" => Value::Null,
            body => serde_json::from_slice(body).map_err(|error| self.not_understood(error))?,
        };
        let version = head.headers.get(ETAG).and_then(|value| value.to_str().ok());
        Ok(Answer {
            version: version.map(str::to_owned),
            body,
        })
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => problem.into(),
            Err(_) => self.not_understood(format!("HTTP status {status} without a problem that a hub would tell")),
        }
    }

    fn not_understood(&self, why: impl Into<Cause>) -> Failure {
        Failure::Answer {
            hub: self.hub.clone(),
            source: why.into(),
        }
    }
}

/// Percent-encoded for a query or a segment of a path (RFC 3986: all but unreserved characters).
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
