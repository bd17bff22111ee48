//! Outside addresses: those who run a site say which ones it has, projects take them within their quotas.

use std::net::IpAddr;

use renkei_policy::Resource;
use renkei_store::Stored;
use renkei_store::noun::quota::QuotaRow;
use renkei_types::action::Action;
use renkei_types::dnat::Dnat;
use renkei_types::global_ip::{GlobalIp, NewGlobalIp, TakeGlobalIp};
use renkei_types::id::{GlobalIpId, ProjectId, SiteId};
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::quota::Amounts;
use renkei_types::site::Site;
use serde_json::Value;

use super::decision::{Decision, Draft};
use super::list::Paging;
use super::operation::Recorded;
use super::quota::Share;
use super::subject::{Subject, json};
use super::{Answer, App, Asked, Versioned};

const ONE: Amounts = Amounts {
    vms: 0,
    vcpus: 0,
    memory_mib: 0,
    disk_gib: 0,
    global_ips: 1,
    segments: 0,
};

impl Subject for GlobalIp {
    const NOUN: &'static str = GlobalIpId::NOUN;

    fn name(&self) -> String {
        self.address.to_string()
    }

    fn shown(&self) -> Value {
        json(self)
    }

    fn project(&self) -> Option<ProjectId> {
        self.project
    }
}

impl App {
    /// All of a site, for those who run it.
    pub async fn global_ips_at(&self, asked: &Asked, site: SiteId, paging: &Paging) -> Result<Page<GlobalIp>, Problem> {
        asked.may(Action::GlobalIpRead, &Resource::Site(site))?;
        self.get::<Site>(SiteId::NOUN, site.0).await?;
        self.page::<GlobalIp>(paging, None, vec![("site", site.to_string())], None)
            .await
    }

    /// Those that a project has taken.
    pub async fn global_ips(
        &self,
        asked: &Asked,
        project: ProjectId,
        paging: &Paging,
    ) -> Result<Page<GlobalIp>, Problem> {
        self.project_may(asked, Action::GlobalIpRead, project).await?;
        self.page::<GlobalIp>(paging, None, vec![("project", project.to_string())], None)
            .await
    }

    /// One, for those who run its site and for the project that has it.
    pub async fn global_ip(&self, asked: &Asked, id: GlobalIpId) -> Result<Versioned<GlobalIp>, Problem> {
        asked.actor()?;
        let found = self.get::<GlobalIp>(GlobalIpId::NOUN, id.0).await?;
        if asked
            .may(Action::GlobalIpRead, &Resource::Site(found.value.site))
            .is_err()
        {
            let project = found
                .value
                .project
                .ok_or_else(|| super::missing(GlobalIpId::NOUN, id.0))?;
            let may = self.project_may(asked, Action::GlobalIpRead, project).await;
            may.map_err(|problem| match problem.kind {
                ProblemKind::NotFound => super::missing(GlobalIpId::NOUN, id.0),
                _ => problem,
            })?;
        }
        Ok(found.into())
    }

