//! Presets: sizes of machines with names, for everybody.

use renkei_policy::Resource;
use renkei_store::Stored;
use renkei_types::action::Action;
use renkei_types::id::PresetId;
use renkei_types::name::Name;
use renkei_types::page::Page;
use renkei_types::preset::{NewPreset, Preset, PresetPatch};
use renkei_types::problem::Problem;
use uuid::Uuid;

use super::decision::{Decision, Draft};
use super::list::Paging;
use super::{Answer, App, Asked, Versioned};

const NOUN: &str = PresetId::NOUN;

impl App {
    /// All, in the order of their names; only the one with this name, if one is given.
    pub async fn presets(&self, asked: &Asked, name: Option<&Name>, paging: &Paging) -> Result<Page<Preset>, Problem> {
        asked.may(Action::TemplateRead, &Resource::List)?;
        let equals = name.map(|name| ("name", name.folded())).into_iter().collect();
        self.page::<Preset>(paging, Some("name"), equals, None).await
    }

    /// One.
    pub async fn preset(&self, asked: &Asked, id: PresetId) -> Result<Versioned<Preset>, Problem> {
        asked.may(Action::TemplateRead, &Resource::List)?;
        Ok(self.get::<Preset>(NOUN, id.0).await?.into())
    }

    /// Makes one.
    pub async fn create_preset(&self, asked: &Asked, new: NewPreset) -> Result<Answer<Versioned<Preset>>, Problem> {
        sound(Some(&new.description), Some(new.vcpus), Some(new.memory_mib))?;
        self.decide(asked, || self.preset_creation(asked, &new)).await
    }

    /// Changes one. Machines that were made with it keep their size.
    pub async fn change_preset(
        &self,
        asked: &Asked,
        id: PresetId,
        patch: PresetPatch,
    ) -> Result<Answer<Versioned<Preset>>, Problem> {
        sound(patch.description.as_deref(), patch.vcpus, patch.memory_mib)?;
        self.decide(asked, || self.preset_change(asked, id, &patch)).await
    }

    /// Deletes one. Machines that were made with it keep their size.
    pub async fn delete_preset(&self, asked: &Asked, id: PresetId) -> Result<Answer<()>, Problem> {
        self.decide(asked, || self.preset_deletion(asked, id)).await
    }

    async fn preset_creation(&self, asked: &Asked, new: &NewPreset) -> Result<Decision<Versioned<Preset>>, Problem> {
        asked.may(Action::TemplatePublish, &Resource::Hub)?;
        let new = new.clone();
        let preset = Preset {
            id: PresetId(Uuid::now_v7()),
            name: new.name,
            description: new.description,
            vcpus: new.vcpus,
            memory_mib: new.memory_mib,
            created: asked.now,
        };
        self.preset_name_is_free(&preset).await?;
        let mut draft = Draft::new();
        draft.create(&preset);
        Ok(draft.answer(Versioned::first(preset)))
    }

    async fn preset_change(
        &self,
        asked: &Asked,
        id: PresetId,
        patch: &PresetPatch,
    ) -> Result<Decision<Versioned<Preset>>, Problem> {
        let old = self.preset_to_write(asked, id).await?;
        let (patch, was) = (patch.clone(), old.value.clone());
        let new = Preset {
            name: patch.name.unwrap_or(was.name),
            description: patch.description.unwrap_or(was.description),
            vcpus: patch.vcpus.unwrap_or(was.vcpus),
            memory_mib: patch.memory_mib.unwrap_or(was.memory_mib),
            ..was
        };
        self.preset_name_is_free(&new).await?;
        let mut draft = Draft::new();
        draft.change(&old, &new);
        Ok(draft.answer(Versioned::after(&old, new)))
    }

    async fn preset_deletion(&self, asked: &Asked, id: PresetId) -> Result<Decision<()>, Problem> {
        let old = self.preset_to_write(asked, id).await?;
        let mut draft = Draft::new();
        draft.delete(&old);
        Ok(draft.answer(()))
    }

