use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use renkei_store::noun::contact::Contact;
use renkei_store::noun::manifest::{Entry, Takes};
use renkei_store::noun::vm::VmRow;
use renkei_store::{Batch, CommitError};
use renkei_types::agent::{DiskSource, Held, MachineIntent, MachineSeen, Part};
use renkei_types::host::{AdoptVm, Capacity, HostPatch, HostSettings, HostState};
use renkei_types::id::{ProjectId, VmId};
use renkei_types::operation::Generation;
use renkei_types::site::Site;
use renkei_types::vm::{Disk, Power, Stop, VmState};
use uuid::Uuid;

use super::*;
use crate::app::manifest::{self, Change, Manifests};
use crate::app::trial::{Trial, done, first_page, plan, planned, refused};

/// A site that `olga` runs, with a host that was heard now.
async fn place(trial: &Trial) -> (SiteId, HostId) {
    let olga = trial.user("olga").await;
    let site = trial.site("Kashiwa", &[olga]).await;
    (site, host(trial, site, "h1").await)
}

async fn host(trial: &Trial, site: SiteId, name: &str) -> HostId {
    let id = HostId(Uuid::now_v7());
    let mut batch = Batch::new();
    batch.insert(&Host {
        id,
        site,
        name: name.parse().unwrap(),
        state: HostState::Ready,
        capacity: Capacity {
            vcpus: 4,
            memory_mib: 9216,
            disk_gib: 100,
            gpus: 0,
        },
        settings: HostSettings::default(),
        driver: "fake".to_owned(),
        driver_reason: String::new(),
        address: None,
        version: String::new(),
        created: Timestamp::now(),
    });
    batch.insert(&Contact {
        host: id,
        site,
        hub: None,
        speaks: 1,
        since: Timestamp::now(),
        heard: Timestamp::now(),
        held: Held::default(),
        boot_id: String::new(),
        skew_ms: 0,
        free_disk_gib: 90,
        listed: true,
        unknown: Vec::new(),
        holding: None,
    });
    manifest::first(&mut batch, id, site);
    trial.app.store.state.commit(batch).await.unwrap();
    id
}

async fn tell(trial: &Trial, host: HostId, change: impl FnOnce(&mut Contact)) {
    let old: Stored<Contact> = trial.app.get("contact", host.0).await.unwrap();
    let mut new = old.value.clone();
    change(&mut new);
    let mut batch = Batch::new();
    batch.update(&old, &new);
    trial.app.store.state.commit(batch).await.unwrap();
}

async fn entry(trial: &Trial, host: HostId, vm: VmId, change: Change) {
    let (mut manifests, mut batch) = (Manifests::default(), Batch::new());
    manifests.change(&trial.app, host, (vm, change)).await.unwrap();
    manifests.issue(&trial.app, &mut batch).await.unwrap();
    trial.app.store.state.commit(batch).await.unwrap();
}

async fn machines(trial: &Trial, host: HostId) -> BTreeMap<VmId, Entry> {
    trial.app.manifest(host).await.unwrap().value.machines
}

fn to(state: HostState) -> HostPatch {
    HostPatch {
        state: Some(state),
        ..HostPatch::default()
    }
}

/// Something that was there before anybody knew of it.
fn stray(project: ProjectId, name: &str) -> MachineSeen {
    let id = VmId(Uuid::now_v7());
    let record = MachineIntent {
        id,
        generation: Generation(7),
        part: Part::Run,
        make: false,
        project,
        name: name.to_owned(),
        power: Power::On,
        stop: Stop::Shutdown,
        reboots: 3,
        resets: 0,
        vcpus: 2,
        memory_mib: 2048,
        disks: vec![Disk { number: 1, gib: 40 }],
        adapters: Vec::new(),
        source: DiskSource::Template {
            name: "UT-1".to_owned(),
            image: None,
        },
        key: "ssh-ed25519 AAAA".to_owned(),
        user_data: None,
        save: None,
    };
    MachineSeen {
        id,
        generation: Generation(7),
        part: Part::Run,
        there: true,
        project,
        name: name.to_owned(),
        power: Power::On,
        doing: None,
        progress: 100,
        fault: None,
        addresses: BTreeMap::new(),
        saved: None,
        known: false,
        record: Some(Box::new(record)),
    }
}

#[tokio::test]
async fn only_those_who_run_the_site_see_its_hosts() {
    let trial = Trial::new().await;
    let (site, host) = place(&trial).await;
    let (olga, ann) = (trial.named("olga").await, trial.user("ann").await);
    trial.project("Lab", ann).await;
    let elsewhere = trial.site("Osaka", &[]).await;
    self::host(&trial, elsewhere, "h1").await;
    let (operator, member, admin) = (trial.by(olga).await, trial.by(ann).await, trial.by(trial.admin).await);
    let seen = async |asked: &Asked, site| {
        let page = trial.app.hosts(asked, site, &first_page()).await.unwrap();
        page.items.iter().map(|status| status.host.id).collect::<Vec<_>>()
    };
    assert_eq!(seen(&operator, None).await, [host]);
    assert_eq!(seen(&operator, Some(site)).await, [host]);
    assert!(seen(&operator, Some(elsewhere)).await.is_empty());
    assert!(seen(&member, None).await.is_empty());
    assert_eq!(seen(&admin, None).await.len(), 2);
    assert_eq!(refused(trial.app.host(&member, host).await).kind, ProblemKind::NotFound);
    let change = trial.app.change_host(&member, host, to(HostState::Draining)).await;
    assert_eq!(refused(change).kind, ProblemKind::NotFound);
    assert_eq!(
        refused(trial.app.unknown_vms(&member, host).await).kind,
        ProblemKind::NotFound
    );
}

