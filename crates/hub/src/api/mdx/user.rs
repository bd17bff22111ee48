//! `/api/user/project/{project}/`: who is in a project.

use axum::extract::State;
use renkei_types::id::ProjectId;
use serde::Serialize;
use uuid::Uuid;

use super::answer::{Page, Refusal};
use super::asking::{Call, Id, Paging, Query};
use crate::Hub;

/// A member of a project.
#[derive(Serialize)]
pub struct User {
    uuid: Uuid,
    username: String,
    /// Empty for those who may not change who is in the project.
    email: String,
    auth: String,
}

/// A page of them. `username`, `email` and `auth` keep those that contain the text; `ordering` names a field, with `-` from
/// the last on.
pub async fn list(
    State(hub): State<Hub>,
    Call(asked): Call,
    Id(project): Id,
    query: Query,
    paging: Paging,
) -> Result<Page<User>, Refusal> {
    let people = hub.app.people(&asked, ProjectId(project)).await?;
    let mut users: Vec<User> = people
        .into_iter()
        .map(|(member, email)| User {
            uuid: member.user.0,
            username: member.user_name.to_string(),
            email: email.unwrap_or_default(),
            auth: member.role.to_string(),
        })
        .collect();
    for (field, of) in FIELDS {
        if let Some(wanted) = query.get(field) {
            users.retain(|user| of(user).contains(wanted));
        }
    }
    let ordering = query.get("ordering").unwrap_or("username");
    let by = FIELDS
        .iter()
        .find(|(field, _)| *field == ordering.trim_start_matches('-'));
    if let Some((_, of)) = by {
        users.sort_by(|one, other| of(one).cmp(of(other)));
    }
    if ordering.starts_with('-') {
        users.reverse();
    }
    paging.cut(users)
}

/// Gives a field.
type Field = (&'static str, fn(&User) -> &str);

const FIELDS: [Field; 3] = [
    ("username", |user| &user.username),
    ("email", |user| &user.email),
    ("auth", |user| &user.auth),
];
