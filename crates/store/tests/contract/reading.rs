//! Scans, lists and events.

use renkei_store::error::StateError;
use renkei_store::{Batch, EventQuery, ListQuery, Stored};
use renkei_types::id::{OrganizationId, ProjectId, UserId};
use renkei_types::project::Project;
use uuid::Uuid;

use crate::bench::{Bench, event, insert, project};

/// Projects `name0` … in one organization, ids growing.
fn projects(organization: OrganizationId, count: usize) -> Vec<Project> {
    let one = |place| Project {
        organization,
        ..project(&format!("{}{place}", organization.0.simple()))
    };
    (0..count).map(one).collect()
}

fn ids(rows: &[Stored<Project>]) -> Vec<Uuid> {
    rows.iter().map(|row| row.id.0).collect()
}

pub async fn versions_tell_which_rows_have_changed(bench: Bench) {
    let organization = OrganizationId(Uuid::now_v7());
    let own = projects(organization, 7);
    let others = projects(OrganizationId(Uuid::now_v7()), 3);
    insert(&bench.a, &own).await;
    insert(&bench.a, &others).await;
    let (state, key) = (&bench.b.state, organization.to_string());
    let changed = state.get::<Project>(own[2].id.0).await.unwrap().unwrap();
    let mut batch = Batch::new();
    batch.touch(&changed);
    state.commit(batch).await.unwrap();
    let mut found = state.versions_of::<Project>("organization", &key).await.unwrap();
    found.sort_unstable();
    let mut expected: Vec<(Uuid, u64)> = own
        .iter()
        .map(|one| (one.id.0, 1 + u64::from(one.id == own[2].id)))
        .collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(state.versions::<Project>().await.unwrap().len(), 10);
    let none = state.versions_of::<Project>("organization", "no\0key").await.unwrap();
    assert!(none.is_empty());
    let unknown = state.versions_of::<Project>("color", "red").await;
    assert!(matches!(unknown, Err(StateError::NoSuchIndex { .. })));
    let wanted = [own[2].id.0, Uuid::nil(), others[0].id.0];
    let rows = state.some::<Project>(&wanted).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert!(
        rows.iter()
            .all(|row| row.version == 1 + u64::from(row.value.id == own[2].id))
    );
    assert!(state.some::<Project>(&[]).await.unwrap().is_empty());
}

pub async fn a_scan_gives_all_in_the_order_of_ids(bench: Bench) {
    let organization = OrganizationId(Uuid::now_v7());
    let mut own = projects(organization, 45);
    let others = projects(OrganizationId(Uuid::now_v7()), 5);
    own.reverse();
    insert(&bench.a, &own).await;
    insert(&bench.a, &others).await;
    let key = organization.to_string();
    let mut found = Vec::new();
    loop {
        let after = found.last().copied();
        let page = bench
            .b
            .state
            .scan::<Project>("organization", &key, after, 10)
            .await
            .unwrap();
        found.extend(ids(&page));
        if page.len() < 10 {
            break;
        }
    }
    let mut expected: Vec<Uuid> = own.iter().map(|row| row.id.0).collect();
    expected.sort();
    assert_eq!(found, expected);
    let all = bench.b.state.all::<Project>(Some(expected[44]), 100).await.unwrap();
    assert_eq!(ids(&all), others.iter().map(|row| row.id.0).collect::<Vec<_>>());
}

pub async fn only_declared_indexes_can_be_asked_for(bench: Bench) {
    let error = bench.a.state.scan::<Project>("body", "x", None, 1).await.unwrap_err();
    assert!(
        matches!(&error, StateError::NoSuchIndex { table: "project", index } if index == "body"),
        "{error}"
    );
    // Not unique.
    assert!(bench.a.state.find::<Project>("organization", "x").await.is_err());
    let order = Some("version");
    let query = ListQuery {
        order,
        limit: 1,
        ..ListQuery::default()
    };
    assert!(bench.a.read.list::<Project>(&query).await.is_err());
}

