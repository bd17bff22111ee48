//! `/api/v1/vms/{id}/console`: the serial console of a machine, as a WebSocket, and what it said last, as text.

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use renkei_types::agent::READ_AT_ONCE;
use renkei_types::id::VmId;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::stream::{LARGEST_FRAME, Of};
use utoipa::IntoResponses;

use super::answer::{Failure, Refusals};
use super::asking::{Ids, Look, bearer};
use crate::Hub;
use crate::streams::{self, Guest};

/// In the OpenAPI document: what a console may be answered, besides.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes answers in the OpenAPI document")]
pub enum Stands {
    /// The machine is in no state to have one.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(Problem),
}

/// Opens the serial console of a machine that runs, as a WebSocket (RFC 6455): binary frames are bytes, first what the machine said
/// last, at most 64 KiB, then what it says; back goes what is typed. All who look on see the same. The stream ends with a code and a
/// reason: 1000 when the machine does not run any more, 1008 when the caller may not any more, 1011 when the connection to its host
/// broke, 1013 when the caller does not read what comes.
#[utoipa::path(get, path = "/api/v1/vms/{id}/console", tag = "machines", operation_id = "vm_console",
    params(("id" = VmId, Path)),
    responses((status = 101, description = "It is open."), Refusals, Stands))]
pub async fn open(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(vm): Ids<VmId>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let wanted = hub.app.stream(&asked, Of::Console(vm)).await?;
    let upgrade = upgrade.map_err(|rejection| {
        let title = format!("a console is a WebSocket: {}", rejection.body_text());
        Problem::new(ProblemKind::Invalid, title).hint("`renkei vm console` opens one")
    })?;
    let secret = bearer(&headers)?.to_owned();
    let came = streams::open(&hub, &asked, &wanted).await?;
    let guest = Guest { asked, secret, vm };
    Ok(upgrade
        .read_buffer_size(READ_AT_ONCE)
        .max_frame_size(LARGEST_FRAME)
        .max_message_size(LARGEST_FRAME)
        .on_upgrade(move |socket| streams::relay(hub, guest, (socket, came))))
}

/// What a machine said last on its serial console, at most 64 KiB, also when it is off. Bytes that are no UTF-8 are replaced; what moves
/// the cursor of a terminal is in it.
#[utoipa::path(get, path = "/api/v1/vms/{id}/console/log", tag = "machines", operation_id = "vm_console_log",
    params(("id" = VmId, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), Refusals, Stands))]
pub async fn log(State(hub): State<Hub>, Look(asked): Look, Ids(vm): Ids<VmId>) -> Result<Response, Failure> {
    let wanted = hub.app.stream(&asked, Of::Log(vm)).await?;
    let came = streams::open(&hub, &asked, &wanted).await?;
    let log = streams::read(came).await?;
    let text = String::from_utf8_lossy(&log).into_owned();
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}
