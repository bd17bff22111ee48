use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_types::id::VmId;
use renkei_types::lease::NewLease;
use renkei_types::operation::{Generation, OperationState};
use renkei_types::project::ProjectPatch;
use renkei_types::quota::Amounts;
use renkei_types::segment::{NewSegment, SegmentPatch};
use uuid::Uuid;

use super::trial::{Net, mapping, new, rule};
use super::*;
use crate::app::decision::Draft;
use crate::app::lease::{Taken, Wanted};
use crate::app::trial::{done, first_page, plan, planned, refused, seen};

#[tokio::test]
async fn ranges_of_one_project_at_one_site_do_not_overlap() {
    let net = Net::new().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let one = NewSegment {
        v6: Some("fd00:15::/64".parse().unwrap()),
        ..new("one")
    };
    done(app.create_segment(&asked, net.project, one).await);
    let with = |v4: Option<&str>, v6: Option<&str>| NewSegment {
        v4: v4.map(|range| range.parse().unwrap()),
        v6: v6.map(|range| range.parse().unwrap()),
        ..new("two")
    };
    for (v4, v6, field) in [
        (Some("10.15.4.0/24"), None, "v4"),
        (Some("10.0.0.0/8"), None, "v4"),
        (Some("10.16.0.0/24"), Some("fd00:15::/56"), "v6"),
    ] {
        let problem = refused(app.create_segment(&asked, net.project, with(v4, v6)).await);
        assert_eq!(
            (problem.kind, problem.field.as_deref()),
            (ProblemKind::Conflict, Some(field))
        );
        assert!(problem.title.contains("`one`"), "{}", problem.title);
    }
    done(
        app.create_segment(&asked, net.project, with(Some("10.16.0.0/24"), Some("fd00:16::/64")))
            .await,
    );
}

fn becomes_default() -> SegmentPatch {
    SegmentPatch {
        default: Some(true),
        ..SegmentPatch::default()
    }
}

#[tokio::test]
async fn the_first_is_the_default_one_and_there_is_one() {
    let net = Net::new().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let (one, two) = (net.segment("one").await, net.segment("two").await);
    assert!(one.default && !two.default);
    assert_eq!((one.v4.to_string().as_str(), one.mtu), ("10.15.0.0/21", 1450));
    assert_eq!(two.v4.to_string(), "10.15.8.0/21", "a gateway tells them apart");
    assert_ne!(one.vni, two.vni);
    assert!((1..1 << 24).contains(&one.vni));
    let patch = SegmentPatch {
        default: Some(false),
        ..SegmentPatch::default()
    };
    assert_eq!(
        refused(app.change_segment(&asked, one.id, patch).await).kind,
        ProblemKind::Conflict
    );
    done(app.change_segment(&asked, two.id, becomes_default()).await);
    let listed = app.mdx_segments(&asked, net.project).await.unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|segment| (segment.name.as_str(), segment.default))
        .collect();
    assert_eq!(listed, [("two", true), ("one", false)]);
    assert_eq!(
        refused(app.create_segment(&asked, net.project, new("ONE")).await).kind,
        ProblemKind::Conflict
    );
    // The default one goes last.
    assert_eq!(
        refused(app.delete_segment(&asked, two.id).await).kind,
        ProblemKind::Conflict
    );
    done(app.delete_segment(&asked, one.id).await);
    done(app.delete_segment(&asked, two.id).await);
    assert!(app.default_segment(net.project).await.unwrap().is_none());
}

#[tokio::test]
async fn each_change_is_a_generation_that_waits_for_the_site() {
    let net = Net::new().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let segment = net.segment("lab").await;
    let acl = done(
        app.create_acl(&asked, segment.id, rule("0.0.0.0/0", "10.15.0.0/21"))
            .await,
    );
    let patch = SegmentPatch {
        strict: Some(true),
        ..SegmentPatch::default()
    };
    let changed = done(app.change_segment(&asked, segment.id, patch.clone()).await);
    assert_eq!((changed.version, changed.value.generation), (3, Generation(3)));
    // What changes nothing is no generation.
    assert_eq!(done(app.change_segment(&asked, segment.id, patch).await).version, 3);
    let told = net.operations(acl.value.id.0).await.remove(0);
    assert_eq!(
        (told.state, told.generation, told.through),
        (OperationState::Running, Generation(2), Some(segment.id.0))
    );
    assert_eq!(told.waiting.unwrap().what, "a host at site `Kashiwa`");

    let host = net.gateway().await;
    assert!(net.manifest(host).await.segments.is_empty());
    app.settle_segments(net.site, Timestamp::now()).await.unwrap();
    assert_eq!(
        net.manifest(host).await.segments,
        BTreeMap::from([(segment.id, Generation(3))])
    );
    let version = net.manifest(host).await.is.version;
    app.settle_segments(net.site, Timestamp::now()).await.unwrap();
    assert_eq!(net.manifest(host).await.is.version, version);
    let told = net.operations(acl.value.id.0).await.remove(0);
    assert_eq!(told.waiting.unwrap().what, format!("host `{host}` at site `Kashiwa`"));

    // Another host's word does not count, an earlier generation ends what is as early.
    let report = |generation| BTreeMap::from([(segment.id, Generation(generation))]);
    let stranger = renkei_types::id::HostId(Uuid::now_v7());
    app.heard_segments(stranger, &report(3), Timestamp::now())
        .await
        .unwrap();
    app.heard_segments(host, &report(2), Timestamp::now()).await.unwrap();
    assert_eq!(net.operations(acl.value.id.0).await[0].state, OperationState::Done);
    let states: Vec<_> = net
        .operations(segment.id.0)
        .await
        .iter()
        .map(|told| told.state)
        .collect();
    assert_eq!(states, [OperationState::Done, OperationState::Running]);
    net.obeys(host).await;
    assert!(
        net.operations(segment.id.0)
            .await
            .iter()
            .all(|told| told.state == OperationState::Done)
    );
    assert_eq!(net.now(segment.id).await.unwrap().seen, Generation(3));

    done(app.delete_acl(&asked, acl.value.id).await);
    assert_eq!(net.manifest(host).await.segments[&segment.id], Generation(4));
    let told = net.operations(acl.value.id.0).await.remove(1);
    assert_eq!(told.waiting.unwrap().what, format!("host `{host}` at site `Kashiwa`"));
}

