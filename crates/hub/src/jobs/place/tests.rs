use renkei_store::Stored;
use renkei_store::noun::vm::{Placing, VmRow};
use renkei_types::agent::Part;
use renkei_types::host::HostState;
use renkei_types::id::{HostId, OperationId, SiteId, VmId};
use renkei_types::operation::{Generation, Operation, OperationState};
use renkei_types::site::Recovery;
use renkei_types::vm::{Meant, Power, ServiceLevel, Stop, VmState};
use uuid::Uuid;

use super::trial::*;
use super::*;

#[tokio::test]
async fn a_machine_gets_its_place_once() {
    let app = town().await;
    let vm = asked(&app, 10, 4, ServiceLevel::Spot).await;
    settle(&app, at(1)).await;
    assert_eq!(
        waits_for(&app, vm).await,
        "a host of site `kashiwa` that takes machines"
    );
    let told = operation(&app, vm).await;
    settle(&app, at(2)).await;
    assert_eq!(operation(&app, vm).await, told, "what has not changed is not written");

    let host = host(&app, 1, 8).await;
    settle(&app, at(3)).await;
    let placed = row(&app, vm).await;
    assert_eq!((placed.value.vm.host, &placed.value.placing), (Some(host), &None));
    let told = operation(&app, vm).await.value;
    assert_eq!((told.waiting, told.deadline), (None, Some(at(3 + 30 * 60))));
    let manifest = app.manifest(host).await.unwrap();
    assert_eq!(manifest.value.is.version, 1);
    let entry = manifest.value.machines[&vm];
    assert_eq!(
        (entry.generation, entry.part, entry.takes.vcpus),
        (Generation(1), Part::Run, 4)
    );
    settle(&app, at(4)).await;
    assert_eq!(
        (row(&app, vm).await, app.manifest(host).await.unwrap()),
        (placed, manifest)
    );
}

#[tokio::test]
async fn a_crowd_is_placed_batch_by_batch_and_never_above_what_is_promised() {
    let app = town().await;
    let hosts = [
        host(&app, 1, 150).await,
        host(&app, 2, 150).await,
        host(&app, 3, 120).await,
    ];
    for number in 0..450 {
        asked(&app, 2000 + number, 1, ServiceLevel::Spot).await;
    }
    assert_eq!(run(&app, at(1)).await.unwrap(), Left::More);
    let mut sum = 0;
    for host in hosts {
        sum += promised(&app, host).await;
    }
    assert_eq!(sum, 200);
    settle(&app, at(1)).await;
    assert_eq!(promised(&app, hosts[0]).await, 150);
    assert_eq!(promised(&app, hosts[2]).await, 120);
    let waiting = app.every::<VmRow>("waits", &SITE.to_string()).await.unwrap();
    assert_eq!(waiting.len(), 30);
    let told = waits_for(&app, waiting[0].value.vm.id).await;
    assert_eq!(
        told,
        "room at site `kashiwa`: 1 virtual processors, 1024 MiB of memory, 10 GiB of disk"
    );
}

#[tokio::test]
async fn a_spot_machine_gives_way_to_a_guaranteed_one() {
    let app = town().await;
    let host = host(&app, 1, 8).await;
    let spot = asked(&app, 10, 6, ServiceLevel::Spot).await;
    settle(&app, at(1)).await;
    is_so(&app, spot, at(2)).await;
    let vm = asked(&app, 11, 4, ServiceLevel::Guarantee).await;
    settle(&app, at(3)).await;
    assert_eq!(waits_for(&app, vm).await, "a spot machine on host `h1` to give way");
    let asked = row(&app, spot).await.value.vm;
    assert_eq!(
        (asked.meant.power, asked.meant.stop, asked.deallocated),
        (Power::Off, Stop::Shutdown, true)
    );
    let open = operation(&app, spot).await.value;
    assert_eq!(
        (open.verb.as_str(), open.deadline),
        ("vm:deallocate", Some(at(3 + 5 * 60)))
    );
    settle(&app, at(4)).await;
    assert_eq!(row(&app, spot).await.value.vm, asked, "it is asked once");
    assert_eq!(row(&app, vm).await.value.vm.host, None, "not before it is off");

    is_so(&app, spot, at(5)).await;
    settle(&app, at(6)).await;
    assert_eq!(row(&app, vm).await.value.vm.host, Some(host));
    let gave_way = row(&app, spot).await.value.vm;
    assert_eq!(gave_way.state(), VmState::Deallocated);
    assert_eq!(gave_way.operation, None);
    assert_eq!(promised(&app, host).await, 4);
}

