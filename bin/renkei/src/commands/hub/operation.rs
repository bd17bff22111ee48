//! `renkei operation`.

use std::time::Duration;

use jiff::Timestamp;
use renkei_types::id::OperationId;
use renkei_types::operation::{Operation, OperationState};
use renkei_types::size::Elapsed;
use tokio::time::{Instant, sleep};

use super::client::{Change, Outcome};
use super::failure::Failure;
use super::names::{Mention, Names};
use super::noun::Noun;
use super::resolve::Collection::{Projects, Users};
use super::{Hub, table};
use crate::arguments::hub::operation::{Cancel, List, State, Verb, Wait};
use crate::exit;
use crate::printer::Status;

const OPERATIONS: &str = "/operations";
/// How often is asked, at first and later: most operations are quick, and those that are not need no hurry.
const SOON: Duration = Duration::from_millis(200);
const LATER: Duration = Duration::from_secs(2);

impl Noun for Operation {
    const NOUN: &'static str = "operation";
    const HEADING: &'static [&'static str] = &["ID", "WHAT", "OBJECT", "STATE", "PROGRESS", "WAITING FOR", "ASKED FOR"];

    fn called(&self, _: &Names) -> String {
        self.id.to_string()
    }

    fn mentions(&self) -> Vec<Mention> {
        let project = self.project.iter().map(|project| (Projects, project.0));
        project.chain(self.by.iter().map(|user| (Users, user.0))).collect()
    }

    fn row(&self, _: &Names) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.verb.clone(),
            object(self),
            self.state.to_string(),
            format!("{} %", self.progress),
            self.waiting
                .as_ref()
                .map(|waiting| waiting.what.clone())
                .unwrap_or_default(),
            table::time(self.created),
        ]
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        let waiting = self.waiting.as_ref();
        vec![
            ("id", self.id.to_string()),
            ("what", self.verb.clone()),
            ("object", format!("{}, id {}", object(self), self.object.id)),
            (
                "project",
                self.project.map(|project| names.get(project.0)).unwrap_or_default(),
            ),
            (
                "asked for by",
                self.by.map_or_else(|| "the hub".to_owned(), |user| names.get(user.0)),
            ),
            ("asked for", table::time(self.created)),
            ("state", self.state.to_string()),
            ("progress", format!("{} %", self.progress)),
            (
                "waiting for",
                waiting.map(|waiting| waiting.what.clone()).unwrap_or_default(),
            ),
            (
                "waiting since",
                waiting.map(|waiting| table::time(waiting.since)).unwrap_or_default(),
            ),
            ("given up", table::time_or(self.deadline, "never")),
            ("ended", table::time_or(self.ended, "")),
            ("error", self.error.clone().unwrap_or_default()),
        ]
    }
}

fn object(operation: &Operation) -> String {
    format!("{} `{}`", operation.object.noun, operation.object.name)
}

impl From<State> for OperationState {
    fn from(state: State) -> Self {
        match state {
            State::Running => Self::Running,
            State::Cancelling => Self::Cancelling,
            State::Done => Self::Done,
            State::Failed => Self::Failed,
            State::Superseded => Self::Superseded,
        }
    }
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List(list) => self::list(hub, &list).await,
        Verb::Show(one) => hub.show::<Operation>(&format!("{OPERATIONS}/{}", one.id)).await,
        Verb::Wait(wait) => self::wait(hub, &wait).await,
        Verb::Cancel(cancel) => self::cancel(hub, &cancel).await,
    }
}

/// That it ends as failed is what was asked for.
async fn cancel(hub: &Hub, cancel: &Cancel) -> Result<u8, Failure> {
    let path = format!("{OPERATIONS}/{}/cancel", cancel.one.id);
    let change = Change::create(path, &()).mode(cancel.planned.into());
    match hub.client.change(&change).await? {
        Outcome::Planned(plan) => hub.print_plan(plan).await,
        Outcome::Done(operation) => {
            if hub.is_json() {
                hub.print_json(&operation)?;
            } else {
                hub.print_line(&format!("cancelling operation {}", cancel.one.id))?;
            }
            if change.waits() {
                until_ended(hub, cancel.one.id, None).await?;
            }
            Ok(exit::COMPLETE)
        }
    }
}

async fn list(hub: &Hub, list: &List) -> Result<u8, Failure> {
    let mut query = Vec::new();
    if let Some(project) = &list.of.project {
        query.push(("project", hub.id(Projects, project).await?.to_string()));
    }
    query.extend(list.object.map(|object| ("object", object.to_string())));
    query.extend(
        list.state
            .map(|state| ("state", OperationState::from(state).to_string())),
    );
    hub.list::<Operation>(OPERATIONS, &query).await
}

