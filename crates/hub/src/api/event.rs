//! `/api/v1/events` and `/api/v1/audit`: what happened, as a list, as a stream, and as a chain.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{KeepAlive, Sse};
use futures_util::Stream;
use renkei_store::read::EventQuery;
use renkei_types::event::{ChainHead, Event, Verification};
use renkei_types::id::{ProjectId, UserId};
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::answer::{Failure, Refusals};
use super::asking::{Look, Params};
use crate::Hub;
use crate::app::list::limit;
use crate::app::{App, Asked};

/// Events that a stream sends between two looks at who may see them.
const AT_ONCE: u32 = 100;
/// A stream without events says so as often, so that what lies between does not take it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Filters of the list.
#[derive(Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only those of this project; without, only administrators see any.
    #[param(required = false)]
    project: Option<ProjectId>,
    /// Only those of this object.
    #[param(required = false)]
    object: Option<Uuid>,
    /// Only those of this noun.
    #[param(required = false)]
    noun: Option<String>,
    /// Only what this user did.
    #[param(required = false)]
    user: Option<UserId>,
    /// Only those before this id.
    #[param(required = false)]
    before: Option<i64>,
    /// At most so many, 1 to 1000; 100 without.
    #[param(required = false, minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Newest first; `next` is the `before` of the next page.
#[utoipa::path(get, path = "/api/v1/events", tag = "audit", operation_id = "event_list",
    params(Filter),
    responses((status = 200, body = Page<Event>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Params(filter): Params<Filter>,
) -> Result<Json<Page<Event>>, Failure> {
    let limit = limit(filter.limit)?;
    let query = EventQuery {
        before: filter.before,
        newest_first: true,
        ..query(filter, limit)?
    };
    let items = hub.app.events(&asked, query).await?;
    let full = items.len() == limit as usize;
    let next = items.last().filter(|_| full).map(|last| last.id.to_string());
    Ok(Json(Page { items, next }))
}

fn query(filter: Filter, limit: u32) -> Result<EventQuery, Problem> {
    if filter.noun.as_ref().is_some_and(|noun| noun.contains('\0')) {
        return Err(Problem::new(ProblemKind::Invalid, "`noun` is not a noun").field("noun"));
    }
    Ok(EventQuery {
        after: None,
        before: None,
        project: filter.project,
        object: filter.object,
        noun: filter.noun,
        user: filter.user,
        limit,
        newest_first: false,
    })
}

/// Where a stream begins.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct From {
    /// Only those of this project; without, only administrators see any.
    #[param(required = false)]
    project: Option<ProjectId>,
    /// After this id; without, only what happens from now on. The header `Last-Event-ID` goes before it.
    #[param(required = false)]
    after: Option<i64>,
}

/// In the OpenAPI document: where a stream that broke goes on.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a header in the OpenAPI document")]
pub struct LastEventId {
    /// The id of the last event that arrived.
    #[serde(rename = "Last-Event-ID")]
    #[param(required = false)]
    last_event_id: i64,
}

/// Events as they happen, as server-sent events: each has its id, and a stream that broke goes on after the last one seen.
#[utoipa::path(get, path = "/api/v1/events/stream", tag = "audit", operation_id = "event_stream",
    params(From, LastEventId),
    responses((status = 200, body = String, content_type = "text/event-stream"), Refusals))]
