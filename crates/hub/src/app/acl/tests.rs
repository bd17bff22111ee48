use jiff::SignedDuration;
use renkei_types::operation::{Generation, OperationState};
use renkei_types::role::Role;
use renkei_types::segment::NewSegment;

use super::*;
use crate::app::segment::trial::{Net, new, rule};
use crate::app::trial::{done, first_page, plan, planned, refused, seen};

fn icmp(ports: &str) -> NewAcl {
    let mut rule = rule("0.0.0.0/0", "10.15.0.0/21");
    rule.allowed.protocol = Protocol::Icmp;
    rule.allowed.destination_ports = ports.parse().unwrap();
    rule
}

#[tokio::test]
async fn a_rule_that_cannot_be_is_refused_with_its_field() {
    let net = Net::new().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let segment = net.segment("lab").await;
    let long = NewAcl {
        note: "x".repeat(201),
        ..rule("0.0.0.0/0", "10.15.0.2")
    };
    let over = NewAcl {
        expires: Some(asked.now - SignedDuration::from_secs(1)),
        ..rule("0.0.0.0/0", "10.15.0.2")
    };
    for (rule, field) in [
        (rule("::/0", "10.15.0.2"), "source"),
        (rule("0.0.0.0/0", "fd00::2"), "source"),
        (rule("::/0", "fd00::2"), "destination"),
        (rule("0.0.0.0/0", "10.16.0.2"), "destination"),
        (icmp("7"), "destination_ports"),
        (long, "note"),
        (over, "expires"),
    ] {
        let problem = refused(app.create_acl(&asked, segment.id, rule).await);
        assert_eq!(
            (problem.kind, problem.field.as_deref()),
            (ProblemKind::Invalid, Some(field)),
            "{problem:?}"
        );
    }
    for rule in [
        icmp("any"),
        rule("10.15.0.0/21", "10.15.0.0/21"),
        // All of IPv4 has the segment in it.
        rule("192.0.2.1", "0.0.0.0/0"),
    ] {
        done(app.create_acl(&asked, segment.id, rule).await);
    }
    let with_v6 = NewSegment {
        v6: Some("fd00::/64".parse().unwrap()),
        ..new("six")
    };
    let six = done(app.create_segment(&asked, net.project, with_v6).await).value;
    done(app.create_acl(&asked, six.id, rule("::/0", "fd00::2")).await);
}

#[tokio::test]
async fn rules_never_conflict_and_each_is_a_generation() {
    let net = Net::new().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let segment = net.segment("lab").await;
    let mut rules = Vec::new();
    for host in 2..6 {
        let rule = rule("0.0.0.0/0", &format!("10.15.0.{host}"));
        rules.push(done(app.create_acl(&asked, segment.id, rule).await));
    }
    let generations: Vec<u64> = rules.iter().map(|rule| rule.value.generation.0).collect();
    assert_eq!(generations, [2, 3, 4, 5]);
    let narrow = rule("192.0.2.0/24", "10.15.0.2");
    let first = &rules[0];
    let replaced = done(
        app.replace_acl(&seen(asked.clone(), first), first.value.id, narrow.clone())
            .await,
    );
    assert_eq!((replaced.version, replaced.value.generation), (2, Generation(6)));
    assert_eq!(replaced.value.created, first.value.created);
    let problem = refused(
        app.replace_acl(
            &seen(asked.clone(), first),
            first.value.id,
            rule("0.0.0.0/0", "10.15.0.2"),
        )
        .await,
    );
    assert_eq!(problem.kind, ProblemKind::Changed);
    // The same again is no change.
    assert_eq!(done(app.replace_acl(&asked, first.value.id, narrow).await).version, 2);
    done(app.delete_acl(&asked, first.value.id).await);
    assert_eq!(net.now(segment.id).await.unwrap().generation, Generation(7));
    let told = net.operations(first.value.id.0).await;
    let told: Vec<_> = told.iter().map(|told| (told.generation.0, told.state)).collect();
    let running = OperationState::Running;
    assert_eq!(told, [(2, running), (6, running), (7, running)]);
}

#[tokio::test]
async fn a_change_is_an_event_with_what_was_and_what_is() {
    let net = Net::new().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let segment = net.segment("lab").await;
    let acl = done(app.create_acl(&asked, segment.id, rule("0.0.0.0/0", "10.15.0.2")).await).value;
    done(app.replace_acl(&asked, acl.id, rule("192.0.2.1", "10.15.0.2")).await);
    done(app.delete_acl(&asked, acl.id).await);
    let query = renkei_store::read::EventQuery {
        object: Some(acl.id.0),
        limit: 10,
        ..Default::default()
    };
    let told = app.store.read.events(&query).await.unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|event| {
            assert_eq!(event.project, Some(net.project));
            let source =
                |shown: &Option<Value>| shown.as_ref().map(|shown| shown["source"].as_str().unwrap().to_owned());
            (event.action.as_str(), source(&event.before), source(&event.after))
        })
        .collect();
    let (any, one) = (Some("0.0.0.0/0".to_owned()), Some("192.0.2.1/32".to_owned()));
    assert_eq!(
        told,
        [
            ("acl:create", None, any.clone()),
            ("acl:change", any, one.clone()),
            ("acl:delete", one, None)
        ]
    );
}

#[tokio::test]
async fn operators_write_rules_and_members_read_them() {
    let net = Net::new().await;
    let app = &net.trial.app;
    let segment = net.segment("lab").await;
    let (bob, eve) = (net.trial.user("bob").await, net.trial.user("eve").await);
    net.trial.seat(net.project, bob, Role::Member).await;
    let (member, stranger) = (net.trial.by(bob).await, net.trial.by(eve).await);
    let new = || rule("0.0.0.0/0", "10.15.0.2");
    assert_eq!(
        refused(app.create_acl(&member, segment.id, new()).await).kind,
        ProblemKind::Forbidden
    );
    let problem = refused(app.create_acl(&stranger, segment.id, new()).await);
    assert!(
        problem.title.contains(&format!("there is no segment `{}`", segment.id)),
        "{}",
        problem.title
    );
    let told = plan(app.create_acl(&planned(net.asked().await), segment.id, new()).await);
    assert_eq!(told.changes.len(), 1);
    let acl = done(app.create_acl(&net.asked().await, segment.id, new()).await).value;
    assert_eq!(app.acl(&member, acl.id).await.unwrap().value, acl);
    assert_eq!(refused(app.acl(&stranger, acl.id).await).kind, ProblemKind::NotFound);
    let listed = app.acls_of_segment(&member, segment.id, &first_page()).await.unwrap();
    assert_eq!(listed.items, [acl]);
}
