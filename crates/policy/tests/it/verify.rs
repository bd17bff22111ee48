//! What credentials become, what they may hand on, and what those who may not are told.

use std::collections::BTreeSet;

use jiff::Timestamp;
use renkei_policy::actor::{Account, Actor, Credential, NotAccepted, Shown};
use renkei_policy::issue::{TooMuch, Wanted, may_issue};
use renkei_policy::jwt::{Claims, Session};
use renkei_policy::{Caller, Resource, may};
use renkei_types::action::{Action, Scope};
use renkei_types::id::{TokenId, UserId};
use renkei_types::problem::ProblemKind;
use renkei_types::role::Role;
use renkei_types::token::{Token, TokenKind};
use renkei_types::user::User;
use uuid::Uuid;

use crate::world::*;

fn account() -> Account {
    Account {
        user: User {
            id: CALLER,
            name: "alice".parse().unwrap(),
            full_name: String::new(),
            email: String::new(),
            administrator: false,
            enabled: true,
            created: at(-100),
            freeze: None,
        },
        memberships: [(PROJECT, in_project(Role::Member))].into(),
        operates: [SITE].into(),
        token_epoch: 3,
    }
}

fn token(expires: Timestamp) -> Token {
    Token {
        id: TokenId(Uuid::from_u128(9)),
        user: CALLER,
        name: "laptop".parse().unwrap(),
        kind: TokenKind::Api,
        scopes: scopes("*:read"),
        project: Some(PROJECT),
        created: at(-100),
        expires,
        last_used: None,
        freeze: None,
    }
}

fn scopes(text: &str) -> BTreeSet<Scope> {
    text.split_whitespace().map(|scope| scope.parse().unwrap()).collect()
}

#[test]
fn a_token_becomes_its_user_with_its_limits() {
    let actor = Actor::verify(account(), Shown::Token(token(at(1))), at(0)).unwrap();
    assert_eq!((actor.user, actor.role(PROJECT)), (CALLER, Some(Role::Member)));
    assert_eq!(actor.credential, Credential::from(token(at(1))));
    assert!(!actor.operates(SITE), "a token for one project has no say at sites");
}

#[test]
fn an_expired_token_is_not_accepted() {
    let refused = Actor::verify(account(), Shown::Token(token(at(0))), at(0));
    assert_eq!(refused, Err(NotAccepted::Expired { at: at(0) }));
}

#[test]
fn a_disabled_account_is_not_accepted() {
    let mut disabled = account();
    disabled.user.enabled = false;
    assert_eq!(
        Actor::verify(disabled, Shown::Token(token(at(1))), at(0)),
        Err(NotAccepted::Disabled)
    );
}

#[test]
fn a_token_of_somebody_else_is_not_accepted() {
    let theirs = Token {
        user: OTHER,
        ..token(at(1))
    };
    assert_eq!(
        Actor::verify(account(), Shown::Token(theirs), at(0)),
        Err(NotAccepted::Stranger)
    );
}

#[test]
fn the_frozen_are_known_and_told_why() {
    let mut frozen = account();
    frozen.user.freeze = Some(freeze(None));
    let actor = Actor::verify(frozen, Shown::Token(token(at(1))), at(0)).unwrap();
    let denied = Caller::from(actor).actor(at(0)).unwrap_err();
    assert_eq!(
        denied.to_string(),
        "the account is frozen: found on a list of leaked keys"
    );
    assert_eq!(denied.kind(), ProblemKind::Frozen);
}

#[test]
fn a_refusal_says_what_would_be_needed() {
    let write = |actor| {
        may(
            &Caller::from(actor),
            Action::MemberWrite,
            &Resource::Project(State::default().project()),
            at(0),
        )
    };
    let denied = write(member(Role::Reader)).unwrap_err();
    assert_eq!(
        denied.to_string(),
        "this needs the role owner in the project, yours is reader"
    );
    assert_eq!(denied.hint(), Some("ask an owner of the project"));
    assert_eq!(write(stranger()).unwrap_err().kind(), ProblemKind::NotFound);

    let mut narrow = member(Role::Owner);
    narrow.credential.scopes = scopes("*:read quota:*");
    let denied = write(narrow).unwrap_err();
    assert_eq!(
        denied.to_string(),
        "this token is not meant for `member:write`, only for `*:read`, `quota:*`"
    );
}

