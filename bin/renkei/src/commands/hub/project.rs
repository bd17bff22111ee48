//! `renkei project`.

use renkei_types::id::{OrganizationId, SiteId, UserId};
use renkei_types::project::{NewProject, Project, ProjectPatch, ProjectType};

use super::client::Change;
use super::failure::Failure;
use super::names::{Mention, Names};
use super::noun::{Deed, Noun};
use super::resolve::Collection::{self, Organizations, Sites, Users};
use super::{Hub, table};
use crate::arguments::hub::project::{self, Verb};

const HERE: Collection = Collection::Projects;

impl Noun for Project {
    const NOUN: &'static str = "project";
    const HEADING: &'static [&'static str] = &["NAME", "ORGANIZATION", "TYPE", "EXPIRES", "FROZEN", "ID"];

    fn called(&self, _: &Names) -> String {
        format!("`{}`", self.name)
    }

    fn mentions(&self) -> Vec<Mention> {
        let by = self.freeze.iter().map(|freeze| (Users, freeze.by.0));
        [(Organizations, self.organization.0)].into_iter().chain(by).collect()
    }

    fn row(&self, names: &Names) -> Vec<String> {
        vec![
            self.name.to_string(),
            names.get(self.organization.0),
            kind(self.kind),
            table::time_or(self.expires, "never"),
            table::frozen(self.freeze.as_ref()),
            self.id.to_string(),
        ]
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        vec![
            ("name", self.name.to_string()),
            ("id", self.id.to_string()),
            ("organization", names.get(self.organization.0)),
            ("type", kind(self.kind)),
            ("description", self.description.clone()),
            ("contact", self.contact.clone()),
            ("institution", self.institution.clone()),
            ("created", table::time(self.created)),
            ("expires", table::time_or(self.expires, "never")),
            ("frozen", table::freeze(self.freeze.as_ref(), names)),
        ]
    }
}

fn kind(kind: ProjectType) -> String {
    let word = match kind {
        ProjectType::Shared => "shared",
        ProjectType::Dedicated => "dedicated",
    };
    word.to_owned()
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List(list) => {
            let mut query = Vec::new();
            if let Some(org) = &list.org {
                query.push(("organization", hub.id(Organizations, org).await?.to_string()));
            }
            hub.list::<Project>(HERE.path(), &query).await
        }
        Verb::Show(one) => hub.show::<Project>(&HERE.one(hub.id(HERE, &one.which).await?)).await,
        Verb::Create(create) => self::create(hub, create).await,
        Verb::Change(change) => self::change(hub, change).await,
        Verb::Delete(delete) => hub.delete::<Project>(HERE, &delete).await,
        Verb::Freeze(freeze) => hub.freeze::<Project>(HERE, freeze).await,
        Verb::Thaw(thaw) => hub.thaw::<Project>(HERE, &thaw).await,
    }
}

async fn create(hub: &Hub, create: project::Create) -> Result<u8, Failure> {
    let organization = OrganizationId(hub.id(Organizations, &create.org).await?);
    let owner = match &create.owner {
        Some(owner) => Some(UserId(hub.id(Users, owner).await?)),
        None => None,
    };
    let about = create.about;
    let default_site = site(hub, about.default_site.as_deref()).await?;
    let new = NewProject {
        organization,
        name: create.name,
        kind: about.kind.map(Into::into).unwrap_or_default(),
        description: about.description.unwrap_or_default(),
        contact: about.contact.unwrap_or_default(),
        institution: about.institution.unwrap_or_default(),
        expires: about.expires.map(|expires| expires.seen_from(hub.now)),
        default_site,
        owner,
    };
    let change = Change::create(HERE.path(), &new).mode(create.planned.into());
    hub.carry_out::<Project>(&Deed {
        change,
        done: "created",
    })
    .await
}

async fn change(hub: &Hub, change: project::Change) -> Result<u8, Failure> {
    let id = hub.id(HERE, &change.one.which).await?;
    let about = change.about;
    let default_site = site(hub, about.default_site.as_deref()).await?;
    let patch = ProjectPatch {
        name: change.name,
        kind: about.kind.map(Into::into),
        description: about.description,
        contact: about.contact,
        institution: about.institution,
        expires: about.expires.map(|expires| expires.seen_from(hub.now)),
        default_site,
    };
    let change = Change::patch(HERE.one(id), &patch).mode(change.planned.into());
    hub.carry_out::<Project>(&Deed {
        change,
        done: "changed",
    })
    .await
}

async fn site(hub: &Hub, site: Option<&str>) -> Result<Option<SiteId>, Failure> {
    match site {
        Some(site) => Ok(Some(SiteId(hub.id(Sites, site).await?))),
        None => Ok(None),
    }
}
