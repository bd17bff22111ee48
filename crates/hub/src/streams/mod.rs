//! Streams from agents to callers: a console, a log. A caller waits here for the one more connection that the agent of a host dials,
//! wherever that agent is connected: what is wanted stands in the database, and the hub that holds the agent reads it there and passes
//! it on. Nothing of it is kept here but who waits.

mod relay;
mod waiting;

use std::time::Duration;

use aws_lc_rs::rand;
use axum::extract::ws::{Message, WebSocket};
use renkei_store::noun::stream::StreamRow;
use renkei_types::id::StreamId;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::stream::{Answer, LARGEST_FRAME, PATIENCE};
use tokio::time::timeout;
use uuid::Builder;

pub(crate) use self::relay::{Guest, relay};
pub(crate) use self::waiting::{Came, Streams};
use crate::Hub;
use crate::app::Asked;
use crate::app::vm::console::Wanted;

/// The most bytes of a log.
const LONGEST_LOG: usize = 64 * 1024;
/// For how long either end may take nothing before it is given up; who says nothing is for twice as long.
const DEAD: Duration = Duration::from_secs(30);
/// The most characters of an agent's reason.
const LONGEST_WHY: usize = 500;

/// Asks an agent for a stream, and waits until it says that it is open.
pub(crate) async fn open(hub: &Hub, asked: &Asked, wanted: &Wanted) -> Result<Came, Problem> {
    let host = &wanted.host;
    let at = hub.streams.found_at().ok_or_else(|| {
        let problem = Problem::new(
            ProblemKind::Unavailable,
            "this hub takes no agents: none can bring a console here",
        );
        problem.hint("ask a hub that does, or give this one the table `[hub.agents]`")
    })?;
    let id = drawn()?;
    let mut waiting = hub.streams.wait(asked.actor()?.user, (id, host.id))?;
    let row = StreamRow {
        id,
        host: host.id,
        of: wanted.of,
        hub: hub.id,
        at,
        expires: hub.app.now() + PATIENCE,
    };
    hub.app.want(asked, &row).await?;
    let patience = PATIENCE.unsigned_abs();
    let came = async {
        let mut came = waiting.come().await?;
        let answer = said(&mut came.socket).await;
        Some((came, answer))
    };
    let came = tokio::select! {
        came = timeout(patience, came) => came.ok().flatten(),
        () = hub.stopping() => return Err(Problem::new(ProblemKind::Unavailable, "this hub stops").hint("try again")),
    };
    let unavailable = |title: String| Problem::new(ProblemKind::Unavailable, title);
    match came {
        Some((came, Some(Answer::Open))) => Ok(came),
        Some((_, Some(Answer::Refused { why, again }))) => {
            let why: String = why.chars().take(LONGEST_WHY).collect();
            match again {
                true => Err(unavailable(why).hint("try again")),
                false => Err(Problem::new(ProblemKind::Conflict, why)),
            }
        }
        Some((_, None)) => Err(unavailable(format!(
            "the agent of host `{}` broke the connection",
            host.name
        ))),
        None => {
            let seconds = patience.as_secs();
            let title = format!(
                "the agent of host `{}` has not opened the console within {seconds} s",
                host.name
            );
            Err(unavailable(title).hint("try again; if it stays so, the agent's log says whether it reaches this hub"))
        }
    }
}

/// All that comes, at most as much as a log has.
pub(crate) async fn read(mut came: Came) -> Result<Vec<u8>, Problem> {
    let mut log = Vec::new();
    let whole = async {
        loop {
            match came.socket.recv().await {
                Some(Ok(Message::Binary(bytes))) => log.extend_from_slice(&bytes),
                Some(Ok(Message::Close(Some(_)))) => return Some(()),
                Some(Ok(Message::Text(_) | Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(None)) | Err(_)) | None => return None,
            }
            if log.len() > LONGEST_LOG + LARGEST_FRAME {
                return None;
            }
        }
    };
    match timeout(PATIENCE.unsigned_abs(), whole).await {
        Ok(Some(())) => {
            log.drain(..log.len().saturating_sub(LONGEST_LOG));
            Ok(log)
        }
        Ok(None) | Err(_) => {
            let problem = Problem::new(ProblemKind::Unavailable, "the connection to the machine's host broke");
            Err(problem.hint("try again"))
        }
    }
}

/// What an agent says first.
async fn said(socket: &mut WebSocket) -> Option<Answer> {
    loop {
        match socket.recv().await?.ok()? {
            Message::Text(text) => return serde_json::from_str(text.as_str()).ok(),
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Binary(_) | Message::Close(_) => return None,
        }
    }
}

/// Nobody can guess it.
fn drawn() -> Result<StreamId, Problem> {
    let mut bytes = [0; 16];
    let no = |_| Problem::new(ProblemKind::Internal, "this hub has no random numbers");
    rand::fill(&mut bytes).map_err(no)?;
    Ok(StreamId(Builder::from_random_bytes(bytes).into_uuid()))
}

/// A problem as the reason of a close frame, which has room for 123 bytes (RFC 6455, 5.5).
fn reason(problem: &Problem) -> String {
    let mut reason = problem.title.clone();
    reason.truncate(reason.floor_char_boundary(123));
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fits_into_a_close_frame() {
        let told = |title: &str| reason(&Problem::new(ProblemKind::Frozen, title));
        assert_eq!(told("machine is frozen"), "machine is frozen");
        assert_eq!(told(&"凍".repeat(100)), "凍".repeat(41));
        assert_eq!(told(&"x".repeat(200)).len(), 123);
    }
}
