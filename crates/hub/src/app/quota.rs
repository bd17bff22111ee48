//! Quotas: how much of a site a project may use.

use renkei_store::Stored;
use renkei_store::noun::pair;
use renkei_store::noun::quota::QuotaRow;
use renkei_types::action::Action;
use renkei_types::id::{ProjectId, QuotaId, SiteId};
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::quota::{Amounts, Quota};
use renkei_types::site::Site;
use uuid::Uuid;

use super::decision::{Decision, Draft};
use super::list::Paging;
use super::operation::Recorded;
use super::project::Tenant;
use super::{Answer, App, Asked, Versioned};

const VERB: Action = Action::QuotaWrite;

/// A project at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The project.
    pub project: ProjectId,
    /// The site.
    pub site: SiteId,
}

/// What a project uses of a site, summed from the rows of what exists and never counted up and down.
///
/// Nothing that takes from a quota exists yet, so there is no row to sum. Whatever comes to take from one is summed here, and
/// touches the quota's row in the batch that takes.
pub fn in_use(_of: Share) -> Amounts {
    Amounts::default()
}

impl App {
    /// The quotas of a project, in the order of the sites' ids; only that at one site, if one is named. Those who run a site
    /// see what any project has there.
    pub async fn quotas(
        &self,
        asked: &Asked,
        project: ProjectId,
        site: Option<SiteId>,
        paging: &Paging,
    ) -> Result<Page<Quota>, Problem> {
        let tenant = self.tenant(project).await?;
        let only = match tenant.may(asked, Action::QuotaRead) {
            Ok(()) => None,
            Err(problem) => Some(self.at_own_sites(asked, &tenant).await?.ok_or(problem)?),
        };
        let site = site.map(|site| ("site", site.to_string()));
        let equals = [("project", project.to_string())].into_iter().chain(site).collect();
        let page = self.page::<QuotaRow>(paging, Some("pair"), equals, only).await?;
        Ok(Page {
            items: page.items.into_iter().map(shown).collect(),
            next: page.next,
        })
    }

    /// What a project may use and uses, at all sites together.
    pub async fn resources(&self, asked: &Asked, project: ProjectId) -> Result<(Amounts, Amounts), Problem> {
        self.project_may(asked, Action::QuotaRead, project).await?;
        let (mut limit, mut used) = (Amounts::default(), Amounts::default());
        for row in self.every::<QuotaRow>("project", &project.to_string()).await? {
            let quota = shown(row.value);
            limit = sum(limit, quota.limit);
            used = sum(used, quota.used);
        }
        Ok((limit, used))
    }

    /// One.
    pub async fn quota(&self, asked: &Asked, share: Share) -> Result<Versioned<Quota>, Problem> {
        let tenant = self.tenant(share.project).await?;
        tenant.may_at(asked, Action::QuotaRead, share.site)?;
        let found = self.shared_out(&tenant, share.site).await?;
        Ok(versioned(found.into()))
    }

    /// Sets the limit of a project at a site.
    pub async fn set_quota(
        &self,
        asked: &Asked,
        share: Share,
        limit: Amounts,
    ) -> Result<Answer<Versioned<Quota>>, Problem> {
        self.decide(asked, || self.quota_setting(asked, share, limit)).await
    }

    /// Takes away what nothing is used of.
    pub async fn delete_quota(&self, asked: &Asked, share: Share) -> Result<Answer<()>, Problem> {
        self.decide(asked, || self.quota_deletion(asked, share)).await
    }

