//! One agent's connection: a WebSocket, a clock and a bell around a [`Link`].

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket};
use jiff::Timestamp;
use renkei_types::agent::{FromAgent, FromHub};
use renkei_types::id::HostId;
use tokio::time::{Instant, sleep_until, timeout};

use crate::Hub;
use crate::app::App;
use crate::link::Link;

/// From one ping to the next.
const PING: Duration = Duration::from_secs(10);
/// Who says nothing for so long, or takes nothing, is gone.
const DEAD: Duration = Duration::from_secs(30);

/// Serves it until either end leaves.
pub(crate) async fn run(mut socket: WebSocket, hub: Hub, host: HostId) {
    let mut link = Link::new(hub.id, host);
    let place = hub.agents.place(host);
    hub.metrics.agents.inc();
    let (connected, mut heard) = (Instant::now(), Instant::now());
    let mut ping = tokio::time::interval(PING);
    let mut known = false;
    loop {
        let frames = tokio::select! {
            message = socket.recv() => {
                heard = Instant::now();
                match message {
                    Some(Ok(Message::Text(text))) => said(&hub, &mut link, text.as_str()).await,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => Vec::new(),
                    Some(Ok(Message::Binary(_))) => vec![closed("frames are text")],
                    Some(Ok(Message::Close(_))) | None => break,
                    Some(Err(error)) => {
                        tracing::debug!(%host, %error, "an agent's connection broke");
                        break;
                    }
                }
            }
            () = place.bell.notified() => {
                let mut frames: Vec<FromHub> = place.asked().into_iter().filter_map(|asked| link.ask(asked)).collect();
                frames.append(&mut link.tick(&hub.app, hub.app.now()).await);
                frames
            }
            () = wanted(&hub.app, link.due()) => link.tick(&hub.app, hub.app.now()).await,
            _ = ping.tick() => {
                if heard.elapsed() >= DEAD || (!known && connected.elapsed() >= DEAD) {
                    tracing::debug!(%host, "an agent is silent");
                    break;
                }
                match timeout(DEAD, socket.send(Message::Ping(Bytes::new()))).await {
                    Ok(Ok(())) => Vec::new(),
                    Ok(Err(_)) | Err(_) => break,
                }
            }
            () = hub.stopping() => vec![closed("this hub stops")],
            () = hub.schema_becoming_foreign() => vec![closed("this hub waits to be replaced")],
        };
        if let (false, Some(site)) = (known, link.site()) {
            known = true;
            place.at(site);
        }
        match send(&mut socket, &hub, &frames).await {
            Sent::On => {}
            Sent::Over => break,
        }
    }
    link.close(&hub.app, hub.app.now()).await;
    hub.metrics.agents.dec();
}

/// Whether there is more to say.
enum Sent {
    On,
    Over,
}

async fn said(hub: &Hub, link: &mut Link, text: &str) -> Vec<FromHub> {
    match serde_json::from_str::<FromAgent>(text) {
        Ok(frame) => {
            if matches!(frame, FromAgent::Report(_)) {
                hub.metrics.reports.inc();
            }
            link.frame(&hub.app, frame, hub.app.now()).await
        }
        Err(error) => vec![closed(&format!("this frame is not understood: {error}"))],
    }
}

async fn send(socket: &mut WebSocket, hub: &Hub, frames: &[FromHub]) -> Sent {
    for frame in frames {
        let Ok(text) = serde_json::to_string(frame) else {
            return Sent::Over;
        };
        if !matches!(timeout(DEAD, socket.send(Message::text(text))).await, Ok(Ok(()))) {
            return Sent::Over;
        }
        match frame {
            FromHub::Manifest(manifest) if manifest.last => drop(hub.metrics.manifests.inc()),
            FromHub::Closed { .. } => return Sent::Over,
            _ => {}
        }
    }
    Sent::On
}

fn closed(why: &str) -> FromHub {
    FromHub::Closed { why: why.to_owned() }
}

/// Returns at this moment; never without one.
async fn wanted(app: &App, at: Option<Timestamp>) {
    let Some(at) = at else {
        return std::future::pending().await;
    };
    let left = Duration::try_from(at.duration_since(app.now())).unwrap_or(Duration::ZERO);
    sleep_until(Instant::now() + left).await;
}
