//! `/api/v1/tokens`.

use axum::Json;
use axum::extract::State;
use renkei_types::change::Plan;
use renkei_types::freeze::NewFreeze;
use renkei_types::id::TokenId;
use renkei_types::page::Page;
use renkei_types::token::{IssuedToken, NewToken, Token};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{ChangeRefusals, Changed, Created, Deleted, Failure, OrPlan, Refusals, Shown};
use super::asking::{Change, IdempotencyKey, Ids, IfMatch, Look, PageQuery, Params, PlanQuery};
use crate::Hub;
use crate::app::token::Whose;

/// Filters of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Everybody's, not only the caller's; for administrators.
    #[serde(default)]
    #[param(required = false)]
    all: bool,
}

/// The caller's own tokens, oldest first; sessions too.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", operation_id = "token_list",
    params(Filter, PageQuery),
    responses((status = 200, body = Page<Token>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Params(filter): Params<Filter>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Token>>, Failure> {
    let whose = if filter.all { Whose::All } else { Whose::Own };
    Ok(Json(hub.app.tokens(&asked, whose, &page.paging()?).await?))
}

/// Makes one. Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", operation_id = "token_create",
    params(PlanQuery, IdempotencyKey), request_body = NewToken,
    responses((status = 201, body = IssuedToken), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn create(
    State(hub): State<Hub>,
    Change { asked, body }: Change<NewToken>,
) -> Result<Created<IssuedToken>, Failure> {
    let answer = hub.app.create_token(&asked, body).await?;
    Ok(Created {
        answer,
        location: |made| format!("/api/v1/tokens/{}", made.token.id),
    })
}

/// One.
#[utoipa::path(get, path = "/api/v1/tokens/{id}", tag = "tokens", operation_id = "token_show",
    params(("id" = TokenId, Path)),
    responses((status = 200, body = Token), Refusals))]
pub async fn show(State(hub): State<Hub>, Look(asked): Look, Ids(id): Ids<TokenId>) -> Result<Shown<Token>, Failure> {
    Ok(Shown(hub.app.token(&asked, id).await?))
}

/// Revokes one.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens", operation_id = "token_delete",
    params(("id" = TokenId, Path), PlanQuery, IfMatch),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn delete(
    State(hub): State<Hub>,
    Ids(id): Ids<TokenId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.delete_token(&asked, id).await?))
}

/// Freezes one: it does not work until the freeze is lifted or ends.
#[utoipa::path(put, path = "/api/v1/tokens/{id}/freeze", tag = "tokens", operation_id = "token_freeze",
    params(("id" = TokenId, Path), PlanQuery, IfMatch), request_body = NewFreeze,
    responses((status = 200, body = inline(OrPlan<Token>)), Refusals, ChangeRefusals))]
pub async fn freeze(
    State(hub): State<Hub>,
    Ids(id): Ids<TokenId>,
    Change { asked, body }: Change<NewFreeze>,
) -> Result<Changed<Token>, Failure> {
    Ok(Changed(hub.app.freeze_token(&asked, id, Some(body)).await?))
}

/// Lifts a freeze.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}/freeze", tag = "tokens", operation_id = "token_thaw",
    params(("id" = TokenId, Path), PlanQuery, IfMatch),
    responses((status = 200, body = inline(OrPlan<Token>)), Refusals, ChangeRefusals))]
pub async fn thaw(
    State(hub): State<Hub>,
    Ids(id): Ids<TokenId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Changed<Token>, Failure> {
    Ok(Changed(hub.app.freeze_token(&asked, id, None).await?))
}
