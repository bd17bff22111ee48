use renkei_store::Batch;
use renkei_types::change::Plan;
use renkei_types::reach::Open;
use renkei_types::vm::{Adapter, Power};

use super::*;
use crate::app::segment::trial::{Net, mapping, new, rule};
use crate::app::trial::{done, plan, planned};
use crate::app::vm::trial::machine;

const ADDRESS: &str = "10.15.0.2";
const OUTSIDE: &str = "203.0.113.7";

/// `Lab` with segment `lan`, in it a machine.
async fn lab() -> (Net, Segment, Vm) {
    let net = Net::new().await;
    let segment = net.segment("lan").await;
    net.address(OUTSIDE).await;
    let (mut row, _) = machine(Power::On);
    row.vm.project = net.project;
    row.vm.site = net.site;
    row.vm.operation = None;
    row.vm.meant.adapters.push(Adapter {
        number: 1,
        segment: segment.id,
        mac: "52:54:00:00:00:01".parse().unwrap(),
        addresses: vec![ADDRESS.parse().unwrap()],
    });
    let mut batch = Batch::new();
    batch.insert(&row);
    net.trial.app.store.state.commit(batch).await.unwrap();
    (net, segment, row.vm)
}

/// What comes in from elsewhere than the segment: from where, by which outside address.
async fn open(net: &Net, vm: &Vm) -> Vec<(String, Option<IpAddr>)> {
    let reach = net.trial.app.reach(&net.asked().await, vm.id).await.unwrap();
    assert_eq!(reach.vm, vm.id);
    let comes = |way: &&Way| way.direction == Direction::In && way.by != Open::SameSegment;
    let comes = reach.ways.iter().filter(comes);
    comes.map(|way| (way.from.to_string(), way.through)).collect()
}

fn told(plan: &Plan) -> (Vec<String>, Vec<String>) {
    let from = |ways: &[OfVm]| ways.iter().map(|of| format!("{} {}", of.name, of.way.from)).collect();
    (from(&plan.opens), from(&plan.closes))
}

fn some(text: &str) -> Vec<String> {
    vec![format!("m {text}")]
}

#[tokio::test]
async fn a_rule_and_a_mapping_together_open_what_either_of_them_closes() {
    let (net, segment, vm) = lab().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let look = planned(asked.clone());
    let from_all = rule("0.0.0.0/0", ADDRESS);
    let to_it = mapping(OUTSIDE, segment.id, ADDRESS);
    let nothing: (Vec<String>, Vec<String>) = Default::default();
    assert_eq!(open(&net, &vm).await, []);
    let alone = plan(app.create_acl(&look, segment.id, from_all.clone()).await);
    assert_eq!(told(&alone), nothing, "nothing leads to it from outside");
    assert_eq!(
        told(&plan(app.create_dnat(&look, net.project, to_it.clone()).await)),
        nothing
    );
    let acl = done(app.create_acl(&asked, segment.id, from_all).await).value;
    let both = plan(app.create_dnat(&look, net.project, to_it.clone()).await);
    assert_eq!(told(&both), (some("0.0.0.0/0"), vec![]));
    assert_eq!((both.opens[0].vm, both.opens[0].way.by), (vm.id, Open::Rule(acl.id)));
    assert_eq!(open(&net, &vm).await, [], "a plan changes nothing");
    let dnat = done(app.create_dnat(&asked, net.project, to_it).await).value;
    assert_eq!(open(&net, &vm).await, [("0.0.0.0/0".to_owned(), OUTSIDE.parse().ok())]);

    let narrower = plan(app.replace_acl(&look, acl.id, rule("192.0.2.0/24", ADDRESS)).await);
    assert_eq!(told(&narrower), (some("192.0.2.0/24"), some("0.0.0.0/0")));
    let elsewhere = mapping(OUTSIDE, segment.id, "10.15.0.3");
    let closed = (vec![], some("0.0.0.0/0"));
    assert_eq!(told(&plan(app.replace_dnat(&look, dnat.id, elsewhere).await)), closed);
    assert_eq!(told(&plan(app.delete_dnat(&look, dnat.id).await)), closed);
    assert_eq!(told(&plan(app.delete_acl(&look, acl.id).await)), closed);
    done(app.delete_acl(&asked, acl.id).await);
    assert_eq!(open(&net, &vm).await, []);
}

#[tokio::test]
async fn it_is_what_the_gateway_is_told_and_nothing_of_other_projects() {
    let (net, segment, vm) = lab().await;
    let app = &net.trial.app;
    let other = net.trial.project("Other", net.ann).await;
    net.allow(other, net.site).await;
    let asked = net.asked().await;
    let theirs = done(app.create_segment(&asked, other, new("theirs")).await).value;
    for id in [segment.id, theirs.id] {
        done(app.create_acl(&asked, id, rule("0.0.0.0/0", ADDRESS)).await);
    }
    let soon = asked.now + jiff::SignedDuration::from_secs(60);
    let brief = renkei_types::acl::NewAcl {
        expires: Some(soon),
        ..rule("192.0.2.0/24", ADDRESS)
    };
    done(app.create_acl(&asked, segment.id, brief).await);
    for (now, rules) in [(asked.now, 2), (soon, 1)] {
        let meant = app.meant_at((net.project, net.site), now).await.unwrap();
        assert_eq!(meant.len(), 2);
        assert_eq!(
            app.segment_intent(segment.id, now).await.unwrap().as_ref(),
            meant.get(&segment.id)
        );
        assert_eq!(
            (meant[&segment.id].acls.len(), meant[&theirs.id].acls.len()),
            (rules, 0)
        );
    }
    let reach = app.reach(&asked, vm.id).await.unwrap();
    assert!(reach.ways.iter().all(|way| way.segment == segment.id), "{reach:?}");
    assert_eq!(reach.addresses.len(), 1);
}
