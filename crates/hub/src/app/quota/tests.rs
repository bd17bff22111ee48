use jiff::Timestamp;
use renkei_store::noun::vm::{Placing, VmRow};
use renkei_store::{Batch, CommitError};
use renkei_types::global_ip::GlobalIp;
use renkei_types::id::{GlobalIpId, TemplateId, VmId};
use renkei_types::operation::Generation;
use renkei_types::role::Role;
use renkei_types::vm::{Disk, Meant, Power, Seen, ServiceLevel, Shape, Source, Stop, Vm};

use super::*;
use crate::app::trial::{Trial, done, first_page, refused};

fn machines(vms: u32) -> Amounts {
    Amounts {
        vms,
        ..Amounts::default()
    }
}

#[tokio::test]
async fn those_who_run_the_site_say_how_much_of_it_a_project_gets() {
    let trial = Trial::new().await;
    let (ann, olga) = (trial.user("ann").await, trial.user("olga").await);
    let share = Share {
        project: trial.project("Lab", ann).await,
        site: trial.site("Kashiwa", &[olga]).await,
    };
    let elsewhere = Share {
        site: trial.site("Osaka", &[]).await,
        ..share
    };
    let (owner, operator) = (trial.by(ann).await, trial.by(olga).await);
    assert_eq!(
        refused(trial.app.set_quota(&owner, share, machines(9)).await).kind,
        ProblemKind::Forbidden
    );
    let problem = refused(trial.app.set_quota(&operator, elsewhere, machines(9)).await);
    assert_eq!(problem.kind, ProblemKind::NotFound);
    let problem = refused(trial.app.set_quota(&operator, share, machines(1 << 31)).await);
    assert_eq!(problem.field.as_deref(), Some("limit.vms"), "{problem:?}");
    let set = done(trial.app.set_quota(&operator, share, machines(9)).await);
    assert_eq!(
        (set.version, set.value.limit, set.value.used),
        (1, machines(9), machines(0))
    );
    assert_eq!(
        done(trial.app.set_quota(&operator, share, machines(4)).await).version,
        2
    );
    assert_eq!(trial.app.quota(&owner, share).await.unwrap().value.limit, machines(4));
    done(trial.app.delete_quota(&operator, share).await);
    assert_eq!(
        refused(trial.app.quota(&owner, share).await).kind,
        ProblemKind::NotFound
    );
}

#[tokio::test]
async fn members_see_all_quotas_of_a_project_and_those_who_run_a_site_only_its_own() {
    let trial = Trial::new().await;
    let (bob, olga, eve) = (
        trial.user("bob").await,
        trial.user("olga").await,
        trial.user("eve").await,
    );
    let project = trial.project("Lab", trial.admin).await;
    trial.seat(project, bob, Role::Reader).await;
    let (kashiwa, osaka) = (trial.site("Kashiwa", &[olga]).await, trial.site("Osaka", &[]).await);
    trial.quota(project, kashiwa, 1).await;
    trial.quota(project, osaka, 2).await;
    let page = trial
        .app
        .quotas(&trial.by(bob).await, project, None, &first_page())
        .await
        .unwrap();
    assert_eq!(page.items.len(), 2);
    let page = trial
        .app
        .quotas(&trial.by(olga).await, project, None, &first_page())
        .await
        .unwrap();
    assert_eq!(page.items.iter().map(|quota| quota.site).collect::<Vec<_>>(), [kashiwa]);
    let stranger = trial
        .app
        .quotas(&trial.by(eve).await, project, None, &first_page())
        .await;
    assert_eq!(refused(stranger).kind, ProblemKind::NotFound);
}

#[tokio::test]
async fn a_quota_needs_a_site() {
    let trial = Trial::new().await;
    let share = Share {
        project: trial.project("Lab", trial.admin).await,
        site: SiteId(Uuid::now_v7()),
    };
    let problem = refused(
        trial
            .app
            .set_quota(&trial.by(trial.admin).await, share, machines(1))
            .await,
    );
    assert_eq!(problem.kind, ProblemKind::NotFound);
}

