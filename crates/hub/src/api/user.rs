//! `/api/v1/users`.

use axum::Json;
use axum::extract::State;
use renkei_types::change::Plan;
use renkei_types::freeze::NewFreeze;
use renkei_types::id::UserId;
use renkei_types::name::UserName;
use renkei_types::page::Page;
use renkei_types::problem::Problem;
use renkei_types::user::{KnownUser, NewPassword, NewUser, User, UserPatch};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{ChangeRefusals, Changed, Created, Deleted, Failure, OrPlan, Refusals, Shown};
use super::asking::{Change, IdempotencyKey, Ids, IfMatch, Look, PageQuery, Params, PlanQuery};
use crate::Hub;

/// Filters of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only the one with this name.
    #[param(required = false)]
    name: Option<UserName>,
}

/// Those whose accounts the caller may see, in the order of their names.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", operation_id = "user_list",
    params(Filter, PageQuery),
    responses((status = 200, body = Page<User>), Refusals))]
pub async fn list(
    State(hub): State<Hub>,
    Look(asked): Look,
    Params(filter): Params<Filter>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<User>>, Failure> {
    Ok(Json(
        hub.app.users(&asked, filter.name.as_ref(), &page.paging()?).await?,
    ))
}

/// Makes one.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", operation_id = "user_create",
    params(PlanQuery, IdempotencyKey), request_body = NewUser,
    responses((status = 201, body = User), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn create(State(hub): State<Hub>, Change { asked, body }: Change<NewUser>) -> Result<Created<User>, Failure> {
    let answer = hub.app.create_user(&asked, body).await?;
    Ok(Created {
        answer,
        location: |made| format!("/api/v1/users/{}", made.id),
    })
}

/// Whom a name means, for those who make members.
#[utoipa::path(get, path = "/api/v1/users/named/{name}", tag = "users", operation_id = "user_named",
    params(("name" = UserName, Path)),
    responses((status = 200, body = KnownUser), Refusals))]
pub async fn named(
    State(hub): State<Hub>,
    Look(asked): Look,
    Ids(name): Ids<UserName>,
) -> Result<Json<KnownUser>, Failure> {
    Ok(Json(hub.app.known_user(&asked, &name).await?))
}

/// One.
#[utoipa::path(get, path = "/api/v1/users/{id}", tag = "users", operation_id = "user_show",
    params(("id" = UserId, Path)),
    responses((status = 200, body = User), Refusals))]
pub async fn show(State(hub): State<Hub>, Look(asked): Look, Ids(id): Ids<UserId>) -> Result<Shown<User>, Failure> {
    Ok(Shown(hub.app.user(&asked, id).await?))
}

/// Changes one.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "users", operation_id = "user_change",
    params(("id" = UserId, Path), PlanQuery, IfMatch), request_body = UserPatch,
    responses((status = 200, body = inline(OrPlan<User>)), Refusals, ChangeRefusals))]
pub async fn change(
    State(hub): State<Hub>,
    Ids(id): Ids<UserId>,
    Change { asked, body }: Change<UserPatch>,
) -> Result<Changed<User>, Failure> {
    Ok(Changed(hub.app.change_user(&asked, id, body).await?))
}

/// Deletes one who is in no project, with all tokens.
#[utoipa::path(delete, path = "/api/v1/users/{id}", tag = "users", operation_id = "user_delete",
    params(("id" = UserId, Path), PlanQuery, IfMatch),
    responses((status = 204), (status = 200, body = Plan), Refusals, ChangeRefusals))]
pub async fn delete(
    State(hub): State<Hub>,
    Ids(id): Ids<UserId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Deleted, Failure> {
    Ok(Deleted(hub.app.delete_user(&asked, id).await?))
}

/// Sets a password and ends the user's sessions, this one too.
#[utoipa::path(put, path = "/api/v1/users/{id}/password", tag = "users", operation_id = "user_password",
    params(("id" = UserId, Path), PlanQuery, IfMatch), request_body = NewPassword,
    responses(
        (status = 200, body = inline(OrPlan<User>)),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "Too many failures."),
        Refusals, ChangeRefusals,
    ))]
pub async fn password(
    State(hub): State<Hub>,
    Ids(id): Ids<UserId>,
    Change { asked, body }: Change<NewPassword>,
) -> Result<Changed<User>, Failure> {
    Ok(Changed(hub.app.set_password(&asked, id, body).await?))
}

/// Freezes one: nothing can be done with the account until the freeze is lifted or ends.
#[utoipa::path(put, path = "/api/v1/users/{id}/freeze", tag = "users", operation_id = "user_freeze",
    params(("id" = UserId, Path), PlanQuery, IfMatch), request_body = NewFreeze,
    responses((status = 200, body = inline(OrPlan<User>)), Refusals, ChangeRefusals))]
pub async fn freeze(
    State(hub): State<Hub>,
    Ids(id): Ids<UserId>,
    Change { asked, body }: Change<NewFreeze>,
) -> Result<Changed<User>, Failure> {
    Ok(Changed(hub.app.freeze_user(&asked, id, Some(body)).await?))
}

/// Lifts a freeze.
#[utoipa::path(delete, path = "/api/v1/users/{id}/freeze", tag = "users", operation_id = "user_thaw",
    params(("id" = UserId, Path), PlanQuery, IfMatch),
    responses((status = 200, body = inline(OrPlan<User>)), Refusals, ChangeRefusals))]
pub async fn thaw(
    State(hub): State<Hub>,
    Ids(id): Ids<UserId>,
    Change { asked, body: () }: Change<()>,
) -> Result<Changed<User>, Failure> {
    Ok(Changed(hub.app.freeze_user(&asked, id, None).await?))
}