async fn wait(hub: &Hub, wait: &Wait) -> Result<u8, Failure> {
    let give_up = wait.timeout.map(|timeout| Instant::now() + timeout);
    let operation = until_ended(hub, wait.one.id, give_up).await?;
    hub.print_one::<Operation>(serde_json::to_value(&operation).unwrap_or_default())
        .await?;
    ended(&operation)
}

/// Waits for what is under way with the object of this id. An operation that comes to nothing says why.
pub(super) async fn until_so(hub: &Hub, object: &str) -> Result<u8, Failure> {
    let mut code = exit::COMPLETE;
    for state in [OperationState::Running, OperationState::Cancelling] {
        let query = [("object", object.to_owned()), ("state", state.to_string())];
        for one in hub.client.all(OPERATIONS, &query).await? {
            let operation: Operation = hub.client.read(one)?;
            let operation = until_ended(hub, operation.id, None).await?;
            if ended(&operation)? != exit::COMPLETE {
                let error = operation.error.as_deref().unwrap_or("it does not say why");
                hub.output
                    .note(&format!("operation {} is {}: {error}", operation.id, operation.state));
                code = exit::FAILED;
            }
        }
    }
    Ok(code)
}

/// Until it has ended; what is waited for, and since when, goes to standard error.
async fn until_ended(hub: &Hub, id: OperationId, give_up: Option<Instant>) -> Result<Operation, Failure> {
    let path = format!("{OPERATIONS}/{id}");
    let mut status = Status::default();
    let mut pause = SOON;
    loop {
        let body = hub.client.get(&path, &[]).await?.body;
        let operation: Operation = hub.client.read(body)?;
        if operation.state.ended() {
            status.clear();
            return Ok(operation);
        }
        let (subject, time) = waiting(&operation, Timestamp::now());
        status.show(&subject, &time);
        if give_up.is_some_and(|give_up| Instant::now() + pause > give_up) {
            status.clear();
            let text = format!(
                "operation {} has not ended in time: it is {}",
                operation.id, operation.state
            );
            return Err(Failure::Ended(text));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LATER);
    }
}

/// What an open operation waits for. That it cannot be seen is no failure.
pub(super) async fn waiting_for(hub: &Hub, id: Option<OperationId>) -> Option<String> {
    let answer = hub.client.get(&format!("{OPERATIONS}/{}", id?), &[]).await.ok()?;
    let operation: Operation = hub.client.read(answer.body).ok()?;
    let waiting = operation.waiting?;
    Some(format!("{}, since {}", waiting.what, table::time(waiting.since)))
}

fn ended(operation: &Operation) -> Result<u8, Failure> {
    match operation.state {
        OperationState::Done => Ok(exit::COMPLETE),
        _ => Ok(exit::FAILED),
    }
}

/// What is waited for and since when; and what changes while it is waited for.
fn waiting(operation: &Operation, now: Timestamp) -> (String, String) {
    let (what, since) = match &operation.waiting {
        Some(waiting) => (waiting.what.clone(), waiting.since),
        None => (
            format!("{} of {}", operation.verb, object(operation)),
            operation.created,
        ),
    };
    let so_far = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    let subject = format!("waiting for {what}, since {}", table::time(since));
    (subject, format!("({}), {} %", Elapsed(so_far), operation.progress))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn operation() -> Operation {
        let id = uuid::Uuid::nil();
        let value = json!({
            "id": id, "verb": "vm:deploy", "object": {"noun": "vm", "id": id, "name": "a1"}, "generation": 1,
            "state": "running", "progress": 40, "created": "2026-11-21T12:00:00Z",
            "waiting": {"what": "room at site `hakusan`", "since": "2026-11-21T12:01:00Z"},
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_line_says_what_is_waited_for_and_since_when() {
        let now = "2026-11-21T12:03:05Z".parse().unwrap();
        let (subject, time) = waiting(&operation(), now);
        assert_eq!(
            subject,
            "waiting for room at site `hakusan`, since 2026-11-21T12:01:00Z"
        );
        assert_eq!(time, "(2m 05s), 40 %");
        let working = Operation {
            waiting: None,
            ..operation()
        };
        assert_eq!(
            waiting(&working, now).0,
            "waiting for vm:deploy of vm `a1`, since 2026-11-21T12:00:00Z"
        );
    }

    #[test]
    fn only_what_was_done_is_a_success() {
        for (state, code) in [
            (OperationState::Done, 0),
            (OperationState::Failed, 1),
            (OperationState::Superseded, 1),
        ] {
            assert_eq!(ended(&Operation { state, ..operation() }).unwrap(), code);
        }
    }
}
