//! `renkei template`.

mod build;

use renkei_types::id::{ImageId, ProjectId};
use renkei_types::template::{NewTemplate, Template, TemplateFacts, TemplatePatch};

use super::client::Change;
use super::failure::Failure;
use super::names::{Mention, Names};
use super::noun::{Deed, Noun};
use super::resolve::Collection::{self, Images, Projects};
use super::{Hub, table};

pub use build::NotBuilt;

use crate::arguments::hub::amount::{Disk, Memory};
use crate::arguments::hub::template::{self, Facts, Verb};

const HERE: Collection = Collection::Templates;

impl Noun for Template {
    const NOUN: &'static str = "template";
    const HEADING: &'static [&'static str] = &["TEMPLATE NAME", "NAME", "PROJECT", "OS", "MIN DISK", "ID"];

    fn called(&self, _: &Names) -> String {
        format!("`{}`", self.template_name)
    }

    fn mentions(&self) -> Vec<Mention> {
        self.project.iter().map(|project| (Projects, project.0)).collect()
    }

    fn row(&self, names: &Names) -> Vec<String> {
        vec![
            self.template_name.to_string(),
            self.name.to_string(),
            sight(self, names),
            format!("{} {}", self.facts.os_name, self.facts.os_version)
                .trim()
                .to_owned(),
            Disk(self.facts.min_disk_gib).to_string(),
            self.id.to_string(),
        ]
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        let facts = &self.facts;
        let gpu = if facts.gpu_required { "needed" } else { "not needed" };
        vec![
            ("template name", self.template_name.to_string()),
            ("name", self.name.to_string()),
            ("id", self.id.to_string()),
            ("project", sight(self, names)),
            ("image", self.image.map(|image| image.to_string()).unwrap_or_default()),
            ("os type", facts.os_type.clone()),
            ("os name", facts.os_name.clone()),
            ("os version", facts.os_version.clone()),
            ("description", facts.description.clone()),
            ("login user", facts.login_username.clone()),
            ("min disk", Disk(facts.min_disk_gib).to_string()),
            ("min memory", Memory(facts.min_memory_mib).to_string()),
            ("gpu", gpu.to_owned()),
            ("created", table::time(self.created)),
        ]
    }
}

/// Who sees it.
fn sight(template: &Template, names: &Names) -> String {
    template
        .project
        .map_or_else(|| "(public)".to_owned(), |project| names.get(project.0))
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List(list) => {
            let mut query = Vec::new();
            if let Some(project) = &list.project {
                query.push(("project", hub.id(Projects, project).await?.to_string()));
            }
            hub.list::<Template>(HERE.path(), &query).await
        }
        Verb::Show(one) => hub.show::<Template>(&HERE.one(hub.id(HERE, &one.which).await?)).await,
        Verb::Create(create) => self::create(hub, create).await,
        Verb::Change(change) => self::change(hub, change).await,
        Verb::Delete(delete) => hub.delete::<Template>(HERE, &delete).await,
        Verb::Publish(publish) => {
            let path = publication(hub, &publish).await?;
            let change = Change::put(path, &()).mode(publish.planned.into());
            let done = "published";
            hub.carry_out::<Template>(&Deed { change, done }).await
        }
        Verb::Unpublish(publish) => {
            let path = publication(hub, &publish).await?;
            let change = Change::delete(path).mode(publish.planned.into());
            let done = "unpublished";
            hub.carry_out::<Template>(&Deed { change, done }).await
        }
        Verb::Build(build) => self::build::build(hub, &build).await,
    }
}

async fn publication(hub: &Hub, publish: &template::Publish) -> Result<String, Failure> {
    let id = hub.id(HERE, &publish.one.which).await?;
    Ok(format!("{}/publication", HERE.one(id)))
}

async fn create(hub: &Hub, create: template::Create) -> Result<u8, Failure> {
    let project = match &create.project {
        Some(project) => Some(ProjectId(hub.id(Projects, project).await?)),
        None => None,
    };
    let image = match &create.image {
        Some(image) => Some(ImageId(hub.id(Images, image).await?)),
        None => None,
    };
    let new = NewTemplate {
        name: create.name.unwrap_or_else(|| create.template_name.clone()),
        template_name: create.template_name,
        project,
        image,
        facts: told(create.facts, TemplateFacts::default()),
    };
    let change = Change::create(HERE.path(), &new).mode(create.planned.into());
    let done = "created";
    hub.carry_out::<Template>(&Deed { change, done }).await
}

/// Facts that are not named stay, so they are read first, and written only if nobody changed them since.
async fn change(hub: &Hub, change: template::Change) -> Result<u8, Failure> {
    let path = HERE.one(hub.id(HERE, &change.one.which).await?);
    let answer = hub.client.get(&path, &[]).await?;
    let was: Template = hub.client.read(answer.body)?;
    let facts = told(change.facts, was.facts.clone());
    let patch = TemplatePatch {
        name: change.name,
        facts: (facts != was.facts).then_some(facts),
    };
    let change = Change::patch(path, &patch)
        .seen(answer.version)
        .mode(change.planned.into());
    let done = "changed";
    hub.carry_out::<Template>(&Deed { change, done }).await
}

/// `was`, with what was named.
fn told(named: Facts, was: TemplateFacts) -> TemplateFacts {
    TemplateFacts {
        os_type: named.os_type.unwrap_or(was.os_type),
        os_name: named.os_name.unwrap_or(was.os_name),
        os_version: named.os_version.unwrap_or(was.os_version),
        description: named.description.unwrap_or(was.description),
        login_username: named.login_username.unwrap_or(was.login_username),
        min_disk_gib: named.min_disk.map_or(was.min_disk_gib, |disk| disk.0),
        min_memory_mib: named.min_memory.map_or(was.min_memory_mib, |memory| memory.0),
        gpu_required: named.gpu_required.unwrap_or(was.gpu_required),
    }
}
