//! What is asked of machines. Everything is answered with 202 and the id of a task before it is done; rows and records are there
//! by then, in the order of the names, as the client looks for them at once.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use renkei_types::id::VmId;
use renkei_types::problem::{Problem, ProblemKind};
use serde_json::Value;
use uuid::Uuid;

use super::super::answer::{Refusal, done};
use super::super::asking::{Call, Id, Said, part};
use super::asked::{Clone, Deploy, Packs, PowerOn, Reconfigure, Task};
use super::words;
use crate::Hub;
use crate::app::Asked;
use crate::app::vm::verb::Act;

/// The task, and that it goes on.
type Accepted<T> = Result<(StatusCode, Json<Task<T>>), Refusal>;

fn accepted<T>(task_id: T) -> (StatusCode, Json<Task<T>>) {
    (StatusCode::ACCEPTED, Json(Task { task_id }))
}

/// Asks for machines: a list of tasks, one for each, in the order of the names.
pub async fn deploy(State(hub): State<Hub>, Said { asked, body }: Said<Value>) -> Accepted<Vec<Uuid>> {
    let wanted: Deploy = part(&body)?;
    let size: Packs = part(&body)?;
    let named = (wanted.catalog, wanted.template_name.as_deref());
    let Some(template) = hub.app.mdx_template(&asked, wanted.project, named).await? else {
        let field = if wanted.catalog.is_some() {
            "catalog"
        } else {
            "template_name"
        };
        return Err(Refusal::field(field, "the project's catalog has no such entry"));
    };
    let new = wanted.wanted(&template, &size)?;
    let deployed = done(hub.app.deploy(&asked, new).await).map_err(renamed)?;
    Ok(accepted(
        deployed.operations.iter().map(|operation| operation.id.0).collect(),
    ))
}

/// Asks for a copy of a machine.
pub async fn clone(State(hub): State<Hub>, Id(vm): Id, Said { asked, body }: Said<Value>) -> Accepted<Uuid> {
    let source = hub.app.vm(&asked, VmId(vm)).await?.value;
    let wanted: Clone = part(&body)?;
    if wanted.project.is_some_and(|project| project != source.project) {
        return Err(Refusal::field(
            "project",
            "a clone is made in the project of its source",
        ));
    }
    let new = wanted.wanted(&part(&body)?)?;
    let cloned = done(hub.app.clone_vm(&asked, source.id, new).await).map_err(renamed)?;
    match cloned.operations.first() {
        Some(operation) => Ok(accepted(operation.id.0)),
        None => Err(Problem::new(ProblemKind::Internal, "nothing was begun").into()),
    }
}

/// Destroys a machine that is off.
pub async fn destroy(State(hub): State<Hub>, Call(mut asked): Call, Id(vm): Id) -> Accepted<Uuid> {
    let seen = hub.app.vm(&asked, VmId(vm)).await?;
    if !words::may_be_destroyed(&seen.value) {
        let title = format!("machine `{}` is {}", seen.value.name, words::status(&seen.value));
        let problem = Problem::new(ProblemKind::Conflict, title);
        return Err(problem.hint("power it off first").into());
    }
    // Nobody may start it in between.
    asked.seen = Some(seen.version);
    act(&hub, &asked, (vm, Act::Destroy)).await
}

/// Starts a machine; the level may be `null`.
pub async fn power_on(State(hub): State<Hub>, Id(vm): Id, Said { asked, body }: Said<Value>) -> Accepted<Uuid> {
    // Who may not know of it learns nothing of what else is wrong.
    hub.app.vm(&asked, VmId(vm)).await?;
    let level = part::<PowerOn>(&body)?.level()?;
    act(&hub, &asked, (vm, Act::PowerOn(level))).await
}

/// Stops a machine at once.
pub async fn power_off(State(hub): State<Hub>, Call(asked): Call, Id(vm): Id) -> Accepted<Uuid> {
    act(&hub, &asked, (vm, Act::PowerOff)).await
}

/// Asks the guest to stop.
pub async fn shutdown(State(hub): State<Hub>, Call(asked): Call, Id(vm): Id) -> Accepted<Uuid> {
    act(&hub, &asked, (vm, Act::Shutdown)).await
}

/// Asks the guest to start anew.
pub async fn reboot(State(hub): State<Hub>, Call(asked): Call, Id(vm): Id) -> Accepted<Uuid> {
    act(&hub, &asked, (vm, Act::Reboot)).await
}

/// Starts a machine anew at once.
pub async fn reset(State(hub): State<Hub>, Call(asked): Call, Id(vm): Id) -> Accepted<Uuid> {
    act(&hub, &asked, (vm, Act::Reset)).await
}

/// Changes the size, the disks and the adapters of a machine that is off.
pub async fn reconfigure(State(hub): State<Hub>, Id(vm): Id, Said { asked, body }: Said<Value>) -> Accepted<Uuid> {
    hub.app.vm(&asked, VmId(vm)).await?;
    let patch = part::<Reconfigure>(&body)?.wanted(&part(&body)?)?;
    let begun = done(hub.app.change_vm(&asked, VmId(vm), patch).await).map_err(renamed)?;
    Ok(accepted(begun.value.id.0))
}

async fn act(hub: &Hub, asked: &Asked, (vm, act): (Uuid, Act)) -> Accepted<Uuid> {
    let begun = done(hub.app.act(asked, VmId(vm), act).await).map_err(renamed)?;
    Ok(accepted(begun.value.id.0))
}

fn renamed(problem: Problem) -> Refusal {
    let names = [
        ("name", "vm_name"),
        ("template", "catalog"),
        ("size", "pack_num"),
        ("disk_gib", "disk_size"),
        ("disks_gib", "hard_disks"),
        ("adapters", "network_adapters"),
        ("key", "shared_key"),
    ];
    Refusal::renamed(problem, &names)
}
