//! The names of what objects mention by id, for people. A name that cannot be had is no failure: then the id is shown.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use uuid::Uuid;

use super::client::Client;
use super::resolve::Collection;

/// Above so many, a whole list costs less than asking for each.
const FEW: usize = 3;

/// An id in an object.
pub type Mention = (Collection, Uuid);

/// See the module.
#[derive(Debug, Default)]
pub struct Names(HashMap<Uuid, String>);

impl Names {
    /// Those of what is mentioned.
    pub async fn of(client: &Client, mentions: impl IntoIterator<Item = Mention>) -> Self {
        let mut wanted: BTreeMap<Collection, BTreeSet<Uuid>> = BTreeMap::new();
        for (collection, id) in mentions {
            wanted.entry(collection).or_default().insert(id);
        }
        let mut names = Self::default();
        for (collection, ids) in wanted {
            // Segments are listed in their projects only.
            if ids.len() > FEW && collection != Collection::Segments {
                let all = client.all(collection.path(), &[]).await.unwrap_or_default();
                all.iter().for_each(|one| names.learn(one));
                continue;
            }
            for id in ids {
                if let Ok(answer) = client.get(&collection.one(id), &[]).await {
                    names.learn(&answer.body);
                }
            }
        }
        names
    }

    /// A name, or the id.
    pub fn get(&self, id: Uuid) -> String {
        self.0.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    /// Takes the name of an object.
    pub fn learn(&mut self, object: &Value) {
        let id = object["id"].as_str().and_then(|id| Uuid::try_parse(id).ok());
        if let (Some(id), Some(name)) = (id, object["name"].as_str()) {
            self.0.insert(id, name.to_owned());
        }
    }
}
