//! What one decision about machines writes: rows, operations, manifests, and what follows for addresses, images and those that a
//! clone stands on. However many machines it is about, each row is written once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use jiff::Timestamp;
use renkei_store::Stored;
use renkei_store::noun::vm::VmRow;
use renkei_types::id::{ImageId, TemplateId, VmId};
use renkei_types::image::{Image, ImageState};
use renkei_types::name::Name;
use renkei_types::operation::{Operation, OperationState};
use renkei_types::problem::Problem;
use renkei_types::template::{Template, TemplateFacts};
use renkei_types::vm::{Source, Vm};

use super::outcome::Outcome;
use super::verb::Verb;
use crate::app::decision::Draft;
use crate::app::manifest::Manifests;
use crate::app::{App, state};

/// See the module.
#[derive(Debug, Default)]
pub struct Work {
    /// What else is written.
    pub draft: Draft,
    /// The manifests that change.
    pub manifests: Manifests,
    rows: BTreeMap<VmId, Pending>,
}

#[derive(Debug)]
struct Pending {
    old: Stored<VmRow>,
    new: Option<VmRow>,
    telling: Telling,
}

/// Whether the audit and a plan tell of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// They do.
    Aloud,
    /// It is only seen, or serves another machine.
    Quietly,
}

/// What becomes of one machine.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// Which.
    pub vm: VmId,
    /// Its open operation, as it was read.
    pub open: Option<&'a Stored<Operation>>,
    /// What becomes of it.
    pub outcome: Outcome,
    /// The latest image that was made of it, with its hash.
    pub saved: Option<&'a (ImageId, String)>,
    /// When.
    pub now: Timestamp,
}

impl Work {
    /// A machine, as this decision has it by now.
    pub async fn row(&mut self, app: &App, vm: VmId) -> Result<Option<VmRow>, Problem> {
        let pending = match self.rows.entry(vm) {
            Slot::Occupied(known) => known.into_mut(),
            Slot::Vacant(free) => {
                let found = app.store.state.get::<VmRow>(vm.0).await;
                let Some(old) = found.map_err(|error| state(&error))? else {
                    return Ok(None);
                };
                let (new, telling) = (Some(old.value.clone()), Telling::Quietly);
                free.insert(Pending { old, new, telling })
            }
        };
        Ok(pending.new.clone())
    }

    /// A machine becomes this, or is gone. It must have been read by [`Work::row`].
    pub fn put(&mut self, vm: VmId, new: Option<VmRow>, telling: Telling) {
        if let Some(pending) = self.rows.get_mut(&vm) {
            pending.new = new;
            if telling == Telling::Aloud {
                pending.telling = telling;
            }
        }
    }

    /// Takes what was decided about a machine, with all that follows from it.
    pub async fn take(&mut self, app: &App, step: Step<'_>) -> Result<(), Problem> {
        let Some(was) = self.row(app, step.vm).await? else {
            return Ok(());
        };
        let Outcome {
            row,
            operation,
            manifests,
        } = step.outcome;
        for (host, change) in manifests {
            self.manifests.change(app, host, (step.vm, change)).await?;
        }
        let ended = operation.as_ref().is_some_and(|operation| operation.state.ended());
        let told = ended || row.is_none();
        self.put(
            step.vm,
            row.clone(),
            if told { Telling::Aloud } else { Telling::Quietly },
        );
        let ended = operation.as_ref().filter(|operation| operation.state.ended());
        let replugs = ended.and_then(Verb::of);
        if let Some(row) = row
            .as_ref()
            .filter(|_| matches!(replugs, Some(Verb::Reconfigure | Verb::PowerOff)))
        {
            self.give_back(app, row).await?;
        }
        self.release_source(app, &was.vm, row.as_ref().map(|row| &row.vm))
            .await?;
        match (step.open, operation) {
            (Some(open), Some(operation)) => {
                self.draft.aside().update(open, &operation);
                if Verb::of(&operation) == Some(Verb::Save) && operation.state.ended() {
                    let done = operation.state == OperationState::Done;
                    self.saved(app, &was.vm, (step.saved.filter(|_| done), step.now))
                        .await?;
                }
            }
            (Some(open), None) => self.draft.expect(open),
            (None, Some(operation)) => self.draft.aside().insert(&operation),
            (None, None) => {}
        }
        Ok(())
    }

