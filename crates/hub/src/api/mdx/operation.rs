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
    let names = names(&hub, std::slice::from_ref(&operation)).await?;
    Ok(Json(record(operation, &names)))
}

async fn page(
    hub: &Hub,
    mut operations: Vec<Operation>,
    query: &Query,
    paging: &Paging,
) -> Result<Page<History>, Refusal> {
    if let Some(wanted) = query.get("type") {
        operations.retain(|operation| kind(&operation.verb) == wanted);
    }
    if query.get("ordering") == Some("start_datetime") {
        operations.reverse();
    }
    let Page {
        count,
        next,
        previous,
        results,
    } = paging.cut(operations)?;
    let names = names(hub, &results).await?;
    let results = results.into_iter().map(|operation| record(operation, &names)).collect();
    Ok(Page {
        count,
        next,
        previous,
        results,
    })
}

async fn names(hub: &Hub, operations: &[Operation]) -> Result<BTreeMap<UserId, String>, Refusal> {
    let users = operations.iter().filter_map(|operation| operation.by).collect();
    Ok(hub.app.user_names(users).await?)
}

fn record(operation: Operation, names: &BTreeMap<UserId, String>) -> History {
    let user = operation.by.and_then(|user| names.get(&user).cloned());
    let waits = operation
        .waiting
        .map(|waiting| format!("waits for {} since {}", waiting.what, time(waiting.since)));
    History {
        uuid: operation.id.0,
        project: operation.project.map(|project| project.0),
        user_name: user.unwrap_or_else(|| SYSTEM.to_owned()),
        kind: kind(&operation.verb).to_owned(),
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
pub(super) fn kind(verb: &str) -> &str {
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
        "segment:create" => "セグメントの追加",
        "segment:change" => "セグメントの編集",
        "segment:delete" => "セグメントの削除",
        "acl:create" => "ACLの追加",
        "acl:change" => "ACLの編集",
        "acl:delete" => "ACLの削除",
        "dnat:create" => "DNATの追加",
        "dnat:change" => "DNATの編集",
        "dnat:delete" => "DNATの削除",
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
