//! Machines from who asks for them to what their host says, with a host that is played here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_store::Batch;
use renkei_store::noun::vm::VmRow;
use renkei_types::agent::{MachineSeen, Part};
use renkei_types::host::{Capacity, Host, HostState};
use renkei_types::id::{HostId, TemplateId, VmId};
use renkei_types::image::{Image, ImageState};
use renkei_types::lease::Lease;
use renkei_types::operation::{Operation, OperationState};
use renkei_types::problem::ProblemKind;
use renkei_types::quota::Amounts;
use renkei_types::template::Template;
use renkei_types::vm::{CloneVm, Deployed, Fault, NewVm, Power, SaveVm, VmPatch, VmState};
use uuid::Uuid;

use super::outcome::{Outcome, placed};
use super::verb::Act;
use super::work::{Step, Work};
use crate::app::Versioned;
use crate::app::quota::Share;
use crate::app::segment::trial::Net;
use crate::app::trial::{done, plan, planned, refused};

/// A project with a network and a quota, and a host.
struct Stage {
    net: Net,
    host: HostId,
    template: TemplateId,
}

impl Stage {
    async fn new() -> Self {
        let net = Net::new().await;
        let limit = Amounts {
            vms: 5,
            vcpus: 10,
            memory_mib: 10_240,
            disk_gib: 200,
            segments: 4,
            global_ips: 0,
        };
        let (project, site) = (net.project, net.site);
        let admin = net.trial.by(net.trial.admin).await;
        done(net.trial.app.set_quota(&admin, Share { project, site }, limit).await);
        let host = net.gateway().await;
        net.segment("lan").await;
        let template = TemplateId(Uuid::now_v7());
        let mut batch = Batch::new();
        batch.insert(&Host {
            id: host,
            site,
            name: "h1".parse().unwrap(),
            state: HostState::Ready,
            capacity: Capacity {
                vcpus: 4,
                memory_mib: 8192,
                disk_gib: 100,
                gpus: 0,
            },
            settings: Default::default(),
            driver: "fake".to_owned(),
            driver_reason: String::new(),
            address: None,
            version: String::new(),
            created: Timestamp::now(),
        });
        batch.insert(&Template {
            id: template,
            name: "Ubuntu".parse().unwrap(),
            template_name: "ubuntu".parse().unwrap(),
            project: None,
            image: None,
            facts: Default::default(),
            created: Timestamp::now(),
        });
        net.trial.app.store.state.commit(batch).await.unwrap();
        Self { net, host, template }
    }

    fn wanted(&self, name: &str) -> NewVm {
        let wanted = serde_json::json!({"project": self.net.project, "name": name, "template": self.template});
        serde_json::from_value(wanted).unwrap()
    }

    async fn deploy(&self, name: &str) -> Deployed {
        let asked = self.net.asked().await;
        done(self.net.trial.app.deploy(&asked, self.wanted(name)).await)
    }

    async fn row(&self, vm: VmId) -> Option<VmRow> {
        let found = self.net.trial.app.store.state.get::<VmRow>(vm.0).await.unwrap();
        found.map(|found| found.value)
    }

    async fn operation(&self, operation: &Operation) -> Operation {
        let found = self.net.trial.app.get::<Operation>("operation", operation.id.0).await;
        found.unwrap().value
    }

    /// The machine gets its place.
    async fn place(&self, vm: VmId) {
        let (app, now) = (&self.net.trial.app, Timestamp::now());
        let mut work = Work::default();
        let row = work.row(app, vm).await.unwrap().unwrap();
        let (row, manifests) = placed(&row, self.host);
        let outcome = Outcome {
            row: Some(row),
            operation: None,
            manifests,
        };
        let step = Step {
            vm,
            open: None,
            outcome,
            saved: None,
            now,
        };
        work.take(app, step).await.unwrap();
        let batch = work.finish(app).await.unwrap().by_itself(now);
        app.store.state.commit(batch).await.unwrap();
    }

