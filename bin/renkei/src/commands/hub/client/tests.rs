use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use renkei_types::name::Name;
use serde_json::json;

use super::*;
use crate::commands::hub::Hub;
use crate::exit;

/// What a hub of a test does with a connection, after it has read a request from it.
enum Act {
    /// Answers.
    Answer(u16, &'static str, String),
    /// Goes away without a word.
    Leave,
}

/// A request as it arrived: its first line, headers and body.
struct Seen {
    head: String,
    body: String,
}

/// A hub that acts as told, once for each connection, and gives back what it was asked.
fn hub(acts: Vec<Act>) -> (HubUrl, JoinHandle<Vec<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let mut acts = VecDeque::from(acts);
    let served = thread::spawn(move || {
        let mut seen = Vec::new();
        while let Some(act) = acts.pop_front() {
            let (stream, _) = listener.accept().unwrap();
            seen.push(read(&stream));
            if let Act::Answer(status, headers, body) = act {
                let length = body.len();
                write!(
                    &stream,
                    "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
                )
                .unwrap();
            }
        }
        seen
    });
    (url, served)
}

fn read(stream: &TcpStream) -> Seen {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    Seen {
        head,
        body: String::from_utf8(body).unwrap(),
    }
}

fn client(hub: HubUrl) -> Client {
    Client::new(hub, Some(Secret::new("rk_secret".to_owned())), None).unwrap()
}

fn header<'a>(seen: &'a Seen, name: &str) -> Option<&'a str> {
    seen.head
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn a_create_whose_connection_breaks_is_sent_again_with_the_same_key() {
    let (url, served) = hub(vec![Act::Leave, Act::Answer(201, "", json!({"id": 1}).to_string())]);
    let change = Change::create("/organizations", &json!({"name": "a"}));
    let outcome = run(client(url).change(&change)).unwrap();
    assert!(matches!(outcome, Outcome::Done(value) if value == json!({"id": 1})));
    let seen = served.join().unwrap();
    let keys: Vec<_> = seen
        .iter()
        .map(|seen| header(seen, "idempotency-key").unwrap())
        .collect();
    assert_eq!(keys[0], keys[1]);
    assert_eq!(seen[0].body, seen[1].body);
    assert!(seen[0].head.starts_with("post /api/v1/organizations http/1.1"));
    assert_eq!(header(&seen[0], "authorization"), Some("bearer rk_secret"));
}

#[test]
fn a_connection_that_breaks_twice_is_told_as_not_connected() {
    let (url, served) = hub(vec![Act::Leave, Act::Leave]);
    let failure = run(client(url).get("/whoami", &[])).unwrap_err();
    assert_eq!(failure.exit_code(), exit::NOT_CONNECTED);
    assert_eq!(served.join().unwrap().len(), 2);
}

#[test]
fn a_change_without_a_key_is_never_sent_again() {
    let (url, served) = hub(vec![Act::Leave]);
    let change = Change::delete("/projects/1").seen(Some("\"3\"".to_owned()));
    assert!(matches!(
        run(client(url).change(&change)),
        Err(Failure::Unreachable { .. })
    ));
    let seen = served.join().unwrap();
    assert_eq!(header(&seen[0], "if-match"), Some("\"3\""));
    assert_eq!(header(&seen[0], "idempotency-key"), None);
}

#[test]
fn where_nothing_listens_nobody_is_connected() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let failure = run(client(url).get("/whoami", &[])).unwrap_err();
    assert_eq!(failure.exit_code(), exit::NOT_CONNECTED);
    assert!(failure.to_string().contains("cannot be reached"));
}

#[test]
fn a_list_is_read_to_its_last_page() {
    let page = |items: Value, next: Option<&str>| {
        let mut page = json!({ "items": items });
        if let Some(next) = next {
            page["next"] = json!(next);
        }
        Act::Answer(200, "", page.to_string())
    };
    let (url, served) = hub(vec![page(json!([1, 2]), Some("a/b")), page(json!([3]), None)]);
    let all = run(client(url).all("/projects", &[("name", "計 算".to_owned())])).unwrap();
    assert_eq!(all, [json!(1), json!(2), json!(3)]);
    let seen = served.join().unwrap();
    assert!(
        seen[0]
            .head
            .starts_with("get /api/v1/projects?name=%e8%a8%88%20%e7%ae%97&limit=1000 "),
        "{}",
        seen[0].head
    );
    assert!(seen[1].head.contains("&after=a%2fb "), "{}", seen[1].head);
}

