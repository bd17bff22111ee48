use renkei_store::{Batch, CommitError};
use renkei_types::id::{SiteId, UserId, VmId};
use renkei_types::role::Role;

use super::*;
use crate::app::trial::{Trial, done, first_page, refused};

fn wanted(name: &str, project: Option<ProjectId>) -> NewTemplate {
    NewTemplate {
        name: name.parse().unwrap(),
        template_name: name.parse().unwrap(),
        project,
        image: None,
        facts: TemplateFacts::default(),
    }
}

async fn image(trial: &Trial, project: ProjectId, state: ImageState) -> ImageId {
    let image = Image {
        id: ImageId(Uuid::now_v7()),
        name: format!("{state}").parse().unwrap(),
        project,
        site: SiteId(Uuid::now_v7()),
        state,
        vm: VmId(Uuid::now_v7()),
        digest: None,
        disk_gib: 40,
        created: jiff::Timestamp::now(),
    };
    let mut batch = Batch::new();
    batch.insert(&image);
    trial.app.store.state.commit(batch).await.unwrap();
    image.id
}

async fn seen(trial: &Trial, user: UserId, filter: &Templates) -> Vec<String> {
    let asked = trial.by(user).await;
    let page = trial.app.templates(&asked, filter, &first_page()).await.unwrap();
    let name = |template: &Template| template.template_name.to_string();
    page.items.iter().map(name).collect()
}

#[tokio::test]
async fn everybody_sees_public_ones_and_those_of_own_projects() {
    let trial = Trial::new().await;
    let (ann, eve) = (trial.user("ann").await, trial.user("eve").await);
    let lab = trial.project("Lab", ann).await;
    let admin = trial.by(trial.admin).await;
    done(trial.app.create_template(&admin, wanted("b-public", None)).await);
    let own = done(
        trial
            .app
            .create_template(&trial.by(ann).await, wanted("a-own", Some(lab)))
            .await,
    )
    .value;
    let all = Templates::default();
    assert_eq!(seen(&trial, ann, &all).await, ["a-own", "b-public"]);
    assert_eq!(seen(&trial, eve, &all).await, ["b-public"]);
    assert_eq!(seen(&trial, trial.admin, &all).await, ["a-own", "b-public"]);
    let of_lab = Templates {
        project: Some(lab),
        ..Templates::default()
    };
    assert_eq!(seen(&trial, ann, &of_lab).await, ["a-own"]);
    let stranger = trial.by(eve).await;
    let problem = refused(trial.app.templates(&stranger, &of_lab, &first_page()).await);
    assert_eq!(problem.kind, ProblemKind::NotFound);
    let problem = refused(trial.app.template(&stranger, own.id).await);
    assert_eq!(problem.kind, ProblemKind::NotFound);
    assert!(problem.title.contains("template"), "{}", problem.title);
}

