//! What must hold whatever the table says.

use std::collections::BTreeSet;

use proptest::prelude::*;
use renkei_policy::actor::Actor;
use renkei_policy::issue::{Wanted, may_issue};
use renkei_policy::resource::Project;
use renkei_policy::{Caller, Resource, may};
use renkei_types::action::{Action, Scope};
use renkei_types::role::Role;
use renkei_types::token::TokenKind;

use crate::world::*;

fn role() -> impl Strategy<Value = Option<Role>> {
    prop::option::of(prop::sample::select(&Role::ALL[..]))
}

fn scopes() -> impl Strategy<Value = BTreeSet<Scope>> {
    let patterns = [
        "*",
        "*:read",
        "project:*",
        "quota:*",
        "token:*",
        "user:*",
        "operation:*",
        "site:*",
    ];
    let words = Action::ALL.iter().map(|action| action.as_str()).chain(patterns);
    let all: Vec<Scope> = words.map(|word| word.parse().unwrap()).collect();
    // Everything is most often meant, so that the rules behind the scopes are reached.
    prop_oneof![
        Just([Scope::everything()].into()),
        prop::collection::btree_set(prop::sample::select(all), 0..6),
    ]
}

prop_compose! {
    fn actors()(
        administrator in prop::bool::weighted(0.2),
        here in role(),
        there in role(),
        sites in prop::sample::subsequence(vec![SITE, OTHER_SITE], 0..=2),
        scopes in scopes(),
        project in prop::option::weighted(0.3, prop::sample::select(vec![PROJECT, OTHER_PROJECT])),
    ) -> Actor {
        let mut actor = stranger();
        actor.administrator = administrator;
        actor.memberships.extend(here.map(|role| (PROJECT, in_project(role))));
        actor.memberships.extend(there.map(|role| (OTHER_PROJECT, elsewhere(role))));
        actor.operates.extend(sites);
        actor.credential.scopes = scopes;
        actor.credential.project = project;
        actor
    }
}

prop_compose! {
    fn states()(frozen: [bool; 3], expired: bool) -> State {
        State {
            organization: frozen[0].then(|| freeze(None)),
            project: frozen[1].then(|| freeze(None)),
            vm: frozen[2].then(|| freeze(None)),
            expires: expired.then(|| at(0)),
        }
    }
}

/// Everything that an actor may do, as numbers of questions that are always the same.
fn allowed(caller: &Caller, state: &State) -> BTreeSet<(Action, usize)> {
    let quota = Resource::Quota {
        project: state.project(),
        site: SITE,
    };
    let (project, site, own) = (
        Resource::Project(state.project()),
        Resource::Site(SITE),
        Resource::User(CALLER),
    );
    let operation = |on, asked, by| Resource::Operation {
        asked,
        by: Some(by),
        on,
    };
    let mut resources = vec![Resource::Hub, Resource::List, project, quota, site, own];
    resources.push(Resource::Organization(state.organization()));
    resources.extend([
        Resource::User(OTHER),
        Resource::UserName(CALLER),
        Resource::UserName(OTHER),
    ]);
    for owner in [CALLER, OTHER] {
        for project in [None, Some(PROJECT), Some(OTHER_PROJECT)] {
            resources.push(Resource::Token { owner, project });
        }
        for asked in Action::ALL {
            resources.extend([&project, &quota, &site, &own].map(|on| operation(on, *asked, owner)));
        }
    }
    let mut allowed = BTreeSet::new();
    for (number, resource) in resources.iter().enumerate() {
        for action in Action::ALL {
            if may(caller, *action, resource, at(0)).is_ok() {
                allowed.insert((*action, number));
            }
        }
    }
    allowed
}

fn known(actor: &Actor, state: &State) -> BTreeSet<(Action, usize)> {
    allowed(&Caller::from(actor.clone()), state)
}

