//! Quotas: how much of a site a project may use.

mod taking;

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

pub use self::taking::{of_machine, sum, takes_of};
use super::decision::{Decision, Draft};
use super::list::Paging;
use super::operation::Recorded;
use super::project::Tenant;
use super::{Answer, App, Asked, Versioned};

const VERB: Action = Action::QuotaWrite;

/// A project at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share {
    /// The project.
    pub project: ProjectId,
    /// The site.
    pub site: SiteId,
}

/// The most memory (MiB) and disk (GiB) of one limit: more than there is anywhere, and little enough that no sum of them is wrong.
const MOST: u64 = 1 << 40;
/// The most of anything that is counted: what the document calls an `int32` ends soon after.
const MOST_COUNTED: u64 = 1 << 30;

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
        let mut items = Vec::with_capacity(page.items.len());
        for row in page.items {
            items.push(self.with_use(row).await?);
        }
        Ok(Page { items, next: page.next })
    }

    /// What a project may use and uses, at all sites together.
    pub async fn resources(&self, asked: &Asked, project: ProjectId) -> Result<(Amounts, Amounts), Problem> {
        self.project_may(asked, Action::QuotaRead, project).await?;
        let (mut limit, mut used) = (Amounts::default(), Amounts::default());
        for row in self.every::<QuotaRow>("project", &project.to_string()).await? {
            let quota = self.with_use(row.value).await?;
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
        self.versioned(found.into()).await
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
        bounded(&limit)?;
        let tenant = self.tenant(share.project).await?;
        tenant.may_at(asked, VERB, share.site)?;
        let recorded = Recorded { asked, verb: VERB };
        let found = self
            .find::<QuotaRow>("pair", &pair(share.project.0, share.site.0))
            .await?;
        if found.is_none() {
            asked.not_there()?;
        }
        let site = self.get::<Site>(SiteId::NOUN, share.site.0).await?;
        let called = format!("{} at {}", tenant.project.value.name, site.value.name);
        let mut draft = Draft::new();
        let row = match found {
            Some(old) => {
                asked.unchanged(old.version)?;
                tenant.expect(&mut draft);
                let new = QuotaRow {
                    limit,
                    // With the same limit nothing is changed, also when something has another name by now.
                    called: if limit == old.value.limit {
                        old.value.called.clone()
                    } else {
                        called
                    },
                    ..old.value
                };
                recorded.change(&mut draft, &old, new)?
            }
            None => {
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
                        called,
                    },
                )?
            }
        };
        Ok(draft.answer(self.versioned(row).await?))
    }

    async fn quota_deletion(&self, asked: &Asked, share: Share) -> Result<Decision<()>, Problem> {
        let tenant = self.tenant(share.project).await?;
        tenant.may_at(asked, VERB, share.site)?;
        let old = self.shared_out(&tenant, share.site).await?;
        asked.unchanged(old.version)?;
        if self.in_use(share).await? != Amounts::default() {
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

    async fn versioned(&self, row: Versioned<QuotaRow>) -> Result<Versioned<Quota>, Problem> {
        let Versioned { version, value } = row;
        let value = self.with_use(value).await?;
        Ok(Versioned { version, value })
    }

    async fn with_use(&self, row: QuotaRow) -> Result<Quota, Problem> {
        let QuotaRow {
            id,
            project,
            site,
            limit,
            ..
        } = row;
        let used = self.in_use(Share { project, site }).await?;
        Ok(Quota {
            id,
            project,
            site,
            limit,
            used,
        })
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

/// Refuses a limit that nobody means.
fn bounded(limit: &Amounts) -> Result<(), Problem> {
    let fields = [
        ("limit.vms", limit.vms.into(), MOST_COUNTED),
        ("limit.vcpus", limit.vcpus.into(), MOST_COUNTED),
        ("limit.global_ips", limit.global_ips.into(), MOST_COUNTED),
        ("limit.segments", limit.segments.into(), MOST_COUNTED),
        ("limit.memory_mib", limit.memory_mib, MOST),
        ("limit.disk_gib", limit.disk_gib, MOST),
    ];
    match fields.into_iter().find(|(_, amount, most)| amount > most) {
        Some((field, amount, most)) => {
            let problem = Problem::new(ProblemKind::Invalid, format!("`{field}` is {amount}, more than {most}"));
            Err(problem.field(field).hint("set no more than there is at the site"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
