//! The catalog that a hub begins with: the two templates that every public notebook of mdx names, and three sizes. It is written once,
//! together with the first administrator: what is deleted of it stays deleted.

use jiff::Timestamp;
use renkei_store::Batch;
use renkei_types::event::{Doer, Event};
use renkei_types::id::{PresetId, TemplateId};
use renkei_types::name::{Name, NotAName};
use renkei_types::preset::Preset;
use renkei_types::template::{Template, TemplateFacts};
use uuid::{Uuid, uuid};

use super::subject::Subject;

/// Ids and names as mdx has them.
const TEMPLATES: [(Uuid, &str, &str, &str); 2] = [
    (
        uuid!("16a41081-a1cf-428e-90d0-a147b3aa6fc2"),
        "UT-20220412-2043-ubuntu-2004-server",
        "00_Ubuntu-2004-server (Recommended)",
        "20.04",
    ),
    (
        uuid!("32da6d82-bdca-405e-9209-62044bd92923"),
        "UT-20250205-1029-ubuntu-2204-server",
        "00_Ubuntu-2204-server (Recommended)",
        "22.04",
    ),
];

/// Name, virtual processors, GiB of memory.
const PRESETS: [(&str, u32, u64); 3] = [("small", 1, 2), ("medium", 2, 4), ("large", 4, 8)];

/// Writes it. `draw` gives ids.
pub fn seed(batch: &mut Batch, now: Timestamp, draw: impl Fn() -> Uuid) -> Result<(), NotAName> {
    for (id, template_name, name, version) in TEMPLATES {
        let facts = TemplateFacts {
            os_name: "Ubuntu".to_owned(),
            os_version: version.to_owned(),
            description: format!("Ubuntu {version} server"),
            login_username: "mdxuser".to_owned(),
            min_disk_gib: 40,
            min_memory_mib: 1024,
            ..TemplateFacts::default()
        };
        let template = Template {
            id: TemplateId(id),
            name: self::name(name)?,
            template_name: self::name(template_name)?,
            project: None,
            image: None,
            facts,
            created: now,
        };
        make(batch, &template, now);
    }
    for (name, vcpus, gib) in PRESETS {
        let preset = Preset {
            id: PresetId(draw()),
            name: self::name(name)?,
            description: String::new(),
            vcpus,
            memory_mib: gib * 1024,
            created: now,
        };
        make(batch, &preset, now);
    }
    Ok(())
}

fn name(text: &str) -> Result<Name, NotAName> {
    text.parse()
}

/// Makes an object by the hub's own doing.
fn make<S: Subject>(batch: &mut Batch, object: &S, now: Timestamp) {
    batch.insert(object);
    batch.append(Event {
        id: 0,
        at: now,
        by: Doer::default(),
        action: format!("{}:create", S::NOUN),
        noun: S::NOUN.to_owned(),
        object: object.id(),
        object_name: object.name(),
        project: None,
        organization: None,
        before: None,
        after: Some(object.shown()),
    });
}

#[cfg(test)]
mod tests {
    use super::super::App;
    use super::super::template::Templates;
    use super::super::trial::{Trial, done, first_page};
    use super::*;

    async fn templates(trial: &Trial) -> Vec<Template> {
        let asked = trial.by(trial.admin).await;
        let filter = Templates::default();
        trial.app.templates(&asked, &filter, &first_page()).await.unwrap().items
    }

    #[tokio::test]
    async fn a_hub_begins_with_what_public_notebooks_name_and_what_is_deleted_stays_deleted() {
        let app = App::new(renkei_store::Store::memory());
        let now = Timestamp::now();
        assert!(app.first_administrator(now).await.unwrap().is_some());
        let trial = Trial::over(app).await;
        let found = templates(&trial).await;
        let told: Vec<_> = found.iter().map(|template| template.template_name.as_str()).collect();
        assert_eq!(told, TEMPLATES.map(|(_, template_name, ..)| template_name));
        assert!(
            found
                .iter()
                .all(|template| template.facts.login_username == "mdxuser" && template.facts.min_disk_gib == 40)
        );
        let asked = trial.by(trial.admin).await;
        let presets = trial.app.presets(&asked, None, &first_page()).await.unwrap().items;
        assert_eq!(presets.len(), PRESETS.len());
        done(trial.app.delete_template(&asked, found[0].id).await);
        assert!(trial.app.first_administrator(now).await.unwrap().is_none());
        assert_eq!(templates(&trial).await, found[1..]);
    }
}
