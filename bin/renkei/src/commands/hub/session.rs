//! `renkei login`, `logout` and `whoami`.

use std::path::Path;

use renkei_transfer::ssh::Echo;
use renkei_types::problem::ProblemKind;
use renkei_types::token::{IssuedToken, NewSession, Token};
use renkei_types::user::{NewPassword, User, Whoami};

use super::client::Change;
use super::failure::Failure;
use super::names::Names;
use super::password::{self, Passwords};
use super::profile::{Profile, ProfileError};
use super::resolve::Collection::{Projects, Users};
use super::{Hub, table, token, user};
use crate::arguments::hub::session::Login;
use crate::settings::hub::Secret;

/// How often a person may try to find a new password that the hub takes.
const TRIES: usize = 3;

/// Signs in, and remembers the session.
pub async fn login(mut hub: Hub, login: &Login, path: Option<&Path>) -> Result<u8, Failure> {
    if path.is_none() {
        return Err(ProfileError::NoPlace.into());
    }
    let mut passwords = if login.password_stdin {
        Passwords::of_standard_input()?
    } else {
        Passwords::Terminal
    };
    let name = match &login.user {
        Some(name) => name.clone(),
        None => password::ask(&format!("user at {}: ", hub.client.hub()), Echo::On)?,
    };
    let password = passwords.next(&format!("password of {name} at {}: ", hub.client.hub()))?;
    let said = NewSession { name, password };
    let mut issued = sign_in(&mut hub, &said).await?;
    let whoami = ask_who(&hub).await?;
    if whoami.must_change_password {
        let password = choose(&hub, &whoami.user, &mut passwords, &said.password).await?;
        issued = sign_in(&mut hub, &NewSession { password, ..said }).await?;
    }
    let mut profile = Profile::load(path)?;
    profile.remember(hub.client.hub(), whoami.user.name.as_str(), &Secret::new(issued.secret));
    if let Some(ca) = &login.ca {
        // Later commands may run elsewhere.
        let ca = std::path::absolute(ca).unwrap_or_else(|_| ca.clone());
        profile.trust(hub.client.hub(), ca);
    }
    profile.save(path)?;
    if hub.is_json() {
        return hub.print_json(&issued.token);
    }
    let until = table::time(issued.token.expires);
    hub.print_line(&format!(
        "signed in at {} as {} until {until}",
        hub.client.hub(),
        whoami.user.name
    ))
}

async fn sign_in(hub: &mut Hub, said: &NewSession) -> Result<IssuedToken, Failure> {
    let issued: IssuedToken = hub.client.read(hub.client.sign_in(said).await?)?;
    hub.client.show(Secret::new(issued.secret.clone()));
    Ok(issued)
}

/// Sets a password in place of the one-time one.
async fn choose(hub: &Hub, user: &User, passwords: &mut Passwords, current: &str) -> Result<String, Failure> {
    let path = format!("{}/password", Users.one(user.id.0));
    if matches!(passwords, Passwords::Terminal) {
        hub.output.note("this password is for one time: choose one of your own");
    }
    for _ in 1..TRIES {
        match set(hub, &path, passwords, current).await {
            Err(failure) if may_try_again(&failure, passwords) => hub.output.note(&failure.to_string()),
            result => return result,
        }
    }
    set(hub, &path, passwords, current).await
}

async fn set(hub: &Hub, path: &str, passwords: &mut Passwords, current: &str) -> Result<String, Failure> {
    let new = passwords.new_one()?;
    let said = NewPassword {
        current: Some(current.to_owned()),
        new: new.clone(),
    };
    hub.client.change(&Change::put(path, &said)).await?;
    Ok(new)
}

fn may_try_again(failure: &Failure, passwords: &Passwords) -> bool {
    let mended_by_another = match failure {
        Failure::Repetition => true,
        Failure::Refused(problem) => problem.kind == ProblemKind::Invalid,
        _ => false,
    };
    mended_by_another && matches!(passwords, Passwords::Terminal)
}

/// Ends the session here and at the hub.
pub async fn logout(hub: &Hub, path: Option<&Path>) -> Result<u8, Failure> {
    match hub.client.change(&Change::delete("/sessions/current")).await {
        Ok(_) => {}
        // It has ended already.
        Err(Failure::Refused(problem)) if problem.kind == ProblemKind::Unauthenticated => {}
        Err(failure) => return Err(failure),
    }
    let mut profile = Profile::load(path)?;
    profile.forget(hub.client.hub());
    profile.save(path)?;
    if hub.is_json() {
        return hub.print_json(&());
    }
    hub.print_line(&format!("signed out at {}", hub.client.hub()))
}

/// Says who is signed in.
pub async fn whoami(hub: &Hub) -> Result<u8, Failure> {
    let body = hub.client.get("/whoami", &[]).await?.body;
    if hub.is_json() {
        return hub.print_json(&body);
    }
    let whoami: Whoami = hub.client.read(body)?;
    let mentions = whoami.memberships.iter().map(|member| (Projects, member.project.0));
    let names = Names::of(&hub.client, mentions).await;
    let member = |member: &renkei_types::member::Member| format!("{} ({})", names.get(member.project.0), member.role);
    hub.print_text(&table::fields([
        ("hub", hub.client.hub().to_string()),
        ("user", whoami.user.name.to_string()),
        ("full name", whoami.user.full_name.clone()),
        ("administrator", user::administrator(&whoami.user)),
        ("projects", table::joined(whoami.memberships.iter().map(member))),
        ("token", called(&whoami.token)),
        ("scopes", token::scopes(&whoami.token)),
        ("expires", table::time(whoami.token.expires)),
    ]))
}

fn called(token: &Token) -> String {
    format!("{} ({})", token.name, token::kind(token.kind))
}

async fn ask_who(hub: &Hub) -> Result<Whoami, Failure> {
    hub.client.read(hub.client.get("/whoami", &[]).await?.body)
}