#[tokio::test]
async fn a_list_over_several_projects_goes_on_where_it_stopped() {
    let trial = Trial::new().await;
    let ann = trial.user("ann").await;
    let (one, other) = (trial.project("one", ann).await, trial.project("other", ann).await);
    let admin = trial.by(trial.admin).await;
    for (name, project) in [
        ("a", Some(one)),
        ("b", Some(other)),
        ("c", None),
        ("d", Some(one)),
        ("e", None),
    ] {
        done(trial.app.create_template(&admin, wanted(name, project)).await);
    }
    let asked = trial.by(ann).await;
    let (mut told, mut after) = (Vec::new(), None);
    loop {
        let paging = Paging::new(Some(2), after.as_deref()).unwrap();
        let page = trial
            .app
            .templates(&asked, &Templates::default(), &paging)
            .await
            .unwrap();
        assert!(page.items.len() <= 2);
        told.extend(
            page.items
                .into_iter()
                .map(|template| template.template_name.to_string()),
        );
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(told, ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn members_write_their_projects_and_administrators_those_of_everybody() {
    let trial = Trial::new().await;
    let (ann, rob) = (trial.user("ann").await, trial.user("rob").await);
    let lab = trial.project("Lab", trial.admin).await;
    trial.seat(lab, ann, Role::Member).await;
    trial.seat(lab, rob, Role::Reader).await;
    let (member, reader, admin) = (trial.by(ann).await, trial.by(rob).await, trial.by(trial.admin).await);
    let problem = refused(trial.app.create_template(&member, wanted("public", None)).await);
    assert_eq!(problem.kind, ProblemKind::Forbidden);
    let problem = refused(trial.app.create_template(&reader, wanted("own", Some(lab))).await);
    assert_eq!(problem.kind, ProblemKind::Forbidden);
    let own = done(trial.app.create_template(&member, wanted("own", Some(lab))).await).value;
    let patch = TemplatePatch {
        facts: Some(TemplateFacts {
            min_disk_gib: 80,
            ..TemplateFacts::default()
        }),
        ..TemplatePatch::default()
    };
    let changed = done(trial.app.change_template(&member, own.id, patch.clone()).await);
    assert_eq!((changed.version, changed.value.facts.min_disk_gib), (2, 80));
    let problem = refused(trial.app.publish_template(&member, own.id).await);
    assert_eq!(problem.kind, ProblemKind::Forbidden);
    let public = done(trial.app.publish_template(&admin, own.id).await).value;
    assert_eq!(public.project, None);
    let problem = refused(trial.app.change_template(&member, own.id, patch).await);
    assert_eq!(problem.kind, ProblemKind::Forbidden);
    let problem = refused(trial.app.delete_template(&member, own.id).await);
    assert_eq!(problem.kind, ProblemKind::Forbidden);
    done(trial.app.delete_template(&admin, own.id).await);
}

#[tokio::test]
async fn what_was_published_goes_back_to_the_project_of_its_image() {
    let trial = Trial::new().await;
    let admin = trial.by(trial.admin).await;
    let lab = trial.project("Lab", trial.admin).await;
    let mut new = wanted("own", Some(lab));
    new.image = Some(image(&trial, lab, ImageState::Ready).await);
    let own = done(trial.app.create_template(&admin, new).await).value;
    done(trial.app.publish_template(&admin, own.id).await);
    let back = done(trial.app.unpublish_template(&admin, own.id).await);
    assert_eq!(back.value, own);
    assert_eq!(
        done(trial.app.unpublish_template(&admin, own.id).await).version,
        back.version
    );
    let bare = done(trial.app.create_template(&admin, wanted("bare", None)).await).value;
    let problem = refused(trial.app.unpublish_template(&admin, bare.id).await);
    assert_eq!(problem.kind, ProblemKind::Conflict);
}

#[tokio::test]
async fn a_disk_must_be_whole_and_of_the_project_and_stays_while_it_is_needed() {
    let trial = Trial::new().await;
    let admin = trial.by(trial.admin).await;
    let (lab, other) = (
        trial.project("Lab", trial.admin).await,
        trial.project("other", trial.admin).await,
    );
    let (whole, saving) = (
        image(&trial, lab, ImageState::Ready).await,
        image(&trial, lab, ImageState::Saving).await,
    );
    for (image, project) in [(saving, lab), (whole, other), (ImageId(Uuid::now_v7()), lab)] {
        let mut new = wanted("own", Some(project));
        new.image = Some(image);
        let problem = refused(trial.app.create_template(&admin, new).await);
        assert_eq!(
            (problem.kind, problem.field.as_deref()),
            (ProblemKind::Invalid, Some("image"))
        );
    }
    let mut new = wanted("own", Some(lab));
    new.image = Some(whole);
    let creation = trial.app.template_creation(&admin, &new).await.unwrap();
    let made = done(trial.app.create_template(&admin, new).await).value;
    assert!(matches!(
        trial.commit(&admin, creation).await,
        Err(CommitError::Stale { .. } | CommitError::Taken { .. })
    ));
    let problem = refused(trial.app.delete_image(&admin, whole).await);
    assert!(problem.title.contains("`own`"), "{}", problem.title);
    let problem = refused(trial.app.delete_image(&admin, saving).await);
    assert_eq!(problem.kind, ProblemKind::Conflict);
    done(trial.app.delete_template(&admin, made.id).await);
    done(trial.app.delete_image(&admin, whole).await);
    assert!(trial.app.image(&admin, whole).await.is_err());
}

#[tokio::test]
async fn a_name_for_programs_is_there_once_and_texts_are_bounded() {
    let trial = Trial::new().await;
    let admin = trial.by(trial.admin).await;
    done(trial.app.create_template(&admin, wanted("one", None)).await);
    let problem = refused(trial.app.create_template(&admin, wanted("ONE", None)).await);
    assert_eq!(
        (problem.kind, problem.field.as_deref()),
        (ProblemKind::Conflict, Some("template_name"))
    );
    for (facts, field) in [
        (
            TemplateFacts {
                os_name: "x".repeat(65),
                ..TemplateFacts::default()
            },
            "os_name",
        ),
        (
            TemplateFacts {
                min_disk_gib: u64::MAX,
                ..TemplateFacts::default()
            },
            "min_disk_gib",
        ),
    ] {
        let mut new = wanted("two", None);
        new.facts = facts;
        let problem = refused(trial.app.create_template(&admin, new).await);
        assert_eq!(
            (problem.kind, problem.field.as_deref()),
            (ProblemKind::Invalid, Some(field))
        );
    }
}
