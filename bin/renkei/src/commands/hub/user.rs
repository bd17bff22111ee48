//! `renkei user`.

use renkei_types::id::UserId;
use renkei_types::user::{NewPassword, NewUser, User, UserPatch, Whoami};
use serde_json::json;

use super::client::{Change, Outcome};
use super::failure::Failure;
use super::names::{Mention, Names};
use super::noun::{Deed, Noun};
use super::password::{self, Passwords};
use super::resolve::Collection::{self, Users};
use super::{Hub, table};
use crate::arguments::hub::user::{self, Verb};

const HERE: Collection = Collection::Users;

impl Noun for User {
    const NOUN: &'static str = "user";
    const HEADING: &'static [&'static str] =
        &["NAME", "FULL NAME", "EMAIL", "ADMINISTRATOR", "ENABLED", "FROZEN", "ID"];

    fn called(&self, _: &Names) -> String {
        format!("`{}`", self.name)
    }

    fn mentions(&self) -> Vec<Mention> {
        self.freeze.iter().map(|freeze| (Users, freeze.by.0)).collect()
    }

    fn row(&self, _: &Names) -> Vec<String> {
        vec![
            self.name.to_string(),
            self.full_name.clone(),
            self.email.clone(),
            administrator(self),
            enabled(self),
            table::frozen(self.freeze.as_ref()),
            self.id.to_string(),
        ]
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        vec![
            ("name", self.name.to_string()),
            ("id", self.id.to_string()),
            ("full name", self.full_name.clone()),
            ("email", self.email.clone()),
            ("administrator", administrator(self)),
            ("enabled", enabled(self)),
            ("created", table::time(self.created)),
            ("frozen", table::freeze(self.freeze.as_ref(), names)),
        ]
    }
}

/// Whether the user may do everything.
pub fn administrator(user: &User) -> String {
    String::from(if user.administrator { "yes" } else { "no" })
}

fn enabled(user: &User) -> String {
    String::from(if user.enabled { "yes" } else { "no" })
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List => hub.list::<User>(HERE.path(), &[]).await,
        Verb::Show(one) => hub.show::<User>(&HERE.one(hub.id(HERE, &one.which).await?)).await,
        Verb::Create(create) => self::create(hub, create).await,
        Verb::Change(change) => {
            let id = hub.id(HERE, &change.one.which).await?;
            let patch = UserPatch {
                full_name: change.full_name,
                email: change.email,
                administrator: change.administrator,
                enabled: change.enabled,
            };
            let change = Change::patch(HERE.one(id), &patch).mode(change.planned.into());
            hub.carry_out::<User>(&Deed {
                change,
                done: "changed",
            })
            .await
        }
        Verb::Password(password) => set_password(hub, &password).await,
        Verb::Delete(delete) => hub.delete::<User>(HERE, &delete).await,
        Verb::Freeze(freeze) => hub.freeze::<User>(HERE, freeze).await,
        Verb::Thaw(thaw) => hub.thaw::<User>(HERE, &thaw).await,
    }
}

/// A password that was made up here is shown here, once, and nowhere else.
async fn create(hub: &Hub, create: user::Create) -> Result<u8, Failure> {
    let made_up = !create.no_password && !create.password_stdin;
    let password = match create.password_stdin {
        true => Some(Passwords::of_standard_input()?.next("")?),
        false if made_up => Some(password::made_up()?),
        false => None,
    };
    let new = NewUser {
        name: create.name,
        full_name: create.full_name,
        email: create.email,
        administrator: create.administrator,
        password: password.clone(),
    };
    let change = Change::create(HERE.path(), &new).mode(create.planned.into());
    let shown = password.filter(|_| made_up);
    match (hub.client.change(&change).await?, shown) {
        (Outcome::Planned(plan), _) => hub.print_plan(plan).await,
        (Outcome::Done(mut object), Some(password)) if hub.is_json() => {
            if let Some(fields) = object.as_object_mut() {
                fields.insert("one_time_password".to_owned(), json!(password));
            }
            hub.print_json(&object)
        }
        (Outcome::Done(object), _) if hub.is_json() => hub.print_json(&object),
        (Outcome::Done(object), shown) => {
            let user: User = hub.client.read(object)?;
            let mut text = format!("created user `{}`, id {}", user.name, user.id);
            if let Some(password) = shown {
                text.push_str(&format!(
                    "\none-time password: {password}\nit is shown this once, and must be changed when signing in"
                ));
            }
            hub.print_line(&text)
        }
    }
}

async fn set_password(hub: &Hub, typed: &user::Password) -> Result<u8, Failure> {
    let whoami: Whoami = hub.client.read(hub.client.get("/whoami", &[]).await?.body)?;
    let id = match &typed.which {
        Some(which) => UserId(hub.id(HERE, which).await?),
        None => whoami.user.id,
    };
    let mut passwords = if typed.password_stdin {
        Passwords::of_standard_input()?
    } else {
        Passwords::Terminal
    };
    let current = match id == whoami.user.id {
        true => Some(passwords.next("password so far: ")?),
        false => None,
    };
    let new = passwords.new_one()?;
    let change = Change::put(format!("{}/password", HERE.one(id.0)), &NewPassword { current, new });
    hub.carry_out::<User>(&Deed {
        change,
        done: "set the password of",
    })
    .await
}
