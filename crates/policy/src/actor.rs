//! Who asks: what a credential that was shown becomes.
//!
//! Finding the rows for a credential is the store's work; whether its secret is right is that of [`crate::secret`] and
//! [`crate::password`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use renkei_types::action::{Action, Scope};
use renkei_types::freeze::Freeze;
use renkei_types::id::{OrganizationId, ProjectId, SiteId, TokenId, UserId};
use renkei_types::name::UserName;
use renkei_types::role::Role;
use renkei_types::token::{Token, TokenKind};
use renkei_types::user::User;

use crate::denied::{Denied, Frozen};
use crate::jwt::Claims;

/// Somebody who is known, with everything that decides what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The user.
    pub user: UserId,
    /// The user's name.
    pub name: UserName,
    /// Whether the user may do everything in this hub.
    pub administrator: bool,
    /// A freeze of the user.
    pub freeze: Option<Freeze>,
    /// The user's projects.
    pub memberships: BTreeMap<ProjectId, Membership>,
    /// The sites that the user runs.
    pub operates: BTreeSet<SiteId>,
    /// By what the user is known this time.
    pub credential: Credential,
}

/// A user's part in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The organization of the project.
    pub organization: OrganizationId,
    /// The user's role in the project.
    pub role: Role,
}

/// What a credential allows, at most. It never adds to what its user may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The token that was shown.
    pub token: TokenId,
    /// How it came to be.
    pub kind: TokenKind,
    /// What it may be used for.
    pub scopes: BTreeSet<Scope>,
    /// The only project that it may be used for; all without.
    pub project: Option<ProjectId>,
    /// From when on it does not work.
    pub expires: Timestamp,
    /// A freeze of the token.
    pub freeze: Option<Freeze>,
}

/// Whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody without a credential, or with one that does not work.
    Nobody,
    /// Somebody who has shown a credential that works.
    Known(Box<Actor>),
}

/// A user as the store has it.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user.
    pub user: User,
    /// The user's projects.
    pub memberships: BTreeMap<ProjectId, Membership>,
    /// The sites that the user runs.
    pub operates: BTreeSet<SiteId>,
    /// Sessions of another epoch do not work.
    pub token_epoch: u64,
}

/// A credential that was shown, found, and whose secret was right. Each kind of credential is a case here and in
/// [`Actor::verify`], and nowhere else.
#[derive(Clone, Debug)]
pub enum Shown {
    /// An opaque token, of a session or of a program.
    Token(Token),
    /// A signed token of the mdx dialect.
    Jwt(Claims),
}

/// Why a credential does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// Its time is over.
    #[error("the credential expired at {at}")]
    Expired {
        /// Since when.
        at: Timestamp,
    },
    /// Its user is not enabled.
    #[error("the account is disabled")]
    Disabled,
    /// All sessions of its user were ended after it was signed.
    #[error("the session was ended by a new password")]
    Ended,
    /// It belongs to another user than the one it was looked up for.
    #[error("the credential belongs to another user")]
    Stranger,
}

impl Actor {
    /// What `shown` makes of the account that it belongs to.
    ///
    /// Whoever is frozen becomes an actor all the same, so that the answer can tell them that they are, and why.
    ///
    /// # Errors
    ///
    /// When the credential does not work at `now`.
    pub fn verify(account: Account, shown: Shown, now: Timestamp) -> Result<Self, NotAccepted> {
        let (owner, credential) = match shown {
            Shown::Token(token) => (token.user, Credential::from(token)),
            Shown::Jwt(claims) if claims.epoch != account.token_epoch => return Err(NotAccepted::Ended),
            Shown::Jwt(claims) => (claims.user_id, Credential::from(&claims)),
        };
        if owner != account.user.id {
            return Err(NotAccepted::Stranger);
        }
        if credential.expires <= now {
            return Err(NotAccepted::Expired { at: credential.expires });
        }
        if !account.user.enabled {
            return Err(NotAccepted::Disabled);
        }
        Ok(Self {
            user: account.user.id,
            name: account.user.name,
            administrator: account.user.administrator,
            freeze: account.user.freeze,
            memberships: account.memberships,
            operates: account.operates,
            credential,
        })
    }

    /// The role in a project; none for those who are not members.
    pub fn role(&self, project: ProjectId) -> Option<Role> {
        self.memberships.get(&project).map(|membership| membership.role)
    }

    /// Whether the user runs this site, and may do so with this credential: one for a single project has no say at sites.
    pub fn operates(&self, site: SiteId) -> bool {
        self.credential.project.is_none() && self.operates.contains(&site)
    }

    /// Whether the user owns some project, and so has to find people to make them members.
    pub fn owns_some_project(&self) -> bool {
        self.memberships
            .values()
            .any(|membership| membership.role == Role::Owner)
    }

    /// Whether the user has a project in this organization.
    pub fn belongs_to(&self, organization: OrganizationId) -> bool {
        self.memberships
            .values()
            .any(|membership| membership.organization == organization)
    }
}

impl Credential {
    /// Whether one of its scopes covers `action`.
    pub fn covers(&self, action: Action) -> bool {
        self.scopes.iter().any(|scope| scope.covers(action))
    }
}

impl From<Actor> for Caller {
    fn from(actor: Actor) -> Self {
        Self::Known(Box::new(actor))
    }
}

impl From<Token> for Credential {
    fn from(token: Token) -> Self {
        Self {
            token: token.id,
            kind: token.kind,
            scopes: token.scopes,
            project: token.project,
            expires: token.expires,
            freeze: token.freeze,
        }
    }
}

impl From<&Claims> for Credential {
    /// A session: it may do whatever its user may.
    fn from(claims: &Claims) -> Self {
        Self {
            token: TokenId(claims.jti),
            kind: TokenKind::Session,
            scopes: BTreeSet::from([Scope::everything()]),
            project: None,
            expires: claims.expires(),
            freeze: None,
        }
    }
}

impl Caller {
    /// Who it is, if they may do anything at all. To be asked before anything is looked up, so that the answer is the same
    /// for what exists and for what does not.
    ///
    /// # Errors
    ///
    /// [`Denied::Unauthenticated`], or [`Denied::Frozen`] for a frozen user or token.
    pub fn actor(&self, now: Timestamp) -> Result<&Actor, Denied> {
        let Self::Known(actor) = self else {
            return Err(Denied::Unauthenticated);
        };
        Denied::if_frozen(Frozen::User, actor.freeze.as_ref(), now)?;
        Denied::if_frozen(Frozen::Token, actor.credential.freeze.as_ref(), now)?;
        Ok(actor)
    }
}
