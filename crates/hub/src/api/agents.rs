//! What the agents' listener answers: `POST /join` to whoever has a token, `GET /agent/v1` and
//! `GET /agent/v1/stream/{id}` to hosts. No part of the API's document:
//! the two ends of it are in one repository, and the frames are versioned by themselves.

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use renkei_types::agent::{LARGEST_FRAME, READ_AT_ONCE};
use renkei_types::host::Host;
use renkei_types::id::{HostId, StreamId};
use renkei_types::join::{Join, Joined};
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::stream;

use super::answer::Failure;
use super::asking::{Ids, Unknown};
use crate::Hub;
use crate::connections::Peer;

/// The most bytes that a request to join has.
const LARGEST_JOIN: usize = 64 * 1024;

/// Everything that the listener answers.
pub(crate) fn router(hub: Hub) -> Router {
    Router::new()
        .route("/join", post(join))
        .route("/agent/v1", get(agent))
        .route("/agent/v1/stream/{id}", get(stream))
        .fallback(super::unknown_path)
        .method_not_allowed_fallback(super::unknown_method)
        .layer(DefaultBodyLimit::max(LARGEST_JOIN))
        .layer(axum::middleware::from_fn_with_state(
            hub.clone(),
            super::request_id::layer,
        ))
        .with_state(hub)
}

async fn join(State(hub): State<Hub>, asked: Unknown<Join>) -> Result<Json<Joined>, Failure> {
    served(&hub)?;
    Ok(Json(hub.app.join(&asked.body, &asked.doer, asked.now).await?))
}

/// The connection over which an agent is told what its host is to hold.
async fn agent(
    State(hub): State<Hub>,
    Extension(peer): Extension<Peer>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    let host = known(&hub, &peer).await?;
    Ok(upgrade
        .read_buffer_size(READ_AT_ONCE)
        .max_frame_size(LARGEST_FRAME)
        .max_message_size(LARGEST_FRAME)
        .on_upgrade(move |socket| crate::agents::run(socket, hub, host)))
}

/// One more connection, for which somebody waits here.
async fn stream(
    State(hub): State<Hub>,
    Extension(peer): Extension<Peer>,
    Ids(id): Ids<StreamId>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    let host = known(&hub, &peer).await?;
    let Some(come) = hub.streams.take(id, host) else {
        let title = format!("nobody waits here for stream {id} of host {host}");
        return Err(Problem::new(ProblemKind::NotFound, title).into());
    };
    Ok(upgrade
        .read_buffer_size(READ_AT_ONCE)
        .max_frame_size(stream::LARGEST_FRAME)
        .max_message_size(stream::LARGEST_FRAME)
        .on_upgrade(async move |socket| {
            // Whoever has waited may have left: then the connection ends here.
            let _ = come.send(socket);
        }))
}

/// Only a host that is known: whose host is removed, his certificate is worth nothing.
async fn known(hub: &Hub, peer: &Peer) -> Result<HostId, Failure> {
    served(hub)?;
    let Some(host) = peer.certificate.as_ref().and_then(crate::agents::host_of) else {
        let problem = Problem::new(ProblemKind::Unauthenticated, "this needs a host's certificate");
        return Err(problem.hint("join a site with `renkei join`").into());
    };
    if hub.app.find_host(host).await?.is_none() {
        let problem = Problem::new(ProblemKind::Forbidden, format!("host {host} is not known any more"));
        return Err(problem.hint("join a site anew with `renkei join`").into());
    }
    Ok(host)
}

fn served(hub: &Hub) -> Result<(), Failure> {
    match hub.foreign_schema() {
        Some(foreign) => Err(foreign.problem().into()),
        None => Ok(()),
    }
}

impl crate::app::App {
    async fn find_host(&self, id: HostId) -> Result<Option<Host>, Problem> {
        let found = self.store.state.get::<Host>(id.0).await;
        Ok(found.map_err(|error| crate::app::state(&error))?.map(|row| row.value))
    }
}