#[tokio::test]
async fn what_is_off_leaves_a_host_that_is_draining_and_what_runs_stays() {
    let app = town().await;
    let first = host(&app, 1, 8).await;
    let (off, on) = (
        asked(&app, 10, 2, ServiceLevel::Spot).await,
        asked(&app, 11, 2, ServiceLevel::Spot).await,
    );
    settle(&app, at(1)).await;
    is_so(&app, on, at(2)).await;
    let old = row(&app, off).await;
    let mut stopped = old.value.clone();
    stopped.vm.meant.power = Power::Off;
    let mut batch = renkei_store::Batch::new();
    batch.update(&old, &stopped);
    write(&app, batch).await;
    is_so(&app, off, at(2)).await;

    set_state(&app, first, HostState::Draining).await;
    let before = row(&app, off).await;
    settle(&app, at(3)).await;
    assert_eq!(
        row(&app, off).await,
        before,
        "there is nowhere to go, and nothing was begun"
    );
    let second = host(&app, 2, 8).await;
    settle(&app, at(4)).await;
    let moving = row(&app, off).await.value.vm;
    assert_eq!((moving.host, moving.leaving), (Some(second), Some(first)));
    assert_eq!(moving.meant.power, Power::Off);
    assert_eq!(operation(&app, off).await.value.verb, "vm:move");
    let part = async |host: HostId| app.manifest(host).await.unwrap().value.machines[&off].part;
    assert_eq!((part(first).await, part(second).await), (Part::Keep, Part::Run));
    is_so(&app, off, at(5)).await;
    assert_eq!(part(first).await, Part::Gone);
    assert_eq!(row(&app, off).await.value.vm.operation, None);
    assert_eq!(row(&app, on).await.value.vm.host, Some(first));
}

#[tokio::test]
async fn silent_hosts_and_sites_in_recovery_get_nothing() {
    let app = town().await;
    let host = host(&app, 1, 8).await;
    let vm = asked(&app, 10, 2, ServiceLevel::Spot).await;
    settle(&app, at(31)).await;
    assert_eq!(
        waits_for(&app, vm).await,
        "a host of site `kashiwa` that takes machines"
    );
    let site: Stored<Site> = app.get(SiteId::NOUN, SITE.0).await.unwrap();
    let mut batch = renkei_store::Batch::new();
    let recovery = Some(Recovery {
        since: at(0),
        reason: "an older database".to_owned(),
    });
    batch.update(
        &site,
        &Site {
            recovery,
            ..site.value.clone()
        },
    );
    write(&app, batch).await;
    settle(&app, at(1)).await;
    assert_eq!(promised(&app, host).await, 0);
}

#[tokio::test]
async fn a_decision_about_what_has_changed_since_is_not_committed() {
    let app = town().await;
    let host = host(&app, 1, 8).await;
    asked(&app, 10, 6, ServiceLevel::Spot).await;
    let site: Stored<Site> = app.get(SiteId::NOUN, SITE.0).await.unwrap();
    let decided = async || {
        let scene = Scene::read(&app, &site, at(1)).await.unwrap().unwrap();
        let mut writing = Writing::new(&app, &scene, (AT_ONCE, at(1)));
        writing.write(&scene.moves).await.unwrap();
        writing.finish().await.unwrap()
    };
    let drained = decided().await;
    set_state(&app, host, HostState::Draining).await;
    let late = app.store.state.commit(drained).await;
    assert!(matches!(late, Err(CommitError::Stale { .. })), "{late:?}");
    set_state(&app, host, HostState::Ready).await;
    let (one, other) = (decided().await, decided().await);
    app.store.state.commit(one).await.unwrap();
    let late = app.store.state.commit(other).await;
    assert!(matches!(late, Err(CommitError::Stale { .. })), "{late:?}");
}