#[test]
fn a_list_that_follows_itself_ends() {
    let page = || Act::Answer(200, "", json!({"items": [1], "next": "a"}).to_string());
    let (url, _served) = hub(vec![page(), page()]);
    assert!(matches!(
        run(client(url).all("/projects", &[])),
        Err(Failure::Answer { .. })
    ));
}

#[test]
fn a_refusal_is_the_problem_that_the_hub_told() {
    let problem = Problem::new(renkei_types::problem::ProblemKind::Forbidden, "you may not").hint("ask");
    let (url, _served) = hub(vec![Act::Answer(403, "", json!(problem).to_string())]);
    match run(client(url).get("/users", &[])) {
        Err(Failure::Refused(told)) => assert_eq!(*told, problem),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_hub_is_not_understood_and_not_followed() {
    for act in [
        Act::Answer(302, "location: http://example.org/\r\n", String::new()),
        Act::Answer(502, "", "<html>".to_owned()),
        Act::Answer(200, "", "<html>".to_owned()),
    ] {
        let (url, _served) = hub(vec![act]);
        assert!(matches!(
            run(client(url).get("/users", &[])),
            Err(Failure::Answer { .. })
        ));
    }
}

#[test]
fn a_plan_is_asked_for_and_the_version_is_kept() {
    let plan = json!({"changes": [], "refused": [], "takes": []}).to_string();
    let (url, served) = hub(vec![
        Act::Answer(200, "", plan),
        Act::Answer(200, "etag: \"7\"\r\n", "{}".to_owned()),
    ]);
    let client = client(url);
    let change = Change::patch("/sites/1", &json!({})).mode(Mode::Plan);
    assert!(matches!(run(client.change(&change)).unwrap(), Outcome::Planned(_)));
    assert_eq!(
        run(client.get("/sites/1", &[])).unwrap().version.as_deref(),
        Some("\"7\"")
    );
    assert!(
        served.join().unwrap()[0]
            .head
            .starts_with("patch /api/v1/sites/1?plan=true ")
    );
}

#[test]
fn without_a_token_nothing_is_asked() {
    let (url, served) = hub(Vec::new());
    let client = Client::new(url, None, None).unwrap();
    let failure = run(client.get("/users", &[])).unwrap_err();
    assert!(matches!(failure, Failure::NotSignedIn(_)));
    assert_eq!(failure.exit_code(), exit::NOT_CONNECTED);
    assert!(served.join().unwrap().is_empty());
}

#[test]
fn an_answer_of_another_form_is_not_understood() {
    let (url, _served) = hub(Vec::new());
    assert!(matches!(
        client(url).read::<Name>(json!(7)),
        Err(Failure::Answer { .. })
    ));
}

/// What a later verb of a machine will see: an operation that is under way, then done, another that fails.
#[test]
fn a_change_that_is_waited_for_ends_with_its_operations() {
    let operation = |id: Uuid, state: &str, error: Option<&str>| {
        json!({
            "id": id, "verb": "vm:deploy", "object": {"noun": "vm", "id": Uuid::nil(), "name": "a1"}, "generation": 1,
            "state": state, "progress": 40, "created": "2026-11-21T12:00:00Z", "error": error,
        })
    };
    let answer = |value: Value| Act::Answer(200, "", value.to_string());
    let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
    for (last, error, code) in [
        ("done", None, exit::COMPLETE),
        ("failed", Some("no room"), exit::FAILED),
    ] {
        let (url, served) = hub(vec![
            answer(json!({"items": [operation(one, "running", None)]})),
            answer(operation(one, "running", None)),
            answer(operation(one, "done", None)),
            answer(json!({"items": [operation(two, "cancelling", None)]})),
            answer(operation(two, last, error)),
        ]);
        let hub = Hub {
            client: client(url),
            output: crate::printer::Output::PLAIN,
            now: jiff::Timestamp::UNIX_EPOCH,
        };
        let change = Change::delete("/vms/1").mode(Mode::Wait);
        let object = json!({"id": Uuid::nil()});
        assert_eq!(run(hub.until_so(&change, &object)).unwrap(), code);
        let seen = served.join().unwrap();
        assert!(
            seen[0]
                .head
                .starts_with(&format!("get /api/v1/operations?object={}&state=running", Uuid::nil()))
        );
        assert!(seen[4].head.starts_with(&format!("get /api/v1/operations/{two} ")));
        // Without `--wait` nothing is asked.
        let change = change.mode(Mode::Apply);
        assert_eq!(run(hub.until_so(&change, &object)).unwrap(), exit::COMPLETE);
    }
}
