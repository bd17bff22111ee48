//! What becomes of the moves: machines, operations and manifests in one batch.

use jiff::{SignedDuration, Timestamp};
use renkei_store::noun::manifest::Takes;
use renkei_store::noun::vm::{Placing, VmRow};
use renkei_store::{Batch, Stored};
use renkei_types::event::{Doer, Event};
use renkei_types::id::{HostId, OperationId, VmId};
use renkei_types::operation::{Object, Operation, OperationState, Waiting};
use renkei_types::problem::Problem;
use renkei_types::vm::{Meant, Power, Stop};

use super::Left;
use super::reading::Scene;
use crate::app::App;
use crate::app::manifest::{Change, Manifests};
use crate::app::place::{Move, Waits};
use crate::app::vm::outcome::{mean, placed};
use crate::app::vm::verb::Verb;

/// How long a guest that is to give way has to shut down, before it is powered off.
const NOTICE: SignedDuration = SignedDuration::from_mins(5);

/// A batch that is being written.
pub struct Writing<'a> {
    app: &'a App,
    scene: &'a Scene,
    batch: Batch,
    manifests: Manifests,
    /// So many more machines.
    most: usize,
    now: Timestamp,
}

impl<'a> Writing<'a> {
    /// Of at most so many machines.
    pub fn new(app: &'a App, scene: &'a Scene, (most, now): (usize, Timestamp)) -> Self {
        Self {
            app,
            scene,
            batch: Batch::new(),
            manifests: Manifests::default(),
            most,
            now,
        }
    }

    /// As many of the moves as there is room for.
    pub async fn write(&mut self, moves: &[Move]) -> Result<Left, Problem> {
        for step in moves {
            if self.most == 0 {
                return Ok(Left::More);
            }
            let wrote = match step {
                Move::Place { vm, host } => self.place(*vm, *host).await?,
                Move::GiveWay { vm } => self.give_way(*vm).await?,
                Move::Wait { vm, what } => self.wait(*vm, what).await?,
            };
            self.most -= usize::from(wrote.is_some());
        }
        Ok(Left::Nothing)
    }

    /// The batch, with the manifests that have changed.
    pub async fn finish(mut self) -> Result<Batch, Problem> {
        self.manifests.issue(self.app, &mut self.batch).await?;
        Ok(self.batch)
    }

    async fn place(&mut self, vm: VmId, host: HostId) -> Result<Option<()>, Problem> {
        let scene = self.scene;
        let Some(old) = scene.machines.get(&vm) else {
            return Ok(None);
        };
        let (mut row, operation) = match (&old.value.placing, old.value.vm.operation) {
            (Some(_), Some(id)) => {
                let operation = self.app.get::<Operation>(OperationId::NOUN, id.0).await?;
                let verb = Verb::of(&operation.value);
                let told = Operation {
                    waiting: None,
                    deadline: verb.and_then(Verb::limit).map(|limit| self.now + limit),
                    ..operation.value.clone()
                };
                self.batch.update(&operation, &told);
                (old.value.clone(), None)
            }
            (Some(_), None) => (old.value.clone(), None),
            (None, _) => {
                let (row, operation) = self.moving(&old.value);
                (row, Some(operation))
            }
        };
        if let Some(operation) = &operation {
            row.vm.operation = Some(operation.id);
            self.batch.insert(operation);
        }
        let (row, changes) = placed(&row, host);
        self.batch.update(old, &row);
        self.tell(vm, changes).await?;
        Ok(Some(()))
    }

    /// A machine that leaves a host that is draining: nothing is meant anew but where it is.
    fn moving(&self, row: &VmRow) -> (VmRow, Operation) {
        let mut row = row.clone();
        let generation = row.generation().next();
        let meant = row.vm.meant.clone();
        row.placing = Some(Placing {
            meant: Meant {
                generation,
                ..meant.clone()
            },
            since: self.now,
        });
        row.before = Some(meant);
        let mut operation = self.operation(&row, Verb::Move);
        operation.generation = generation;
        (row, operation)
    }