proptest! {
    #[test]
    fn nobody_may_do_anything(state in states()) {
        prop_assert!(allowed(&Caller::Nobody, &state).is_empty());
    }

    #[test]
    fn wider_scopes_never_allow_less(narrow in actors(), more in scopes(), state in states()) {
        let mut wide = narrow.clone();
        wide.credential.scopes.extend(more);
        prop_assert!(known(&narrow, &state).is_subset(&known(&wide, &state)));
    }

    #[test]
    fn a_token_never_allows_more_than_its_user(token in actors(), state in states()) {
        let mut session = token.clone();
        session.credential = stranger().credential;
        prop_assert!(known(&token, &state).is_subset(&known(&session, &state)));
    }

    #[test]
    fn freezing_never_allows_more(free in actors(), frozen: [bool; 2], state in states()) {
        let mut actor = free.clone();
        actor.freeze = frozen[0].then(|| freeze(None));
        actor.credential.freeze = frozen[1].then(|| freeze(None));
        let before = State { expires: state.expires, ..State::default() };
        prop_assert!(known(&actor, &state).is_subset(&known(&free, &before)));
    }

    #[test]
    fn expiry_never_allows_more(actor in actors(), over in states()) {
        let before = State { expires: None, ..over.clone() };
        prop_assert!(known(&actor, &over).is_subset(&known(&actor, &before)));
    }

    #[test]
    fn a_higher_role_never_allows_less(low in actors(), role in prop::sample::select(&Role::ALL[..]), state in states()) {
        let mut high = low.clone();
        if low.role(PROJECT) < Some(role) {
            high.memberships.insert(PROJECT, in_project(role));
        }
        prop_assert!(known(&low, &state).is_subset(&known(&high, &state)));
    }

    #[test]
    fn running_a_site_and_administration_never_allow_less(low in actors(), state in states()) {
        let mut high = low.clone();
        high.operates.insert(SITE);
        prop_assert!(known(&low, &state).is_subset(&known(&high, &state)));
        high.administrator = true;
        prop_assert!(known(&low, &state).is_subset(&known(&high, &state)));
    }

    #[test]
    fn what_a_token_hands_on_allows_no_more_than_itself(
        from in actors(),
        session: bool,
        scopes in scopes(),
        project in prop::option::of(prop::sample::select(vec![PROJECT, OTHER_PROJECT])),
        state in states(),
    ) {
        let mut from = from;
        from.credential.kind = if session { TokenKind::Session } else { TokenKind::Api };
        let expires = from.credential.expires;
        if may_issue(&from.credential, &Wanted { scopes: &scopes, project, expires }).is_ok() {
            let mut made = from.clone();
            made.credential.scopes = scopes;
            made.credential.project = project;
            prop_assert!(known(&made, &state).is_subset(&known(&from, &state)));
        }
    }

    #[test]
    fn lists_hold_what_may_be_read_one_by_one(actor in actors()) {
        let mut actor = actor;
        actor.credential.scopes = [Scope::everything()].into();
        let caller = Caller::from(actor.clone());
        let reads = |action, resource: Resource<'_>| may(&caller, action, &resource, at(0)).is_ok();
        let state = State::default();
        let mut there = state.project();
        (there.id, there.organization.id) = (OTHER_PROJECT, OTHER_ORGANIZATION);

        let in_quotas = |project: &Project<'_>, site| {
            let quotas = actor.quotas();
            quotas.projects.has(&project.id) || (quotas.sites.contains(&site))
        };
        for project in [state.project(), there] {
            prop_assert_eq!(actor.projects().has(&project.id), reads(Action::ProjectRead, Resource::Project(project)));
            let organization = project.organization;
            let seen = reads(Action::OrganizationRead, Resource::Organization(organization));
            prop_assert_eq!(actor.organizations().has(&organization.id), seen);
            for site in [SITE, OTHER_SITE] {
                prop_assert_eq!(in_quotas(&project, site), reads(Action::QuotaRead, Resource::Quota { project, site }));
            }
        }
        prop_assert_eq!(actor.sites().has(&SITE), reads(Action::SiteRead, Resource::Site(SITE)));
        prop_assert_eq!(actor.hosts().has(&SITE), reads(Action::HostRead, Resource::Site(SITE)));
        for user in [CALLER, OTHER] {
            prop_assert_eq!(actor.users().has(&user), reads(Action::UserRead, Resource::User(user)));
            for project in [None, Some(PROJECT), Some(OTHER_PROJECT)] {
                let tokens = actor.tokens();
                let listed = tokens.owners.has(&user) && (tokens.project.is_none() || tokens.project == project);
                prop_assert_eq!(listed, reads(Action::TokenRead, Resource::Token { owner: user, project }));
            }
        }
    }
}
