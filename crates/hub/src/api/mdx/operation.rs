//! `/api/history/…` and `/api/task/…`: operations, as the portal tells of them. The id of a task is that of its record.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use renkei_types::id::{OperationId, ProjectId, UserId, VmId};
use renkei_types::operation::{Operation, OperationState};
use serde::Serialize;
use uuid::Uuid;

use super::answer::{Page, Refusal};
use super::asking::{Call, Id, Paging, Query};
use crate::Hub;

/// Whose name stands where the hub did something by itself.
const SYSTEM: &str = "system";

/// A record.
#[derive(Debug, Serialize)]
pub struct History {
    uuid: Uuid,
    project: Option<Uuid>,
    user_name: String,
    #[serde(rename = "type")]
    kind: String,
    object_uuid: Uuid,
    object_name: String,
    start_datetime: String,
    end_datetime: Option<String>,
    status: &'static str,
    progress: u8,
    error_message: String,
    error_detail: String,
}

/// What happened in a project, the newest first; with `type` only records of that kind, with `ordering=start_datetime` the
/// oldest first.
pub async fn of_project(
    State(hub): State<Hub>,
    Call(asked): Call,
    Id(project): Id,
    query: Query,
    paging: Paging,
) -> Result<Page<History>, Refusal> {
    let operations = hub.app.history_of_project(&asked, ProjectId(project)).await?;
    page(&hub, operations, &query, &paging).await
}

/// What happened to a machine, also when it is gone.
pub async fn of_vm(
    State(hub): State<Hub>,
    Call(asked): Call,
    Id(vm): Id,
    query: Query,
    paging: Paging,
) -> Result<Page<History>, Refusal> {
    let operations = hub.app.mdx_history(&asked, VmId(vm)).await?;
    if operations.is_empty() {
        return Err(Refusal::nothing());
    }
    page(&hub, operations, &query, &paging).await
}

/// One record, which programs ask for until it has ended.
pub async fn show(State(hub): State<Hub>, Call(asked): Call, Id(task): Id) -> Result<Json<History>, Refusal> {
    let operation = hub.app.operation(&asked, OperationId(task)).await?.value;
    let all = match Made::of(&operation) {
        Some(_) => hub.app.history_of(&asked, operation.object.id).await?,
        None => vec![operation.clone()],
    };
    let spans = Spans::new(&all);
    let names = names(&hub, std::slice::from_ref(&operation)).await?;
    let kind = kind(&hub, &spans, &operation).await?;
    Ok(Json(record(operation, kind, &names)))
}

/// `operations` are all of a project or of an object, the newest first.
async fn page(
    hub: &Hub,
    mut operations: Vec<Operation>,
    query: &Query,
    paging: &Paging,
) -> Result<Page<History>, Refusal> {
    let spans = Spans::new(&operations);
    if let Some(wanted) = query.get("type") {
        let mut of_kind = Vec::new();
        for operation in operations {
            if kind(hub, &spans, &operation).await? == wanted {
                of_kind.push(operation);
            }
        }
        operations = of_kind;
    }
    if query.get("ordering") == Some("start_datetime") {
        operations.reverse();
    }
    let cut = paging.cut(operations)?;
    let names = names(hub, &cut.results).await?;
    let mut results = Vec::new();
    for operation in cut.results {
        let kind = kind(hub, &spans, &operation).await?;
        results.push(record(operation, kind, &names));
    }
    Ok(Page {
        count: cut.count,
        next: cut.next,
        previous: cut.previous,
        results,
    })
}

/// The first and the last operation on each object.
struct Spans(BTreeMap<Uuid, (OperationId, OperationId)>);

impl Spans {
    fn new(newest_first: &[Operation]) -> Self {
        let mut spans = BTreeMap::new();
        for operation in newest_first {
            let span = spans.entry(operation.object.id).or_insert((operation.id, operation.id));
            span.0 = operation.id;
        }
        Self(spans)
    }
}

/// What a change of a network, a rule or a mapping was: an operation says only that there was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    Added,
    Changed,
    Deleted,
}