pub async fn stream(
    State(hub): State<Hub>,
    Look(asked): Look,
    headers: HeaderMap,
    Params(from): Params<From>,
) -> Result<Sse<impl Stream<Item = Result<axum::response::sse::Event, Infallible>>>, Failure> {
    hub.app.may_see_events(&asked, from.project).await?;
    let after = match last_seen(&headers)?.or(from.after) {
        Some(after) => after,
        None => newest(&hub.app, &asked, from.project).await?,
    };
    let secret = headers.get(axum::http::header::AUTHORIZATION).cloned();
    let follow = Follow {
        changes: hub.app.store.state.changes(),
        hub,
        asked,
        secret,
        project: from.project,
        after,
    };
    let events = futures_util::stream::unfold((follow, Vec::new().into_iter()), |(mut follow, mut some)| async move {
        loop {
            if let Some(event) = some.next() {
                return Some((Ok(written(&event)), (follow, some)));
            }
            some = follow.next().await?.into_iter();
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn last_seen(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    match value.to_str().ok().and_then(|value| value.parse().ok()) {
        Some(id) => Ok(Some(id)),
        None => Err(
            Problem::new(ProblemKind::Invalid, "`Last-Event-ID` is not the id of an event")
                .field("Last-Event-ID")
                .hint("send the id of the last event that arrived"),
        ),
    }
}

async fn newest(app: &App, asked: &Asked, project: Option<ProjectId>) -> Result<i64, Problem> {
    let query = EventQuery {
        project,
        limit: 1,
        newest_first: true,
        ..EventQuery::default()
    };
    Ok(app.events(asked, query).await?.first().map_or(0, |event| event.id))
}

fn written(event: &Event) -> axum::response::sse::Event {
    let data = serde_json::to_string(event).unwrap_or_default();
    axum::response::sse::Event::default()
        .id(event.id.to_string())
        .event(event.noun.clone())
        .data(data)
}

/// A stream that waits.
struct Follow {
    hub: Hub,
    asked: Asked,
    secret: Option<axum::http::HeaderValue>,
    project: Option<ProjectId>,
    after: i64,
    changes: tokio::sync::watch::Receiver<u64>,
}

impl Follow {
    /// The next ones; none when the caller may no longer see them, or the hub stops.
    async fn next(&mut self) -> Option<Vec<Event>> {
        loop {
            self.changes.mark_unchanged();
            let query = EventQuery {
                after: Some(self.after),
                project: self.project,
                limit: AT_ONCE,
                ..EventQuery::default()
            };
            let some = self.hub.app.events(&self.asked, query).await.ok()?;
            // After the events were read: whoever may see them now has been allowed to when they happened. The other way round, a
            // right that is taken away in between would not count.
            self.admit().await?;
            if let Some(last) = some.last() {
                self.after = last.id;
                return Some(some);
            }
            tokio::select! {
                changed = self.changes.changed() => changed.ok()?,
                () = self.hub.stopping() => return None,
                () = self.hub.schema_becoming_foreign() => return None,
            }
        }
    }

    /// Asks anew who the caller is, and what they may see: a token may have been revoked, a role taken away, since the stream
    /// began.
    async fn admit(&mut self) -> Option<()> {
        let now = self.hub.app.now();
        let secret = self.secret.as_ref()?.to_str().ok()?.split_once(' ')?.1.trim();
        let actor = self.hub.app.verify(secret, now).await.ok()?;
        self.asked.caller = renkei_policy::Caller::Known(Box::new(actor));
        self.asked.now = now;
        self.hub.app.may_see_events(&self.asked, self.project).await.ok()
    }
}

/// Where the chain of events stands: keep it elsewhere, and what came before it can be proven unchanged.
#[utoipa::path(get, path = "/api/v1/audit/head", tag = "audit", operation_id = "audit_head",
    responses((status = 200, body = ChainHead), Refusals))]
pub async fn head(State(hub): State<Hub>, Look(asked): Look) -> Result<Json<ChainHead>, Failure> {
    Ok(Json(hub.app.chain_head(&asked).await?))
}

/// Computes the whole chain again.
#[utoipa::path(get, path = "/api/v1/audit/verification", tag = "audit", operation_id = "audit_verify",
    responses((status = 200, body = Verification), Refusals))]
pub async fn verify(State(hub): State<Hub>, Look(asked): Look) -> Result<Json<Verification>, Failure> {
    Ok(Json(hub.app.verify_chain(&asked).await?))
}
