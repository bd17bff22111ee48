//! How large a machine is to be.

use renkei_types::id::PresetId;
use renkei_types::preset::Preset;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::template::TemplateFacts;
use renkei_types::vm::{Disk, MOST_DISKS, Pack, Shape, Size};

use crate::app::{App, state, within};

/// The largest disk, GiB.
const LARGEST_DISK: u64 = 1 << 20;
/// The most memory, MiB.
const MOST_MEMORY: u64 = 1 << 30;
/// The most virtual processors.
const MOST_VCPUS: u64 = 4096;
/// What a machine gets for which neither request nor template says more, MiB.
const SOME_MEMORY: u64 = 512;

/// Processors, memory and GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sized {
    /// The size in packs, if it was asked for so.
    pub pack: Option<Pack>,
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// GPUs.
    pub gpus: u32,
}

impl Sized {
    /// That of a machine.
    pub fn of(shape: &Shape) -> Self {
        Self {
            pack: shape.pack,
            vcpus: shape.vcpus,
            memory_mib: shape.memory_mib,
            gpus: shape.gpus,
        }
    }

    /// The least that a template allows.
    pub fn least(facts: &TemplateFacts) -> Self {
        Self {
            pack: None,
            vcpus: 1,
            memory_mib: facts.min_memory_mib.max(SOME_MEMORY),
            gpus: 0,
        }
    }

    /// Of this shape with these disks.
    pub fn shape(self, disks: Vec<Disk>, service_level: renkei_types::vm::ServiceLevel) -> Shape {
        Shape {
            pack: self.pack,
            vcpus: self.vcpus,
            memory_mib: self.memory_mib,
            gpus: self.gpus,
            disks,
            service_level,
        }
    }
}

impl App {
    /// A size as it was asked for, which is [`sound`].
    pub async fn sized(&self, size: &Size) -> Result<Sized, Problem> {
        let plain = |vcpus, memory_mib| Sized {
            pack: None,
            vcpus,
            memory_mib,
            gpus: 0,
        };
        match size {
            Size::Pack(pack) => Ok(Sized {
                pack: Some(*pack),
                gpus: pack.gpus(),
                ..plain(pack.vcpus(), pack.memory_mib())
            }),
            Size::Preset(id) => {
                let found = self.store.state.get::<Preset>(id.0).await;
                let found = found.map_err(|error| state(&error))?.ok_or_else(|| no_preset(*id))?;
                Ok(plain(found.value.vcpus, found.value.memory_mib))
            }
            Size::Custom { vcpus, memory_mib } => Ok(plain(*vcpus, *memory_mib)),
        }
    }
}

/// Refuses a size that no machine has, whatever there is.
pub fn sound(size: &Size) -> Result<(), Problem> {
    match size {
        Size::Pack(pack) => within("size.pack.number", pack.number.into(), 1..=Pack::most(pack.kind).into()),
        Size::Preset(_) => Ok(()),
        Size::Custom { vcpus, memory_mib } => {
            within("size.custom.vcpus", (*vcpus).into(), 1..=MOST_VCPUS)?;
            within("size.custom.memory_mib", *memory_mib, 1..=MOST_MEMORY)
        }
    }
}

/// Refuses what a template does not run with.
pub fn enough_for(facts: &TemplateFacts, shape: &Shape) -> Result<(), Problem> {
    let invalid = |title: String, field: &str| Problem::new(ProblemKind::Invalid, title).field(field);
    if shape.memory_mib < facts.min_memory_mib {
        let title = format!(
            "{} MiB of memory are too little: the template needs {} MiB",
            shape.memory_mib, facts.min_memory_mib
        );
        return Err(invalid(title, "size").hint("ask for a larger size"));
    }
    let first = shape.disks.first().map_or(0, |disk| disk.gib);
    if first < facts.min_disk_gib {
        let title = format!(
            "a disk of {first} GiB is too small: the template needs {} GiB",
            facts.min_disk_gib
        );
        return Err(invalid(title, "disk_gib").hint("ask for a larger disk"));
    }
    if facts.gpu_required && shape.gpus == 0 {
        return Err(invalid("the template runs only with a GPU".to_owned(), "size").hint("ask for GPU packs"));
    }
    Ok(())
}

/// Disks of these sizes, GiB, in the order of their numbers.
pub fn disks(field: &str, sizes: &[u64]) -> Result<Vec<Disk>, Problem> {
    within(field, sizes.len() as u64, 1..=MOST_DISKS as u64)?;
    let mut disks = Vec::new();
    for (number, gib) in (1..).zip(sizes) {
        within(field, *gib, 1..=LARGEST_DISK)?;
        disks.push(Disk { number, gib: *gib });
    }
    Ok(disks)
}

fn no_preset(id: PresetId) -> Problem {
    let problem = Problem::new(ProblemKind::Invalid, format!("there is no preset `{id}`")).field("size.preset");
    problem.hint("`renkei template list` and the presets in the API show what there is")
}
