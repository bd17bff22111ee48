//! Segments.
//!
//! What is meant for a segment is one whole: the segment with all its rules and mappings ([`intent`]). It has a generation, which
//! each change of any of them raises by one, and which the site's gateway confirms ([`heard`](App::heard_segments)). So changes
//! never conflict, and whoever asks for one waits for its generation or a later one.

mod change;
#[cfg(test)]
mod chaos;
mod expiry;
mod gateway;
mod heard;
mod home;
pub mod intent;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(in crate::app) mod trial;

use renkei_store::Stored;
use renkei_types::action::Action;
use renkei_types::id::{ProjectId, SegmentId, SiteId};
use renkei_types::name::Name;
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::project::Project;
use renkei_types::segment::Segment;
use serde_json::Value;

use super::list::Paging;
use super::subject::{Subject, json};
use super::{App, Asked, Versioned};

pub use self::gateway::Asking;

/// The most rules that may enter a segment's intent: it has to fit into one frame to the agent.
pub const MOST_RULES: usize = 1000;

impl Subject for Segment {
    const NOUN: &'static str = SegmentId::NOUN;

    fn name(&self) -> String {
        self.name.to_string()
    }

    fn shown(&self) -> Value {
        json(self)
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.project)
    }
}

/// Filters of the list.
#[derive(Clone, Debug, Default)]
pub struct Segments {
    /// Only the one with this name.
    pub name: Option<Name>,
    /// Only those at this site.
    pub site: Option<SiteId>,
}

impl App {
    /// Those of a project, in the order of their names.
    pub async fn segments(
        &self,
        asked: &Asked,
        project: ProjectId,
        filter: &Segments,
        paging: &Paging,
    ) -> Result<Page<Segment>, Problem> {
        self.project_may(asked, Action::SegmentRead, project).await?;
        let name = filter.name.as_ref().map(|name| ("name", name_key(project, name)));
        let site = filter.site.map(|site| ("site", site.to_string()));
        let equals = [("project", project.to_string())].into_iter().chain(name).chain(site);
        self.page::<Segment>(paging, Some("name"), equals.collect(), None).await
    }

    /// One.
    pub async fn segment(&self, asked: &Asked, id: SegmentId) -> Result<Versioned<Segment>, Problem> {
        let (_, found) = self.in_project::<Segment>(asked, Action::SegmentRead, id.0).await?;
        Ok(versioned(found.value))
    }

    /// The one that machines of a project get which ask for none.
    pub async fn default_segment(&self, project: ProjectId) -> Result<Option<Stored<Segment>>, Problem> {
        let rows = self.every::<Segment>("project", &project.to_string()).await?;
        Ok(rows.into_iter().find(|row| row.value.default && !row.value.tombstone))
    }

    /// A machine asks for no network and the project has none.
    pub fn no_default_segment(project: &Project) -> Problem {
        let problem = format!("project `{}` has no segment to put the machine into", project.name);
        let problem = Problem::new(ProblemKind::Invalid, problem).field("adapters");
        problem.hint(format!(
            "make one with `renkei segment create NAME --project {}`",
            project.name
        ))
    }
}

/// Refuses what would change a segment that is being deleted.
pub(in crate::app) fn stays(segment: &Segment) -> Result<(), Problem> {
    if segment.tombstone {
        let problem = format!("segment `{}` is being deleted", segment.name);
        return Err(Problem::new(ProblemKind::Conflict, problem).hint("use another segment"));
    }
    Ok(())
}

/// `segment` with its next generation: what is meant for it changes.
pub(in crate::app) fn next(segment: &Segment) -> Segment {
    Segment {
        generation: segment.generation.next(),
        ..segment.clone()
    }
}

/// What is meant is what an `If-Match` names: neither an address that is issued nor what the site reports makes it fail.
fn versioned(segment: Segment) -> Versioned<Segment> {
    Versioned {
        version: segment.generation.0,
        value: segment,
    }
}

/// Its key in the index `name`.
fn name_key(project: ProjectId, name: &Name) -> String {
    format!("{project}/{}", name.folded())
}
