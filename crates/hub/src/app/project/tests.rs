use renkei_store::{Batch, CommitError};
use renkei_types::change::ChangeKind;

use super::super::member::Seat;
use super::super::trial::{Trial, done, first_page, plan, planned, refused, seen};
use super::*;

fn frozen() -> NewFreeze {
    NewFreeze {
        reason: "an incident".to_owned(),
        until: None,
    }
}

#[tokio::test]
async fn a_new_project_has_its_owner_and_tells_of_itself() {
    let trial = Trial::new().await;
    let ann = trial.user("ann").await;
    let project = trial.project("Lab", ann).await;
    let members = trial.members("project", project.0).await;
    assert_eq!(
        members
            .iter()
            .map(|member| (member.user, member.role))
            .collect::<Vec<_>>(),
        [(ann, Role::Owner)]
    );
    let page = trial
        .app
        .operations(&trial.by(ann).await, &Default::default(), &first_page())
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1);
    assert_eq!(
        (page.items[0].verb.as_str(), page.items[0].object.id),
        ("project:create", project.0)
    );
}

#[tokio::test]
async fn a_name_is_there_once_whatever_its_capitals() {
    let trial = Trial::new().await;
    let admin = trial.by(trial.admin).await;
    let lab = trial.project("Lab", trial.admin).await;
    let problem = refused(trial.app.create_project(&admin, trial.wanted("LAB", trial.admin)).await);
    assert_eq!(
        (problem.kind, problem.field.as_deref()),
        (ProblemKind::Conflict, Some("name"))
    );
    let other = trial.project("other", trial.admin).await;
    let to_lab = ProjectPatch {
        name: Some("lab".parse().unwrap()),
        ..ProjectPatch::default()
    };
    assert_eq!(
        refused(trial.app.change_project(&admin, other, to_lab.clone()).await).kind,
        ProblemKind::Conflict
    );
    done(trial.app.change_project(&admin, lab, to_lab).await);
}

