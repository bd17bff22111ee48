//! `/api/login/` and `/api/refresh/`.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use renkei_types::problem::ProblemKind;
use renkei_types::token::NewSession;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::{Refusal, sentence};
use super::asking::{self, token};
use crate::Hub;
use crate::api::asking::{Stranger, bytes};
use crate::app::session::Knock;

#[derive(Deserialize)]
pub struct Login {
    username: String,
    password: String,
}

#[derive(Serialize)]
pub struct Token {
    token: String,
}

/// A token for whoever knows the password.
pub async fn login(State(hub): State<Hub>, stranger: Stranger, request: Request) -> Result<Response, Refusal> {
    let Login { username, password } = asking::read(&bytes(request).await?)?;
    let knock = Knock {
        address: stranger.address,
        doer: stranger.doer,
        now: stranger.now,
        said: NewSession {
            name: username,
            password,
        },
    };
    match hub.app.sign_in_mdx(knock).await {
        Ok(token) => Ok(Json(Token { token }).into_response()),
        // As drf-jwt has it: a login that fails is a fault of the two fields together.
        Err(problem) if matches!(problem.kind, ProblemKind::Unauthenticated | ProblemKind::Invalid) => {
            let text = sentence(&problem.title, problem.hint.as_deref());
            let body = Json(json!({"non_field_errors": [text]}));
            Ok((axum::http::StatusCode::BAD_REQUEST, body).into_response())
        }
        Err(problem) => Err(problem.into()),
    }
}

#[derive(Deserialize)]
pub struct Refresh {
    #[serde(default)]
    token: Option<String>,
}

/// The next token of the same session. The one of the body counts; without one that of the header.
pub async fn refresh(State(hub): State<Hub>, request: Request) -> Result<Json<Token>, Refusal> {
    let shown = token(request.headers()).map(ToOwned::to_owned);
    let Refresh { token } = asking::read(&bytes(request).await?)?;
    let Some(token) = token.filter(|token| !token.is_empty()).or(shown) else {
        return Err(Refusal::field("token", "This field is required."));
    };
    let token = hub.app.refresh(&token, hub.app.now()).await?;
    Ok(Json(Token { token }))
}
