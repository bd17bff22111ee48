//! A client of the API that asks until it is answered, whichever hub dies meanwhile, and that never asks for two things with one
//! question: each has an `Idempotency-Key`, which is the same at each try.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use renkei_testkit::wait;
use serde_json::{Value, json};

/// How long one hub may be silent, and how long all of them together.
const SILENCE: Duration = Duration::from_secs(60);
pub const PATIENCE: Duration = Duration::from_secs(120);
/// The most entries of a page.
const PAGE: usize = 1000;

/// Somebody who asks any of these hubs.
#[derive(Debug)]
pub struct Api {
    hubs: Vec<SocketAddr>,
    token: String,
    turn: AtomicUsize,
    changes: AtomicUsize,
    ended: AtomicUsize,
}

/// A question.
#[derive(Clone, Debug)]
pub struct Question {
    method: &'static str,
    path: String,
    key: Option<String>,
    body: Option<Value>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
}

impl Question {
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: "GET",
            path: format!("/api/v1/{}", path.into()),
            key: None,
            body: None,
        }
    }

    /// `/healthz` or `/readyz`.
    pub fn health(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            ..Self::get("")
        }
    }

    pub fn post(path: impl Into<String>, body: Value) -> Self {
        Self::change("POST", path.into(), Some(body))
    }

    /// A verb that needs no more words.
    pub fn verb(path: impl Into<String>) -> Self {
        Self::change("POST", path.into(), None)
    }

    pub fn put(path: impl Into<String>, body: Value) -> Self {
        Self::change("PUT", path.into(), Some(body))
    }

    pub fn patch(path: impl Into<String>, body: Value) -> Self {
        Self::change("PATCH", path.into(), Some(body))
    }

    pub fn delete(path: impl Into<String>) -> Self {
        Self::change("DELETE", path.into(), None)
    }

    fn change(method: &'static str, path: String, body: Option<Value>) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        // Databases are new in each run, so keys need to differ in one run only.
        let key = format!("question-{}", COUNT.fetch_add(1, SeqCst));
        Self {
            method,
            path: format!("/api/v1/{path}"),
            key: Some(key),
            body,
        }
    }

    fn text(&self, token: &str) -> String {
        let body = self.body.as_ref().map(Value::to_string).unwrap_or_default();
        let mut text = format!(
            "{} {} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n",
            self.method, self.path
        );
        if !token.is_empty() {
            text += &format!("authorization: Bearer {token}\r\n");
        }
        if let Some(key) = &self.key {
            text += &format!("idempotency-key: {key}\r\n");
        }
        if self.body.is_some() {
            text += "content-type: application/json\r\n";
        }
        text + &format!("content-length: {}\r\n\r\n{body}", body.len())
    }
}

impl Api {
    pub fn new(hubs: Vec<SocketAddr>) -> Self {
        Self {
            hubs,
            token: String::new(),
            turn: AtomicUsize::new(0),
            changes: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
        }
    }

    /// The same, with what is shown.
    pub fn with_token(self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self
        }
    }

    /// Signs the first administrator in, with another password than the one that was printed.
    pub fn administrator(hubs: Vec<SocketAddr>, one_time_password: &str) -> Self {
        const PASSWORD: &str = "correct horse battery";
        let session = |api: &Self, password: &str| {
            let asked = json!({"name": "admin", "password": password});
            let issued = api.done(&Question::post("sessions", asked));
            issued["secret"].as_str().expect("a secret").to_owned()
        };
        let stranger = Self::new(hubs.clone());
        let first = session(&stranger, one_time_password);
        let first = Self::new(hubs.clone()).with_token(&first);
        let me = first.get("whoami")["user"]["id"].as_str().expect("an id").to_owned();
        let change = json!({"current": one_time_password, "new": PASSWORD});
        first.done(&Question::put(format!("users/{me}/password"), change));
        let secret = session(&stranger, PASSWORD);
        Self::new(hubs).with_token(&secret)
    }

    /// One of the hubs, for those who know only one.
    pub fn hub(&self) -> SocketAddr {
        self.hubs[0]
    }

    /// All of them.
    pub fn hubs(&self) -> &[SocketAddr] {
        &self.hubs
    }

    /// What it shows.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// How many changes were asked for so far, each try counted.
    pub fn changes(&self) -> usize {
        self.changes.load(SeqCst)
    }

    /// How many operations were seen to their end.
    pub fn ended(&self) -> usize {
        self.ended.load(SeqCst)
    }

    /// Waits until an operation has ended, and gives it.
    pub fn end_of(&self, operation: &str) -> Value {
        let path = Question::get(format!("operations/{operation}"));
        let mut last = Value::Null;
        let ended = wait::until_some("an operation to end", PATIENCE, || {
            last = self.done(&path);
            let open = matches!(last["state"].as_str(), Some("running" | "cancelling"));
            (!open).then_some(())
        });
        ended.unwrap_or_else(|error| panic!("{error}: {last}"));
        self.ended.fetch_add(1, SeqCst);
        last
    }

    /// Asks until there is an answer that settles it. What takes something away, and was asked for before, may be gone by then.
    pub fn ask(&self, question: &Question) -> Reply {
        let mut tries = 0;
        let mut last = String::new();
        let answered = wait::until_some("an answer", PATIENCE, || {
            tries += 1;
            match self.try_once(question) {
                // "Try again": nothing is known about what was asked.
                Ok(reply) if reply.status == 503 => last = reply.body.to_string(),
                Ok(reply) => return Some(reply),
                Err(error) => last = error.to_string(),
            }
            None
        });
        let reply = answered.unwrap_or_else(|error| panic!("{error}: {question:?}: {last}"));
        assert!(reply.status < 500, "{question:?}: {reply:?}");
        if tries > 1 && reply.status == 404 && question.method == "DELETE" {
            return Reply {
                status: 204,
                body: Value::Null,
            };
        }
        reply
    }

    /// Asks one hub once.
    pub fn try_once(&self, question: &Question) -> io::Result<Reply> {
        let turn = self.turn.fetch_add(1, SeqCst) % self.hubs.len();
        self.changes.fetch_add(usize::from(question.key.is_some()), SeqCst);
        let mut stream = TcpStream::connect(self.hubs[turn])?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.write_all(question.text(&self.token).as_bytes())?;
        let mut told = Vec::new();
        stream.read_to_end(&mut told)?;
        read(&told).ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }

    /// What it is answered, which must be a success.
    pub fn done(&self, question: &Question) -> Value {
        let reply = self.ask(question);
        assert!((200..300).contains(&reply.status), "{question:?}: {reply:?}");
        reply.body
    }

    /// What stands at a path.
    pub fn get(&self, path: &str) -> Value {
        self.done(&Question::get(path))
    }

    /// All entries of a list.
    pub fn list(&self, path: &str) -> Vec<Value> {
        let mark = if path.contains('?') { '&' } else { '?' };
        let page = self.get(&format!("{path}{mark}limit={PAGE}"));
        assert!(page["next"].is_null(), "{path} has more than {PAGE} entries");
        page["items"].as_array().cloned().expect("entries")
    }
}

/// An answer, if it came whole.
fn read(told: &[u8]) -> Option<Reply> {
    let end = told.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(told.get(..end)?).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let headers = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = headers.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = lengths.next().map_or(Some(0), |(_, value)| value.trim().parse().ok())?;
    let body = told.get(end + 4..end + 4 + length)?;
    let body = match body {
        [] => Value::Null,
        // Health is told in words.
        body => serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into()),
    };
    Some(Reply { status, body })
}