#[tokio::test]
async fn no_quota_is_set_at_a_site_that_is_deleted_beside_it() {
    let trial = Trial::new().await;
    let admin = trial.by(trial.admin).await;
    let share = Share {
        project: trial.project("Lab", trial.admin).await,
        site: trial.site("Kashiwa", &[]).await,
    };
    let setting = trial.app.quota_setting(&admin, share, machines(1)).await.unwrap();
    done(trial.app.delete_site(&admin, share.site).await);
    assert!(matches!(
        trial.commit(&admin, setting).await,
        Err(CommitError::Stale { .. })
    ));
}
#[tokio::test]
async fn no_site_is_deleted_beside_a_quota_that_is_set_at_it() {
    let trial = Trial::new().await;
    let admin = trial.by(trial.admin).await;
    let site = trial.site("Kashiwa", &[]).await;
    let project = trial.project("Lab", trial.admin).await;
    let deletion = trial.app.site_deletion(&admin, site).await.unwrap();
    trial.quota(project, site, 1).await;
    assert!(matches!(
        trial.commit(&admin, deletion).await,
        Err(CommitError::Stale { .. })
    ));
}

fn shape(vcpus: u32, memory_mib: u64, disk_gib: u64) -> Shape {
    Shape {
        pack: None,
        vcpus,
        memory_mib,
        gpus: 0,
        disks: vec![Disk {
            number: 1,
            gib: disk_gib,
        }],
        service_level: ServiceLevel::Spot,
    }
}

fn meant(generation: u64, shape: Shape) -> Meant {
    Meant {
        generation: Generation(generation),
        power: Power::On,
        stop: Stop::Shutdown,
        reboots: 0,
        resets: 0,
        shape,
        adapters: Vec::new(),
        save: None,
        tombstone: false,
    }
}

fn machine(share: Share, name: &str, shape: Shape) -> VmRow {
    let vm = Vm {
        id: VmId(Uuid::now_v7()),
        project: share.project,
        site: share.site,
        name: name.parse().unwrap(),
        host: None,
        leaving: None,
        source: Source::Template(TemplateId(Uuid::now_v7())),
        os_type: "Linux".to_owned(),
        login_username: String::new(),
        key: String::new(),
        storage_network: String::new(),
        meant: meant(1, shape),
        seen: Seen::default(),
        operation: None,
        made: false,
        ran: false,
        deallocated: false,
        lost: false,
        started: None,
        by: None,
        created: Timestamp::now(),
        freeze: None,
    };
    VmRow {
        vm,
        user_data: None,
        before: None,
        placing: None,
        pinned_by: Vec::new(),
    }
}

async fn write(trial: &Trial, batch: Batch) {
    trial.app.store.state.commit(batch).await.unwrap();
}

/// What a draft takes, and whether it could be written.
async fn take(trial: &Trial, share: Share, amounts: Amounts) -> Result<Decision<()>, Problem> {
    let mut draft = Draft::new();
    trial.app.take(&mut draft, share, amounts).await?;
    Ok(draft.answer(()))
}

async fn lab(limit: Amounts) -> (Trial, Share) {
    let trial = Trial::new().await;
    let share = Share {
        project: trial.project("Lab", trial.admin).await,
        site: trial.site("Kashiwa", &[]).await,
    };
    done(trial.app.set_quota(&trial.by(trial.admin).await, share, limit).await);
    (trial, share)
}

