//! Which manifests are taken: one that follows what is held, or one of a later epoch; whole or not at all.

use renkei_types::agent::{Held, MachineIntent, Manifest, SegmentIntent};

use crate::keep::Kept;

/// Pages of a manifest that has not come whole.
#[derive(Debug, Default)]
pub(super) struct Pages {
    is: Option<Held>,
    intents: Vec<MachineIntent>,
    networks: Vec<SegmentIntent>,
}

/// What a page has come to.
#[derive(Debug)]
pub(super) enum Page {
    /// More must come.
    More,
    /// It is what is held.
    Known,
    /// What is held from now on.
    Whole(Box<Kept>),
    /// It is not taken, and why.
    Refused(String),
}

impl Pages {
    pub fn is_empty(&self) -> bool {
        self.is.is_none()
    }

    /// Takes a page.
    pub fn add(&mut self, kept: &Kept, page: Manifest) -> Page {
        if page.is == kept.held {
            return Page::Known;
        }
        if let Some(why) = refusal(&kept.held, &page) {
            *self = Self::default();
            return Page::Refused(why);
        }
        if self.is.as_ref() != Some(&page.is) {
            *self = Self::default();
            self.is = Some(page.is.clone());
        }
        let Manifest {
            is,
            machines,
            segments,
            intents,
            networks,
            last,
            ..
        } = page;
        self.intents.extend(intents);
        self.networks.extend(networks);
        if !last {
            return Page::More;
        }
        let pages = std::mem::take(self);
        let mut new = Kept {
            held: is,
            machines: kept.machines.clone(),
            segments: kept.segments.clone(),
            marks: kept.marks.clone(),
            unnamed: kept.unnamed.clone(),
            boot_id: kept.boot_id.clone(),
        };
        new.machines
            .extend(pages.intents.into_iter().map(|intent| (intent.id, intent)));
        new.segments
            .extend(pages.networks.into_iter().map(|intent| (intent.id, intent)));
        let dropped = new.machines.extract_if(.., |id, _| !machines.contains_key(id));
        let without_data = |intent| MachineIntent {
            user_data: None,
            ..intent
        };
        new.unnamed
            .extend(dropped.map(|(id, intent)| (id, without_data(intent))));
        new.unnamed.retain(|id, _| !machines.contains_key(id));
        new.segments.retain(|id, _| segments.contains_key(id));
        for (id, generation) in &machines {
            if new.machines.get(id).map(|intent| intent.generation) != Some(*generation) {
                return Page::Refused(format!(
                    "it does not say what generation {generation} of machine {id} is"
                ));
            }
        }
        for (id, generation) in &segments {
            if new.segments.get(id).map(|intent| intent.generation) != Some(*generation) {
                return Page::Refused(format!(
                    "it does not say what generation {generation} of segment {id} is"
                ));
            }
        }
        Page::Whole(Box::new(new))
    }
}

/// Why a manifest is not taken.
fn refusal(held: &Held, page: &Manifest) -> Option<String> {
    let Held { epoch, version, .. } = page.is;
    if (epoch, version) < (held.epoch, held.version) {
        return Some(format!(
            "version {version} of epoch {epoch} is older than version {} of epoch {}, which is held",
            held.version, held.epoch
        ));
    }
    if epoch == held.epoch && version == held.version {
        return Some(format!(
            "version {version} of epoch {epoch} is held with another digest"
        ));
    }
    if epoch == held.epoch && page.follows != *held {
        return Some(format!(
            "it follows version {}, and version {} of epoch {} is held",
            page.follows.version, held.version, held.epoch
        ));
    }
    None
}
