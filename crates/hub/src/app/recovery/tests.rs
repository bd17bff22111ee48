use jiff::Timestamp;
use renkei_store::noun::contact::Holding;
use renkei_store::noun::manifest::Issued;
use renkei_types::agent::{Held, MachineIntent, MachineSeen, Part};
use renkei_types::host::Capacity;
use renkei_types::id::ProjectId;
use renkei_types::operation::Generation;
use renkei_types::recovery::DifferenceKind;
use renkei_types::vm::Power;
use serde_json::json;
use uuid::Uuid;

use super::compare::Mended;
use super::*;
use crate::app::trial::{Trial, done, plan, planned, refused};

const SINCE: Timestamp = Timestamp::UNIX_EPOCH;

fn machine(number: u128) -> VmId {
    VmId(Uuid::from_u128(number))
}

fn host(number: u128) -> HostId {
    HostId(Uuid::from_u128(1000 + number))
}

fn row(vm: VmId, host: HostId, (generation, power): (u64, Power)) -> VmRow {
    serde_json::from_value(json!({"vm": {
        "id": vm, "project": Uuid::from_u128(9), "site": Uuid::from_u128(8), "name": format!("m{}", vm.0.as_u128()),
        "host": host, "source": {"template": Uuid::from_u128(7)}, "os_type": "Linux", "made": true,
        "meant": {"generation": generation, "power": power, "shape": {"vcpus": 1, "memory_mib": 1, "disks": [],
            "service_level": "spot"}, "adapters": []},
        "seen": {"generation": 0}, "created": SINCE,
    }}))
    .unwrap()
}

fn seen(vm: VmId, (generation, power): (u64, Power)) -> MachineSeen {
    MachineSeen {
        id: vm,
        generation: Generation(generation),
        part: Part::Run,
        there: true,
        project: ProjectId(Uuid::from_u128(9)),
        name: "m".to_owned(),
        power,
        doing: None,
        progress: 0,
        fault: None,
        addresses: Default::default(),
        saved: None,
        known: true,
        record: None,
    }
}

fn compared(rows: &[VmRow], seen: &[(HostId, MachineSeen)]) -> Vec<(VmId, DifferenceKind)> {
    let mut all: BTreeMap<VmId, Vec<Seen>> = BTreeMap::new();
    for (host, machine) in seen {
        let one = Seen {
            host: *host,
            machine: machine.clone(),
        };
        all.entry(machine.id).or_default().push(one);
    }
    let compared = compare(rows.iter(), all, |at| at != host(9));
    compared.into_iter().map(|one| (one.told.vm, one.told.kind)).collect()
}