impl Made {
    /// The portal's word for the noun, if it tells these apart.
    fn of(operation: &Operation) -> Option<&'static str> {
        match operation.verb.as_str() {
            "segment:write" => Some("セグメント"),
            "acl:write" => Some("ACL"),
            "dnat:write" => Some("DNAT"),
            _ => None,
        }
    }

    fn word(self, noun: &str) -> String {
        match self {
            Self::Added => format!("{noun}の追加"),
            Self::Changed => format!("{noun}の編集"),
            Self::Deleted => format!("{noun}の削除"),
        }
    }
}

/// The first operation on an object made it; the last one deleted it, if it is gone.
async fn kind(hub: &Hub, spans: &Spans, operation: &Operation) -> Result<String, Refusal> {
    let Some(noun) = Made::of(operation) else {
        return Ok(word(&operation.verb).to_owned());
    };
    let (first, last) = spans
        .0
        .get(&operation.object.id)
        .copied()
        .unwrap_or((operation.id, operation.id));
    let made = if operation.id == first {
        Made::Added
    } else if operation.id == last && !hub.app.mdx_is_there(&operation.object).await? {
        Made::Deleted
    } else {
        Made::Changed
    };
    Ok(made.word(noun))
}

async fn names(hub: &Hub, operations: &[Operation]) -> Result<BTreeMap<UserId, String>, Refusal> {
    let users = operations.iter().filter_map(|operation| operation.by).collect();
    Ok(hub.app.user_names(users).await?)
}

fn record(operation: Operation, kind: String, names: &BTreeMap<UserId, String>) -> History {
    let user = operation.by.and_then(|user| names.get(&user).cloned());
    let waits = operation
        .waiting
        .map(|waiting| format!("waits for {} since {}", waiting.what, time(waiting.since)));
    History {
        uuid: operation.id.0,
        project: operation.project.map(|project| project.0),
        user_name: user.unwrap_or_else(|| SYSTEM.to_owned()),
        kind,
        object_uuid: operation.object.id,
        object_name: operation.object.name,
        start_datetime: time(operation.created),
        end_datetime: operation.ended.map(time),
        status: status(operation.state),
        progress: operation.progress,
        error_message: operation.error.unwrap_or_default(),
        error_detail: waits.unwrap_or_default(),
    }
}

fn status(state: OperationState) -> &'static str {
    match state {
        // Until nothing happens any more it is not said to have failed.
        OperationState::Running | OperationState::Cancelling => "Running",
        OperationState::Done => "Completed",
        OperationState::Failed | OperationState::Superseded => "Failed",
    }
}

/// `YYYY-mm-dd HH:MM:SS`, UTC.
pub(super) fn time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// As the portal writes it; what it does not have is told in our own words.
fn word(verb: &str) -> &str {
    match verb {
        "vm:deploy" => "デプロイ",
        "vm:clone" => "クローン",
        "vm:shutdown" => "停止",
        "vm:power_off" => "強制停止",
        "vm:power_on" => "起動",
        "vm:reboot" => "再起動",
        "vm:reset" => "リセット",
        "vm:destroy" => "削除",
        "vm:reconfigure" => "構成変更",
        "vm:suspend" => "サスペンド",
        "vm:resume" => "レジューム",
        "vm:save" => "テンプレートの作成",
        "vm:deallocate" => "自動休止",
        "vm:rename" => "名前の変更",
        "project:create" => "プロジェクトの作成",
        "project:write" | "project:expire" => "プロジェクトの変更",
        "member:write" => "メンバーの変更",
        "quota:write" => "上限の変更",
        "freeze:write" => "凍結の変更",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_portal_does() {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        assert_eq!(time(at), "2027-01-15 08:00:00");
    }

    #[test]
    fn nothing_is_said_to_have_failed_before_it_has() {
        assert_eq!(status(OperationState::Cancelling), "Running");
        assert_eq!(status(OperationState::Failed), "Failed");
        assert_eq!(status(OperationState::Done), "Completed");
    }
}