    /// What a host says that has done as it was told.
    async fn obedient(&self, vm: VmId) -> MachineSeen {
        let manifest = self.net.manifest(self.host).await;
        let entry = manifest.machines[&vm];
        let row = self.row(vm).await.unwrap();
        MachineSeen {
            id: vm,
            generation: entry.generation,
            part: entry.part,
            there: entry.part != Part::Gone,
            project: row.vm.project,
            name: row.vm.name.to_string(),
            power: row.vm.meant.power,
            doing: None,
            progress: 0,
            fault: None,
            addresses: BTreeMap::new(),
            saved: row.vm.meant.save.map(|save| (save.image, "b3".to_owned())),
            known: true,
            record: None,
        }
    }

    async fn hear(&self, seen: &MachineSeen) -> Vec<VmId> {
        let seen = std::slice::from_ref(seen);
        self.net
            .trial
            .app
            .heard(self.host, seen, Timestamp::now())
            .await
            .unwrap()
    }

    async fn obeys(&self, vm: VmId) {
        let seen = self.obedient(vm).await;
        self.hear(&seen).await;
    }

    async fn act(&self, vm: VmId, act: Act) -> Operation {
        let Versioned { value, .. } = done(self.net.trial.app.act(&self.net.asked().await, vm, act).await);
        value
    }

    /// A machine that is off.
    async fn stopped(&self, name: &str) -> VmId {
        let vm = self.deploy(name).await.vms[0].id;
        self.place(vm).await;
        self.obeys(vm).await;
        self.act(vm, Act::Shutdown).await;
        self.obeys(vm).await;
        assert_eq!(self.row(vm).await.unwrap().vm.state(), VmState::Stopped);
        vm
    }
}

#[tokio::test]
async fn a_range_is_deployed_whole_or_not_at_all_and_a_plan_says_what_it_takes() {
    let stage = Stage::new().await;
    let app = &stage.net.trial.app;
    let asked = stage.net.asked().await;
    let told = plan(app.deploy(&planned(asked.clone()), stage.wanted("n[1-3]")).await);
    assert_eq!((told.changes.len(), told.takes[0].amounts.vms), (3, 3));
    let problem = refused(app.deploy(&asked, stage.wanted("n[1-6]")).await);
    assert_eq!(
        (problem.kind, problem.field.as_deref()),
        (ProblemKind::Conflict, Some("vms"))
    );
    let deployed = stage.deploy("n[1-3]").await;
    let names: Vec<_> = deployed.vms.iter().map(|vm| vm.name.to_string()).collect();
    assert_eq!(names, ["n1", "n2", "n3"]);
    assert!(deployed.vms.iter().all(|vm| !vm.meant.adapters[0].addresses.is_empty()));
    let problem = refused(app.deploy(&asked, stage.wanted("N3")).await);
    assert_eq!(
        (problem.kind, problem.field.as_deref()),
        (ProblemKind::Conflict, Some("name"))
    );
    let mut large = stage.wanted("big");
    large.disk_gib = Some(401);
    assert_eq!(refused(app.deploy(&asked, large).await).kind, ProblemKind::Invalid);
    assert_eq!(
        refused(app.deploy(&asked, stage.wanted("a b")).await).field.as_deref(),
        Some("name")
    );
    let admin = stage.net.trial.by(stage.net.trial.admin).await;
    let problem = refused(app.delete_project(&admin, stage.net.project).await);
    assert!(problem.title.contains("vm `n1`"), "{}", problem.title);
}

