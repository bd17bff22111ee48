//! `/api/v1/sessions` and `/api/v1/whoami`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use renkei_types::problem::Problem;
use renkei_types::token::{IssuedToken, NewSession};
use renkei_types::user::Whoami;

use super::answer::{ChangeRefusals, Deleted, Failure, Refusals};
use super::asking::{Change, Look, PlanQuery, Unknown};
use crate::Hub;
use crate::app::session::Knock;

/// Signs in: a token for some hours. If the user has to choose a password first, it is good for nothing else.
#[utoipa::path(post, path = "/api/v1/sessions", tag = "sessions", operation_id = "session_create",
    request_body = NewSession, security(()),
    responses(
        (status = 201, body = IssuedToken),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "Too many failures."),
        Refusals, ChangeRefusals,
    ))]
pub async fn create(
    State(hub): State<Hub>,
    Unknown {
        address,
        doer,
        now,
        body,
    }: Unknown<NewSession>,
) -> Result<(StatusCode, Json<IssuedToken>), Failure> {
    let issued = hub
        .app
        .sign_in(Knock {
            address,
            doer,
            now,
            said: body,
        })
        .await?;
    Ok((StatusCode::CREATED, Json(issued)))
}

/// Signs out: the token that is shown does not work any more.
#[utoipa::path(delete, path = "/api/v1/sessions/current", tag = "sessions", operation_id = "session_delete",
    params(PlanQuery),
    responses((status = 204), (status = 200, body = renkei_types::change::Plan), Refusals, ChangeRefusals))]
pub async fn delete(State(hub): State<Hub>, Change { asked, body: () }: Change<()>) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.sign_out(&asked).await?))
}

/// Who the caller is, and by which token.
#[utoipa::path(get, path = "/api/v1/whoami", tag = "sessions", operation_id = "whoami",
    responses((status = 200, body = Whoami), Refusals))]
pub async fn whoami(State(hub): State<Hub>, Look(asked): Look) -> Result<Json<Whoami>, Failure> {
    Ok(Json(hub.app.whoami(&asked).await?))
}