    async fn quota_setting(
        &self,
        asked: &Asked,
        share: Share,
        limit: Amounts,
    ) -> Result<Decision<Versioned<Quota>>, Problem> {
        let tenant = self.tenant(share.project).await?;
        tenant.may_at(asked, VERB, share.site)?;
        let recorded = Recorded { asked, verb: VERB };
        let mut draft = Draft::new();
        let row = match self
            .find::<QuotaRow>("pair", &pair(share.project.0, share.site.0))
            .await?
        {
            Some(old) => {
                asked.unchanged(old.version)?;
                tenant.expect(&mut draft);
                let new = QuotaRow {
                    limit,
                    ..old.value.clone()
                };
                recorded.change(&mut draft, &old, new)?
            }
            None => {
                asked.not_there()?;
                let site = self.get::<Site>(SiteId::NOUN, share.site.0).await?;
                tenant.extend(&mut draft);
                // Neither may the site be deleted beside it.
                draft.touch(&site);
                let Share { project, site } = share;
                recorded.create(
                    &mut draft,
                    QuotaRow {
                        id: QuotaId(Uuid::now_v7()),
                        project,
                        site,
                        limit,
                    },
                )?
            }
        };
        Ok(draft.answer(versioned(row)))
    }

    async fn quota_deletion(&self, asked: &Asked, share: Share) -> Result<Decision<()>, Problem> {
        let tenant = self.tenant(share.project).await?;
        tenant.may_at(asked, VERB, share.site)?;
        let old = self.shared_out(&tenant, share.site).await?;
        asked.unchanged(old.version)?;
        if in_use(share) != Amounts::default() {
            let problem = format!(
                "project `{}` still uses something at this site",
                tenant.project.value.name
            );
            let problem = Problem::new(ProblemKind::Conflict, problem);
            return Err(problem.hint("set the limit to 0: what is in use stays, and nothing more is given"));
        }
        let mut draft = Draft::new();
        tenant.expect(&mut draft);
        Recorded { asked, verb: VERB }.delete(&mut draft, &old)?;
        Ok(draft.answer(()))
    }

    async fn shared_out(&self, tenant: &Tenant, site: SiteId) -> Result<Stored<QuotaRow>, Problem> {
        let project = &tenant.project.value;
        let found = self.find::<QuotaRow>("pair", &pair(project.id.0, site.0)).await?;
        found.ok_or_else(|| {
            let problem = format!("project `{}` has no quota at site `{site}`", project.name);
            Problem::new(ProblemKind::NotFound, problem).hint("`renkei quota list` shows those that it has")
        })
    }

    /// The project's quotas at sites that the caller runs, nothing if there is no such site.
    async fn at_own_sites(&self, asked: &Asked, tenant: &Tenant) -> Result<Option<Vec<Uuid>>, Problem> {
        let mut ids = None;
        for site in asked.actor()?.quotas().sites {
            if tenant.may_at(asked, Action::QuotaRead, site).is_err() {
                continue;
            }
            let project = tenant.project.value.id;
            let found = self.find::<QuotaRow>("pair", &pair(project.0, site.0)).await?;
            ids.get_or_insert_with(Vec::new)
                .extend(found.map(|found| found.value.id.0));
        }
        Ok(ids)
    }
}

fn sum(one: Amounts, other: Amounts) -> Amounts {
    Amounts {
        vms: one.vms.saturating_add(other.vms),
        vcpus: one.vcpus.saturating_add(other.vcpus),
        memory_mib: one.memory_mib.saturating_add(other.memory_mib),
        disk_gib: one.disk_gib.saturating_add(other.disk_gib),
        global_ips: one.global_ips.saturating_add(other.global_ips),
        segments: one.segments.saturating_add(other.segments),
    }
}

fn versioned(row: Versioned<QuotaRow>) -> Versioned<Quota> {
    Versioned {
        version: row.version,
        value: shown(row.value),
    }
}

fn shown(row: QuotaRow) -> Quota {
    let QuotaRow {
        id,
        project,
        site,
        limit,
    } = row;
    Quota {
        id,
        project,
        site,
        limit,
        used: in_use(Share { project, site }),
    }
}

#[cfg(test)]
mod tests {
    use renkei_store::CommitError;
    use renkei_types::role::Role;

    use super::super::trial::{Trial, done, first_page, refused};
    use super::*;

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
}
