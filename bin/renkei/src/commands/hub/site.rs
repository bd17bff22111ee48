//! `renkei site`.

use std::collections::BTreeSet;

use renkei_types::id::UserId;
use renkei_types::join::Invited;
use renkei_types::site::{NewSite, Site, SitePatch};

use super::client::{Change, Outcome};
use super::failure::Failure;
use super::names::{Mention, Names};
use super::noun::{Deed, Noun};
use super::resolve::Collection::{self, Users};
use super::{Hub, recovery, table};
use crate::arguments::hub::site::{self, Verb};

const HERE: Collection = Collection::Sites;

impl Noun for Site {
    const NOUN: &'static str = "site";
    const HEADING: &'static [&'static str] = &["NAME", "DESCRIPTION", "OPERATORS", "ID"];

    fn called(&self, _: &Names) -> String {
        format!("`{}`", self.name)
    }

    fn mentions(&self) -> Vec<Mention> {
        self.operators.iter().map(|user| (Users, user.0)).collect()
    }

    fn row(&self, names: &Names) -> Vec<String> {
        vec![
            self.name.to_string(),
            self.description.clone(),
            operators(self, names),
            self.id.to_string(),
        ]
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        vec![
            ("name", self.name.to_string()),
            ("id", self.id.to_string()),
            ("description", self.description.clone()),
            ("operators", operators(self, names)),
            ("recovery", recovery::state(self)),
            ("created", table::time(self.created)),
        ]
    }
}

fn operators(site: &Site, names: &Names) -> String {
    table::joined(site.operators.iter().map(|user| names.get(user.0)))
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List => hub.list::<Site>(HERE.path(), &[]).await,
        Verb::Show(one) => hub.show::<Site>(&HERE.one(hub.id(HERE, &one.which).await?)).await,
        Verb::Create(create) => {
            let operators = users(hub, &create.operators).await?;
            let new = NewSite {
                name: create.name,
                description: create.description,
                operators,
            };
            let change = Change::create(HERE.path(), &new).mode(create.planned.into());
            hub.carry_out::<Site>(&Deed {
                change,
                done: "created",
            })
            .await
        }
        Verb::Change(change) => self::change(hub, change).await,
        Verb::Delete(delete) => hub.delete::<Site>(HERE, &delete).await,
        Verb::Invite(invite) => self::invite(hub, invite).await,
        Verb::Recovery(one) => recovery::show(hub, &HERE.one(hub.id(HERE, &one.which).await?)).await,
        Verb::Recovered(recovered) => {
            let path = format!("{}/recovered", HERE.one(hub.id(HERE, &recovered.one.which).await?));
            let change = Change::create(path, &()).mode(recovered.planned.into());
            hub.carry_out::<Site>(&Deed {
                change,
                done: "ended the recovery of",
            })
            .await
        }
    }
}

/// The token is in this answer and nowhere else.
async fn invite(hub: &Hub, invite: site::Invite) -> Result<u8, Failure> {
    let path = format!("{}/invitations", HERE.one(hub.id(HERE, &invite.one.which).await?));
    let change = Change::create(path, &()).mode(invite.planned.into());
    match hub.client.change(&change).await? {
        Outcome::Planned(plan) => hub.print_plan(plan).await,
        Outcome::Done(invited) if hub.is_json() => hub.print_json(&invited),
        Outcome::Done(invited) => {
            let invited: Invited = hub.client.read(invited)?;
            hub.print_line(&format!(
                "one host may join site `{}` until {}; type there:\n{}\nit is shown this once",
                invite.one.which,
                table::time(invited.expires),
                invited.command,
            ))
        }
    }
}

async fn change(hub: &Hub, change: site::Change) -> Result<u8, Failure> {
    let path = HERE.one(hub.id(HERE, &change.one.which).await?);
    let (add, remove) = (
        users(hub, &change.add_operator).await?,
        users(hub, &change.remove_operator).await?,
    );
    let mut patch = SitePatch {
        name: change.name,
        description: change.description,
        operators: None,
    };
    let mut seen = None;
    if !add.is_empty() || !remove.is_empty() {
        // The API sets all operators, so those of now are read, and replaced only if nobody changed them since.
        let answer = hub.client.get(&path, &[]).await?;
        let site: Site = hub.client.read(answer.body)?;
        patch.operators = Some(
            site.operators
                .union(&add)
                .filter(|user| !remove.contains(*user))
                .copied()
                .collect(),
        );
        seen = answer.version;
    }
    let change = Change::patch(path, &patch).seen(seen).mode(change.planned.into());
    hub.carry_out::<Site>(&Deed {
        change,
        done: "changed",
    })
    .await
}

async fn users(hub: &Hub, names: &[String]) -> Result<BTreeSet<UserId>, Failure> {
    Ok(hub.ids(Users, names).await?.into_iter().map(UserId).collect())
}
