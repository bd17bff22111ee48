//! Every action, on everything it can be done to, by every kind of caller, in every state.

use std::collections::BTreeSet;

use renkei_policy::actor::Actor;
use renkei_policy::{Caller, Denied, Resource, may};
use renkei_types::action::Action;
use renkei_types::role::Role;

use crate::world::*;

/// `ok`, or the rule that says no: 401 unauthenticated, `hid`den, `rol`e, `adm`inistrator, `sit`e operator, `oth`er project.
const TABLE: &str = "
                               nobody stranger reader member operator owner elsewhere site-op admin token other-token
organization:read  list        401    ok       ok     ok     ok       ok    ok        ok      ok    ok    ok
organization:read  org         401    hid      ok     ok     ok       ok    hid       hid     ok    hid   hid
organization:write hub         401    adm      adm    adm    adm      adm   adm       adm     ok    oth   oth
organization:write org         401    hid      adm    adm    adm      adm   hid       hid     ok    hid   hid
project:read       list        401    ok       ok     ok     ok       ok    ok        ok      ok    ok    ok
project:read       project     401    hid      ok     ok     ok       ok    hid       hid     ok    ok    hid
project:create     org         401    hid      adm    adm    adm      adm   hid       hid     ok    hid   hid
project:write      project     401    hid      rol    rol    rol      ok    hid       hid     ok    ok    hid
project:expire     project     401    hid      adm    adm    adm      adm   hid       hid     ok    adm   hid
member:read        list        401    ok       ok     ok     ok       ok    ok        ok      ok    ok    ok
member:read        project     401    hid      ok     ok     ok       ok    hid       hid     ok    ok    hid
member:write       project     401    hid      rol    rol    rol      ok    hid       hid     ok    ok    hid
member:leave       project     401    hid      ok     ok     ok       ok    hid       hid     ok    ok    hid
quota:read         list        401    ok       ok     ok     ok       ok    ok        ok      ok    ok    ok
quota:read         project     401    hid      ok     ok     ok       ok    hid       hid     ok    ok    hid
quota:read         quota       401    hid      ok     ok     ok       ok    hid       ok      ok    ok    hid
quota:read         site        401    sit      sit    sit    sit      sit   sit       ok      ok    oth   oth
quota:write        quota       401    hid      sit    sit    sit      sit   hid       ok      ok    sit   hid
user:read          list        401    ok       ok     ok     ok       ok    ok        ok      ok    ok    ok
user:read          self        401    ok       ok     ok     ok       ok    ok        ok      ok    ok    ok
user:read          user        401    hid      hid    hid    hid      adm   adm       hid     ok    hid   hid
user:read          own-name    401    ok       ok     ok     ok       ok    ok        ok      ok    ok    ok
user:read          name        401    hid      hid    hid    hid      ok    ok        hid     ok    hid   hid
user:administer    hub         401    adm      adm    adm    adm      adm   adm       adm     ok    oth   oth
user:administer    self        401    adm      adm    adm    adm      adm   adm       adm     ok    oth   oth
user:administer    user        401    hid      hid    hid    hid      adm   adm       hid     ok    hid   hid
user:write         self        401    ok       ok     ok     ok       ok    ok        ok      ok    oth   oth
user:write         user        401    hid      hid    hid    hid      adm   adm       hid     ok    hid   hid
token:read         list        401    ok       ok     ok     ok       ok    ok        ok      ok    ok    ok
token:read         own-token   401    ok       ok     ok     ok       ok    ok        ok      ok    hid   hid
token:read         own-p-token 401    ok       ok     ok     ok       ok    ok        ok      ok    ok    hid
token:read         token       401    hid      hid    hid    hid      hid   hid       hid     ok    hid   hid
token:write        own-token   401    ok       ok     ok     ok       ok    ok        ok      ok    hid   hid
token:write        own-p-token 401    ok       ok     ok     ok       ok    ok        ok      ok    ok    hid
token:write        token       401    hid      hid    hid    hid      hid   hid       hid     ok    hid   hid
site:read          list        401    ok       ok     ok     ok       ok    ok        ok      ok    ok    ok
site:read          site        401    ok       ok     ok     ok       ok    ok        ok      ok    oth   oth
site:administer    hub         401    adm      adm    adm    adm      adm   adm       adm     ok    oth   oth
site:administer    site        401    adm      adm    adm    adm      adm   adm       adm     ok    oth   oth
site:write         site        401    sit      sit    sit    sit      sit   sit       ok      ok    oth   oth
host:read          list        401    ok       ok     ok     ok       ok    ok        ok      ok    ok    ok
host:read          site        401    sit      sit    sit    sit      sit   sit       ok      ok    oth   oth
host:write         site        401    sit      sit    sit    sit      sit   sit       ok      ok    oth   oth
template:read      list        401    ok       ok     ok     ok       ok    ok        ok      ok    ok    ok
template:read      project     401    hid      ok     ok     ok       ok    hid       hid     ok    ok    hid
template:write     project     401    hid      rol    ok     ok       ok    hid       hid     ok    ok    hid
template:publish   hub         401    adm      adm    adm    adm      adm   adm       adm     ok    oth   oth
vm:read            list        401    ok       ok     ok     ok       ok    ok        ok      ok    ok    ok
vm:read            project     401    hid      ok     ok     ok       ok    hid       hid     ok    ok    hid
vm:read            vm          401    hid      ok     ok     ok       ok    hid       hid     ok    ok    hid
vm:write           project     401    hid      rol    ok     ok       ok    hid       hid     ok    ok    hid
vm:write           vm          401    hid      rol    ok     ok       ok    hid       hid     ok    ok    hid
segment:read       list        401    ok       ok     ok     ok       ok    ok        ok      ok    ok    ok
segment:read       project     401    hid      ok     ok     ok       ok    hid       hid     ok    ok    hid
segment:write      project     401    hid      rol    rol    ok       ok    hid       hid     ok    ok    hid
lease:write        project     401    hid      rol    rol    ok       ok    hid       hid     ok    ok    hid
acl:write          project     401    hid      rol    rol    ok       ok    hid       hid     ok    ok    hid
dnat:write         project     401    hid      rol    rol    ok       ok    hid       hid     ok    ok    hid
globalip:read      project     401    hid      ok     ok     ok       ok    hid       hid     ok    ok    hid
globalip:read      site        401    sit      sit    sit    sit      sit   sit       ok      ok    oth   oth
globalip:take      project     401    hid      rol    rol    ok       ok    hid       hid     ok    ok    hid
globalip:write     site        401    sit      sit    sit    sit      sit   sit       ok      ok    oth   oth
operation:read     list        401    ok       ok     ok     ok       ok    ok        ok      ok    ok    ok
operation:read     project     401    hid      ok     ok     ok       ok    hid       hid     ok    ok    hid
operation:read     op-member   401    hid      ok     ok     ok       ok    hid       hid     ok    ok    hid
operation:read     op-quota    401    hid      ok     ok     ok       ok    hid       ok      ok    ok    hid
operation:read     op-site     401    hid      hid    hid    hid      hid   hid       ok      ok    hid   hid
operation:read     op-asked    401    hid      ok     ok     ok       ok    hid       hid     ok    ok    hid
operation:read     op-own-site 401    ok       ok     ok     ok       ok    ok        ok      ok    hid   hid
operation:read     op-own      401    ok       ok     ok     ok       ok    ok        ok      ok    hid   hid
operation:read     op-user     401    hid      hid    hid    hid      hid   hid       hid     ok    hid   hid
operation:cancel   op-member   401    hid      rol    rol    rol      ok    hid       hid     ok    ok    hid
operation:cancel   op-quota    401    hid      sit    sit    sit      sit   hid       ok      ok    sit   hid
operation:cancel   op-site     401    hid      hid    hid    hid      hid   hid       ok      ok    hid   hid
operation:cancel   op-asked    401    hid      rol    rol    rol      ok    hid       hid     ok    ok    hid
operation:cancel   op-own-site 401    sit      sit    sit    sit      sit   sit       ok      ok    hid   hid
operation:cancel   op-own      401    ok       ok     ok     ok       ok    ok        ok      ok    hid   hid
operation:cancel   op-user     401    hid      hid    hid    hid      hid   hid       hid     ok    hid   hid
event:read         list        401    ok       ok     ok     ok       ok    ok        ok      ok    ok    ok
event:read         project     401    hid      ok     ok     ok       ok    hid       hid     ok    ok    hid
audit:read         hub         401    adm      adm    adm    adm      adm   adm       adm     ok    oth   oth
freeze:write       org         401    hid      adm    adm    adm      adm   hid       hid     ok    hid   hid
freeze:write       project     401    hid      adm    adm    adm      adm   hid       hid     ok    adm   hid
freeze:write       vm          401    hid      adm    adm    adm      adm   hid       hid     ok    adm   hid
freeze:write       self        401    adm      adm    adm    adm      adm   adm       adm     ok    oth   oth
freeze:write       user        401    hid      hid    hid    hid      adm   adm       hid     ok    hid   hid
freeze:write       own-token   401    adm      adm    adm    adm      adm   adm       adm     ok    hid   hid
freeze:write       own-p-token 401    adm      adm    adm    adm      adm   adm       adm     ok    adm   hid
freeze:write       token       401    hid      hid    hid    hid      hid   hid       hid     ok    hid   hid
";