#[tokio::test]
async fn a_silent_host_is_unreachable_and_its_room_is_told() {
    let trial = Trial::new().await;
    let (_, host) = place(&trial).await;
    let admin = trial.by(trial.admin).await;
    let vm = VmId(Uuid::now_v7());
    let takes = Takes {
        vcpus: 3,
        memory_mib: 512,
        disk_gib: 7,
    };
    entry(&trial, host, vm, Change::Run(Generation(1), takes)).await;
    let status = trial.app.host(&admin, host).await.unwrap().value;
    assert_eq!((status.host.state, status.machines), (HostState::Ready, 1));
    assert_eq!((status.promised.vcpus, status.promised.memory_mib), (64, 8192));
    assert_eq!((status.taken.vcpus, status.taken.disk_gib), (3, 7));
    tell(&trial, host, |contact| {
        contact.heard = Timestamp::now() - SignedDuration::from_secs(31);
    })
    .await;
    let status = trial.app.host(&admin, host).await.unwrap();
    assert_eq!(status.value.host.state, HostState::Unreachable);
    done(trial.app.change_host(&admin, host, to(HostState::Draining)).await);
    let kept: Stored<Host> = trial.app.get(NOUN, host.0).await.unwrap();
    assert_eq!(kept.value.state, HostState::Draining);
}

#[tokio::test]
async fn states_and_settings_that_make_no_sense_are_refused() {
    let trial = Trial::new().await;
    let (site, host) = place(&trial).await;
    self::host(&trial, site, "h2").await;
    let admin = trial.by(trial.admin).await;
    for (patch, kind, field) in [
        (to(HostState::Unreachable), ProblemKind::Invalid, "state"),
        (to(HostState::Joining), ProblemKind::Invalid, "state"),
        (
            HostPatch {
                name: Some("H2".parse().unwrap()),
                ..HostPatch::default()
            },
            ProblemKind::Conflict,
            "name",
        ),
        (
            HostPatch {
                settings: Some(HostSettings {
                    memory_percent: 0,
                    ..HostSettings::default()
                }),
                ..HostPatch::default()
            },
            ProblemKind::Invalid,
            "settings.memory_percent",
        ),
    ] {
        let problem = refused(trial.app.change_host(&admin, host, patch).await);
        assert_eq!((problem.kind, problem.field.as_deref()), (kind, Some(field)));
    }
}

#[tokio::test]
async fn a_host_that_speaks_is_not_fenced() {
    let trial = Trial::new().await;
    let (_, host) = place(&trial).await;
    let admin = trial.by(trial.admin).await;
    tell(&trial, host, |contact| contact.hub = Some(Uuid::now_v7())).await;
    let problem = refused(trial.app.change_host(&admin, host, to(HostState::Fenced)).await);
    assert_eq!(
        (problem.kind, problem.field.as_deref()),
        (ProblemKind::Conflict, Some("state"))
    );
    tell(&trial, host, |contact| contact.hub = None).await;
    let fenced = done(trial.app.change_host(&admin, host, to(HostState::Fenced)).await);
    assert_eq!(fenced.value.host.state, HostState::Fenced);
}

#[tokio::test]
async fn only_a_host_that_has_nothing_is_deleted_and_another_gets_the_gateways() {
    let trial = Trial::new().await;
    let (site, host) = place(&trial).await;
    let other = self::host(&trial, site, "h2").await;
    let admin = trial.by(trial.admin).await;
    let old: Stored<Site> = trial.app.get(SiteId::NOUN, site.0).await.unwrap();
    let mut batch = Batch::new();
    batch.update(
        &old,
        &Site {
            gateway: Some(host),
            ..old.value.clone()
        },
    );
    trial.app.store.state.commit(batch).await.unwrap();
    let vm = VmId(Uuid::now_v7());
    entry(&trial, host, vm, Change::Gone(Generation(2))).await;
    let problem = refused(trial.app.delete_host(&admin, host).await);
    assert!(problem.title.contains("1 machines"), "{}", problem.title);
    let deletion = async || trial.app.host_deletion(&admin, host).await.unwrap();
    entry(&trial, host, vm, Change::Remove).await;
    let late = deletion().await;
    entry(&trial, host, vm, Change::Run(Generation(3), Takes::default())).await;
    assert!(matches!(
        trial.commit(&admin, late).await,
        Err(CommitError::Stale { .. })
    ));
    entry(&trial, host, vm, Change::Remove).await;
    let project = trial.project("Lab", trial.admin).await;
    tell(&trial, host, |contact| contact.unknown.push(stray(project, "stray"))).await;
    let problem = refused(trial.app.delete_host(&admin, host).await);
    assert!(problem.title.contains("nobody knows of"), "{}", problem.title);
    tell(&trial, host, |contact| contact.unknown.clear()).await;
    let problem = refused(trial.app.delete_site(&admin, site).await);
    assert!(problem.title.contains("still has host"), "{}", problem.title);
    done(trial.app.delete_host(&admin, host).await);
    let site: Stored<Site> = trial.app.get(SiteId::NOUN, site.0).await.unwrap();
    assert_eq!(site.value.gateway, Some(other));
    assert!(trial.app.manifest(host).await.is_err());
    assert!(trial.app.host(&admin, host).await.is_err());
}