    /// Everything together.
    pub async fn finish(self, app: &App) -> Result<Draft, Problem> {
        let mut draft = self.draft;
        for (vm, Pending { old, new, telling }) in self.rows {
            match (new, telling) {
                (None, _) => {
                    draft.delete(&old);
                    app.unlease(draft.aside(), vm).await?;
                }
                (Some(new), _) if new == old.value => draft.expect(&old),
                (Some(new), Telling::Aloud) => draft.change(&old, &new),
                (Some(new), Telling::Quietly) => draft.aside().update(&old, &new),
            }
        }
        self.manifests.issue(app, draft.aside()).await?;
        Ok(draft)
    }

    /// A machine that is whole, or gone, needs the one no longer that it is a clone of.
    async fn release_source(&mut self, app: &App, was: &Vm, is: Option<&Vm>) -> Result<(), Problem> {
        let Source::Clone(source) = was.source else {
            return Ok(());
        };
        let needed = !was.made && is.is_some_and(|is| !is.made);
        if was.made || needed {
            return Ok(());
        }
        if let Some(mut row) = self.row(app, source).await? {
            row.pinned_by.retain(|clone| *clone != was.id.0);
            self.put(source, Some(row), Telling::Quietly);
        }
        Ok(())
    }

    /// The image that is being made of a machine is whole, and gets a template; or it is gone.
    pub async fn saved(
        &mut self,
        app: &App,
        vm: &Vm,
        (saved, now): (Option<&(ImageId, String)>, Timestamp),
    ) -> Result<(), Problem> {
        for image in app.every::<Image>("vm", &vm.id.to_string()).await? {
            if image.value.state != ImageState::Saving {
                continue;
            }
            match saved.filter(|(id, _)| *id == image.value.id) {
                Some((_, digest)) => {
                    let whole = Image {
                        state: ImageState::Ready,
                        digest: Some(digest.clone()),
                        ..image.value.clone()
                    };
                    self.draft.change(&image, &whole);
                    let template = template_of(app, vm, (&whole, now)).await?;
                    self.draft.create(&template);
                }
                None => self.draft.delete(&image),
            }
        }
        Ok(())
    }
}

/// A template for an image, with what is known of the machine that it was made from.
async fn template_of(app: &App, vm: &Vm, (image, now): (&Image, Timestamp)) -> Result<Template, Problem> {
    let origin = match vm.source {
        Source::Template(template) => app.store.state.get::<Template>(template.0).await,
        Source::Clone(_) => Ok(None),
    };
    let origin = origin.map_err(|error| state(&error))?.map(|origin| origin.value.facts);
    let facts = TemplateFacts {
        os_type: vm.os_type.clone(),
        login_username: vm.login_username.clone(),
        ..origin.unwrap_or_default()
    };
    Ok(Template {
        id: TemplateId(app.draw(now)),
        name: image.name.clone(),
        template_name: free_name(app, image).await?,
        project: Some(image.project),
        image: Some(image.id),
        facts: TemplateFacts {
            description: format!("made from {} on {}", vm.name, now.strftime("%Y-%m-%d")),
            min_disk_gib: image.disk_gib,
            ..facts
        },
        created: now,
    })
}

/// The image's name, or if another template in the hub has it, that with a part of the image's id.
async fn free_name(app: &App, image: &Image) -> Result<Name, Problem> {
    if app
        .find::<Template>("template_name", &image.name.folded())
        .await?
        .is_none()
    {
        return Ok(image.name.clone());
    }
    let id = image.id.0.simple().to_string();
    // The end of an id is drawn by chance; its beginning is the time.
    let tail: String = id.chars().skip(20).collect();
    let head: String = image
        .name
        .as_str()
        .chars()
        .take(renkei_types::name::LONGEST - tail.len() - 1)
        .collect();
    let name = format!("{}-{tail}", head.trim_end());
    Ok(name.parse().unwrap_or_else(|_| image.name.clone()))
}
