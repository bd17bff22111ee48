//! What a caller's lists hold: the same as [`crate::may`] would let them read one by one, as sets that a query can be
//! filtered by.

use std::collections::BTreeSet;

use renkei_types::id::{OrganizationId, ProjectId, SiteId, UserId};

use crate::actor::Actor;

/// Which ones somebody may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach<T: Ord> {
    /// All that there are.
    All,
    /// These and no others.
    Only(BTreeSet<T>),
}

/// Which tokens somebody may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Those of these users,
    pub owners: Reach<UserId>,
    /// and of these only those for this project, if there is one.
    pub project: Option<ProjectId>,
}

/// Which quotas somebody may see: those of these projects, and those at these sites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Of these projects, at any site.
    pub projects: Reach<ProjectId>,
    /// At these sites, of any project.
    pub sites: BTreeSet<SiteId>,
}

impl<T: Ord> Reach<T> {
    /// Whether it has this one.
    pub fn has(&self, one: &T) -> bool {
        match self {
            Self::All => true,
            Self::Only(some) => some.contains(one),
        }
    }

    fn none() -> Self {
        Self::Only(BTreeSet::new())
    }
}

impl Actor {
    /// Projects, and with them their members, operations and events.
    pub fn projects(&self) -> Reach<ProjectId> {
        match (self.credential.project, self.administrator) {
            (None, true) => Reach::All,
            (None, false) => Reach::Only(self.memberships.keys().copied().collect()),
            (Some(only), true) => Reach::Only([only].into()),
            (Some(only), false) => Reach::Only(self.role(only).map(|_| only).into_iter().collect()),
        }
    }

    /// Quotas.
    pub fn quotas(&self) -> Quotas {
        let sites = self.operates.iter().copied().filter(|site| self.operates(*site));
        Quotas {
            projects: self.projects(),
            sites: sites.collect(),
        }
    }

    /// Organizations.
    pub fn organizations(&self) -> Reach<OrganizationId> {
        if self.credential.project.is_some() {
            return Reach::none();
        }
        if self.administrator {
            return Reach::All;
        }
        Reach::Only(
            self.memberships
                .values()
                .map(|membership| membership.organization)
                .collect(),
        )
    }

    /// Sites.
    pub fn sites(&self) -> Reach<SiteId> {
        match self.credential.project {
            None => Reach::All,
            Some(_) => Reach::none(),
        }
    }

    /// Hosts: those at these sites.
    pub fn hosts(&self) -> Reach<SiteId> {
        if self.credential.project.is_some() {
            return Reach::none();
        }
        if self.administrator {
            return Reach::All;
        }
        Reach::Only(self.operates.clone())
    }

    /// Accounts.
    pub fn users(&self) -> Reach<UserId> {
        if self.administrator && self.credential.project.is_none() {
            Reach::All
        } else {
            Reach::Only([self.user].into())
        }
    }

    /// Tokens.
    pub fn tokens(&self) -> Tokens {
        Tokens {
            owners: self.users(),
            project: self.credential.project,
        }
    }
}
