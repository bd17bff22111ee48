//! `renkei org`.

use renkei_types::organization::{NewOrganization, Organization, OrganizationPatch};

use super::client::Change;
use super::failure::Failure;
use super::names::{Mention, Names};
use super::noun::{Deed, Noun};
use super::resolve::Collection::{self, Users};
use super::{Hub, table};
use crate::arguments::hub::organization::Verb;

const HERE: Collection = Collection::Organizations;

impl Noun for Organization {
    const NOUN: &'static str = "organization";
    const HEADING: &'static [&'static str] = &["NAME", "DESCRIPTION", "FROZEN", "ID"];

    fn called(&self, _: &Names) -> String {
        format!("`{}`", self.name)
    }

    fn mentions(&self) -> Vec<Mention> {
        self.freeze.iter().map(|freeze| (Users, freeze.by.0)).collect()
    }

    fn row(&self, _: &Names) -> Vec<String> {
        let frozen = table::frozen(self.freeze.as_ref());
        vec![
            self.name.to_string(),
            self.description.clone(),
            frozen,
            self.id.to_string(),
        ]
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        vec![
            ("name", self.name.to_string()),
            ("id", self.id.to_string()),
            ("description", self.description.clone()),
            ("created", table::time(self.created)),
            ("frozen", table::freeze(self.freeze.as_ref(), names)),
        ]
    }
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List => hub.list::<Organization>(HERE.path(), &[]).await,
        Verb::Show(one) => {
            hub.show::<Organization>(&HERE.one(hub.id(HERE, &one.which).await?))
                .await
        }
        Verb::Create(create) => {
            let new = NewOrganization {
                name: create.name,
                description: create.description,
            };
            let change = Change::create(HERE.path(), &new).mode(create.planned.into());
            hub.carry_out::<Organization>(&Deed {
                change,
                done: "created",
            })
            .await
        }
        Verb::Change(change) => {
            let id = hub.id(HERE, &change.one.which).await?;
            let patch = OrganizationPatch {
                name: change.name,
                description: change.description,
            };
            let change = Change::patch(HERE.one(id), &patch).mode(change.planned.into());
            hub.carry_out::<Organization>(&Deed {
                change,
                done: "changed",
            })
            .await
        }
        Verb::Delete(delete) => hub.delete::<Organization>(HERE, &delete).await,
        Verb::Freeze(freeze) => hub.freeze::<Organization>(HERE, freeze).await,
        Verb::Thaw(thaw) => hub.thaw::<Organization>(HERE, &thaw).await,
    }
}
