//! Hosts: computers of a site that run machines. Only those who run the site see them.

mod change;
mod fenced;
mod status;
#[cfg(test)]
mod tests;
mod unknown;

use renkei_policy::Resource;
use renkei_policy::reach::Reach;
use renkei_store::Stored;
use renkei_types::action::Action;
use renkei_types::host::{Host, HostStatus};
use renkei_types::id::{HostId, SiteId};
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};

pub(super) use self::status::is_heard;
use super::list::Paging;
use super::{App, Asked, Versioned};

const NOUN: &str = HostId::NOUN;

impl App {
    /// Those at the sites that the caller runs, or only at this one, in the order of the sites' ids and then of their names.
    pub async fn hosts(
        &self,
        asked: &Asked,
        site: Option<SiteId>,
        paging: &Paging,
    ) -> Result<Page<HostStatus>, Problem> {
        asked.may(Action::HostRead, &Resource::List)?;
        let order = Some("name");
        let page = match (site, asked.actor()?.hosts()) {
            (Some(site), reach) if !reach.has(&site) => Page {
                items: Vec::new(),
                next: None,
            },
            (Some(site), _) => {
                let equals = vec![("site", site.to_string())];
                self.page::<Host>(paging, order, equals, None).await?
            }
            (None, Reach::All) => self.page::<Host>(paging, order, Vec::new(), None).await?,
            (None, Reach::Only(sites)) => {
                let keys: Vec<String> = sites.iter().map(ToString::to_string).collect();
                self.page_of_any(paging, order, ("site", &keys), &[]).await?
            }
        };
        let Page { items, next } = page;
        let items = self.statuses(items, asked.now).await?;
        Ok(Page { items, next })
    }

    /// One, with the machines that keep it from being empty while it is draining.
    pub async fn host(&self, asked: &Asked, id: HostId) -> Result<Versioned<HostStatus>, Problem> {
        let Stored { version, value } = self.host_for(asked, Action::HostRead, id).await?;
        let value = self.host_status(value, asked.now).await?;
        Ok(Versioned { version, value })
    }

    /// One on which the caller may do this. For whoever does not run its site it is not there.
    async fn host_for(&self, asked: &Asked, action: Action, id: HostId) -> Result<Stored<Host>, Problem> {
        asked.may(Action::HostRead, &Resource::List)?;
        let found = self.get::<Host>(NOUN, id.0).await?;
        let site = Resource::Site(found.value.site);
        match asked.may(Action::HostRead, &site) {
            Err(problem) if problem.kind == ProblemKind::Forbidden => return Err(super::missing(NOUN, id.0)),
            read => read?,
        }
        asked.may(action, &site)?;
        Ok(found)
    }
}
