//! `renkei audit follow`: a stream of events (server-sent events) that goes on after the last one seen when it breaks.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use renkei_types::event::Event;
use tokio::time::{sleep, timeout};

use crate::arguments::hub::audit::Follow;
use crate::commands::hub::failure::Failure;
use crate::commands::hub::resolve::Collection::Projects;
use crate::commands::hub::{Hub, table};

/// A hub says something at least every 15 s; a stream that is silent for three times as long is dead.
const SILENCE: Duration = Duration::from_secs(45);
/// From one try to reach the hub to the next, at first and later.
const SOON: Duration = Duration::from_millis(500);
const LATER: Duration = Duration::from_secs(10);
/// The longest event that is understood, bytes: a hub keeps none of more than 1 MiB.
const LONGEST: usize = 8 << 20;

/// Until it is interrupted, or the hub says no.
pub async fn follow(hub: &Hub, from: &Follow) -> Result<u8, Failure> {
    let project = match &from.of.project {
        Some(project) => Some(hub.id(Projects, project).await?.to_string()),
        None => None,
    };
    let mut after = match from.after {
        Some(after) => after,
        None => newest(hub, project.as_deref()).await?,
    };
    let mut pause = SOON;
    loop {
        let mut query = vec![("after", after.to_string())];
        query.extend(project.clone().map(|project| ("project", project)));
        match hub.client.stream("/events/stream", &query).await {
            Ok(body) => {
                let seen = after;
                copy(hub, Lines::new(body), &mut after).await?;
                if after != seen {
                    pause = SOON;
                }
            }
            // It may be back in a moment, or its database may be.
            Err(failure @ (Failure::Unreachable { .. } | Failure::Silent { .. })) => {
                hub.output.note(&format!("{}; trying again", first_line(&failure)));
            }
            Err(Failure::Refused(problem)) if problem.status >= 500 => {
                hub.output.note(&format!("{}; trying again", problem.title));
            }
            Err(failure) => return Err(failure),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LATER);
    }
}

fn first_line(failure: &Failure) -> String {
    failure.to_string().lines().next().unwrap_or_default().to_owned()
}

/// The last event so far: what comes later is missed by nobody who asks for what is after it.
async fn newest(hub: &Hub, project: Option<&str>) -> Result<i64, Failure> {
    let mut query = vec![("limit", "1".to_owned())];
    query.extend(project.map(|project| ("project", project.to_owned())));
    let page = hub.client.get("/events", &query).await?.body;
    Ok(page["items"][0]["id"].as_i64().unwrap_or(0))
}

/// Prints events until the stream ends.
async fn copy(hub: &Hub, mut lines: Lines, after: &mut i64) -> Result<(), Failure> {
    while let Some(data) = lines.data().await {
        let event: Event = hub.client.read(serde_json::from_str(&data).unwrap_or_default())?;
        *after = event.id;
        if hub.is_json() {
            hub.print_json(&event)?;
        } else {
            hub.print_line(&told(&event))?;
        }
    }
    Ok(())
}

fn told(event: &Event) -> String {
    let who = if event.by.name.is_empty() {
        "the hub"
    } else {
        &event.by.name
    };
    let (at, action) = (table::time(event.at), &event.action);
    format!("{at} {who} {action} `{}` ({})", event.object_name, event.object)
}

/// A stream, cut into events.
struct Lines {
    body: Incoming,
    read: Vec<u8>,
}

impl Lines {
    fn new(body: Incoming) -> Self {
        let read = Vec::new();
        Self { body, read }
    }

    /// The data of the next event; none when the stream has ended, or is dead.
    async fn data(&mut self) -> Option<String> {
        loop {
            if let Some(block) = next_block(&mut self.read) {
                if let Some(data) = data_of(&block) {
                    return Some(data);
                }
                continue;
            }
            let frame = timeout(SILENCE, self.body.frame()).await.ok()??.ok()?;
            self.read.extend_from_slice(frame.data_ref()?);
            if self.read.len() > LONGEST {
                return None;
            }
        }
    }
}

/// What stands before the first empty line, which goes.
fn next_block(read: &mut Vec<u8>) -> Option<String> {
    let end = read.windows(2).position(|two| two == b"\n\n")?;
    let rest = read.split_off(end + 2);
    let block = std::mem::replace(read, rest);
    Some(String::from_utf8_lossy(&block).into_owned())
}

/// The data of an event; none of a comment that only keeps the stream alive.
fn data_of(block: &str) -> Option<String> {
    let data: Vec<&str> = block
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| data.strip_prefix(' ').unwrap_or(data))
        .collect();
    (!data.is_empty()).then(|| data.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cut_at_empty_lines_wherever_the_network_has_cut_them() {
        let stream = b":\n\nid: 7\nevent: project\ndata: {\"id\": 7}\n\ndata: a\ndata: b\n\nid: 8\ndata: {";
        let (mut read, mut seen) = (Vec::new(), Vec::new());
        for byte in stream {
            read.push(*byte);
            while let Some(block) = next_block(&mut read) {
                seen.extend(data_of(&block));
            }
        }
        assert_eq!(seen, ["{\"id\": 7}", "a\nb"]);
        assert_eq!(read, b"id: 8\ndata: {");
    }
}