    async fn give_way(&mut self, vm: VmId) -> Result<Option<()>, Problem> {
        let scene = self.scene;
        let Some(old) = scene.machines.get(&vm) else {
            return Ok(None);
        };
        let meant = Meant {
            power: Power::Off,
            stop: Stop::Shutdown,
            ..old.value.vm.meant.clone()
        };
        let (mut row, changes) = mean(&old.value, meant);
        let operation = Operation {
            deadline: Some(self.now + NOTICE),
            ..self.operation(&row, Verb::Deallocate)
        };
        row.vm.operation = Some(operation.id);
        row.vm.deallocated = true;
        self.batch.insert(&operation);
        self.batch.append(event(&old.value, &operation, self.now));
        self.batch.update(old, &row);
        self.tell(vm, changes).await?;
        Ok(Some(()))
    }

    /// What it waits for is written when that is something else than before.
    async fn wait(&mut self, vm: VmId, what: &Waits) -> Result<Option<()>, Problem> {
        let scene = self.scene;
        let row = scene.machines.get(&vm).map(|row| &row.value);
        // What only leaves a host has asked for nothing yet.
        let Some((placing, id)) = row.and_then(|row| row.placing.as_ref().zip(row.vm.operation)) else {
            return Ok(None);
        };
        let operation: Stored<Operation> = self.app.get(OperationId::NOUN, id.0).await?;
        let what = self.told(what);
        let waiting = operation.value.waiting.as_ref();
        if waiting.is_some_and(|waiting| waiting.what == what) {
            return Ok(None);
        }
        let since = waiting.map_or(placing.since, |_| self.now);
        let told = Operation {
            waiting: Some(Waiting { what, since }),
            ..operation.value.clone()
        };
        self.batch.update(&operation, &told);
        Ok(Some(()))
    }

    /// What hosts are to know. The decision rests on them as they were read, and on the site.
    async fn tell(&mut self, vm: VmId, changes: Vec<(HostId, Change)>) -> Result<(), Problem> {
        let scene = self.scene;
        self.batch.expect(&scene.site);
        for (host, change) in changes {
            if let Some((row, manifest)) = scene.hosts.get(&host) {
                self.batch.expect(row);
                self.batch.expect(manifest);
            }
            self.manifests.change(self.app, host, (vm, change)).await?;
        }
        Ok(())
    }

    fn operation(&self, row: &VmRow, verb: Verb) -> Operation {
        Operation {
            id: OperationId(self.app.draw(self.now)),
            verb: verb.as_str().to_owned(),
            object: Object {
                noun: VmId::NOUN.to_owned(),
                id: row.vm.id.0,
                name: row.vm.name.to_string(),
            },
            project: Some(row.vm.project),
            by: None,
            generation: row.vm.meant.generation,
            through: None,
            state: OperationState::Running,
            progress: 0,
            waiting: None,
            error: None,
            created: self.now,
            deadline: verb.limit().map(|limit| self.now + limit),
            ended: None,
        }
    }

    fn told(&self, what: &Waits) -> String {
        let site = &self.scene.site.value.name;
        let host = |id: &HostId| {
            let found = self.scene.hosts.get(id);
            found.map_or_else(|| id.to_string(), |(host, _)| host.value.name.to_string())
        };
        match what {
            Waits::Host => format!("a host of site `{site}` that takes machines"),
            Waits::Silent(id) => format!("host `{}`, which has its disk and is not heard", host(id)),
            Waits::GivingWay(id, 1) => format!("a spot machine on host `{}` to give way", host(id)),
            Waits::GivingWay(id, machines) => {
                format!("{machines} spot machines on host `{}` to give way", host(id))
            }
            Waits::Room(takes) => format!("room at site `{site}`: {}", amounts(*takes)),
        }
    }
}

fn amounts(takes: Takes) -> String {
    let Takes {
        vcpus,
        memory_mib,
        disk_gib,
    } = takes;
    format!("{vcpus} virtual processors, {memory_mib} MiB of memory, {disk_gib} GiB of disk")
}

/// Nobody asked for it.
fn event(row: &VmRow, operation: &Operation, now: Timestamp) -> Event {
    Event {
        id: 0,
        at: now,
        by: Doer::default(),
        action: operation.verb.clone(),
        noun: VmId::NOUN.to_owned(),
        object: row.vm.id.0,
        object_name: row.vm.name.to_string(),
        project: Some(row.vm.project),
        organization: None,
        before: None,
        after: None,
    }
}
