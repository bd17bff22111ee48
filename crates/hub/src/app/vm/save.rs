//! Saving a machine's first disk as an image, with a template once it is whole.

use renkei_types::action::Action;
use renkei_types::id::{ImageId, VmId};
use renkei_types::image::{Image, ImageState};
use renkei_types::operation::Operation;
use renkei_types::problem::Problem;
use renkei_types::vm::{Meant, Save, SaveVm};

use super::outcome::begin;
use super::verb::Verb;
use crate::app::decision::Decision;
use crate::app::{Answer, App, Asked, Versioned, taken};

impl App {
    /// Asks for an image and a template of a machine that is off.
    pub async fn save_vm(&self, asked: &Asked, id: VmId, new: SaveVm) -> Result<Answer<Versioned<Operation>>, Problem> {
        self.decide(asked, || self.saving(asked, id, &new)).await
    }

    async fn saving(&self, asked: &Asked, id: VmId, new: &SaveVm) -> Result<Decision<Versioned<Operation>>, Problem> {
        let mut target = self.target(asked, Action::VmWrite, id).await?;
        target.tenant.may(asked, Action::TemplateWrite)?;
        target.for_verb(asked, Verb::Save)?;
        let vm = &target.row.vm;
        let key = format!("{}/{}", vm.project, new.name.folded());
        if self.find::<Image>("name", &key).await?.is_some() {
            return Err(taken(ImageId::NOUN, new.name.as_str()));
        }
        let image = Image {
            id: ImageId(self.draw(asked.now)),
            name: new.name.clone(),
            project: vm.project,
            site: vm.site,
            state: ImageState::Saving,
            vm: id,
            digest: None,
            disk_gib: vm.meant.shape.disks.first().map_or(0, |disk| disk.gib),
            created: asked.now,
        };
        target.work.draft.create(&image);
        // The project must not be deleted beside it.
        target.tenant.extend(&mut target.work.draft);
        let meant = Meant {
            save: Some(Save { image: image.id }),
            ..vm.meant.clone()
        };
        let operation = self.operation_on(asked, Verb::Save, vm)?;
        let outcome = begin(&target.row, operation, meant, asked.now);
        target.begun(self, asked, outcome).await
    }
}