    /// Those that a project could map now, in their order: its own that lead nowhere, and as many free ones of its default site as its
    /// quota there lets it take.
    pub async fn assignable(&self, asked: &Asked, project: ProjectId) -> Result<Vec<IpAddr>, Problem> {
        let tenant = self.tenant(project).await?;
        tenant.may(asked, Action::GlobalIpRead)?;
        let mut found = Vec::new();
        for taken in self.every::<GlobalIp>("project", &project.to_string()).await? {
            if self.mapping_of(&taken.value).await?.is_none() {
                found.push(taken.value.address);
            }
        }
        found.sort_unstable();
        let Some(site) = self.default_site(&tenant.project.value).await? else {
            return Ok(found);
        };
        let left = self.outside_addresses_left(Share { project, site }).await?;
        let rows = self.every::<GlobalIp>("site", &site.to_string()).await?;
        let mut free: Vec<IpAddr> = rows
            .iter()
            .filter(|row| row.value.project.is_none())
            .map(|row| row.value.address)
            .collect();
        free.sort_unstable();
        found.extend(free.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)));
        Ok(found)
    }

    /// Makes an address of a site known.
    pub async fn add_global_ip(
        &self,
        asked: &Asked,
        site: SiteId,
        new: NewGlobalIp,
    ) -> Result<Answer<Versioned<GlobalIp>>, Problem> {
        self.decide(asked, || self.global_ip_addition(asked, site, &new)).await
    }

    /// Forgets an address that no project has taken.
    pub async fn remove_global_ip(&self, asked: &Asked, id: GlobalIpId) -> Result<Answer<()>, Problem> {
        self.decide(asked, || self.global_ip_removal(asked, id)).await
    }

    /// Takes an address for a project, within its quota.
    pub async fn take_global_ip(
        &self,
        asked: &Asked,
        project: ProjectId,
        what: TakeGlobalIp,
    ) -> Result<Answer<Versioned<GlobalIp>>, Problem> {
        self.decide(asked, || self.global_ip_taking(asked, project, &what))
            .await
    }

    /// Gives back an address that leads nowhere.
    pub async fn give_global_ip_back(
        &self,
        asked: &Asked,
        (project, id): (ProjectId, GlobalIpId),
    ) -> Result<Answer<()>, Problem> {
        self.decide(asked, || self.global_ip_return(asked, (project, id))).await
    }

    async fn global_ip_addition(
        &self,
        asked: &Asked,
        site: SiteId,
        new: &NewGlobalIp,
    ) -> Result<Decision<Versioned<GlobalIp>>, Problem> {
        asked.may(Action::GlobalIpWrite, &Resource::Site(site))?;
        let site = self.get::<Site>(SiteId::NOUN, site.0).await?;
        let address = new.address.to_canonical();
        if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
            let problem = Problem::new(ProblemKind::Invalid, format!("`{address}` can be no host's address"));
            return Err(problem
                .field("address")
                .hint("give an address that is routed to the site"));
        }
        if self.global_ip_at(site.value.id, address).await?.is_some() {
            let problem = format!("site `{}` has outside address `{address}` already", site.value.name);
            return Err(Problem::new(ProblemKind::Conflict, problem).field("address"));
        }
        let mut draft = Draft::new();
        // It must not be deleted beside it.
        draft.touch(&site);
        let made = Recorded {
            asked,
            verb: Action::GlobalIpWrite,
        }
        .create(
            &mut draft,
            GlobalIp {
                id: GlobalIpId(self.draw(asked.now)),
                site: site.value.id,
                address,
                project: None,
                created: asked.now,
            },
        )?;
        Ok(draft.answer(made))
    }

    async fn global_ip_removal(&self, asked: &Asked, id: GlobalIpId) -> Result<Decision<()>, Problem> {
        asked.actor()?;
        let old = self.get::<GlobalIp>(GlobalIpId::NOUN, id.0).await?;
        let hidden = |problem: Problem| match problem.kind {
            // Which addresses there are is not for everybody.
            ProblemKind::Forbidden => super::missing(GlobalIpId::NOUN, id.0),
            _ => problem,
        };
        asked
            .may(Action::GlobalIpWrite, &Resource::Site(old.value.site))
            .map_err(hidden)?;
        asked.unchanged(old.version)?;
        if let Some(project) = old.value.project {
            let problem = format!(
                "outside address `{}` is taken by project `{project}`",
                old.value.address
            );
            let problem = Problem::new(ProblemKind::Conflict, problem);
            return Err(problem.hint("the project must give it back first"));
        }
        let mut draft = Draft::new();
        Recorded {
            asked,
            verb: Action::GlobalIpWrite,
        }
        .delete(&mut draft, &old)?;
        Ok(draft.answer(()))
    }

    async fn global_ip_taking(
        &self,
        asked: &Asked,
        project: ProjectId,
        what: &TakeGlobalIp,
    ) -> Result<Decision<Versioned<GlobalIp>>, Problem> {
        let tenant = self.tenant(project).await?;
        tenant.may(asked, Action::GlobalIpTake)?;
        let site = match what.site {
            Some(site) => site,
            None => self.default_site(&tenant.project.value).await?.ok_or_else(|| {
                let problem = Problem::new(ProblemKind::Invalid, "the project has no default site").field("site");
                problem.hint("name a site at which it has a quota")
            })?,
        };
        let found = match what.address {
            Some(address) => self.global_ip_at(site, address.to_canonical()).await?,
            None => {
                let rows = self.every::<GlobalIp>("site", &site.to_string()).await?;
                rows.into_iter()
                    .filter(|row| row.value.project.is_none())
                    .min_by_key(|row| row.value.address)
            }
        };
        let found = found
            .filter(|row| row.value.project.is_none())
            .ok_or_else(|| match what.address {
                Some(address) => not_free(address),
                None => Problem::new(ProblemKind::Conflict, "the site has no free outside address left")
                    .field("site")
                    .hint("ask those who run the site"),
            })?;
        let mut draft = Draft::new();
        tenant.extend(&mut draft);
        let taken = self.take_for(&mut draft, project, &found).await?;
        let told = super::operation::done(asked, Action::GlobalIpTake, &taken.value, taken.version)?;
        draft.aside().insert(&told);
        Ok(draft.answer(taken))
    }

    async fn global_ip_return(
        &self,
        asked: &Asked,
        (project, id): (ProjectId, GlobalIpId),
    ) -> Result<Decision<()>, Problem> {
        let tenant = self.tenant(project).await?;
        tenant.may(asked, Action::GlobalIpTake)?;
        let old = self.get::<GlobalIp>(GlobalIpId::NOUN, id.0).await?;
        if old.value.project != Some(project) {
            return Err(super::missing(GlobalIpId::NOUN, id.0));
        }
        asked.unchanged(old.version)?;
        if let Some(dnat) = self.mapping_of(&old.value).await? {
            let problem = format!(
                "outside address `{}` leads to `{}`",
                old.value.address, dnat.value.destination
            );
            return Err(Problem::new(ProblemKind::Conflict, problem).hint("delete the mapping first"));
        }
        let mut draft = Draft::new();
        tenant.expect(&mut draft);
        draft.change(
            &old,
            &GlobalIp {
                project: None,
                ..old.value.clone()
            },
        );
        // Told of the project that had it.
        let told = super::operation::done(asked, Action::GlobalIpTake, &old.value, old.version + 1)?;
        draft.aside().insert(&told);
        Ok(draft.answer(()))
    }

    /// An address of a site.
    pub(super) async fn global_ip_at(
        &self,
        site: SiteId,
        address: IpAddr,
    ) -> Result<Option<Stored<GlobalIp>>, Problem> {
        self.find::<GlobalIp>("address", &format!("{site}/{address}")).await
    }

    /// Takes an address that is free for a project, in the batch of `draft`.
    pub(super) async fn take_for(
        &self,
        draft: &mut Draft,
        project: ProjectId,
        free: &Stored<GlobalIp>,
    ) -> Result<Versioned<GlobalIp>, Problem> {
        let site = free.value.site;
        self.take(draft, Share { project, site }, ONE).await?;
        let new = GlobalIp {
            project: Some(project),
            ..free.value.clone()
        };
        draft.change(free, &new);
        Ok(Versioned::after(free, new))
    }

    /// How many more a project may take.
    async fn outside_addresses_left(&self, share: Share) -> Result<u32, Problem> {
        let key = renkei_store::noun::pair(share.project.0, share.site.0);
        let Some(quota) = self.find::<QuotaRow>("pair", &key).await? else {
            return Ok(0);
        };
        let used = self.in_use(share).await?;
        Ok(quota.value.limit.global_ips.saturating_sub(used.global_ips))
    }

    /// Where an outside address leads.
    pub(super) async fn mapping_of(&self, of: &GlobalIp) -> Result<Option<Stored<Dnat>>, Problem> {
        self.find::<Dnat>("global_ip", &format!("{}/{}", of.site, of.address))
            .await
    }
}

/// Whose it is, and whether there is such an address, is not told.
pub(super) fn not_free(address: IpAddr) -> Problem {
    let problem = Problem::new(
        ProblemKind::Conflict,
        format!("outside address `{address}` is not to be had"),
    );
    problem
        .field("address")
        .hint("leave the address away to get a free one, or ask those who run the site")
}
