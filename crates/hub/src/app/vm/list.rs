//! Showing machines.

use renkei_policy::Resource;
use renkei_policy::reach::Reach;
use renkei_store::noun::pair;
use renkei_store::noun::vm::VmRow;
use renkei_types::action::Action;
use renkei_types::id::{HostId, ProjectId, SiteId, VmId};
use renkei_types::name::VmName;
use renkei_types::page::Page;
use renkei_types::problem::Problem;
use renkei_types::vm::{Vm, VmState};

use super::act::{Target, shown};
use crate::app::list::Paging;
use crate::app::{App, Asked, Versioned};

/// The most rows that are looked through for one page.
const MOST_LOOKED_AT: usize = 5000;

/// Filters of the list.
#[derive(Clone, Debug, Default)]
pub struct Vms {
    /// Only those of this project.
    pub project: Option<ProjectId>,
    /// Only those at this site.
    pub site: Option<SiteId>,
    /// Only those on this host.
    pub host: Option<HostId>,
    /// Only those that stand there.
    pub state: Option<VmState>,
    /// Only those with this name.
    pub name: Option<VmName>,
}

impl App {
    /// Those that the caller may see, in the order of their projects and of their names. A page may have fewer entries than there
    /// are, where a filter leaves few of many: `next` tells whether there are more.
    pub async fn vms(&self, asked: &Asked, filter: &Vms, paging: &Paging) -> Result<Page<Vm>, Problem> {
        asked.may(Action::VmRead, &Resource::List)?;
        let projects: Option<Vec<ProjectId>> = match (filter.project, asked.actor()?.projects()) {
            (Some(project), _) => {
                self.project_may(asked, Action::VmRead, project).await?;
                Some(vec![project])
            }
            (None, Reach::All) => None,
            (None, Reach::Only(projects)) => Some(projects.into_iter().collect()),
        };
        let mut items: Vec<Vm> = Vec::new();
        let mut place = paging.clone();
        let mut looked_at = 0;
        loop {
            let page = self.vm_page(filter, projects.as_deref(), &place).await?;
            looked_at += page.items.len();
            items.extend(page.items.into_iter().map(|row| row.vm).filter(|vm| filter.fits(vm)));
            let Some(next) = page.next else {
                return Ok(Page { items, next: None });
            };
            if items.len() >= paging.limit as usize || looked_at >= MOST_LOOKED_AT {
                let next = Some(next);
                return Ok(Page { items, next });
            }
            let missing = u32::try_from(items.len()).unwrap_or(u32::MAX);
            place = Paging::new(Some(paging.limit - missing), Some(&next))?;
        }
    }

    async fn vm_page(
        &self,
        filter: &Vms,
        projects: Option<&[ProjectId]>,
        paging: &Paging,
    ) -> Result<Page<VmRow>, Problem> {
        let order = Some("name");
        let host = filter.host.map(|host| ("host", VmRow::host_key(host)));
        let share = filter.project.zip(filter.site);
        let share = share.map(|(project, site)| ("share", pair(project.0, site.0)));
        let equals: Vec<_> = host.into_iter().chain(share).collect();
        let Some(projects) = projects else {
            return self.page::<VmRow>(paging, order, equals, None).await;
        };
        let (index, keys): (_, Vec<String>) = match &filter.name {
            Some(name) => {
                let key = |project: &ProjectId| format!("{project}/{}", name.folded());
                ("name", projects.iter().map(key).collect())
            }
            None => ("project", projects.iter().map(ToString::to_string).collect()),
        };
        self.page_of_any(paging, order, (index, &keys), &equals).await
    }

    /// One.
    pub async fn vm(&self, asked: &Asked, id: VmId) -> Result<Versioned<Vm>, Problem> {
        let Target { row, .. } = self.target(asked, Action::VmRead, id).await?;
        Ok(shown(row))
    }
}

impl Vms {
    fn fits(&self, vm: &Vm) -> bool {
        let name = |name: &VmName| name.folded() == vm.name.folded();
        self.site.is_none_or(|site| site == vm.site)
            && self.state.is_none_or(|state| state == vm.state())
            && self.name.as_ref().is_none_or(name)
    }
}
