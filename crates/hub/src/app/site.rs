//! Sites.

use std::collections::BTreeSet;

use renkei_policy::Resource;
use renkei_store::Stored;
use renkei_store::noun::quota::QuotaRow;
use renkei_types::action::Action;
use renkei_types::global_ip::GlobalIp;
use renkei_types::host::Host;
use renkei_types::id::{SiteId, UserId};
use renkei_types::name::Name;
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::project::Project;
use renkei_types::quota::Amounts;
use renkei_types::segment::Segment;
use renkei_types::site::{NewSite, Site, SitePatch};
use uuid::Uuid;

use super::decision::{Decision, Draft};
use super::list::Paging;
use super::operation::Recorded;
use super::quota::Share;
use super::subject::Subject;
use super::{Answer, App, Asked, Versioned};

const NOUN: &str = SiteId::NOUN;

/// The most people who run a site: each is looked up when they are set.
const MOST_OPERATORS: usize = 100;

impl App {
    /// Those that the caller may see, in the order of their names.
    pub async fn sites(&self, asked: &Asked, name: Option<&Name>, paging: &Paging) -> Result<Page<Site>, Problem> {
        asked.may(Action::SiteRead, &Resource::List)?;
        let only = super::list::only(asked.actor()?.sites(), |id| id.0);
        let equals = name.map(|name| ("name", name.folded())).into_iter().collect();
        self.page::<Site>(paging, Some("name"), equals, only).await
    }

    /// One.
    pub async fn site(&self, asked: &Asked, id: SiteId) -> Result<Versioned<Site>, Problem> {
        Ok(self.site_for(asked, Action::SiteRead, id).await?.into())
    }

    /// Makes one known.
    pub async fn create_site(&self, asked: &Asked, new: NewSite) -> Result<Answer<Versioned<Site>>, Problem> {
        super::text("description", &new.description, 2000)?;
        self.decide(asked, || self.site_creation(asked, &new)).await
    }

    /// Changes one.
    pub async fn change_site(
        &self,
        asked: &Asked,
        id: SiteId,
        patch: SitePatch,
    ) -> Result<Answer<Versioned<Site>>, Problem> {
        super::text("description", patch.description.as_deref().unwrap_or_default(), 2000)?;
        self.decide(asked, || self.site_change(asked, id, &patch)).await
    }

    /// Deletes one at which no project may use anything, with the quotas that say so.
    pub async fn delete_site(&self, asked: &Asked, id: SiteId) -> Result<Answer<()>, Problem> {
        self.decide(asked, || self.site_deletion(asked, id)).await
    }

    async fn site_creation(&self, asked: &Asked, new: &NewSite) -> Result<Decision<Versioned<Site>>, Problem> {
        asked.may(Action::SiteAdminister, &Resource::Hub)?;
        self.site_name_is_free(&new.name, None).await?;
        let mut draft = Draft::new();
        self.touch_operators(&mut draft, &new.operators, &BTreeSet::new())
            .await?;
        let new = new.clone();
        let site = Site {
            id: SiteId(Uuid::now_v7()),
            name: new.name,
            description: new.description,
            operators: new.operators,
            gateway: None,
            recovery: None,
            created: asked.now,
        };
        draft.create(&site);
        Ok(draft.answer(Versioned::first(site)))
    }

    async fn site_change(
        &self,
        asked: &Asked,
        id: SiteId,
        patch: &SitePatch,
    ) -> Result<Decision<Versioned<Site>>, Problem> {
        let verb = if only_operators(patch) {
            Action::SiteAdminister
        } else {
            Action::SiteWrite
        };
        let old = self.site_for(asked, verb, id).await?;
        if patch.operators.is_some() {
            asked.may(Action::SiteAdminister, &Resource::Site(id))?;
        }
        asked.unchanged(old.version)?;
        if let Some(name) = &patch.name {
            self.site_name_is_free(name, Some(id)).await?;
        }
        let mut draft = Draft::new();
        if let Some(operators) = &patch.operators {
            self.touch_operators(&mut draft, operators, &old.value.operators)
                .await?;
        }
        let (patch, was) = (patch.clone(), old.value.clone());
        let new = Site {
            name: patch.name.unwrap_or(was.name),
            description: patch.description.unwrap_or(was.description),
            operators: patch.operators.unwrap_or(was.operators),
            ..was
        };
        draft.change(&old, &new);
        Ok(draft.answer(Versioned::after(&old, new)))
    }