#[tokio::test]
async fn whoever_may_not_know_of_a_project_reads_the_same_as_if_there_were_none() {
    let trial = Trial::new().await;
    let (project, nowhere) = (trial.project("Lab", trial.admin).await, ProjectId(Uuid::now_v7()));
    let stranger = trial.by(trial.user("eve").await).await;
    let hidden = refused(trial.app.project(&stranger, project).await);
    let missing = refused(trial.app.project(&stranger, nowhere).await);
    assert_eq!(
        hidden.title.replace(&project.to_string(), "ID"),
        missing.title.replace(&nowhere.to_string(), "ID")
    );
    assert_eq!((hidden.kind, hidden.hint), (ProblemKind::NotFound, missing.hint));
    assert!(
        trial
            .app
            .projects(&stranger, &Projects::default(), &first_page())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn owners_change_a_project_and_not_its_expiry() {
    let trial = Trial::new().await;
    let (ann, bob) = (trial.user("ann").await, trial.user("bob").await);
    let project = trial.project("Lab", ann).await;
    trial.seat(project, bob, Role::Operator).await;
    let patch = ProjectPatch {
        contact: Some("ann@example.org".to_owned()),
        ..ProjectPatch::default()
    };
    let problem = refused(
        trial
            .app
            .change_project(&trial.by(bob).await, project, patch.clone())
            .await,
    );
    assert_eq!(problem.kind, ProblemKind::Forbidden);
    let changed = done(trial.app.change_project(&trial.by(ann).await, project, patch).await);
    assert_eq!(changed.value.contact, "ann@example.org");
    let later = ProjectPatch {
        expires: Some(jiff::Timestamp::MAX),
        ..ProjectPatch::default()
    };
    let problem = refused(
        trial
            .app
            .change_project(&trial.by(ann).await, project, later.clone())
            .await,
    );
    assert_eq!(problem.kind, ProblemKind::Forbidden);
    done(
        trial
            .app
            .change_project(&trial.by(trial.admin).await, project, later)
            .await,
    );
}

#[tokio::test]
async fn a_change_of_what_was_not_seen_is_refused() {
    let trial = Trial::new().await;
    let admin = trial.by(trial.admin).await;
    let project = trial.project("Lab", trial.admin).await;
    let patch = |text: &str| ProjectPatch {
        description: Some(text.to_owned()),
        ..ProjectPatch::default()
    };
    let first = trial.app.project(&admin, project).await.unwrap();
    let second = done(
        trial
            .app
            .change_project(&seen(admin.clone(), &first), project, patch("a"))
            .await,
    );
    assert_eq!(trial.app.project(&admin, project).await.unwrap(), second);
    let problem = refused(
        trial
            .app
            .change_project(&seen(admin, &first), project, patch("b"))
            .await,
    );
    assert_eq!(problem.kind, ProblemKind::Changed);
}

#[tokio::test]
async fn a_plan_tells_what_would_happen_and_does_nothing() {
    let trial = Trial::new().await;
    let asked = planned(trial.by(trial.admin).await);
    let told = plan(trial.app.create_project(&asked, trial.wanted("Lab", trial.admin)).await);
    let changes: Vec<_> = told
        .changes
        .iter()
        .map(|change| (change.kind, change.noun.as_str()))
        .collect();
    assert_eq!(
        changes,
        [(ChangeKind::Create, "project"), (ChangeKind::Create, "member")]
    );
    assert!(trial.app.find::<Project>("name", "lab").await.unwrap().is_none());
    trial.project("Lab", trial.admin).await;
    let told = plan(trial.app.create_project(&asked, trial.wanted("Lab", trial.admin)).await);
    assert_eq!((told.changes.len(), told.refused[0].kind), (0, ProblemKind::Conflict));
}

#[tokio::test]
async fn a_frozen_project_can_be_seen_and_thawed_only() {
    let trial = Trial::new().await;
    let ann = trial.user("ann").await;
    let project = trial.project("Lab", ann).await;
    let problem = refused(
        trial
            .app
            .freeze_project(&trial.by(ann).await, project, Some(frozen()))
            .await,
    );
    assert_eq!(problem.kind, ProblemKind::Forbidden);
    let admin = trial.by(trial.admin).await;
    done(trial.app.freeze_project(&admin, project, Some(frozen())).await);
    assert!(
        trial
            .app
            .project(&trial.by(ann).await, project)
            .await
            .unwrap()
            .value
            .freeze
            .is_some()
    );
    assert_eq!(
        refused(trial.app.delete_project(&admin, project).await).kind,
        ProblemKind::Frozen
    );
    done(trial.app.freeze_project(&admin, project, None).await);
    done(trial.app.delete_project(&admin, project).await);
}

#[tokio::test]
async fn nothing_is_made_in_a_frozen_organization() {
    let trial = Trial::new().await;
    let admin = trial.by(trial.admin).await;
    let project = trial.project("Lab", trial.admin).await;
    done(
        trial
            .app
            .freeze_organization(&admin, trial.organization, Some(frozen()))
            .await,
    );
    let problem = refused(trial.app.create_project(&admin, trial.wanted("new", trial.admin)).await);
    assert_eq!(problem.kind, ProblemKind::Frozen);
    assert_eq!(
        refused(trial.app.delete_project(&admin, project).await).kind,
        ProblemKind::Frozen
    );
}

#[tokio::test]
async fn what_a_new_project_names_must_be_there() {
    let trial = Trial::new().await;
    let admin = trial.by(trial.admin).await;
    let nobody = trial.wanted("Lab", UserId(Uuid::now_v7()));
    assert_eq!(
        refused(trial.app.create_project(&admin, nobody).await).field.as_deref(),
        Some("owner")
    );
    let disabled = trial.account("old", |user| user.enabled = false).await;
    let problem = refused(trial.app.create_project(&admin, trial.wanted("Lab", disabled)).await);
    assert_eq!(problem.field.as_deref(), Some("owner"));
    let nowhere = NewProject {
        organization: OrganizationId(Uuid::now_v7()),
        ..trial.wanted("Lab", trial.admin)
    };
    assert_eq!(
        refused(trial.app.create_project(&admin, nowhere).await)
            .field
            .as_deref(),
        Some("organization")
    );
}

#[tokio::test]
async fn members_and_quotas_go_with_their_project() {
    let trial = Trial::new().await;
    let (ann, site) = (trial.user("ann").await, trial.site("Kashiwa", &[]).await);
    let project = trial.project("Lab", ann).await;
    trial.quota(project, site, 3).await;
    done(trial.app.delete_project(&trial.by(ann).await, project).await);
    assert!(trial.members("project", project.0).await.is_empty());
    assert!(
        trial
            .app
            .every::<QuotaRow>("project", &project.to_string())
            .await
            .unwrap()
            .is_empty()
    );
    let again = trial.project("Lab", ann).await;
    assert_ne!(again, project);
}

#[tokio::test]
async fn nobody_is_added_to_a_project_while_it_is_deleted() {
    let trial = Trial::new().await;
    let (admin, bob) = (trial.by(trial.admin).await, trial.user("bob").await);
    let project = trial.project("Lab", trial.admin).await;
    let deletion = trial.app.project_deletion(&admin, project).await.unwrap();
    trial.seat(project, bob, Role::Reader).await;
    assert!(matches!(
        trial.commit(&admin, deletion).await,
        Err(CommitError::Stale { .. })
    ));
    done(trial.app.delete_project(&admin, project).await);
    assert!(trial.members("project", project.0).await.is_empty());
    let late = trial
        .app
        .set_member(&admin, Seat { project, user: bob }, Role::Reader)
        .await;
    assert_eq!(refused(late).kind, ProblemKind::NotFound);
}

#[tokio::test]
async fn no_project_is_made_in_an_organization_that_is_deleted_beside_it() {
    let trial = Trial::new().await;
    let admin = trial.by(trial.admin).await;
    let wanted = trial.wanted("Lab", trial.admin);
    let creation = trial.app.project_creation(&admin, &wanted).await.unwrap();
    done(trial.app.delete_organization(&admin, trial.organization).await);
    assert!(matches!(
        trial.commit(&admin, creation).await,
        Err(CommitError::Stale { .. })
    ));
    assert_eq!(
        refused(trial.app.create_project(&admin, wanted).await).kind,
        ProblemKind::NotFound
    );
}

#[tokio::test]
async fn no_organization_is_deleted_beside_a_project_that_is_made_in_it() {
    let trial = Trial::new().await;
    let seen = trial
        .app
        .get::<Organization>("organization", trial.organization.0)
        .await
        .unwrap();
    trial.project("Lab", trial.admin).await;
    let mut deletion = Batch::new();
    deletion.delete(&seen);
    let late = trial.app.store.state.commit(deletion).await;
    assert!(matches!(late, Err(CommitError::Stale { .. })));
}

#[tokio::test]
async fn no_account_is_deleted_beside_a_project_that_it_gets() {
    let trial = Trial::new().await;
    let ann = trial.user("ann").await;
    let seen = trial.app.get::<Account>("user", ann.0).await.unwrap();
    trial.project("Lab", ann).await;
    let mut deletion = Batch::new();
    deletion.delete(&seen);
    let late = trial.app.store.state.commit(deletion).await;
    assert!(matches!(late, Err(CommitError::Stale { .. })));
}

#[tokio::test]
async fn a_list_is_cut_into_pages_in_the_order_of_names() {
    let trial = Trial::new().await;
    let admin = trial.by(trial.admin).await;
    for name in ["b", "C", "a"] {
        trial.project(name, trial.admin).await;
    }
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let paging = Paging::new(Some(1), after.as_deref()).unwrap();
        let page = trial.app.projects(&admin, &Projects::default(), &paging).await.unwrap();
        names.extend(page.items.iter().map(|project| project.name.to_string()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(names, ["a", "b", "C"]);
    let one = Projects {
        name: Some("c".parse().unwrap()),
        organization: Some(trial.organization),
    };
    assert_eq!(
        trial
            .app
            .projects(&admin, &one, &first_page())
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}
