//! Each request has an id, made here: in the answer's `X-Request-Id`, in problems, in the audit and in the log.

use std::fmt;
use std::time::Instant;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::answer::Failure;
use crate::Hub;
use crate::metrics::Served;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct RequestId(Uuid);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// Gives the id, logs and counts the request.
pub async fn layer(State(hub): State<Hub>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId(Uuid::now_v7());
    request.extensions_mut().insert(id);
    let method = request.method().clone();
    // The template, not the path: an id in a label would make a series for each object.
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let path = path.unwrap_or_else(|| "unknown".to_owned());
    let mut response = next.run(request).await;
    if let Some(failure) = response.extensions().get::<Failure>() {
        let mut problem = failure.problem().clone();
        problem.request = Some(id.to_string());
        let body = Json(problem).into_response().into_body();
        response.headers_mut().remove(axum::http::header::CONTENT_LENGTH);
        response = response.map(|_| body);
    }
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert("x-request-id", value);
    }
    let (status, elapsed) = (response.status().as_u16(), started.elapsed());
    tracing::info!(request = %id, %method, path, status, ms = elapsed.as_millis(), "served");
    hub.metrics.served(
        Served {
            method: method.to_string(),
            path,
            status,
        },
        elapsed,
    );
    response
}