#[tokio::test]
async fn a_segment_is_a_tombstone_until_the_site_has_confirmed_it() {
    let net = Net::new().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let host = net.gateway().await;
    let segment = net.segment("lab").await;
    done(
        app.create_acl(&asked, segment.id, rule("0.0.0.0/0", "10.15.0.0/21"))
            .await,
    );
    done(app.delete_segment(&asked, segment.id).await);
    done(app.delete_segment(&asked, segment.id).await);
    let tombstone = net.now(segment.id).await.unwrap();
    assert!(tombstone.tombstone && !tombstone.default);
    assert!(
        app.acls(&asked, net.project, &first_page())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    for refusal in [
        refused(
            app.create_acl(&asked, segment.id, rule("0.0.0.0/0", "10.15.0.0/21"))
                .await,
        ),
        refused(
            app.reserve_lease(
                &asked,
                segment.id,
                NewLease {
                    address: None,
                    note: String::new(),
                },
            )
            .await,
        ),
        refused(app.create_segment(&asked, net.project, new("lab")).await),
    ] {
        assert_eq!(refusal.kind, ProblemKind::Conflict, "{refusal:?}");
    }
    net.obeys(host).await;
    assert!(net.now(segment.id).await.is_none());
    assert!(net.manifest(host).await.segments.is_empty());
    assert!(
        net.operations(segment.id.0)
            .await
            .iter()
            .all(|told| told.state == OperationState::Done)
    );
    net.segment("lab").await;
}

#[tokio::test]
async fn without_a_host_a_segment_is_gone_at_once() {
    let net = Net::new().await;
    let segment = net.segment("lab").await;
    done(net.trial.app.delete_segment(&net.asked().await, segment.id).await);
    assert!(net.now(segment.id).await.is_none());
    let told = net.operations(segment.id.0).await;
    assert_eq!(told.len(), 2);
    assert!(
        told.iter()
            .all(|told| told.state == OperationState::Done && told.waiting.is_none())
    );
}

#[tokio::test]
async fn what_holds_a_segment_keeps_it() {
    let net = Net::new().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let segment = net.segment("lab").await;
    let refusal = async || refused(app.delete_segment(&net.asked().await, segment.id).await).title;
    let vm = VmId(Uuid::now_v7());
    let mut draft = Draft::new();
    let row = app.get::<Segment>("segment", segment.id.0).await.unwrap();
    let wanted = Wanted {
        segment: &row,
        address: None,
        vm,
        now: asked.now,
    };
    app.lease(&mut draft, &mut Taken::default(), &wanted).await.unwrap();
    app.store.state.commit(draft.by_itself(asked.now)).await.unwrap();
    assert!(refusal().await.contains("a machine with address `10.15.0.2`"));
    let mut batch = renkei_store::Batch::new();
    app.unlease(&mut batch, vm).await.unwrap();
    app.store.state.commit(batch).await.unwrap();
    let new = NewLease {
        address: None,
        note: String::new(),
    };
    let lease = done(app.reserve_lease(&asked, segment.id, new).await);
    assert!(refusal().await.contains("the reserved address `10.15.0.2`"));
    done(app.release_lease(&asked, lease.value.id).await);
    net.address("203.0.113.7").await;
    let dnat = done(
        app.create_dnat(&asked, net.project, mapping("203.0.113.7", segment.id, "10.15.0.2"))
            .await,
    );
    assert!(refusal().await.contains("the mapping of `203.0.113.7`"));
    done(app.delete_dnat(&asked, dnat.value.id).await);
    done(app.delete_segment(&net.asked().await, segment.id).await);
}

#[tokio::test]
async fn segments_are_taken_from_the_quota_and_a_plan_takes_none() {
    let net = Net::new().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let told = plan(app.create_segment(&planned(asked.clone()), net.project, new("a")).await);
    let one = Amounts {
        segments: 1,
        ..Amounts::default()
    };
    assert_eq!(told.takes[0].amounts, one);
    for name in ["a", "b", "c", "d"] {
        net.segment(name).await;
    }
    let problem = refused(app.create_segment(&asked, net.project, new("e")).await);
    assert_eq!(
        (problem.kind, problem.field.as_deref()),
        (ProblemKind::Conflict, Some("segments"))
    );
}

#[tokio::test]
async fn what_no_network_can_be_is_refused_with_its_field() {
    let net = Net::new().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let with = |change: &dyn Fn(&mut NewSegment)| {
        let mut new = new("lab");
        change(&mut new);
        new
    };
    let range = |text: &str| Some(text.parse().unwrap());
    for (new, field) in [
        (with(&|new| new.v4 = range("10.0.0.0/30")), "v4"),
        (with(&|new| new.v4 = range("10.0.0.0/7")), "v4"),
        (with(&|new| new.v4 = range("fd00::/64")), "v4"),
        (with(&|new| new.v4 = range("127.0.0.0/8")), "v4"),
        (with(&|new| new.v4 = range("224.0.0.0/24")), "v4"),
        (with(&|new| new.v6 = range("10.0.0.0/24")), "v6"),
        (with(&|new| new.v6 = range("fe80::/64")), "v6"),
        (with(&|new| new.v6 = range("fd00::/120")), "v6"),
        (with(&|new| new.mtu = Some(576)), "mtu"),
        (with(&|new| new.dns = vec![[10, 0, 0, 1].into(); 9]), "dns"),
        (with(&|new| new.sites = vec![net.site, net.site]), "sites"),
        (with(&|new| new.sites = vec![SiteId(Uuid::nil())]), "sites"),
    ] {
        let problem = refused(app.create_segment(&asked, net.project, new).await);
        assert_eq!(
            (problem.kind, problem.field.as_deref()),
            (ProblemKind::Invalid, Some(field)),
            "{problem:?}"
        );
    }
}

#[tokio::test]
async fn a_change_names_the_generation_that_was_seen() {
    let net = Net::new().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let host = net.gateway().await;
    let made = net.segment("lab").await;
    let shown = app.segment(&asked, made.id).await.unwrap();
    net.obeys(host).await;
    let patch = |name: &str| SegmentPatch {
        name: Some(name.parse().unwrap()),
        ..SegmentPatch::default()
    };
    done(
        app.change_segment(&seen(asked.clone(), &shown), made.id, patch("x"))
            .await,
    );
    let problem = refused(app.change_segment(&seen(asked, &shown), made.id, patch("y")).await);
    assert_eq!(problem.kind, ProblemKind::Changed);
}

#[tokio::test]
async fn the_default_one_is_where_the_project_is_at_home() {
    let net = Net::new().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let osaka = net.trial.site("Osaka", &[]).await;
    net.allow(net.project, osaka).await;
    let here = net.segment("here").await;
    let at_osaka = NewSegment {
        sites: vec![osaka],
        ..new("there")
    };
    let there = done(app.create_segment(&asked, net.project, at_osaka).await).value;
    let home = |site| ProjectPatch {
        default_site: Some(site),
        ..ProjectPatch::default()
    };
    done(app.change_project(&asked, net.project, home(osaka)).await);
    assert_eq!(
        app.default_segment(net.project).await.unwrap().unwrap().value.id,
        there.id
    );
    assert_eq!(net.now(here.id).await.unwrap().generation, Generation(2));
    let problem = refused(app.change_segment(&asked, here.id, becomes_default()).await);
    assert_eq!(
        (problem.kind, problem.field.as_deref()),
        (ProblemKind::Invalid, Some("default"))
    );
    for name in ["`Kashiwa`", "`Osaka`"] {
        assert!(problem.title.contains(name), "{}", problem.title);
    }
    let nowhere = home(SiteId(Uuid::nil()));
    let problem = refused(app.change_project(&asked, net.project, nowhere).await);
    assert_eq!(problem.field.as_deref(), Some("default_site"));
    assert_eq!(
        refused(app.delete_project(&asked, net.project).await).kind,
        ProblemKind::Conflict
    );
}

#[tokio::test]
async fn a_host_that_is_ahead_of_the_database_is_told_something_later() {
    let net = Net::new().await;
    let host = net.gateway().await;
    let segment = net.segment("lab").await;
    let report = BTreeMap::from([(segment.id, Generation(9))]);
    net.trial
        .app
        .heard_segments(host, &report, Timestamp::now())
        .await
        .unwrap();
    assert_eq!(net.now(segment.id).await.unwrap().generation, Generation(10));
    assert_eq!(net.manifest(host).await.segments[&segment.id], Generation(10));
    net.obeys(host).await;
    assert!(
        net.operations(segment.id.0)
            .await
            .iter()
            .all(|told| told.state == OperationState::Done)
    );
}