pub async fn lists_are_cut_by_key(bench: Bench) {
    let names = ["b", "B2", "ä", "a", "z", "Z9", "計算", "a-b", "a b", "👩"];
    insert(&bench.a, &names.map(project)).await;
    let mut folded: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    folded.sort();
    let mut query = ListQuery {
        order: Some("name"),
        limit: 3,
        ..ListQuery::default()
    };
    let mut found = Vec::new();
    loop {
        let page = bench.a.read.list::<Project>(&query).await.unwrap();
        let Some(last) = page.last() else { break };
        query.after = Some((last.name.folded(), last.id.0));
        found.extend(page.iter().map(|row| row.name.folded()));
    }
    assert_eq!(found, folded);
}

pub async fn a_list_is_filtered(bench: Bench) {
    let organization = OrganizationId(Uuid::now_v7());
    let own = projects(organization, 4);
    insert(&bench.a, &own).await;
    insert(&bench.a, &[project("other")]).await;
    let list = async |equals: &[(&'static str, &str)], only: Option<&[usize]>| {
        let query = ListQuery {
            equals: equals.iter().map(|(index, key)| (*index, (*key).to_owned())).collect(),
            ids: only.map(|places| places.iter().map(|place| own[*place].id.0).collect()),
            limit: 100,
            ..ListQuery::default()
        };
        bench.b.read.list::<Project>(&query).await.unwrap().len()
    };
    let key = organization.to_string();
    assert_eq!(list(&[], None).await, 5);
    assert_eq!(list(&[("organization", &key)], None).await, 4);
    assert_eq!(list(&[("organization", &key)], Some(&[1, 3])).await, 2);
    assert_eq!(list(&[("organization", &key), ("name", "other")], None).await, 0);
    assert_eq!(list(&[], Some(&[])).await, 0);
    assert_eq!(list(&[("name", "a\0b")], None).await, 0);
}

pub async fn events_are_numbered_without_gaps(bench: Bench) {
    for count in [1, 40, 3] {
        let mut batch = Batch::new();
        (0..count).for_each(|_| batch.append(event("project", Uuid::nil())));
        bench.a.state.commit(batch).await.unwrap();
    }
    let query = EventQuery {
        limit: 100,
        ..EventQuery::default()
    };
    let all = bench.b.read.events(&query).await.unwrap();
    assert!(all.iter().map(|event| event.id).eq(1..=44));
    let later = EventQuery {
        after: Some(40),
        ..query.clone()
    };
    let later = bench.b.read.events(&later).await.unwrap();
    assert_eq!(later, all[40..]);
    let newest = EventQuery {
        before: Some(44),
        newest_first: true,
        limit: 2,
        ..query
    };
    let newest = bench.b.read.events(&newest).await.unwrap();
    assert_eq!([newest[0].id, newest[1].id], [43, 42]);
}

pub async fn events_are_filtered(bench: Bench) {
    let (project, user, object) = (ProjectId(Uuid::now_v7()), UserId(Uuid::now_v7()), Uuid::now_v7());
    let mut batch = Batch::new();
    batch.append(event("site", object));
    let mut with_project = event("project", project.0);
    with_project.project = Some(project);
    batch.append(with_project);
    let mut with_user = event("project", Uuid::nil());
    with_user.by.user = Some(user);
    batch.append(with_user);
    bench.a.state.commit(batch).await.unwrap();
    let found = async |query: EventQuery| {
        let query = EventQuery { limit: 9, ..query };
        let events = bench.b.read.events(&query).await.unwrap();
        events.iter().map(|event| event.id).collect::<Vec<_>>()
    };
    let all = EventQuery::default;
    assert_eq!(
        found(EventQuery {
            object: Some(object),
            ..all()
        })
        .await,
        [1]
    );
    assert_eq!(
        found(EventQuery {
            project: Some(project),
            ..all()
        })
        .await,
        [2]
    );
    assert_eq!(
        found(EventQuery {
            user: Some(user),
            ..all()
        })
        .await,
        [3]
    );
    assert_eq!(
        found(EventQuery {
            noun: Some("project".to_owned()),
            ..all()
        })
        .await,
        [2, 3]
    );
    assert!(
        found(EventQuery {
            noun: Some("\0".to_owned()),
            ..all()
        })
        .await
        .is_empty()
    );
}
