//! What happened: events and their chain.

use renkei_policy::Resource;
use renkei_store::audit::{Broken, Verified};
use renkei_store::read::EventQuery;
use renkei_store::{StateError, Store};
use renkei_types::action::Action;
use renkei_types::event::{ChainHead, Event, Verification};
use renkei_types::id::ProjectId;
use renkei_types::problem::Problem;

use super::{App, Asked};

impl App {
    /// Events that the caller may see: those of one project for its members, all for administrators.
    pub async fn events(&self, asked: &Asked, query: EventQuery) -> Result<Vec<Event>, Problem> {
        self.may_see_events(asked, query.project).await?;
        self.store
            .read
            .events(&query)
            .await
            .map_err(|error| super::state(&error))
    }

    /// Refuses whoever may not see the events of the project, or of the hub.
    pub async fn may_see_events(&self, asked: &Asked, project: Option<ProjectId>) -> Result<(), Problem> {
        let all = asked.may(Action::AuditRead, &Resource::Hub);
        match project {
            // Whoever may see all may see those of a project that is gone.
            Some(id) if all.is_err() => self.project_may(asked, Action::EventRead, id).await,
            _ => all,
        }
    }

    /// Where the chain stands.
    pub async fn chain_head(&self, asked: &Asked) -> Result<ChainHead, Problem> {
        asked.may(Action::AuditRead, &Resource::Hub)?;
        self.store.audit.head().await.map_err(|error| super::state(&error))
    }

    /// Computes the whole chain again.
    pub async fn verify_chain(&self, asked: &Asked) -> Result<Verification, Problem> {
        asked.may(Action::AuditRead, &Resource::Hub)?;
        verification(&self.store).await.map_err(|error| super::state(&error))
    }
}

/// The whole chain, computed again.
pub(crate) async fn verification(store: &Store) -> Result<Verification, StateError> {
    match store.audit.verify(|_| ()).await {
        Ok(Verified { length, hash, .. }) => Ok(Verification {
            whole: true,
            length,
            hash: Some(hash),
            broken_at: None,
            fault: None,
        }),
        Err(Broken::At { event, fault }) => Ok(Verification {
            whole: false,
            length: event - 1,
            hash: None,
            broken_at: Some(event),
            fault: Some(fault.to_string()),
        }),
        Err(Broken::State(error)) => Err(error),
    }
}
