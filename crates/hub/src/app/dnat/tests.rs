use renkei_types::global_ip::TakeGlobalIp;
use renkei_types::operation::{Generation, OperationState};

use super::*;
use crate::app::segment::trial::{Net, mapping, new};
use crate::app::trial::{done, first_page, plan, planned, refused};

#[tokio::test]
async fn a_mapping_takes_a_free_address_within_the_quota_and_leaves_it_to_the_project() {
    let net = Net::new().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let segment = net.segment("lab").await;
    for last in 1..=6 {
        net.address(&format!("203.0.113.{last}")).await;
    }
    let assignable = async || {
        let found = app.assignable(&net.asked().await, net.project).await.unwrap();
        found
            .iter()
            .map(|address| address.to_string().split('.').next_back().unwrap().to_owned())
            .collect::<String>()
    };
    assert_eq!(assignable().await, "1234");
    let told = plan(
        app.create_dnat(
            &planned(asked.clone()),
            net.project,
            mapping("203.0.113.5", segment.id, "10.15.0.2"),
        )
        .await,
    );
    assert_eq!(told.takes[0].amounts.global_ips, 1);
    let dnat = done(
        app.create_dnat(&asked, net.project, mapping("203.0.113.5", segment.id, "10.15.0.2"))
            .await,
    );
    assert_eq!((dnat.value.site, dnat.value.generation), (net.site, Generation(2)));
    assert_eq!(assignable().await, "123");
    let problem = refused(
        app.create_dnat(&asked, net.project, mapping("203.0.113.5", segment.id, "10.15.0.3"))
            .await,
    );
    assert_eq!(
        (problem.kind, problem.field.as_deref()),
        (ProblemKind::Conflict, Some("global_ip"))
    );
    done(app.delete_dnat(&asked, dnat.value.id).await);
    assert_eq!(assignable().await, "5123");
    for last in 1..=3 {
        let new = mapping(&format!("203.0.113.{last}"), segment.id, "10.15.0.2");
        done(app.create_dnat(&asked, net.project, new).await);
    }
    assert_eq!(assignable().await, "5");
    let problem = refused(
        app.create_dnat(&asked, net.project, mapping("203.0.113.4", segment.id, "10.15.0.2"))
            .await,
    );
    assert_eq!(
        (problem.kind, problem.field.as_deref()),
        (ProblemKind::Conflict, Some("global_ips"))
    );
}

#[tokio::test]
async fn an_address_of_another_site_is_refused_with_both_names() {
    let net = Net::new().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let segment = net.segment("lab").await;
    let osaka = net.trial.site("Osaka", &[]).await;
    net.address_at(osaka, "198.51.100.1").await;
    let problem = refused(
        app.create_dnat(&asked, net.project, mapping("198.51.100.1", segment.id, "10.15.0.2"))
            .await,
    );
    assert_eq!(
        (problem.kind, problem.field.as_deref()),
        (ProblemKind::Invalid, Some("global_ip"))
    );
    for name in ["`Kashiwa`", "`Osaka`"] {
        assert!(problem.title.contains(name), "{}", problem.title);
    }
}

#[tokio::test]
async fn a_mapping_that_cannot_be_is_refused_with_its_field() {
    let net = Net::new().await;
    let app = &net.trial.app;
    let segment = net.segment("lab").await;
    net.address("203.0.113.1").await;
    let other = net.trial.project("other", net.ann).await;
    net.allow(other, net.site).await;
    let asked = net.asked().await;
    for (project, new, field) in [
        (
            net.project,
            mapping("203.0.113.9", segment.id, "10.15.0.2"),
            "global_ip",
        ),
        (
            net.project,
            mapping("203.0.113.1", segment.id, "10.16.0.2"),
            "destination",
        ),
        (
            net.project,
            mapping("203.0.113.1", segment.id, "10.15.0.1"),
            "destination",
        ),
        (
            net.project,
            mapping("203.0.113.1", segment.id, "10.15.7.255"),
            "destination",
        ),
        (
            net.project,
            mapping("203.0.113.1", segment.id, "fd00::2"),
            "destination",
        ),
        (other, mapping("203.0.113.1", segment.id, "10.15.0.2"), "segment"),
    ] {
        let problem = refused(app.create_dnat(&asked, project, new).await);
        assert_eq!(
            (problem.kind, problem.field.as_deref()),
            (ProblemKind::Invalid, Some(field)),
            "{problem:?}"
        );
    }
    // What another project has taken cannot be told from what there is not.
    let take = TakeGlobalIp {
        site: Some(net.site),
        address: Some("203.0.113.1".parse().unwrap()),
    };
    done(app.take_global_ip(&asked, other, take.clone()).await);
    let problem = refused(
        app.create_dnat(&asked, net.project, mapping("203.0.113.1", segment.id, "10.15.0.2"))
            .await,
    );
    assert_eq!(
        (problem.kind, problem.field.as_deref()),
        (ProblemKind::Conflict, Some("global_ip"))
    );
    assert_eq!(
        refused(app.take_global_ip(&asked, net.project, take).await).kind,
        ProblemKind::Conflict
    );
}