#[tokio::test]
async fn use_is_the_sum_of_what_is_there_at_that_site() {
    let (trial, share) = lab(machines(1)).await;
    let elsewhere = Share {
        site: trial.site("Osaka", &[]).await,
        ..share
    };
    let mut batch = Batch::new();
    batch.insert(&machine(share, "one", shape(2, 1024, 40)));
    batch.insert(&machine(elsewhere, "two", shape(64, 1, 1)));
    let mut changing = machine(share, "three", shape(4, 512, 10));
    changing.placing = Some(Placing {
        meant: meant(2, shape(1, 2048, 10)),
        since: Timestamp::now(),
    });
    changing.before = Some(meant(1, shape(1, 512, 15)));
    batch.insert(&changing);
    for (number, site) in [(1, share.site), (2, share.site), (3, elsewhere.site)] {
        batch.insert(&GlobalIp {
            id: GlobalIpId(Uuid::now_v7()),
            site,
            address: [192, 0, 2, number].into(),
            project: (number != 2).then_some(share.project),
            created: Timestamp::now(),
        });
    }
    write(&trial, batch).await;
    let used = Amounts {
        vms: 2,
        vcpus: 6,
        memory_mib: 3072,
        disk_gib: 55,
        global_ips: 1,
        segments: 0,
    };
    assert_eq!(trial.app.in_use(share).await.unwrap(), used);
    let admin = trial.by(trial.admin).await;
    assert_eq!(trial.app.quota(&admin, share).await.unwrap().value.used, used);
    let refused = refused(trial.app.delete_quota(&admin, share).await);
    assert_eq!(refused.kind, ProblemKind::Conflict);
    assert_eq!(
        done(trial.app.set_quota(&admin, share, machines(0)).await).value.used,
        used,
        "what is in use stays"
    );
}

#[tokio::test]
async fn numbers_that_are_too_large_do_not_wrap() {
    let (trial, share) = lab(machines(9)).await;
    let mut batch = Batch::new();
    for name in ["one", "two"] {
        batch.insert(&machine(share, name, shape(u32::MAX, u64::MAX, u64::MAX)));
    }
    write(&trial, batch).await;
    let used = trial.app.in_use(share).await.unwrap();
    assert_eq!(
        (used.vcpus, used.memory_mib, used.disk_gib),
        (u32::MAX, u64::MAX, u64::MAX)
    );
    assert!(take(&trial, share, takes_of(&shape(u32::MAX, 1, 1))).await.is_err());
}

#[tokio::test]
async fn what_is_short_is_named_with_how_much() {
    let limit = Amounts {
        vms: 2,
        vcpus: 8,
        memory_mib: 4096,
        disk_gib: 100,
        ..Amounts::default()
    };
    let (trial, share) = lab(limit).await;
    let mut batch = Batch::new();
    batch.insert(&machine(share, "one", shape(6, 1024, 40)));
    write(&trial, batch).await;
    let problem = take(&trial, share, takes_of(&shape(4, 1024, 80))).await.unwrap_err();
    assert_eq!(
        (problem.kind, problem.field.as_deref()),
        (ProblemKind::Conflict, Some("vcpus"))
    );
    for told in [
        "project `Lab` at site `Kashiwa`",
        "6 of 8 are in use, 2 too many",
        "20 too many",
    ] {
        assert!(problem.title.contains(told), "{}", problem.title);
    }
    let network = Amounts {
        segments: 1,
        ..Amounts::default()
    };
    let problem = take(&trial, share, network).await.unwrap_err();
    assert_eq!(problem.field.as_deref(), Some("segments"));
    let elsewhere = Share {
        site: trial.site("Osaka", &[]).await,
        ..share
    };
    let problem = take(&trial, elsewhere, machines(1)).await.unwrap_err();
    assert!(problem.title.contains("has no quota"), "{}", problem.title);
}

#[tokio::test]
async fn one_decision_cannot_take_the_same_piece_twice_and_its_plan_tells_the_whole() {
    let (trial, share) = lab(machines(2)).await;
    let mut draft = Draft::new();
    for _ in 0..2 {
        trial.app.take(&mut draft, share, machines(1)).await.unwrap();
    }
    assert!(trial.app.take(&mut draft, share, machines(1)).await.is_err());
    let takes = draft.answer(()).into_plan().takes;
    assert_eq!(takes.len(), 1);
    assert_eq!(takes[0].amounts, machines(2));
}

#[tokio::test]
async fn two_decisions_cannot_both_take_the_last_piece() {
    let (trial, share) = lab(machines(1)).await;
    let admin = trial.by(trial.admin).await;
    let (one, other) = (
        take(&trial, share, machines(1)).await.unwrap(),
        take(&trial, share, machines(1)).await.unwrap(),
    );
    trial.commit(&admin, one).await.unwrap();
    assert!(matches!(
        trial.commit(&admin, other).await,
        Err(CommitError::Stale { .. })
    ));
}
