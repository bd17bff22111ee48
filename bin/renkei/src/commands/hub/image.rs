//! `renkei image`.

use renkei_types::image::Image;

use super::failure::Failure;
use super::names::{Mention, Names};
use super::noun::Noun;
use super::resolve::Collection::{self, Projects, Sites, Vms};
use super::{Hub, table};
use crate::arguments::hub::amount::Disk;
use crate::arguments::hub::image::Verb;

const HERE: Collection = Collection::Images;

impl Noun for Image {
    const NOUN: &'static str = "image";
    const HEADING: &'static [&'static str] = &["NAME", "PROJECT", "SITE", "STATE", "DISK", "ID"];

    fn called(&self, _: &Names) -> String {
        format!("`{}`", self.name)
    }

    fn mentions(&self) -> Vec<Mention> {
        vec![(Projects, self.project.0), (Sites, self.site.0), (Vms, self.vm.0)]
    }

    fn row(&self, names: &Names) -> Vec<String> {
        vec![
            self.name.to_string(),
            names.get(self.project.0),
            names.get(self.site.0),
            self.state.to_string(),
            Disk(self.disk_gib).to_string(),
            self.id.to_string(),
        ]
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        vec![
            ("name", self.name.to_string()),
            ("id", self.id.to_string()),
            ("project", names.get(self.project.0)),
            ("site", names.get(self.site.0)),
            ("state", self.state.to_string()),
            ("disk", Disk(self.disk_gib).to_string()),
            ("made from", names.get(self.vm.0)),
            ("blake3", self.digest.clone().unwrap_or_default()),
            ("created", table::time(self.created)),
        ]
    }
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List(of) => {
            let mut query = Vec::new();
            if let Some(project) = &of.project {
                query.push(("project", hub.id(Projects, project).await?.to_string()));
            }
            hub.list::<Image>(HERE.path(), &query).await
        }
        Verb::Show(one) => hub.show::<Image>(&HERE.one(hub.one(HERE, &one).await?)).await,
        Verb::Delete(delete) => hub.delete::<Image>(HERE, &delete).await,
    }
}
