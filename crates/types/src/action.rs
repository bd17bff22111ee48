//! What can be done: one word for each kind of thing the permission function is asked about, and what a token is scoped to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident $word:literal;)*) => {
        /// Something that can be done, written `noun:verb`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        pub enum Action {$(
            $(#[$doc])*
            #[serde(rename = $word)]
            $name,
        )*}

        impl Action {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// `noun:verb`.
            pub fn as_str(self) -> &'static str {
                match self {$(Self::$name => $word,)*}
            }
        }
    };
}

actions! {
    /// See an organization.
    OrganizationRead "organization:read";
    /// Make, change or delete an organization.
    OrganizationWrite "organization:write";
    /// See a project and what is in it.
    ProjectRead "project:read";
    /// Make a project.
    ProjectCreate "project:create";
    /// Change or delete a project.
    ProjectWrite "project:write";
    /// Say until when a project lasts.
    ProjectExpire "project:expire";
    /// See the members of a project.
    MemberRead "member:read";
    /// Change the members of a project.
    MemberWrite "member:write";
    /// Leave a project that one is a member of.
    MemberLeave "member:leave";
    /// See limits and use.
    QuotaRead "quota:read";
    /// Set limits.
    QuotaWrite "quota:write";
    /// See a user.
    UserRead "user:read";
    /// Make or delete a user; change one's rights.
    UserAdminister "user:administer";
    /// Change one's own account.
    UserWrite "user:write";
    /// See tokens.
    TokenRead "token:read";
    /// Make or revoke tokens.
    TokenWrite "token:write";
    /// See a site.
    SiteRead "site:read";
    /// Make or delete a site, say who runs it.
    SiteAdminister "site:administer";
    /// Change a site.
    SiteWrite "site:write";
    /// See a site's hosts.
    HostRead "host:read";
    /// Change a host: its state, its settings, what it holds that nobody knows of.
    HostWrite "host:write";
    /// See templates and presets.
    TemplateRead "template:read";
    /// Make, change or delete a project's own template.
    TemplateWrite "template:write";
    /// The same for those that everybody sees, and for presets.
    TemplatePublish "template:publish";
    /// See machines.
    VmRead "vm:read";
    /// Deploy, run, change and destroy machines, and sit down at their consoles.
    VmWrite "vm:write";
    /// See networks, addresses and rules.
    SegmentRead "segment:read";
    /// Make, change or delete networks.
    SegmentWrite "segment:write";
    /// Reserve addresses and give them back.
    LeaseWrite "lease:write";
    /// Change what may enter a network.
    AclWrite "acl:write";
    /// Change which outside address leads to which machine.
    DnatWrite "dnat:write";
    /// See outside addresses: those of a site, those that a project has taken.
    GlobalIpRead "globalip:read";
    /// Take an outside address for a project, or give it back.
    GlobalIpTake "globalip:take";
    /// Say which outside addresses a site has.
    GlobalIpWrite "globalip:write";
    /// See operations.
    OperationRead "operation:read";
    /// Cancel an operation.
    OperationCancel "operation:cancel";
    /// See what happened in a project.
    EventRead "event:read";
    /// See and check what happened in the hub.
    AuditRead "audit:read";
    /// Freeze and lift a freeze.
    Freeze "freeze:write";
}

impl Action {
    /// The noun before the colon.
    pub fn noun(self) -> &'static str {
        self.as_str().split(':').next().unwrap_or_default()
    }

    /// Whether nothing changes by it.
    pub fn only_reads(self) -> bool {
        self.as_str().ends_with(":read")
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a token may be used for: `*`, `noun:*`, `*:read` or `noun:verb`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^(\\*|[a-z]+:\\*|\\*:read|[a-z]+:[a-z]+)$", example = "*:read")]
pub struct Scope(String);

/// A scope that names nothing.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a scope: `*`, `*:read`, `noun:*` or `noun:verb`, for example `project:read`")]
pub struct NotAScope(pub String);

impl Scope {
    /// Everything.
    pub fn everything() -> Self {
        Self("*".to_owned())
    }

    /// Whether it covers `action`.
    pub fn covers(&self, action: Action) -> bool {
        match self.0.as_str() {
            "*" => true,
            "*:read" => action.only_reads(),
            scope => match scope.strip_suffix(":*") {
                Some(noun) => action.noun() == noun,
                None => action.as_str() == scope,
            },
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = NotAScope;

    fn try_from(text: String) -> Result<Self, NotAScope> {
        let scope = Self(text);
        if Action::ALL.iter().any(|action| scope.covers(*action)) {
            Ok(scope)
        } else {
            Err(NotAScope(scope.0))
        }
    }
}

impl FromStr for Scope {
    type Err = NotAScope;

    fn from_str(text: &str) -> Result<Self, NotAScope> {
        Self::try_from(text.to_owned())
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    #[test]
    fn a_scope_covers_what_it_says() {
        assert!(scope("*").covers(Action::Freeze));
        assert!(scope("*:read").covers(Action::ProjectRead));
        assert!(!scope("*:read").covers(Action::ProjectWrite));
        assert!(scope("project:*").covers(Action::ProjectWrite));
        assert!(!scope("project:*").covers(Action::MemberRead));
        assert!(scope("member:read").covers(Action::MemberRead));
        assert!(!scope("member:read").covers(Action::MemberWrite));
    }

    #[test]
    fn a_scope_that_names_nothing_is_refused() {
        for text in ["", "projects:read", "project", "*:write", "project:"] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }
}