#[test]
fn only_what_differs_is_told() {
    let meant = (5, Power::On);
    let mut tombstone = row(machine(5), host(1), (5, Power::Off));
    tombstone.vm.meant.tombstone = true;
    let rows = [
        row(machine(1), host(1), meant),
        row(machine(2), host(1), meant),
        row(machine(3), host(1), meant),
        row(machine(4), host(1), meant),
        tombstone,
        row(machine(6), host(1), meant),
        row(machine(7), host(9), meant),
        row(machine(8), host(1), meant),
    ];
    let mut faulty = seen(machine(8), (5, Power::Off));
    faulty.fault = Some(renkei_types::vm::Fault {
        generation: Generation(5),
        message: "no disk".to_owned(),
    });
    let told = compared(
        &rows,
        &[
            (host(1), seen(machine(1), meant)),
            (host(2), seen(machine(2), (7, Power::On))),
            (host(1), seen(machine(3), (5, Power::Off))),
            // What is meant by now is later than what the host knows: it will be told.
            (host(1), seen(machine(4), (4, Power::Off))),
            (host(1), seen(machine(5), (6, Power::On))),
            (host(1), seen(machine(66), (1, Power::On))),
            (host(1), faulty),
        ],
    );
    let expected = [
        (machine(2), DifferenceKind::Later),
        (machine(3), DifferenceKind::Power),
        (machine(5), DifferenceKind::Tombstone),
        (machine(6), DifferenceKind::Missing),
        (machine(66), DifferenceKind::Unknown),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_machine_is_where_it_was_given_to_after_all_that_the_database_has_seen_of_it() {
    // Both were asked for something once more since the database was set back.
    let mut waits = row(machine(1), host(1), (2, Power::Off));
    (waits.vm.host, waits.vm.made) = (None, false);
    let mut moved = row(machine(2), host(1), (7, Power::Off));
    moved.vm.seen.generation = Generation(5);
    let mut buried = row(machine(3), host(1), (7, Power::Off));
    buried.vm.meant.tombstone = true;
    // A copy from before, a move that the database knows of, and one that is not whole.
    let mut older = row(machine(4), host(1), (7, Power::Off));
    older.vm.seen.generation = Generation(6);
    let mut moves = row(machine(5), host(1), (7, Power::Off));
    moves.vm.leaving = Some(host(2));
    let mut begun = waits.clone();
    begun.vm.id = machine(6);
    let at = |vm, generation| (host(2), seen(machine(vm), (generation, Power::On)));
    let told = compared(
        &[waits.clone(), moved, buried, older, moves, begun],
        &[at(1, 1), at(2, 6), at(3, 6), at(4, 6), at(5, 6), at(6, 0)],
    );
    let expected = [
        (machine(1), DifferenceKind::Later),
        (machine(2), DifferenceKind::Later),
        (machine(3), DifferenceKind::Tombstone),
    ];
    assert_eq!(told, expected);
    let (host, machine) = at(1, 1);
    let Mended { row, manifests } = compare::mend(&waits, &Seen { host, machine }, SINCE);
    assert_eq!((row.vm.host, row.vm.made, row.placing), (Some(host), true, None));
    assert_eq!(
        (row.vm.meant.power, row.vm.meant.generation),
        (Power::On, Generation(3))
    );
    let run = Change::Run(Generation(3), manifest::takes(&row.vm.meant));
    assert_eq!(manifests, [(host, (row.vm.id, run))]);
}

#[test]
fn what_is_seen_becomes_what_is_meant_and_a_tombstone_stays_one() {
    let old = row(machine(1), host(1), (5, Power::Off));
    let later = Seen {
        host: host(2),
        machine: seen(machine(1), (9, Power::On)),
    };
    let Mended { row: new, manifests } = compare::mend(&old, &later, SINCE);
    assert_eq!((new.vm.host, new.vm.meant.generation), (Some(host(2)), Generation(10)));
    assert_eq!((new.vm.meant.power, new.vm.seen.power), (Power::On, Some(Power::On)));
    let run = Change::Run(Generation(10), manifest::takes(&new.vm.meant));
    let expected = [(host(1), (machine(1), Change::Remove)), (host(2), (machine(1), run))];
    assert_eq!(manifests, expected);
    let mut buried = old;
    buried.vm.meant.tombstone = true;
    let here = Seen { host: host(1), ..later };
    let Mended { row: new, manifests } = compare::mend(&buried, &here, SINCE);
    assert!(new.vm.meant.tombstone);
    assert_eq!(manifests, [(host(1), (machine(1), Change::Gone(Generation(10))))]);
    let same = Seen {
        host: host(1),
        machine: seen(machine(1), (5, Power::Off)),
    };
    let unchanged = row(machine(1), host(1), (5, Power::Off));
    let Mended { row: new, manifests } = compare::mend(&unchanged, &same, SINCE);
    assert!(new == unchanged && manifests.is_empty());
}

#[test]
fn a_size_that_the_database_does_not_know_is_seen_and_stays() {
    let old = row(machine(1), host(1), (5, Power::On));
    let mut larger = seen(machine(1), (5, Power::On));
    let record = MachineIntent {
        vcpus: 3,
        memory_mib: 4,
        ..crate::app::vm::intent::intent(&old, None, Part::Run, None)
    };
    larger.record = Some(Box::new(record));
    assert_eq!(
        compared(std::slice::from_ref(&old), &[(host(1), larger.clone())]),
        [(machine(1), DifferenceKind::Size)]
    );
    let larger = Seen {
        host: host(1),
        machine: larger,
    };
    let Mended { row: new, .. } = compare::mend(&old, &larger, SINCE);
    assert_eq!((new.vm.meant.shape.vcpus, new.vm.meant.shape.memory_mib), (3, 4));
    assert_eq!(new.vm.meant.generation, Generation(6));
}

#[test]
fn what_was_destroyed_meanwhile_is_asked_for_in_a_generation_that_its_host_does_not_know() {
    let old = row(machine(1), host(1), (3, Power::Off));
    let mut gone = seen(machine(1), (4, Power::Off));
    (gone.there, gone.part) = (false, Part::Gone);
    let Mended { row: new, manifests } = compare::outbid(&old, &gone).unwrap();
    assert_eq!((new.vm.meant.generation, new.vm.host), (Generation(5), Some(host(1))));
    let run = Change::Run(Generation(5), manifest::takes(&new.vm.meant));
    assert_eq!(manifests, [(host(1), (machine(1), run))]);
    gone.generation = Generation(2);
    assert!(compare::outbid(&old, &gone).is_none(), "what is meant is later anyway");
}

#[test]
fn what_ran_and_is_not_there_was_whole_though_the_database_had_not_heard_of_it() {
    let mut old = row(machine(1), host(1), (1, Power::On));
    old.vm.made = false;
    let mut gone = seen(machine(1), (3, Power::Off));
    gone.there = false;
    assert!(compare::outbid(&old, &gone).unwrap().row.vm.made);
    old.vm.leaving = Some(host(2));
    let Mended { row: new, manifests } = compare::outbid(&old, &gone).unwrap();
    let run = Change::Run(Generation(4), manifest::takes(&new.vm.meant));
    let expected = [(host(1), (machine(1), run)), (host(2), (machine(1), Change::Remove))];
    assert_eq!((new.vm.leaving, &manifests[..]), (None, &expected[..]));
    gone.part = Part::Gone;
    assert!(!compare::outbid(&old, &gone).unwrap().row.vm.made, "it is made anew");
}

#[test]
fn what_is_to_be_destroyed_is_asked_for_in_a_generation_that_its_host_obeys() {
    // Its host has lost it meanwhile, and knows more of it than the tombstone.
    let mut buried = row(machine(1), host(1), (3, Power::Off));
    buried.vm.meant.tombstone = true;
    let mut lost = seen(machine(1), (4, Power::Off));
    lost.there = false;
    let Mended { row: new, manifests } = compare::outbid(&buried, &lost).unwrap();
    assert!(new.vm.meant.tombstone);
    assert_eq!(manifests, [(host(1), (machine(1), Change::Gone(Generation(5))))]);
    lost.part = Part::Gone;
    assert!(compare::outbid(&buried, &lost).is_none(), "it says that it is gone");
    // The row went when its host was fenced.
    let copy = seen(machine(1), (4, Power::On));
    let rebury = |row, generation| compare::rebury(row, Generation(generation), &copy);
    assert_eq!(rebury(None, 3), Some(Change::Gone(Generation(5))));
    assert_eq!(rebury(Some(&buried), 3), Some(Change::Gone(Generation(5))));
    assert_eq!(rebury(None, 4), None);
    assert_eq!(compare::rebury(None, Generation(3), &lost), None);
    // The machine is elsewhere, as far as is known: nothing of it is destroyed that may be the last.
    let elsewhere = row(machine(1), host(2), (6, Power::On));
    assert_eq!(rebury(Some(&elsewhere), 3), Some(Change::Remove));
}

/// A site in recovery with two hosts; the first has listed machine 1 in a generation that the database does not know.
async fn site_in_recovery(trial: &Trial) -> SiteId {
    let id = trial.site("Kashiwa", &[]).await;
    let site = trial.app.get::<Site>(SiteId::NOUN, id.0).await.unwrap();
    let mut batch = Batch::new();
    let recovery = Recovery {
        since: SINCE,
        reason: "a manifest that was never issued".to_owned(),
    };
    let recovering = Site {
        recovery: Some(recovery),
        ..site.value.clone()
    };
    batch.update(&site, &recovering);
    for number in [1, 2] {
        batch.insert(&Host {
            id: host(number),
            site: id,
            name: format!("h{number}").parse().unwrap(),
            state: HostState::Ready,
            capacity: Capacity::default(),
            settings: Default::default(),
            driver: String::new(),
            driver_reason: String::new(),
            address: None,
            version: String::new(),
            created: SINCE,
        });
        manifest::first(&mut batch, host(number), id);
    }
    batch.insert(&row(machine(1), host(1), (1, Power::Off)));
    trial.app.store.state.commit(batch).await.unwrap();
    listing(trial, (id, host(1)), &[seen(machine(1), (4, Power::On))]).await;
    id
}

async fn listing(trial: &Trial, (site, host): (SiteId, HostId), machines: &[MachineSeen]) {
    let mut batch = Batch::new();
    batch.insert(&Contact {
        host,
        site,
        hub: None,
        speaks: 1,
        since: SINCE,
        heard: SINCE,
        held: Held {
            epoch: 6,
            version: 40,
            digest: "d".to_owned(),
        },
        boot_id: String::new(),
        skew_ms: 0,
        free_disk_gib: 0,
        listed: true,
        unknown: Vec::new(),
        holding: Some(Holding {
            recovery: SINCE,
            machines: machines.iter().map(|seen| (seen.id, seen.clone())).collect(),
            segments: BTreeMap::new(),
        }),
    });
    trial.app.store.state.commit(batch).await.unwrap();
}

#[tokio::test]
async fn a_site_goes_on_when_all_have_listed_and_an_administrator_says_so() {
    let trial = Trial::new().await;
    let site = site_in_recovery(&trial).await;
    let admin = trial.by(trial.admin).await;
    let difference = trial.app.difference(&admin, site).await.unwrap();
    let listed: Vec<bool> = difference.hosts.iter().map(|host| host.listed).collect();
    assert_eq!(listed, [true, false]);
    let kinds: Vec<_> = difference.machines.iter().map(|one| (one.vm, one.kind)).collect();
    assert_eq!(kinds, [(machine(1), DifferenceKind::Later)]);
    let problem = refused(trial.app.recovered(&admin, site).await);
    assert!(problem.title.contains("`h2`"), "{}", problem.title);
    listing(&trial, (site, host(2)), &[]).await;
    let epoch = trial.app.store.identity().await.unwrap().epoch;
    assert!(
        plan(trial.app.recovered(&planned(admin.clone()), site).await)
            .refused
            .is_empty()
    );
    let mortal = trial.by(trial.user("olga").await).await;
    assert_eq!(
        refused(trial.app.recovered(&mortal, site).await).kind,
        ProblemKind::Forbidden
    );
    assert!(epoch < 6);
    let site = done(trial.app.recovered(&admin, site).await).value;
    assert_eq!(site.recovery, None);
    let vm = trial.app.get::<VmRow>("vm", machine(1).0).await.unwrap().value.vm;
    assert_eq!((vm.meant.power, vm.meant.generation), (Power::On, Generation(5)));
    for number in [1, 2] {
        let manifest = trial.app.manifest(host(number)).await.unwrap().value;
        assert!(manifest.is.epoch > 6, "{:?}", manifest.is);
        let machines: Vec<_> = manifest.machines.keys().copied().collect();
        assert_eq!(machines, if number == 1 { vec![machine(1)] } else { vec![] });
        let key = Issued::manifest_key(host(number), &manifest.is);
        assert!(trial.app.find::<Issued>("manifest", &key).await.unwrap().is_some());
    }
    assert_eq!(
        refused(trial.app.difference(&admin, site.id).await).kind,
        ProblemKind::Conflict
    );
}

#[tokio::test]
async fn what_was_destroyed_before_it_was_known_to_be_whole_is_still_to_be_made() {
    let trial = Trial::new().await;
    let site = site_in_recovery(&trial).await;
    let old = trial.app.get::<VmRow>("vm", machine(1).0).await.unwrap();
    let (_, deploy) = crate::app::vm::trial::machine(Power::Off);
    let mut new = old.value.clone();
    (new.vm.made, new.vm.operation) = (false, Some(deploy.id));
    let mut gone = seen(machine(1), (4, Power::Off));
    (gone.there, gone.part) = (false, Part::Gone);
    let mut batch = Batch::new();
    batch.update(&old, &new);
    batch.insert(&deploy);
    for contact in trial.app.every::<Contact>("site", &site.to_string()).await.unwrap() {
        batch.delete(&contact);
    }
    trial.app.store.state.commit(batch).await.unwrap();
    listing(&trial, (site, host(1)), &[gone]).await;
    listing(&trial, (site, host(2)), &[]).await;
    done(trial.app.recovered(&trial.by(trial.admin).await, site).await);
    let vm = trial.app.get::<VmRow>("vm", machine(1).0).await.unwrap().value.vm;
    assert_eq!((vm.made, vm.operation), (false, Some(deploy.id)));
    let deploy = trial
        .app
        .get::<Operation>("operation", deploy.id.0)
        .await
        .unwrap()
        .value;
    assert_eq!(
        (deploy.state, deploy.generation),
        (OperationState::Running, Generation(5))
    );
}

#[tokio::test]
async fn a_copy_that_is_to_be_destroyed_is_no_difference_unless_its_host_knows_more_of_it() {
    let trial = Trial::new().await;
    let site = site_in_recovery(&trial).await;
    let old = trial.app.manifest(host(2)).await.unwrap();
    let mut new = old.value.clone();
    for vm in [7, 9] {
        manifest::change(&mut new.machines, machine(vm), Change::Gone(Generation(2)));
    }
    let mut batch = Batch::new();
    batch.update(&old, &new);
    trial.app.store.state.commit(batch).await.unwrap();
    let copy = seen(machine(7), (2, Power::On));
    let unknown = seen(machine(8), (2, Power::On));
    let later = seen(machine(9), (4, Power::On));
    listing(&trial, (site, host(2)), &[copy, unknown, later]).await;
    let admin = trial.by(trial.admin).await;
    let told = trial.app.difference(&admin, site).await.unwrap().machines;
    let told: Vec<_> = told.into_iter().map(|one| (one.vm, one.kind)).collect();
    let expected = [
        (machine(1), DifferenceKind::Later),
        (machine(8), DifferenceKind::Unknown),
        (machine(9), DifferenceKind::Tombstone),
    ];
    assert_eq!(told, expected);
    done(trial.app.recovered(&admin, site).await);
    let meant = trial.app.manifest(host(2)).await.unwrap().value.machines;
    let meant: Vec<_> = meant.into_iter().map(|(vm, entry)| (vm, entry.generation)).collect();
    assert_eq!(meant, [(machine(7), Generation(2)), (machine(9), Generation(5))]);
}

#[tokio::test]
async fn a_host_that_is_fenced_is_not_waited_for() {
    let trial = Trial::new().await;
    let site = site_in_recovery(&trial).await;
    let old = trial.app.get::<Host>("host", host(2).0).await.unwrap();
    let mut batch = Batch::new();
    batch.update(
        &old,
        &Host {
            state: HostState::Fenced,
            ..old.value.clone()
        },
    );
    trial.app.store.state.commit(batch).await.unwrap();
    let admin = trial.by(trial.admin).await;
    done(trial.app.recovered(&admin, site).await);
}
