use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use renkei_types::lease::NewLease;
use renkei_types::segment::NewSegment;
use uuid::Uuid;

use super::*;
use crate::app::segment::trial::{Net, new};
use crate::app::trial::{done, first_page, refused};

fn small() -> NewSegment {
    NewSegment {
        v4: Some("10.0.0.0/28".parse().unwrap()),
        v6: Some("fd00::/64".parse().unwrap()),
        ..new("small")
    }
}

fn reserve(address: Option<&str>) -> NewLease {
    NewLease {
        address: address.map(|address| address.parse().unwrap()),
        note: String::new(),
    }
}

async fn made(net: &Net, new: NewSegment) -> Stored<Segment> {
    let made = net.trial.app.create_segment(&net.asked().await, net.project, new).await;
    read(net, done(made).value.id).await
}

async fn read(net: &Net, id: SegmentId) -> Stored<Segment> {
    net.trial.app.get::<Segment>("segment", id.0).await.unwrap()
}

/// Issues an address each to these machines in one batch.
async fn deploy(net: &Net, id: SegmentId, wanted: &[(VmId, Option<IpAddr>)]) -> Result<Vec<Vec<IpAddr>>, Problem> {
    let segment = read(net, id).await;
    let now = Timestamp::now();
    let (mut draft, mut taken) = (Draft::new(), Taken::default());
    let mut issued = Vec::new();
    for (vm, address) in wanted {
        let wanted = Wanted {
            segment: &segment,
            address: *address,
            vm: *vm,
            now,
        };
        issued.push(net.trial.app.lease(&mut draft, &mut taken, &wanted).await?);
    }
    net.trial.app.store.state.commit(draft.by_itself(now)).await.unwrap();
    Ok(issued)
}

async fn destroy(net: &Net, vm: VmId) {
    let mut batch = Batch::new();
    net.trial.app.unlease(&mut batch, vm).await.unwrap();
    net.trial.app.store.state.commit(batch).await.unwrap();
}

fn machine() -> VmId {
    VmId(Uuid::now_v7())
}

#[tokio::test]
async fn two_hundred_machines_get_an_address_each_in_one_batch() {
    let net = Net::new().await;
    let segment = net.segment("lab").await;
    let machines: Vec<_> = (0..200).map(|_| (machine(), None)).collect();
    let issued = deploy(&net, segment.id, &machines).await.unwrap();
    let once: BTreeSet<IpAddr> = issued.iter().flatten().copied().collect();
    assert_eq!(once.len(), 200);
    assert_eq!(issued[0][0].to_string(), "10.15.0.2");
    assert_eq!(issued[199][0].to_string(), "10.15.0.201");
}

#[tokio::test]
async fn a_machine_has_the_same_number_in_both_families() {
    let net = Net::new().await;
    let id = made(&net, small()).await.value.id;
    let vm = machine();
    let issued = deploy(&net, id, &[(vm, Some("10.0.0.11".parse().unwrap()))])
        .await
        .unwrap();
    assert_eq!(
        issued[0],
        ["10.0.0.11".parse::<IpAddr>().unwrap(), "fd00::b".parse().unwrap()]
    );
    let problem = refused(deploy(&net, id, &[(machine(), Some("fd00::b".parse().unwrap()))]).await);
    assert_eq!(
        (problem.kind, problem.field.as_deref()),
        (ProblemKind::Conflict, Some("address"))
    );
    destroy(&net, vm).await;
    deploy(&net, id, &[(machine(), Some("fd00::b".parse().unwrap()))])
        .await
        .unwrap();
    for address in [
        "10.0.0.0",
        "10.0.0.1",
        "10.0.0.15",
        "10.0.1.2",
        "fd00::1",
        "fd00::f",
        "fd00::1:0",
    ] {
        let problem = refused(deploy(&net, id, &[(machine(), Some(address.parse().unwrap()))]).await);
        assert_eq!(
            (problem.kind, problem.field.as_deref()),
            (ProblemKind::Invalid, Some("address")),
            "{address}"
        );
    }
}

#[tokio::test]
async fn what_is_reserved_is_for_whoever_asks_for_it_and_stays() {
    let net = Net::new().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let id = made(&net, small()).await.value.id;
    let lease = done(app.reserve_lease(&asked, id, reserve(Some("10.0.0.2"))).await);
    let problem = refused(app.reserve_lease(&asked, id, reserve(Some("10.0.0.2"))).await);
    assert_eq!(problem.kind, ProblemKind::Conflict);
    let first = deploy(&net, id, &[(machine(), None)]).await.unwrap();
    assert_eq!(first[0][0].to_string(), "10.0.0.3");
    let vm = machine();
    deploy(&net, id, &[(vm, Some(lease.value.address))]).await.unwrap();
    let held = app.lease_of(&asked, lease.value.id).await.unwrap().value;
    assert_eq!((held.vm, held.reserved), (Some(vm), true));
    destroy(&net, vm).await;
    assert_eq!(app.lease_of(&asked, lease.value.id).await.unwrap().value.vm, None);
    // A machine's address comes to stay, and ceases to.
    let vm = machine();
    let issued = deploy(&net, id, &[(vm, None)]).await.unwrap();
    let kept = done(
        app.reserve_lease(&asked, id, reserve(Some(&issued[0][0].to_string())))
            .await,
    );
    assert_eq!((kept.value.vm, kept.value.reserved), (Some(vm), true));
    done(app.release_lease(&asked, kept.value.id).await);
    let problem = refused(app.release_lease(&asked, kept.value.id).await);
    assert_eq!(problem.kind, ProblemKind::Conflict);
    destroy(&net, vm).await;
    assert_eq!(
        refused(app.lease_of(&asked, kept.value.id).await).kind,
        ProblemKind::NotFound
    );
    for address in ["10.0.0.0", "10.0.0.1", "10.0.0.15", "fd00::", "10.1.0.0"] {
        let problem = refused(app.reserve_lease(&asked, id, reserve(Some(address))).await);
        assert_eq!(problem.field.as_deref(), Some("address"), "{address}");
    }
}

