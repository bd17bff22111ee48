//! Connections to the hub's API in clear: loopback only, and nothing between the measurement and the wire.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Where the hub is, and who asks it.
#[derive(Clone, Debug)]
pub struct Client {
    /// `HOST:PORT`.
    pub hub: String,
    /// `Authorization`, whole.
    pub authorization: String,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Ask {
    /// How.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// What is sent with it.
    pub body: Option<Value>,
}

/// One connection, which is kept.
pub struct Connection {
    client: Client,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Shows this token.
    pub fn new(hub: &str, token: &str) -> Self {
        Self {
            hub: hub.to_owned(),
            authorization: format!("Bearer {token}"),
        }
    }

    /// Connects.
    pub async fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(&self.hub).await;
        let stream = stream.with_context(|| format!("no hub listens at {}", self.hub))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let client = self.clone();
        Ok(Connection { client, sender })
    }

    /// Asks all of this at once, over so many connections; gives the answers in the same order.
    pub async fn all(&self, asks: Vec<Ask>, connections: usize) -> Result<Vec<Value>> {
        let count = asks.len();
        let open: Arc<Mutex<VecDeque<(usize, Ask)>>> = Arc::new(Mutex::new(asks.into_iter().enumerate().collect()));
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..connections.min(count) {
            let (open, mut connection) = (open.clone(), self.connect().await?);
            workers.spawn(async move {
                let mut answers = Vec::new();
                loop {
                    let next = open.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((place, ask)) = next else {
                        return Ok::<_, anyhow::Error>(answers);
                    };
                    answers.push((place, connection.ask(&ask).await?));
                }
            });
        }
        let mut answers = Vec::with_capacity(count);
        while let Some(some) = workers.join_next().await {
            answers.extend(some??);
        }
        answers.sort_unstable_by_key(|(place, _)| *place);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }
}

impl Connection {
    /// Asks, and reads the answer, which must be a good one.
    pub async fn ask(&mut self, ask: &Ask) -> Result<Value> {
        let (status, body) = self.exchange(ask).await?;
        if !status.is_success() {
            let said = String::from_utf8_lossy(&body);
            bail!("{} {}: {status}: {said}", ask.method, ask.path);
        }
        match body.is_empty() {
            true => Ok(Value::Null),
            false => {
                serde_json::from_slice(&body).with_context(|| format!("{} answers with what is no JSON", ask.path))
            }
        }
    }

    /// Asks, and reads the answer, whatever it is.
    pub async fn exchange(&mut self, ask: &Ask) -> Result<(StatusCode, Bytes)> {
        let body = ask.body.as_ref().map(Value::to_string).unwrap_or_default();
        let mut request = Request::builder()
            .method(&ask.method)
            .uri(&ask.path)
            .header(HOST, &self.client.hub)
            .header(AUTHORIZATION, &self.client.authorization);
        if ask.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(Bytes::from(body)))?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await;
        let answer = answer.with_context(|| format!("{} {} is not answered", ask.method, ask.path))?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}

impl Ask {
    /// Looks.
    pub fn get(path: impl Into<String>) -> Self {
        Self::of(Method::GET, path, None)
    }

    /// Asks for something.
    pub fn post(path: impl Into<String>, body: Option<Value>) -> Self {
        Self::of(Method::POST, path, body)
    }

    /// Sets something.
    pub fn put(path: impl Into<String>, body: Value) -> Self {
        Self::of(Method::PUT, path, Some(body))
    }

    /// Removes something.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::of(Method::DELETE, path, None)
    }

    fn of(method: Method, path: impl Into<String>, body: Option<Value>) -> Self {
        let path = path.into();
        Self { method, path, body }
    }
}

/// A text in an answer.
pub fn text<'a>(answer: &'a Value, field: &str) -> Result<&'a str> {
    let found = answer.get(field).and_then(Value::as_str);
    found.with_context(|| format!("an answer has no `{field}`"))
}

/// A list in an answer.
pub fn items(answer: &Value) -> Result<&Vec<Value>> {
    let found = answer.get("items").and_then(Value::as_array);
    found.context("an answer has no `items`")
}