#[tokio::test]
async fn machines_of_a_fenced_host_are_lost_and_what_was_being_made_is_gone() {
    let app = town().await;
    let host = host(&app, 1, 8).await;
    let (whole, half) = (
        asked(&app, 10, 2, ServiceLevel::Spot).await,
        asked(&app, 11, 2, ServiceLevel::Spot).await,
    );
    settle(&app, at(1)).await;
    is_so(&app, whole, at(2)).await;
    let deploy = operation(&app, half).await.value.id;
    set_state(&app, host, HostState::Fenced).await;
    for second in 3..6 {
        app.carry_out_fences(at(second)).await.unwrap();
    }
    let lost = row(&app, whole).await;
    assert_eq!(lost.value.vm.state(), VmState::Lost);
    assert!(app.get::<VmRow>(VmId::NOUN, half.0).await.is_err());
    let deploy: Stored<Operation> = app.get(OperationId::NOUN, deploy.0).await.unwrap();
    assert_eq!(deploy.value.state, OperationState::Failed);
    assert_eq!(deploy.value.error.as_deref(), Some("host `h1` is fenced"));
    let manifest = app.manifest(host).await.unwrap();
    assert_eq!(
        manifest.value.machines[&half].part,
        Part::Gone,
        "it is obeyed on return"
    );
    assert_eq!(manifest.value.machines[&whole].part, Part::Run);
    app.carry_out_fences(at(9)).await.unwrap();
    assert_eq!(
        (row(&app, whole).await, app.manifest(host).await.unwrap()),
        (lost, manifest)
    );
}

#[tokio::test]
async fn what_waits_for_a_host_that_is_fenced_fails() {
    let app = town().await;
    let host = host(&app, 1, 8).await;
    let vm = asked(&app, 10, 2, ServiceLevel::Spot).await;
    settle(&app, at(1)).await;
    let ended = operation(&app, vm).await.value.id;
    is_so(&app, vm, at(2)).await;
    let old = row(&app, vm).await;
    let mut starting = old.value.clone();
    starting.vm.meant.power = Power::Off;
    let meant = Meant {
        generation: Generation(2),
        power: Power::On,
        ..starting.vm.meant.clone()
    };
    starting.placing = Some(Placing { meant, since: at(3) });
    let deploy: Stored<Operation> = app.get(OperationId::NOUN, ended.0).await.unwrap();
    let power_on = Operation {
        id: OperationId(Uuid::from_u128(7)),
        verb: "vm:power_on".to_owned(),
        generation: Generation(2),
        state: OperationState::Running,
        ended: None,
        ..deploy.value
    };
    starting.vm.operation = Some(power_on.id);
    let mut batch = renkei_store::Batch::new();
    batch.update(&old, &starting);
    batch.insert(&power_on);
    write(&app, batch).await;
    settle(&app, at(40)).await;
    assert!(waits_for(&app, vm).await.contains("host `h1`"));
    set_state(&app, host, HostState::Fenced).await;
    for second in 41..44 {
        app.carry_out_fences(at(second)).await.unwrap();
    }
    let failed: Stored<Operation> = app.get(OperationId::NOUN, power_on.id.0).await.unwrap();
    assert_eq!(failed.value.state, OperationState::Failed);
    let left = row(&app, vm).await.value;
    assert_eq!((left.vm.state(), left.placing), (VmState::Lost, None));
}