/// Of each name in the second column: the ones in the organization, and of them the ones in the project.
const IN_ORGANIZATION: &[&str] = &["org", "project", "quota", "vm", "op-member", "op-asked", "op-quota"];
const IN_PROJECT: &[&str] = &["project", "quota", "vm", "op-member", "op-asked", "op-quota"];
const OUTSIDE: &[&str] = &[
    "hub",
    "list",
    "self",
    "user",
    "own-name",
    "name",
    "own-token",
    "own-p-token",
    "token",
    "site",
    "op-site",
    "op-own-site",
    "op-own",
    "op-user",
];

struct Row {
    action: Action,
    on: &'static str,
    /// Caller and answer.
    cells: Vec<(&'static str, &'static str)>,
}

fn rows() -> Vec<Row> {
    let mut lines = TABLE.lines().filter(|line| !line.is_empty());
    let callers: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    let row = |line: &'static str| {
        let mut words = line.split_whitespace();
        let word = words.next().unwrap();
        let action = Action::ALL.iter().find(|action| action.as_str() == word).unwrap();
        let on = words.next().unwrap();
        let cells: Vec<_> = callers.iter().copied().zip(words).collect();
        assert_eq!(cells.len(), callers.len(), "{line}");
        Row {
            action: *action,
            on,
            cells,
        }
    };
    lines.map(row).collect()
}

