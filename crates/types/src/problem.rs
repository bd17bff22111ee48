//! What went wrong, for programs and people: RFC 9457, `application/problem+json`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Kinds that a caller may branch on: the `type` of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// 400: the request makes no sense, see `field`.
    Invalid,
    /// 401: no credential, or one that does not work.
    Unauthenticated,
    /// 403: the caller may not.
    Forbidden,
    /// 404: there is none, or the caller may not know of it.
    NotFound,
    /// 405: the path knows other methods.
    MethodNotAllowed,
    /// 408: the request did not arrive in time.
    TimedOut,
    /// 409: it does not go with what is.
    Conflict,
    /// 412: it was changed since.
    Changed,
    /// 413: too much was sent.
    TooLarge,
    /// 415: not JSON.
    UnsupportedMediaType,
    /// 422: the same `Idempotency-Key` came with another request.
    KeyReused,
    /// 423: it is frozen.
    Frozen,
    /// 429: too often.
    TooMany,
    /// 500: a fault of the hub.
    Internal,
    /// 503: try again later.
    Unavailable,
}

impl ProblemKind {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::TimedOut => 408,
            Self::Conflict => 409,
            Self::Changed => 412,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::KeyReused => 422,
            Self::Frozen => 423,
            Self::TooMany => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }
}

/// A problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What kind.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
    /// The HTTP status again.
    pub status: u16,
    /// What happened.
    pub title: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The field or parameter at fault, with dots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Not before so many seconds have passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// The id of the request, to be found in the hub's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(kind: ProblemKind, title: impl Into<String>) -> Self {
        Self {
            kind,
            status: kind.status(),
            title: title.into(),
            hint: None,
            field: None,
            retry_after: None,
            request: None,
        }
    }

    /// Says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says which field is at fault.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}
