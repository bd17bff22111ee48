//! Where a project is at home, and with it its default segment.

use renkei_store::Stored;
use renkei_store::noun::quota::QuotaRow;
use renkei_types::id::{ProjectId, SiteId};
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::project::Project;
use renkei_types::segment::Segment;
use renkei_types::site::Site;

use super::next;
use crate::app::decision::Draft;
use crate::app::{App, Asked};

impl App {
    /// The one site that is asked for, or else the project's default one.
    pub(super) async fn site_to_be_at(&self, project: &Project, sites: &[SiteId]) -> Result<SiteId, Problem> {
        let site = match sites {
            [] => self.default_site(project).await?.ok_or_else(|| {
                let problem = format!(
                    "project `{}` has no default site: it has no quota anywhere",
                    project.name
                );
                let next = format!(
                    "ask those who run a site for one: `renkei quota set SITE -p {} --segments … --vms … --vcpus … --memory … --disk …`",
                    project.name
                );
                Problem::new(ProblemKind::Invalid, problem).field("sites").hint(next)
            })?,
            [site] => *site,
            [_, _, ..] => {
                let problem = Problem::new(ProblemKind::Invalid, "a segment is at one site").field("sites");
                return Err(problem.hint("make one for each site"));
            }
        };
        self.is_a_site("sites", Some(site)).await?;
        Ok(site)
    }

    /// Where a project is at home: where it was said, else where its default segment is, else where it got its first quota.
    pub(in crate::app) async fn default_site(&self, project: &Project) -> Result<Option<SiteId>, Problem> {
        if project.default_site.is_some() {
            return Ok(project.default_site);
        }
        if let Some(segment) = self.default_segment(project.id).await? {
            return Ok(segment.value.site());
        }
        let quotas = self.every::<QuotaRow>("project", &project.id.to_string()).await?;
        Ok(quotas.first().map(|first| first.value.site))
    }

    pub(super) async fn not_at_the_default_site(&self, project: &Project, site: SiteId) -> Result<Problem, Problem> {
        let mut names = Vec::new();
        for id in [Some(site), project.default_site].into_iter().flatten() {
            let row = self.row::<Site>(id.0).await?;
            names.push(row.map_or_else(|| id.to_string(), |row| row.value.name.to_string()));
        }
        let names = names.join("`, and the project's default site is `");
        let problem = Problem::new(ProblemKind::Invalid, format!("the segment is at site `{names}`")).field("default");
        Ok(problem.hint("change the default site of the project first"))
    }

    /// A project comes to be at home at another site: its default segment becomes the oldest that it has there. The project's row
    /// is written in the same batch.
    pub(in crate::app) async fn default_segment_moves(
        &self,
        asked: &Asked,
        draft: &mut Draft,
        (project, site): (ProjectId, SiteId),
    ) -> Result<(), Problem> {
        let rows = self.every::<Segment>("project", &project.to_string()).await?;
        let there: Vec<&Stored<Segment>> = rows.iter().filter(|row| !row.value.tombstone).collect();
        let default = there.iter().find(|row| row.value.default);
        if default.is_some_and(|row| row.value.site() == Some(site)) {
            return Ok(());
        }
        let oldest = there.iter().filter(|row| row.value.site() == Some(site));
        let oldest = oldest.min_by_key(|row| (row.value.created, row.value.id));
        let changes = [default.map(|row| (*row, false)), oldest.map(|row| (*row, true))];
        let mut segments = Vec::new();
        for (old, default) in changes.into_iter().flatten() {
            let new = Segment {
                default,
                ..next(&old.value)
            };
            draft.change(old, &new);
            segments.push(new);
        }
        self.spread(asked, draft, &segments).await
    }

    /// Refuses a site that there is not.
    pub(in crate::app) async fn is_a_site(&self, field: &str, site: Option<SiteId>) -> Result<(), Problem> {
        let Some(site) = site else { return Ok(()) };
        match self.row::<Site>(site.0).await? {
            Some(_) => Ok(()),
            None => {
                let problem = Problem::new(ProblemKind::Invalid, format!("there is no site `{site}`")).field(field);
                Err(problem.hint("`renkei site list` shows those that there are"))
            }
        }
    }
}
