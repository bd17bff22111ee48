//! A client of the API, as small as it can be. Every answer that it gets is held against the OpenAPI document.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::handshake;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::document::Document;

/// Somebody who asks. Each request has a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    pub address: SocketAddr,
    headers: Vec<(String, String)>,
}

/// An answer, as it came.
#[derive(Clone, Debug)]
pub struct Reply {
    /// What was asked, for messages.
    pub asked: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            headers: Vec::new(),
        }
    }

    /// The same with one header more.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    /// The same with a token's secret.
    pub fn token(&self, secret: &str) -> Self {
        self.with("authorization", &format!("Bearer {secret}"))
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path, None).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.ask(Method::DELETE, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.ask(Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.ask(Method::PATCH, path, Some(body)).await
    }

    /// A request with a body in JSON, or with none.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        match body {
            Some(body) => {
                let json = self.with("content-type", "application/json");
                json.send(method, path, body.to_string().into()).await
            }
            None => self.send(method, path, Bytes::new()).await,
        }
    }

    /// A request with any body and only the headers that were given.
    pub async fn send(&self, method: Method, path: &str, body: Bytes) -> Reply {
        let answer = self.open(method.clone(), path, body).await;
        let (parts, body) = answer.into_parts();
        let reply = Reply {
            asked: format!("{method} {path}"),
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        };
        Document::shared().check(&method, path, &reply);
        reply
    }

    /// The beginning of an answer.
    pub async fn open(&self, method: Method, path: &str, body: Bytes) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        // What goes wrong with the connection is told by the request.
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", "hub");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        sender
            .send_request(request.body(Full::new(body)).unwrap())
            .await
            .unwrap()
    }
}

impl Reply {
    /// The body if the status is this one.
    #[track_caller]
    pub fn is(&self, status: u16) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{}: {text}", self.asked);
        self.json()
    }

    /// Whether it is refused with this status for this field.
    #[track_caller]
    pub fn refuses(&self, status: u16, field: &str) {
        let problem = self.is(status);
        assert_eq!(problem["field"], field, "{}: {problem}", self.asked);
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{}: {error}: {:?}", self.asked, self.body))
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .unwrap_or_else(|| panic!("{}: no `{name}`", self.asked))
            .to_str()
            .unwrap()
    }
}

/// The text at this place of a document.
#[track_caller]
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no text `{name}` in {value}"))
}