fn actor(name: &str) -> Actor {
    match name {
        "stranger" => stranger(),
        "reader" => member(Role::Reader),
        "member" => member(Role::Member),
        "operator" => member(Role::Operator),
        "owner" => member(Role::Owner),
        "elsewhere" => Actor {
            memberships: [(OTHER_PROJECT, elsewhere(Role::Owner))].into(),
            operates: [OTHER_SITE].into(),
            ..stranger()
        },
        "site-op" => Actor {
            operates: [SITE].into(),
            ..stranger()
        },
        "admin" => administrator(),
        "token" => for_project(member(Role::Owner), PROJECT),
        "other-token" => for_project(administrator(), OTHER_PROJECT),
        name => panic!("{name} is no caller"),
    }
}

fn caller(name: &str) -> Caller {
    match name {
        "nobody" => Caller::Nobody,
        name => Caller::from(actor(name)),
    }
}

fn ask(caller: &Caller, action: Action, on: &str, state: &State) -> Result<(), Denied> {
    let quota = Resource::Quota {
        project: state.project(),
        site: SITE,
    };
    let operation = |asked, on: &Resource<'_>, by| {
        may(
            caller,
            action,
            &Resource::Operation {
                asked,
                by: Some(by),
                on,
            },
            at(0),
        )
    };
    let token = |owner, project| Resource::Token { owner, project };
    let resource = match on {
        "hub" => Resource::Hub,
        "list" => Resource::List,
        "org" => Resource::Organization(state.organization()),
        "project" => Resource::Project(state.project()),
        "quota" => quota,
        "vm" => Resource::Vm {
            project: state.project(),
            freeze: state.vm.as_ref(),
        },
        "self" => Resource::User(CALLER),
        "user" => Resource::User(OTHER),
        "own-name" => Resource::UserName(CALLER),
        "name" => Resource::UserName(OTHER),
        "own-token" => token(CALLER, None),
        "own-p-token" => token(CALLER, Some(PROJECT)),
        "token" => token(OTHER, None),
        "site" => Resource::Site(SITE),
        "op-member" => return operation(Action::MemberWrite, &Resource::Project(state.project()), OTHER),
        "op-asked" => return operation(Action::MemberWrite, &Resource::Project(state.project()), CALLER),
        "op-own-site" => return operation(Action::SiteWrite, &Resource::Site(SITE), CALLER),
        "op-quota" => return operation(Action::QuotaWrite, &quota, OTHER),
        "op-site" => return operation(Action::SiteWrite, &Resource::Site(SITE), OTHER),
        "op-own" => return operation(Action::UserWrite, &Resource::User(CALLER), CALLER),
        "op-user" => return operation(Action::UserWrite, &Resource::User(OTHER), OTHER),
        on => panic!("{on} is no resource"),
    };
    may(caller, action, &resource, at(0))
}

fn short(answer: &Result<(), Denied>) -> &'static str {
    match answer {
        Ok(()) => "ok",
        Err(Denied::Unauthenticated) => "401",
        Err(Denied::Frozen { .. }) => "frz",
        Err(Denied::Hidden) => "hid",
        Err(Denied::OtherProject { .. }) => "oth",
        Err(Denied::Scope { .. }) => "sco",
        Err(Denied::Role { .. }) => "rol",
        Err(Denied::SiteOperator) => "sit",
        Err(Denied::Administrator) => "adm",
        Err(Denied::Expired { .. }) => "exp",
        Err(Denied::NoRule { .. }) => "nor",
    }
}

