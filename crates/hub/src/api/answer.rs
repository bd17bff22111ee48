//! Answers: objects with their `ETag`, plans, and problems.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use renkei_types::change::Plan;
use renkei_types::operation::Operation;
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use serde::Serialize;
use utoipa::IntoResponses;

use crate::app::{Answer, Versioned};

/// Room for an entry of a list, bytes.
const ENTRY: usize = 1536;

/// A problem on its way out.
#[derive(Debug)]
pub struct Failure(Box<Problem>);

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self.0)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        match self.0.kind {
            ProblemKind::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            ProblemKind::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // The middleware writes the id of the request into the body.
        response.extensions_mut().insert(self);
        response
    }
}

impl Clone for Failure {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Failure {
    /// The problem.
    pub fn problem(&self) -> &Problem {
        &self.0
    }
}

/// What any request may be answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes answers in the OpenAPI document")]
pub enum Refusals {
    /// It makes no sense; `field` says where.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// No credential, or one that does not work.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Problem),
    /// The caller may not.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// There is none, or the caller may not know of it.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// The caller, or what is asked about, is frozen.
    #[response(status = 423, content_type = "application/problem+json")]
    Frozen(Problem),
    /// Try again later.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// What a change may be answered, besides.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes answers in the OpenAPI document")]
pub enum ChangeRefusals {
    /// The body did not arrive in time.
    #[response(status = 408, content_type = "application/problem+json")]
    TimedOut(Problem),
    /// It does not go with what is.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(Problem),
    /// `If-Match` names another version.
    #[response(status = 412, content_type = "application/problem+json")]
    Changed(Problem),
    /// Too much was sent.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// Not JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(Problem),
    /// The `Idempotency-Key` came with another request before.
    #[response(status = 422, content_type = "application/problem+json")]
    KeyReused(Problem),
}

/// A page of a list. Long ones are written much faster into a plain `Vec` than as [`Json`] does it, byte by byte.
pub struct Listed<T>(pub Page<T>);

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(256 + self.0.items.len() * ENTRY);
        match serde_json::to_writer(&mut body, &self.0) {
            Ok(()) => (
                [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
                body,
            )
                .into_response(),
            // Our own types always have a form in JSON; axum says so in its words.
            Err(_) => Json(self.0).into_response(),
        }
    }
}

/// One object with its version.
pub struct Shown<T>(pub Versioned<T>);

impl<T: Serialize> IntoResponse for Shown<T> {
    fn into_response(self) -> Response {
        let Versioned { version, value } = self.0;
        (tag(version), Json(value)).into_response()
    }
}

fn tag(version: u64) -> [(header::HeaderName, String); 1] {
    [(header::ETAG, format!("\"{version}\""))]
}

/// 201 with the object, or 200 with the plan.
pub struct Created<T> {
    /// What came of it.
    pub answer: Answer<Versioned<T>>,
    /// The path of the object.
    pub location: fn(&T) -> String,
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        match self.answer {
            Answer::Planned(plan) => Json(plan).into_response(),
            Answer::Done(Versioned { version, value }) => {
                let location = [(header::LOCATION, (self.location)(&value))];
                (StatusCode::CREATED, location, tag(version), Json(value)).into_response()
            }
        }
    }
}

/// 202 with what was begun, or 200 with the plan.
pub struct Ordered<T>(pub Answer<T>);

impl<T: Serialize> IntoResponse for Ordered<T> {
    fn into_response(self) -> Response {
        match self.0 {
            Answer::Planned(plan) => Json(plan).into_response(),
            Answer::Done(begun) => (StatusCode::ACCEPTED, Json(begun)).into_response(),
        }
    }
}

/// 202 with the operation and its path, or 200 with the plan.
pub struct Accepted(pub Answer<Versioned<Operation>>);

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        match self.0 {
            Answer::Planned(plan) => Json(plan).into_response(),
            Answer::Done(Versioned { value, .. }) => {
                let location = [(header::LOCATION, format!("/api/v1/operations/{}", value.id))];
                (StatusCode::ACCEPTED, location, Json(value)).into_response()
            }
        }
    }
}

/// 200 with the object as it is now, or with the plan.
pub struct Changed<T>(pub Answer<Versioned<T>>);

impl<T: Serialize> IntoResponse for Changed<T> {
    fn into_response(self) -> Response {
        match self.0 {
            Answer::Planned(plan) => Json(plan).into_response(),
            Answer::Done(versioned) => Shown(versioned).into_response(),
        }
    }
}

/// 204, or 200 with the plan.
pub struct Deleted(pub Answer<()>);

impl IntoResponse for Deleted {
    fn into_response(self) -> Response {
        match self.0 {
            Answer::Planned(plan) => Json(plan).into_response(),
            Answer::Done(()) => StatusCode::NO_CONTENT.into_response(),
        }
    }
}

/// In the OpenAPI document: either the object or, with `?plan=true`, what would happen.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes answers in the OpenAPI document")]
pub enum OrPlan<T> {
    /// It is done.
    Done(T),
    /// It would be this.
    Planned(Plan),
}
