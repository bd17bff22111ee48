//! `/healthz`, `/readyz`, `/metrics`, and `/`, which only answers.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::answer::Failure;
use crate::Hub;

pub(super) fn router() -> Router<Hub> {
    Router::new()
        .route(
            "/",
            get(|| async { concat!("Renkei ", env!("CARGO_PKG_VERSION"), "\n") }),
        )
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

/// What is about rows is not answered while the database has a schema that this hub does not know.
pub(super) async fn schema(State(hub): State<Hub>, request: Request, next: Next) -> Response {
    match hub.foreign_schema() {
        Some(foreign) if request.uri().path().starts_with("/api/") => Failure::from(foreign.problem()).into_response(),
        _ => next.run(request).await,
    }
}

/// Whether requests can be served: the database answers, and has the schema that this hub knows.
async fn ready(State(hub): State<Hub>) -> Response {
    match crate::schema::look(&hub).await {
        Ok(None) => "ready\n".into_response(),
        Ok(Some(foreign)) => {
            let told = format!("{foreign}\n{}\n", foreign.hint());
            (StatusCode::SERVICE_UNAVAILABLE, told).into_response()
        }
        Err(error) => {
            tracing::warn!(error = crate::problem::chain(&error), "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response()
        }
    }
}

async fn metrics(State(hub): State<Hub>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], hub.metrics.text()).into_response()
}