    pub(super) async fn site_deletion(&self, asked: &Asked, id: SiteId) -> Result<Decision<()>, Problem> {
        let old = self.site_for(asked, Action::SiteAdminister, id).await?;
        asked.unchanged(old.version)?;
        if let Some(host) = self.every::<Host>("site", &id.to_string()).await?.first() {
            let problem = format!("site `{}` still has host `{}`", old.value.name, host.value.name);
            return Err(Problem::new(ProblemKind::Conflict, problem).hint("delete its hosts first"));
        }
        let mut draft = Draft::new();
        for quota in self.every::<QuotaRow>("site", &id.to_string()).await? {
            let QuotaRow {
                project, site, limit, ..
            } = quota.value;
            // What a limit of 0 leaves in use is still there.
            if limit != Amounts::default() || self.in_use(Share { project, site }).await? != Amounts::default() {
                return Err(self.still_promised(&old.value, &quota.value).await?);
            }
            Recorded {
                asked,
                verb: Action::QuotaWrite,
            }
            .delete(&mut draft, &quota)?;
        }
        if let Some(left) = [
            self.first_at::<Segment>(id).await?,
            self.first_at::<GlobalIp>(id).await?,
        ]
        .into_iter()
        .flatten()
        .next()
        {
            let title = format!("site `{}` still has {left}", old.value.name);
            return Err(Problem::new(ProblemKind::Conflict, title).hint("delete first what is at the site"));
        }
        draft.delete(&old);
        Ok(draft.answer(()))
    }

    /// What is made at a site touches its row.
    async fn first_at<S: Subject>(&self, site: SiteId) -> Result<Option<String>, Problem> {
        let rows = self.store.state.scan::<S>("site", &site.to_string(), None, 1).await;
        let rows = rows.map_err(|error| super::state(&error))?;
        Ok(rows.first().map(|row| format!("{} `{}`", S::NOUN, row.value.name())))
    }

    async fn still_promised(&self, site: &Site, quota: &QuotaRow) -> Result<Problem, Problem> {
        let project = self
            .store
            .state
            .get::<Project>(quota.project.0)
            .await
            .map_err(|error| super::state(&error))?;
        let project = project.map_or_else(|| quota.project.to_string(), |project| project.value.name.to_string());
        let title = format!(
            "project `{project}` has a quota at site `{}`, or something there",
            site.name
        );
        Ok(Problem::new(ProblemKind::Conflict, title).hint("delete what is there, and the quotas at this site, first"))
    }

    /// One on which the caller may do this. Whoever may not read sites is told so before it is looked up.
    async fn site_for(&self, asked: &Asked, action: Action, id: SiteId) -> Result<Stored<Site>, Problem> {
        asked.may(action, &Resource::Site(id))?;
        self.get::<Site>(NOUN, id.0).await
    }

    /// Whoever is named anew must be there, and is not deleted beside it.
    async fn touch_operators(
        &self,
        draft: &mut Draft,
        operators: &BTreeSet<UserId>,
        so_far: &BTreeSet<UserId>,
    ) -> Result<(), Problem> {
        if operators.len() > MOST_OPERATORS {
            let problem = format!("`operators` names more than {MOST_OPERATORS} users");
            return Err(Problem::new(ProblemKind::Invalid, problem).field("operators"));
        }
        for user in operators.difference(so_far) {
            draft.touch(&self.account_to_name("operators", *user).await?);
        }
        Ok(())
    }

    async fn site_name_is_free(&self, name: &Name, except: Option<SiteId>) -> Result<(), Problem> {
        match self.find::<Site>("name", &name.folded()).await? {
            Some(other) if Some(other.value.id) != except => Err(super::taken(NOUN, name.as_str())),
            _ => Ok(()),
        }
    }
}