#[tokio::test]
async fn a_machine_lives_and_everything_it_took_is_free_when_it_is_gone() {
    let stage = Stage::new().await;
    let Deployed { vms, operations } = stage.deploy("node").await;
    let vm = vms[0].id;
    stage.place(vm).await;
    let first = stage.obedient(vm).await;
    stage.hear(&first).await;
    stage.hear(&first).await;
    assert_eq!(stage.operation(&operations[0]).await.state, OperationState::Done);
    let row = stage.row(vm).await.unwrap();
    assert_eq!(
        (row.vm.state(), row.vm.ran, row.vm.operation),
        (VmState::Running, true, None)
    );
    let reboot = stage.act(vm, Act::Reboot).await;
    stage.hear(&first).await;
    assert_eq!(stage.operation(&reboot).await.state, OperationState::Running);
    let app = &stage.net.trial.app;
    let asked = stage.net.asked().await;
    let problem = refused(app.act(&asked, vm, Act::Shutdown).await);
    assert!(problem.title.contains("vm:reboot"), "{}", problem.title);
    let off = stage.act(vm, Act::PowerOff).await;
    assert_eq!(stage.operation(&reboot).await.state, OperationState::Superseded);
    stage.obeys(vm).await;
    assert_eq!(stage.operation(&off).await.state, OperationState::Done);
    assert_eq!(stage.net.manifest(stage.host).await.machines[&vm].takes.vcpus, 0);
    let destroy = stage.act(vm, Act::Destroy).await;
    assert_eq!(stage.row(vm).await.unwrap().vm.state(), VmState::Destroying);
    let problem = refused(app.cancel_operation(&asked, destroy.id).await);
    assert_eq!(problem.kind, ProblemKind::Conflict);
    stage.obeys(vm).await;
    assert_eq!(stage.operation(&destroy).await.state, OperationState::Done);
    assert!(stage.row(vm).await.is_none());
    assert!(stage.net.manifest(stage.host).await.machines.is_empty());
    assert!(app.every::<Lease>("vm", &vm.to_string()).await.unwrap().is_empty());
    let (project, site) = (stage.net.project, stage.net.site);
    assert_eq!(app.in_use(Share { project, site }).await.unwrap().vms, 0);
    // What nobody knows of is only told.
    assert_eq!(stage.hear(&first).await, [vm]);
}

#[tokio::test]
async fn what_fails_is_set_back_before_it_has_failed() {
    let stage = Stage::new().await;
    let vm = stage.stopped("node").await;
    let on = stage.act(vm, Act::PowerOn(None)).await;
    stage.place(vm).await;
    let mut seen = stage.obedient(vm).await;
    let message = "no such processor".to_owned();
    let generation = seen.generation;
    seen.fault = Some(Fault { generation, message });
    (seen.generation.0, seen.power) = (seen.generation.0 - 1, Power::Off);
    stage.hear(&seen).await;
    let cancelling = stage.operation(&on).await;
    assert_eq!(cancelling.state, OperationState::Cancelling);
    assert_eq!(stage.row(vm).await.unwrap().vm.meant.power, Power::Off);
    stage.hear(&seen).await;
    assert_eq!(stage.operation(&on).await, cancelling);
    stage.obeys(vm).await;
    let failed = stage.operation(&on).await;
    assert_eq!(failed.state, OperationState::Failed);
    assert_eq!(failed.error.as_deref(), Some("no such processor"));
}

#[tokio::test]
async fn a_machine_whose_disk_was_lost_while_it_was_to_move_is_lost_when_the_move_is_set_back() {
    let stage = Stage::new().await;
    let vm = stage.stopped("node").await;
    let (app, asked) = (&stage.net.trial.app, stage.net.asked().await);
    let on = stage.act(vm, Act::PowerOn(None)).await;
    stage.place(vm).await;
    done(app.cancel_operation(&asked, on.id).await);
    // It kept the disk of an earlier generation, has lost it, and cannot run what it is now to run.
    let mut seen = stage.obedient(vm).await;
    let message = "the host has no such machine".to_owned();
    let generation = seen.generation;
    seen.fault = Some(Fault { generation, message });
    (seen.generation.0, seen.part, seen.there) = (seen.generation.0 - 1, Part::Keep, false);
    stage.hear(&seen).await;
    assert_eq!(stage.row(vm).await.unwrap().vm.state(), VmState::Lost);
    assert_eq!(stage.operation(&on).await.state, OperationState::Failed);
}