#[tokio::test]
async fn a_full_segment_says_so() {
    let net = Net::new().await;
    let id = made(&net, small()).await.value.id;
    let machines: Vec<_> = (0..13).map(|_| (machine(), None)).collect();
    deploy(&net, id, &machines).await.unwrap();
    let problem = refused(deploy(&net, id, &[(machine(), None)]).await);
    assert_eq!(problem.kind, ProblemKind::Conflict);
    assert!(problem.title.contains("10.0.0.0/28"), "{}", problem.title);
}

#[tokio::test]
async fn two_that_take_an_address_at_once_do_not_both_get_it() {
    let net = Net::new().await;
    let segment = made(&net, small()).await;
    let now = Timestamp::now();
    let mut drafts = Vec::new();
    for _ in 0..2 {
        let mut draft = Draft::new();
        let wanted = Wanted {
            segment: &segment,
            address: None,
            vm: machine(),
            now,
        };
        net.trial
            .app
            .lease(&mut draft, &mut Taken::default(), &wanted)
            .await
            .unwrap();
        drafts.push(draft.by_itself(now));
    }
    let second = drafts.remove(1);
    net.trial.app.store.state.commit(drafts.remove(0)).await.unwrap();
    assert!(net.trial.app.store.state.commit(second).await.is_err());
}

/// What can happen in a segment.
#[derive(Clone, Debug)]
enum Happens {
    Deploy(usize),
    DeployAt(u8),
    Destroy(usize),
    Reserve(u8),
    Release(usize),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        (1_usize..4).prop_map(Happens::Deploy),
        (0_u8..18).prop_map(Happens::DeployAt),
        (0_usize..16).prop_map(Happens::Destroy),
        (0_u8..18).prop_map(Happens::Reserve),
        (0_usize..16).prop_map(Happens::Release),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_address_is_issued_twice_or_outside(all in prop::collection::vec(happens(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let net = Net::new().await;
            let (app, asked) = (&net.trial.app, net.asked().await);
            let segment = made(&net, small()).await.value;
            let mut machines: BTreeMap<VmId, Vec<IpAddr>> = BTreeMap::new();
            for what in all {
                match what {
                    Happens::Deploy(number) => {
                        let wanted: Vec<_> = (0..number).map(|_| (machine(), None)).collect();
                        if let Ok(issued) = deploy(&net, segment.id, &wanted).await {
                            machines.extend(wanted.iter().map(|(vm, _)| *vm).zip(issued));
                        }
                    }
                    Happens::DeployAt(number) => {
                        let (vm, address) = (machine(), IpAddr::from([10, 0, 0, number]));
                        if let Ok(mut issued) = deploy(&net, segment.id, &[(vm, Some(address))]).await {
                            assert_eq!(issued[0][0], address);
                            machines.insert(vm, issued.remove(0));
                        }
                    }
                    Happens::Destroy(which) => {
                        if let Some(vm) = machines.keys().nth(which).copied() {
                            destroy(&net, vm).await;
                            machines.remove(&vm);
                        }
                    }
                    Happens::Reserve(number) => {
                        let address = format!("10.0.0.{number}");
                        let _ = app.reserve_lease(&asked, segment.id, reserve(Some(&address))).await;
                    }
                    Happens::Release(which) => {
                        let leases = app.leases(&asked, segment.id, &first_page()).await.unwrap().items;
                        if let Some(lease) = leases.get(which) {
                            let _ = app.release_lease(&asked, lease.id).await;
                        }
                    }
                }
                let leases = app.leases(&asked, segment.id, &first_page()).await.unwrap().items;
                let once: BTreeSet<IpAddr> = leases.iter().map(|lease| lease.address).collect();
                assert_eq!(once.len(), leases.len());
                assert!(leases.iter().all(|lease| is_for_machines(&segment, lease.address)), "{leases:?}");
                assert!(leases.iter().all(|lease| lease.vm.is_some() || lease.reserved));
                for (vm, addresses) in &machines {
                    assert_eq!(addresses.len(), 2);
                    let held = leases.iter().filter(|lease| lease.vm == Some(*vm));
                    assert_eq!(held.map(|lease| lease.address).collect::<BTreeSet<_>>(), addresses.iter().copied().collect());
                }
            }
        });
    }
}