/// Whether nothing is asked for that those who run the site may do.
fn only_operators(patch: &SitePatch) -> bool {
    let operators = SitePatch {
        operators: patch.operators.clone(),
        ..SitePatch::default()
    };
    patch.operators.is_some() && *patch == operators
}

#[cfg(test)]
mod tests {
    use renkei_store::CommitError;

    use super::super::trial::{Trial, done, refused};
    use super::*;

    fn operators(users: &[UserId]) -> SitePatch {
        SitePatch {
            operators: Some(users.iter().copied().collect()),
            ..SitePatch::default()
        }
    }

    #[tokio::test]
    async fn those_who_run_a_site_change_it_and_not_who_runs_it() {
        let trial = Trial::new().await;
        let olga = trial.user("olga").await;
        let site = trial.site("Kashiwa", &[olga]).await;
        let asked = trial.by(olga).await;
        let patch = SitePatch {
            description: Some("by the lake".to_owned()),
            ..SitePatch::default()
        };
        assert_eq!(
            done(trial.app.change_site(&asked, site, patch.clone()).await)
                .value
                .description,
            "by the lake"
        );
        assert_eq!(
            refused(trial.app.change_site(&asked, site, operators(&[])).await).kind,
            ProblemKind::Forbidden
        );
        let admin = trial.by(trial.admin).await;
        done(trial.app.change_site(&admin, site, operators(&[])).await);
        let problem = refused(trial.app.change_site(&trial.by(olga).await, site, patch).await);
        assert_eq!(problem.kind, ProblemKind::Forbidden);
    }

    #[tokio::test]
    async fn a_site_is_run_by_people_who_are_there() {
        let trial = Trial::new().await;
        let site = trial.site("Kashiwa", &[]).await;
        let nobody = operators(&[UserId(Uuid::now_v7())]);
        let problem = refused(trial.app.change_site(&trial.by(trial.admin).await, site, nobody).await);
        assert_eq!(
            (problem.kind, problem.field.as_deref()),
            (ProblemKind::Invalid, Some("operators"))
        );
    }

    #[tokio::test]
    async fn a_site_that_is_promised_to_a_project_is_not_deleted() {
        let trial = Trial::new().await;
        let admin = trial.by(trial.admin).await;
        let site = trial.site("Kashiwa", &[]).await;
        let project = trial.project("Lab", trial.admin).await;
        trial.quota(project, site, 1).await;
        let problem = refused(trial.app.delete_site(&admin, site).await);
        assert_eq!(problem.kind, ProblemKind::Conflict);
        assert!(problem.title.contains("`Lab`"), "{}", problem.title);
        trial.quota(project, site, 0).await;
        done(trial.app.delete_site(&admin, site).await);
        assert!(
            trial
                .app
                .every::<QuotaRow>("project", &project.to_string())
                .await
                .unwrap()
                .is_empty()
        );
    }

    #[tokio::test]
    async fn a_quota_that_is_raised_meanwhile_keeps_its_site() {
        let trial = Trial::new().await;
        let admin = trial.by(trial.admin).await;
        let Share { project, site } = trial
            .quota(
                trial.project("Lab", trial.admin).await,
                trial.site("Kashiwa", &[]).await,
                0,
            )
            .await;
        let deletion = trial.app.site_deletion(&admin, site).await.unwrap();
        trial.quota(project, site, 1).await;
        assert!(matches!(
            trial.commit(&admin, deletion).await,
            Err(CommitError::Stale { .. })
        ));
        assert_eq!(
            refused(trial.app.delete_site(&admin, site).await).kind,
            ProblemKind::Conflict
        );
    }

    #[tokio::test]
    async fn a_name_is_there_once_whatever_its_capitals() {
        let trial = Trial::new().await;
        trial.site("Kashiwa", &[]).await;
        let new = NewSite {
            name: "KASHIWA".parse().unwrap(),
            description: String::new(),
            operators: BTreeSet::new(),
        };
        let problem = refused(trial.app.create_site(&trial.by(trial.admin).await, new).await);
        assert_eq!(problem.kind, ProblemKind::Conflict);
    }
}
