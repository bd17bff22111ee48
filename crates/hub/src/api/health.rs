//! `/healthz`, `/readyz`, `/metrics`, and `/`, which only answers.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

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

/// Whether requests can be served: the database answers.
async fn ready(State(hub): State<Hub>) -> Response {
    match hub.app.store.state.all::<renkei_types::site::Site>(None, 1).await {
        Ok(_) => "ready\n".into_response(),
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
