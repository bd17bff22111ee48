//! `renkei preset`.

use renkei_types::preset::{NewPreset, Preset, PresetPatch};

use super::client::Change;
use super::failure::Failure;
use super::names::{Mention, Names};
use super::noun::{Deed, Noun};
use super::resolve::Collection;
use super::{Hub, table};
use crate::arguments::hub::amount::Memory;
use crate::arguments::hub::preset::Verb;

const HERE: Collection = Collection::Presets;

impl Noun for Preset {
    const NOUN: &'static str = "preset";
    const HEADING: &'static [&'static str] = &["NAME", "VCPUS", "MEMORY", "DESCRIPTION", "ID"];

    fn called(&self, _: &Names) -> String {
        format!("`{}`", self.name)
    }

    fn mentions(&self) -> Vec<Mention> {
        Vec::new()
    }

    fn row(&self, _: &Names) -> Vec<String> {
        vec![
            self.name.to_string(),
            self.vcpus.to_string(),
            Memory(self.memory_mib).to_string(),
            self.description.clone(),
            self.id.to_string(),
        ]
    }

    fn fields(&self, _: &Names) -> Vec<(&'static str, String)> {
        vec![
            ("name", self.name.to_string()),
            ("id", self.id.to_string()),
            ("vcpus", self.vcpus.to_string()),
            ("memory", Memory(self.memory_mib).to_string()),
            ("description", self.description.clone()),
            ("created", table::time(self.created)),
        ]
    }
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List => hub.list::<Preset>(HERE.path(), &[]).await,
        Verb::Show(one) => hub.show::<Preset>(&HERE.one(hub.id(HERE, &one.which).await?)).await,
        Verb::Create(create) => {
            let new = NewPreset {
                name: create.name,
                description: create.description,
                vcpus: create.vcpus,
                memory_mib: create.memory.0,
            };
            let change = Change::create(HERE.path(), &new).mode(create.planned.into());
            let done = "created";
            hub.carry_out::<Preset>(&Deed { change, done }).await
        }
        Verb::Change(change) => {
            let path = HERE.one(hub.id(HERE, &change.one.which).await?);
            let patch = PresetPatch {
                name: change.name,
                description: change.description,
                vcpus: change.vcpus,
                memory_mib: change.memory.map(|memory| memory.0),
            };
            let change = Change::patch(path, &patch).mode(change.planned.into());
            let done = "changed";
            hub.carry_out::<Preset>(&Deed { change, done }).await
        }
        Verb::Delete(delete) => hub.delete::<Preset>(HERE, &delete).await,
    }
}