    async fn preset_to_write(&self, asked: &Asked, id: PresetId) -> Result<Stored<Preset>, Problem> {
        asked.may(Action::TemplatePublish, &Resource::Hub)?;
        let found = self.get::<Preset>(NOUN, id.0).await?;
        asked.unchanged(found.version)?;
        Ok(found)
    }

    async fn preset_name_is_free(&self, preset: &Preset) -> Result<(), Problem> {
        match self.find::<Preset>("name", &preset.name.folded()).await? {
            Some(other) if other.value.id != preset.id => Err(super::taken(NOUN, preset.name.as_str())),
            _ => Ok(()),
        }
    }
}

fn sound(description: Option<&str>, vcpus: Option<u32>, memory_mib: Option<u64>) -> Result<(), Problem> {
    super::text("description", description.unwrap_or_default(), 2000)?;
    super::within("vcpus", vcpus.unwrap_or(1).into(), 1..=4096)?;
    super::within("memory_mib", memory_mib.unwrap_or(1), 1..=1 << 30)
}

#[cfg(test)]
mod tests {
    use renkei_types::problem::ProblemKind;

    use super::super::Mode;
    use super::super::trial::{Trial, done, first_page, refused};
    use super::*;

    fn small() -> NewPreset {
        NewPreset {
            name: "tiny".parse().unwrap(),
            description: String::new(),
            vcpus: 1,
            memory_mib: 512,
        }
    }

    #[tokio::test]
    async fn administrators_say_which_sizes_there_are_and_everybody_sees_them() {
        let trial = Trial::new().await;
        let (admin, ann) = (trial.by(trial.admin).await, trial.user("ann").await);
        let ann = trial.by(ann).await;
        assert_eq!(
            refused(trial.app.create_preset(&ann, small()).await).kind,
            ProblemKind::Forbidden
        );
        let made = done(trial.app.create_preset(&admin, small()).await).value;
        let seen = trial.app.presets(&ann, None, &first_page()).await.unwrap().items;
        assert_eq!(seen, std::slice::from_ref(&made));
        let larger = PresetPatch {
            vcpus: Some(2),
            ..PresetPatch::default()
        };
        let changed = done(trial.app.change_preset(&admin, made.id, larger.clone()).await);
        assert_eq!(
            (changed.version, changed.value.vcpus, changed.value.memory_mib),
            (2, 2, 512)
        );
        assert_eq!(done(trial.app.change_preset(&admin, made.id, larger).await).version, 2);
        assert_eq!(
            refused(trial.app.delete_preset(&ann, made.id).await).kind,
            ProblemKind::Forbidden
        );
        done(trial.app.delete_preset(&admin, made.id).await);
        assert!(trial.app.preset(&ann, made.id).await.is_err());
    }

    #[tokio::test]
    async fn a_size_of_nothing_and_a_name_of_another_are_refused() {
        let trial = Trial::new().await;
        let admin = trial.by(trial.admin).await;
        done(trial.app.create_preset(&admin, small()).await);
        let mut new = small();
        new.name = "TINY".parse().unwrap();
        let problem = refused(trial.app.create_preset(&admin, new.clone()).await);
        assert_eq!(problem.kind, ProblemKind::Conflict);
        new.name = "other".parse().unwrap();
        new.vcpus = 0;
        let problem = refused(trial.app.create_preset(&admin, new).await);
        assert_eq!(
            (problem.kind, problem.field.as_deref()),
            (ProblemKind::Invalid, Some("vcpus"))
        );
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_told_though_the_version_is_over_and_in_a_plan() {
        let trial = Trial::new().await;
        let admin = trial.by(trial.admin).await;
        let made = done(trial.app.create_preset(&admin, small()).await).value;
        let mut asked = trial.by(trial.admin).await;
        (asked.seen, asked.mode) = (Some(7), Mode::Plan);
        let patch = PresetPatch {
            vcpus: Some(4097),
            ..PresetPatch::default()
        };
        let problem = refused(trial.app.change_preset(&asked, made.id, patch).await);
        assert_eq!(
            (problem.kind, problem.field.as_deref()),
            (ProblemKind::Invalid, Some("vcpus"))
        );
    }
}