fn issue(own: &str, wanted: &str) -> Result<(), TooMuch> {
    let mut credential = stranger().credential;
    credential.scopes = scopes(own);
    let scopes = &scopes(wanted);
    let wanted = Wanted {
        scopes,
        project: None,
        expires: at(10),
    };
    may_issue(&credential, &wanted)
}

#[test]
fn scopes_are_handed_on_no_wider() {
    for (own, wanted) in [
        ("*", "*"),
        ("*", "project:* *:read"),
        ("*:read", "audit:read"),
        ("token:*", "token:write"),
    ] {
        assert_eq!(issue(own, wanted), Ok(()), "{wanted} by {own}");
    }
    for (own, wanted) in [
        ("token:write", "*"),
        ("project:*", "*:read"),
        ("*:read", "project:*"),
        ("token:*", "quota:read"),
    ] {
        let error = issue(own, wanted).unwrap_err();
        assert_eq!(error, TooMuch::Scope(wanted.parse().unwrap()), "{wanted} by {own}");
    }
}

#[test]
fn a_pattern_is_not_made_of_its_present_parts() {
    assert!(issue("token:read token:write", "token:*").is_err());
}

#[test]
fn a_token_for_a_project_makes_tokens_only_for_it() {
    let credential = for_project(stranger(), PROJECT).credential;
    let wanted = |project| Wanted {
        scopes: &credential.scopes,
        project,
        expires: at(10),
    };
    assert_eq!(may_issue(&credential, &wanted(Some(PROJECT))), Ok(()));
    for project in [None, Some(OTHER_PROJECT)] {
        assert_eq!(may_issue(&credential, &wanted(project)), Err(TooMuch::Project(PROJECT)));
    }
}

#[test]
fn only_a_session_makes_tokens_that_outlive_it() {
    let mut credential = stranger().credential;
    let scopes = credential.scopes.clone();
    let wanted = Wanted {
        scopes: &scopes,
        project: None,
        expires: at(1_001),
    };
    assert_eq!(may_issue(&credential, &wanted), Ok(()));
    credential.kind = TokenKind::Api;
    assert_eq!(may_issue(&credential, &wanted), Err(TooMuch::Expires(at(1_000))));
}

fn claims(epoch: u64) -> Claims {
    let session = Session {
        user: CALLER,
        username: "alice".to_owned(),
        email: String::new(),
        epoch,
    };
    Claims::new(session, at(0))
}

#[test]
fn a_signed_token_becomes_its_user_without_limits_until_it_expires() {
    let actor = Actor::verify(account(), Shown::Jwt(claims(3)), at(0)).unwrap();
    assert_eq!((actor.user, actor.role(PROJECT)), (CALLER, Some(Role::Member)));
    assert!(actor.operates(SITE) && actor.credential.covers(Action::ProjectWrite));
    let later = Actor::verify(account(), Shown::Jwt(claims(3)), at(24 * 3600));
    assert!(matches!(later, Err(NotAccepted::Expired { .. })), "{later:?}");
}

#[test]
fn a_signed_token_ends_with_its_epoch_and_its_user() {
    for epoch in [2, 4] {
        assert_eq!(
            Actor::verify(account(), Shown::Jwt(claims(epoch)), at(0)),
            Err(NotAccepted::Ended)
        );
    }
    let mut disabled = account();
    disabled.user.enabled = false;
    assert_eq!(
        Actor::verify(disabled, Shown::Jwt(claims(3)), at(0)),
        Err(NotAccepted::Disabled)
    );
    let mut other = account();
    other.user.id = UserId(Uuid::from_u128(77));
    assert_eq!(
        Actor::verify(other, Shown::Jwt(claims(3)), at(0)),
        Err(NotAccepted::Stranger)
    );
}
