//! Answers of the dialect: refusals in the words of Django REST framework, which its clients show as they are, and pages.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use renkei_types::problem::{Problem, ProblemKind};
use serde::Serialize;
use serde_json::{Value, json};

use crate::app::Answer;

/// A problem on its way out.
#[derive(Debug)]
pub struct Refusal(Box<Problem>);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl Refusal {
    /// There is nothing there, or the caller may not know of it.
    pub fn nothing() -> Self {
        Problem::new(ProblemKind::NotFound, "there is nothing there that you may see").into()
    }

    /// With the field's name in the dialect in place of our own: pairs of ours and theirs.
    pub fn renamed(mut problem: Problem, names: &[(&str, &str)]) -> Self {
        let theirs = |field: &str| {
            let within = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
            let known = names
                .iter()
                .filter_map(|(ours, theirs)| Some((field.strip_prefix(ours)?, theirs)));
            let mut found = known.filter(|(rest, _)| within(rest));
            found.next().map(|(rest, theirs)| format!("{theirs}{rest}"))
        };
        if let Some(theirs) = problem.field.as_deref().and_then(theirs) {
            problem.field = Some(theirs);
        }
        problem.into()
    }

    /// A field is at fault.
    pub fn field(field: impl Into<String>, title: impl Into<String>) -> Self {
        Problem::new(ProblemKind::Invalid, title).field(field).into()
    }

    /// The status: what the native API tells apart as conflicts the dialect calls bad requests, what is frozen it forbids.
    fn status(&self) -> StatusCode {
        match self.0.kind {
            ProblemKind::Conflict | ProblemKind::Changed | ProblemKind::KeyReused | ProblemKind::Invalid => {
                StatusCode::BAD_REQUEST
            }
            ProblemKind::Frozen => StatusCode::FORBIDDEN,
            kind => StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    pub(super) fn body(&self) -> Value {
        let Problem { title, hint, .. } = &*self.0;
        match (self.0.kind, &self.0.field) {
            (ProblemKind::NotFound, _) => json!({"detail": "Not found.", "hint": title}),
            (ProblemKind::Unauthenticated, _) => {
                json!({"detail": title, "hint": "sign in again: POST /api/login/ with `username` and `password`"})
            }
            (ProblemKind::Invalid, Some(field)) => json!({field: [sentence(title, hint.as_deref())]}),
            _ => json!({"detail": sentence(title, hint.as_deref())}),
        }
    }
}

/// What was done: the dialect knows no plans, and asks for none.
pub fn done<T>(answer: Result<Answer<T>, Problem>) -> Result<T, Problem> {
    match answer? {
        Answer::Done(done) => Ok(done),
        Answer::Planned(_) => Err(Problem::new(ProblemKind::Internal, "it was only planned")),
    }
}

/// Clients show one text: what happened and what to do next stand together.
pub(super) fn sentence(title: &str, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("{title}; {hint}"),
        None => title.to_owned(),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        match self.0.kind {
            ProblemKind::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("JWT realm=\"api\""));
            }
            ProblemKind::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A page of a list. The client never follows `next`; it counts pages until it is `null`.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    /// All that there are.
    pub count: usize,
    /// Where the next page is.
    pub next: Option<String>,
    /// Where the one before is.
    pub previous: Option<String>,
    /// Those on this page.
    pub results: Vec<T>,
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(problem: Problem) -> (u16, Value) {
        let refusal = Refusal::from(problem);
        (refusal.status().as_u16(), refusal.body())
    }

    #[test]
    fn a_field_at_fault_is_named_with_its_messages() {
        let problem = Problem::new(ProblemKind::Invalid, "it is too long").field("vm_name");
        assert_eq!(
            told(problem.hint("make it shorter")),
            (400, json!({"vm_name": ["it is too long; make it shorter"]}))
        );
    }

    #[test]
    fn fields_have_the_names_of_the_dialect() {
        let problem = |field| Problem::new(ProblemKind::Invalid, "no").field(field);
        let names = [("source", "src_address")];
        assert_eq!(
            Refusal::renamed(problem("source"), &names).body(),
            json!({"src_address": ["no"]})
        );
        assert_eq!(
            Refusal::renamed(problem("note"), &names).body(),
            json!({"note": ["no"]})
        );
    }

    #[test]
    fn conflicts_are_bad_requests_and_frozen_things_are_forbidden() {
        let problem = |kind| told(Problem::new(kind, "no"));
        assert_eq!(problem(ProblemKind::Conflict), (400, json!({"detail": "no"})));
        assert_eq!(problem(ProblemKind::Frozen), (403, json!({"detail": "no"})));
        assert_eq!(problem(ProblemKind::NotFound).1["detail"], "Not found.");
        assert_eq!(problem(ProblemKind::Unavailable).0, 503);
    }
}