#[tokio::test]
async fn a_mapping_that_moves_tells_both_segments() {
    let net = Net::new().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let host = net.gateway().await;
    let (one, two) = (net.segment("one").await, net.segment("two").await);
    net.address("203.0.113.1").await;
    let dnat = done(
        app.create_dnat(&asked, net.project, mapping("203.0.113.1", one.id, "10.15.0.2"))
            .await,
    )
    .value;
    let moved = done(
        app.replace_dnat(&asked, dnat.id, mapping("203.0.113.1", two.id, "10.15.8.2"))
            .await,
    )
    .value;
    assert_eq!((moved.segment, moved.generation), (two.id, Generation(2)));
    let segments = net.manifest(host).await.segments;
    assert_eq!((segments[&one.id], segments[&two.id]), (Generation(3), Generation(2)));
    let told = net.operations(dnat.id.0).await;
    let through = |id: SegmentId| told.iter().filter(|told| told.through == Some(id.0)).count();
    assert_eq!((told.len(), through(one.id), through(two.id)), (3, 2, 1));
    net.obeys(host).await;
    assert!(
        net.operations(dnat.id.0)
            .await
            .iter()
            .all(|told| told.state == OperationState::Done)
    );
    let filter = Dnats { segment: Some(one.id) };
    assert!(
        app.dnats(&asked, net.project, &filter, &first_page())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn an_address_is_given_back_when_it_leads_nowhere_and_removed_when_nobody_has_it() {
    let net = Net::new().await;
    let (app, asked) = (&net.trial.app, net.asked().await);
    let admin = net.trial.by(net.trial.admin).await;
    let segment = net.segment("lab").await;
    net.address("203.0.113.1").await;
    let taken = done(app.take_global_ip(&asked, net.project, TakeGlobalIp::default()).await);
    assert_eq!((taken.version, taken.value.project), (2, Some(net.project)));
    let id = taken.value.id;
    let dnat = done(
        app.create_dnat(&asked, net.project, mapping("203.0.113.1", segment.id, "10.15.0.2"))
            .await,
    )
    .value;
    assert_eq!(
        refused(app.give_global_ip_back(&asked, (net.project, id)).await).kind,
        ProblemKind::Conflict
    );
    done(app.delete_dnat(&asked, dnat.id).await);
    assert_eq!(
        refused(app.remove_global_ip(&admin, id).await).kind,
        ProblemKind::Conflict
    );
    assert_eq!(
        refused(app.remove_global_ip(&asked, id).await).kind,
        ProblemKind::NotFound
    );
    done(app.give_global_ip_back(&asked, (net.project, id)).await);
    assert!(
        app.global_ips(&asked, net.project, &first_page())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let query = renkei_store::read::EventQuery {
        object: Some(id.0),
        project: Some(net.project),
        limit: 10,
        ..Default::default()
    };
    // Both that it was taken and that it was given back are told in the project.
    assert_eq!(app.store.read.events(&query).await.unwrap().len(), 2);
    done(app.remove_global_ip(&admin, id).await);
    let problem = refused(app.take_global_ip(&asked, net.project, TakeGlobalIp::default()).await);
    assert_eq!(problem.kind, ProblemKind::Conflict);
}

#[tokio::test]
async fn a_site_keeps_what_it_has() {
    let net = Net::new().await;
    let admin = net.trial.by(net.trial.admin).await;
    let osaka = net.trial.site("Osaka", &[]).await;
    let address = net.address_at(osaka, "198.51.100.1").await;
    assert_eq!(
        refused(net.trial.app.delete_site(&admin, osaka).await).kind,
        ProblemKind::Conflict
    );
    done(net.trial.app.remove_global_ip(&admin, address.id).await);
    done(net.trial.app.delete_site(&admin, osaka).await);
    let made = net
        .trial
        .app
        .create_segment(&net.asked().await, net.project, new("lab"))
        .await;
    assert_eq!(done(made).value.site(), Some(net.site));
}