#[tokio::test]
async fn what_waits_for_room_is_cancelled_at_once() {
    let stage = Stage::new().await;
    let (app, asked) = (&stage.net.trial.app, stage.net.asked().await);
    let Deployed { vms, operations } = stage.deploy("node").await;
    let cancelled = done(app.cancel_operation(&asked, operations[0].id).await);
    assert_eq!(cancelled.value.state, OperationState::Failed);
    assert!(stage.row(vms[0].id).await.is_none());
    let vm = stage.stopped("other").await;
    let on = stage.act(vm, Act::PowerOn(None)).await;
    let generation = stage.row(vm).await.unwrap().generation();
    done(app.cancel_operation(&asked, on.id).await);
    let row = stage.row(vm).await.unwrap();
    assert!(row.generation() > generation && row.placing.is_none() && row.vm.operation.is_none());
    assert_eq!(row.vm.meant.power, Power::Off);
}

#[tokio::test]
async fn a_clone_needs_its_source_until_it_is_whole() {
    let stage = Stage::new().await;
    let (app, asked) = (&stage.net.trial.app, stage.net.asked().await);
    let vm = stage.stopped("node").await;
    let new: CloneVm = serde_json::from_str(r#"{"name": "copy"}"#).unwrap();
    let Deployed { vms, operations } = done(app.clone_vm(&asked, vm, new).await);
    for act in [Act::Destroy, Act::PowerOn(None)] {
        let problem = refused(app.act(&asked, vm, act).await);
        assert!(problem.title.contains(&vms[0].id.to_string()), "{}", problem.title);
    }
    stage.place(vms[0].id).await;
    stage.obeys(vms[0].id).await;
    assert_eq!(stage.operation(&operations[0]).await.state, OperationState::Done);
    assert_eq!(stage.row(vms[0].id).await.unwrap().vm.state(), VmState::Stopped);
    stage.act(vm, Act::Destroy).await;
}

#[tokio::test]
async fn a_machine_grows_is_renamed_and_becomes_a_template() {
    let stage = Stage::new().await;
    let (app, asked) = (&stage.net.trial.app, stage.net.asked().await);
    let vm = stage.stopped("node").await;
    let patch = |text: &str| serde_json::from_str::<VmPatch>(text).unwrap();
    let smaller = refused(app.change_vm(&asked, vm, patch(r#"{"disks_gib": []}"#)).await);
    assert_eq!(smaller.kind, ProblemKind::Invalid);
    let grows = done(app.change_vm(&asked, vm, patch(r#"{"disks_gib": [20, 5]}"#)).await);
    stage.place(vm).await;
    stage.obeys(vm).await;
    assert_eq!(stage.operation(&grows.value).await.state, OperationState::Done);
    assert_eq!(stage.net.manifest(stage.host).await.machines[&vm].takes.disk_gib, 25);
    let renamed = done(app.change_vm(&asked, vm, patch(r#"{"name": "other"}"#)).await);
    assert_eq!(renamed.value.state, OperationState::Done);
    stage.obeys(vm).await;
    let name = "golden".parse().unwrap();
    let saved = done(app.save_vm(&asked, vm, SaveVm { name }).await);
    stage.obeys(vm).await;
    assert_eq!(stage.operation(&saved.value).await.state, OperationState::Done);
    let images = app.every::<Image>("vm", &vm.to_string()).await.unwrap();
    assert_eq!(
        (images[0].value.state, images[0].value.digest.as_deref()),
        (ImageState::Ready, Some("b3"))
    );
    let template = app.find::<Template>("template_name", "golden").await.unwrap().unwrap();
    assert_eq!(
        (template.image, template.facts.min_disk_gib),
        (Some(images[0].value.id), 20)
    );
}