#[tokio::test]
async fn a_machine_that_nobody_knows_of_is_adopted_as_it_is() {
    let trial = Trial::new().await;
    let (site, host) = place(&trial).await;
    let operator = trial.by(trial.named("olga").await).await;
    let project = trial.project("Lab", trial.admin).await;
    let seen = stray(project, "stray");
    let (id, told) = (seen.id, seen.clone());
    tell(&trial, host, |contact| contact.unknown.push(told)).await;
    let page = trial.app.unknown_vms(&operator, host).await.unwrap();
    assert_eq!(
        (page.items.len(), page.items[0].id, page.items[0].adoptable),
        (1, id, true)
    );
    let planned = trial
        .app
        .adopt_vm(&planned(operator.clone()), (host, id), AdoptVm::default())
        .await;
    assert_eq!(plan(planned).changes.len(), 1);
    assert!(machines(&trial, host).await.is_empty());
    let vm = done(trial.app.adopt_vm(&operator, (host, id), AdoptVm::default()).await).value;
    assert_eq!(
        (vm.site, vm.project, vm.host, vm.state()),
        (site, project, Some(host), VmState::Running)
    );
    assert_eq!(
        (vm.meant.generation, vm.meant.reboots, vm.meant.shape.vcpus),
        (Generation(7), 3, 2)
    );
    assert_eq!(
        (vm.seen.generation, vm.key.as_str()),
        (Generation(7), "ssh-ed25519 AAAA")
    );
    let entry = machines(&trial, host).await[&id];
    assert_eq!(
        (entry.generation, entry.part, entry.takes.memory_mib),
        (Generation(7), Part::Run, 2048)
    );
    let again = trial.app.adopt_vm(&operator, (host, id), AdoptVm::default()).await;
    assert_eq!(refused(again).kind, ProblemKind::NotFound);
    assert_eq!(
        trial
            .app
            .every::<VmRow>("project", &project.to_string())
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn what_cannot_be_adopted_says_why() {
    let trial = Trial::new().await;
    let (_, host) = place(&trial).await;
    let operator = trial.by(trial.named("olga").await).await;
    let project = trial.project("Lab", trial.admin).await;
    let (first, mut bare) = (stray(project, "stray"), stray(project, "bare"));
    bare.record = None;
    let (second, orphan) = (stray(project, "STRAY"), stray(ProjectId(Uuid::now_v7()), "orphan"));
    let ids = [first.id, second.id, bare.id, orphan.id];
    tell(&trial, host, |contact| {
        contact.unknown = vec![first, second, bare, orphan];
    })
    .await;
    let adopt = async |id, name: Option<&str>| {
        let name = name.map(|name| name.parse().unwrap());
        trial.app.adopt_vm(&operator, (host, id), AdoptVm { name }).await
    };
    done(adopt(ids[0], None).await);
    for (id, told) in [(ids[1], "by now"), (ids[2], "no record"), (ids[3], "is gone")] {
        let problem = refused(adopt(id, None).await);
        assert_eq!(problem.kind, ProblemKind::Conflict);
        assert!(problem.title.contains(told), "{}", problem.title);
    }
    assert_eq!(done(adopt(ids[1], Some("other")).await).value.name.as_str(), "other");
}

#[tokio::test]
async fn a_machine_that_nobody_knows_of_is_destroyed_by_a_tombstone_that_names_it() {
    let trial = Trial::new().await;
    let (_, host) = place(&trial).await;
    let operator = trial.by(trial.named("olga").await).await;
    let seen = stray(ProjectId(Uuid::now_v7()), "stray");
    let (id, told) = (seen.id, seen.clone());
    let nobody = trial.app.destroy_unknown_vm(&operator, (host, id)).await;
    assert_eq!(refused(nobody).kind, ProblemKind::NotFound);
    tell(&trial, host, |contact| contact.unknown.push(told)).await;
    done(trial.app.destroy_unknown_vm(&operator, (host, id)).await);
    let entry = machines(&trial, host).await[&id];
    assert_eq!((entry.generation, entry.part), (Generation(8), Part::Gone));
    let again = trial.app.destroy_unknown_vm(&operator, (host, id)).await;
    assert_eq!(refused(again).kind, ProblemKind::NotFound);
}