/// Compares the whole table, with what `changed` makes of each answer in the state.
fn compare(state: &State, changed: impl Fn(&Row, &str, &'static str) -> &'static str) {
    for row in rows() {
        for (name, cell) in &row.cells {
            let answer = ask(&caller(name), row.action, row.on, state);
            let expected = changed(&row, name, cell);
            assert_eq!(
                short(&answer),
                expected,
                "{} on {} by {name}: {answer:?}",
                row.action,
                row.on
            );
        }
    }
}

fn changes(row: &Row) -> bool {
    !row.action.as_str().ends_with(":read") && row.action != Action::Freeze
}

#[test]
fn everybody_may_what_the_table_says() {
    compare(&State::default(), |_, _, cell| cell);
}

#[test]
fn every_action_is_in_the_table() {
    let there: BTreeSet<Action> = rows().iter().map(|row| row.action).collect();
    for action in Action::ALL {
        assert!(there.contains(action), "{action} has no row");
    }
}

#[test]
fn what_is_not_in_the_table_nobody_may() {
    let there: BTreeSet<_> = rows().iter().map(|row| (row.action, row.on)).collect();
    for on in [OUTSIDE, IN_ORGANIZATION].concat() {
        for action in Action::ALL.iter().filter(|action| !there.contains(&(**action, on))) {
            let answer = ask(&caller("admin"), *action, on, &State::default());
            assert_eq!(short(&answer), "nor", "{action} on {on}");
            for name in ["stranger", "owner", "site-op", "token"] {
                assert!(
                    ask(&caller(name), *action, on, &State::default()).is_err(),
                    "{action} on {on} by {name}"
                );
            }
        }
    }
}

#[test]
fn in_a_frozen_project_nobody_changes_anything_but_the_freeze() {
    let state = State {
        project: Some(freeze(None)),
        ..State::default()
    };
    compare(&state, |row, _, cell| match cell {
        "ok" if changes(row) && IN_PROJECT.contains(&row.on) => "frz",
        cell => cell,
    });
}

#[test]
fn a_frozen_machine_is_changed_by_nobody() {
    let state = State {
        vm: Some(freeze(None)),
        ..State::default()
    };
    compare(&state, |row, _, cell| match cell {
        "ok" if changes(row) && row.on == "vm" => "frz",
        cell => cell,
    });
}

#[test]
fn in_a_frozen_organization_nobody_changes_anything_but_the_freeze() {
    let state = State {
        organization: Some(freeze(Some(at(1)))),
        ..State::default()
    };
    compare(&state, |row, _, cell| match cell {
        "ok" if changes(row) && IN_ORGANIZATION.contains(&row.on) => "frz",
        cell => cell,
    });
}

#[test]
fn in_an_expired_project_only_administrators_change_anything() {
    let state = State {
        expires: Some(at(0)),
        ..State::default()
    };
    compare(&state, |row, name, cell| match cell {
        "ok" if changes(row) && IN_PROJECT.contains(&row.on) && name != "admin" => "exp",
        cell => cell,
    });
}

#[test]
fn freezes_that_are_over_and_an_expiry_to_come_stop_nobody() {
    let state = State {
        organization: Some(freeze(Some(at(0)))),
        project: Some(freeze(Some(at(-1)))),
        vm: Some(freeze(Some(at(-1)))),
        expires: Some(at(1)),
    };
    compare(&state, |_, _, cell| cell);
}

#[test]
fn the_frozen_may_nothing_whoever_they_are() {
    for row in rows() {
        for (name, _) in row.cells.iter().filter(|(name, _)| *name != "nobody") {
            let (mut user, mut token) = (actor(name), actor(name));
            user.freeze = Some(freeze(Some(at(1))));
            token.credential.freeze = Some(freeze(None));
            for frozen in [user, token] {
                let answer = ask(&Caller::from(frozen), row.action, row.on, &State::default());
                assert_eq!(short(&answer), "frz", "{} on {} by {name}", row.action, row.on);
            }
        }
    }
}

#[test]
fn a_scope_that_lacks_the_action_stops_everybody_who_may_see_the_thing() {
    for row in rows() {
        for (name, cell) in row.cells.iter().filter(|(name, _)| *name != "nobody") {
            let mut narrow = actor(name);
            let other = if row.action == Action::AuditRead {
                "site:read"
            } else {
                "audit:read"
            };
            narrow.credential.scopes = [other.parse().unwrap()].into();
            let answer = ask(&Caller::from(narrow), row.action, row.on, &State::default());
            let expected = if matches!(*cell, "hid" | "oth") { *cell } else { "sco" };
            assert_eq!(short(&answer), expected, "{} on {} by {name}", row.action, row.on);
        }
    }
}
