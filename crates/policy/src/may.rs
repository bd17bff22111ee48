//! The one permission function.
//!
//! To read the policy, read [`rules`]. A field that needs another right than its object is asked for by itself: the expiry
//! of a project is `project:expire`, who runs a site is `site:administer`, another user's password, rights and `enabled`
//! are `user:administer`.

use jiff::Timestamp;
use renkei_types::action::Action;
use renkei_types::role::Role;

use crate::actor::{Actor, Caller};
use crate::denied::{Denied, Frozen};
use crate::resource::{On, Resource};

/// Whether `caller` may do `action` on `resource` at `now`.
///
/// The order decides what a caller learns: nothing about things that they may not see, and of the rest the reason that
/// lasts longest.
///
/// # Errors
///
/// The rule that says no.
pub fn may(caller: &Caller, action: Action, resource: &Resource<'_>, now: Timestamp) -> Result<(), Denied> {
    let actor = caller.actor(now)?;
    within_the_token(actor, action, resource)?;
    if !knows(actor, resource) {
        return Err(Denied::Hidden);
    }
    if !actor.credential.covers(action) {
        let scopes = actor.credential.scopes.clone();
        return Err(Denied::Scope { action, scopes });
    }
    permitted(actor, action, resource)?;
    open(actor, action, resource, now)
}

/// Who may. Administrators may all that has a row.
#[derive(Clone, Copy)]
enum Needs {
    /// Everybody who may know of it, see [`knows`].
    Known,
    /// The user whose it is.
    Oneself,
    /// A member of the project with this role or a higher one.
    Role(Role),
    /// Who runs the site.
    SiteOperator,
    /// Nobody but administrators.
    Administrator,
    /// Who may do what the operation does.
    Asking,
}

/// The policy: on what each action can be done, and by whom.
fn rules(action: Action) -> &'static [(On, Needs)] {
    use Needs::{Administrator, Asking, Known, Oneself, SiteOperator};
    const READER: Needs = Needs::Role(Role::Reader);
    const MEMBER: Needs = Needs::Role(Role::Member);
    const OPERATOR: Needs = Needs::Role(Role::Operator);
    const OWNER: Needs = Needs::Role(Role::Owner);
    match action {
        Action::OrganizationRead => &[(On::List, Known), (On::Organization, Known)],
        Action::OrganizationWrite => &[(On::Hub, Administrator), (On::Organization, Administrator)],

        Action::ProjectRead => &[(On::List, Known), (On::Project, READER)],
        Action::ProjectCreate => &[(On::Organization, Administrator)],
        Action::ProjectWrite => &[(On::Project, OWNER)],
        Action::ProjectExpire => &[(On::Project, Administrator)],

        Action::MemberRead => &[(On::List, Known), (On::Project, READER)],
        Action::MemberWrite => &[(On::Project, OWNER)],
        Action::MemberLeave => &[(On::Project, READER)],

        Action::QuotaRead => &[
            (On::List, Known),
            (On::Project, READER),
            (On::Quota, Known),
            (On::Site, SiteOperator),
        ],
        Action::QuotaWrite => &[(On::Quota, SiteOperator)],

        Action::UserRead => &[(On::List, Known), (On::User, Oneself), (On::UserName, Known)],
        Action::UserAdminister => &[(On::Hub, Administrator), (On::User, Administrator)],
        Action::UserWrite => &[(On::User, Oneself)],

        Action::TokenRead => &[(On::List, Known), (On::Token, Oneself)],
        Action::TokenWrite => &[(On::Token, Oneself)],

        Action::SiteRead => &[(On::List, Known), (On::Site, Known)],
        Action::SiteAdminister => &[(On::Hub, Administrator), (On::Site, Administrator)],
        Action::SiteWrite => &[(On::Site, SiteOperator)],

        Action::HostRead => &[(On::List, Known), (On::Site, SiteOperator)],
        Action::HostWrite => &[(On::Site, SiteOperator)],

        Action::TemplateRead => &[(On::List, Known), (On::Project, READER)],
        Action::TemplateWrite => &[(On::Project, MEMBER)],
        Action::TemplatePublish => &[(On::Hub, Administrator)],

        Action::VmRead => &[(On::List, Known), (On::Project, READER), (On::Vm, READER)],
        Action::VmWrite => &[(On::Project, MEMBER), (On::Vm, MEMBER)],

        Action::SegmentRead => &[(On::List, Known), (On::Project, READER)],
        Action::SegmentWrite | Action::LeaseWrite | Action::AclWrite | Action::DnatWrite | Action::GlobalIpTake => {
            &[(On::Project, OPERATOR)]
        }
        Action::GlobalIpRead => &[(On::Project, READER), (On::Site, SiteOperator)],
        Action::GlobalIpWrite => &[(On::Site, SiteOperator)],

        Action::OperationRead => &[(On::List, Known), (On::Project, READER), (On::Operation, Known)],
        Action::OperationCancel => &[(On::Operation, Asking)],

        Action::EventRead => &[(On::List, Known), (On::Project, READER)],
        Action::AuditRead => &[(On::Hub, Administrator)],

        Action::Freeze => &[
            (On::Organization, Administrator),
            (On::Project, Administrator),
            (On::User, Administrator),
            (On::Token, Administrator),
            (On::Vm, Administrator),
        ],
    }
}

/// A token for one project reaches that project, lists (which are cut down to it), the own account to see who one is, and
/// the own tokens for the same project. Administrators' tokens too.
fn within_the_token(actor: &Actor, action: Action, resource: &Resource<'_>) -> Result<(), Denied> {
    let Some(project) = actor.credential.project else {
        return Ok(());
    };
    let within = match resource {
        Resource::List => true,
        Resource::Hub | Resource::Site(_) => return Err(Denied::OtherProject { project }),
        Resource::User(user) | Resource::UserName(user) if *user == actor.user => {
            if action != Action::UserRead {
                return Err(Denied::OtherProject { project });
            }
            true
        }
        Resource::Token { owner, project: only } => *owner == actor.user && *only == Some(project),
        Resource::Organization(_)
        | Resource::Project(_)
        | Resource::Quota { .. }
        | Resource::Vm { .. }
        | Resource::User(_)
        | Resource::UserName(_)
        | Resource::Operation { .. } => resource.project().is_some_and(|about| about.id == project),
    };
    if within { Ok(()) } else { Err(Denied::Hidden) }
}

/// Whether the user may know that it exists.
fn knows(actor: &Actor, resource: &Resource<'_>) -> bool {
    let theirs = match resource {
        Resource::Hub | Resource::List | Resource::Site(_) => true,
        Resource::Organization(organization) => actor.belongs_to(organization.id),
        Resource::Project(project) | Resource::Vm { project, .. } => actor.role(project.id).is_some(),
        Resource::Quota { project, site } => actor.role(project.id).is_some() || actor.operates(*site),
        Resource::User(user) | Resource::UserName(user) => *user == actor.user || actor.owns_some_project(),
        Resource::Token { owner, .. } => *owner == actor.user,
        Resource::Operation { by, on, .. } => match on {
            // Who has left a project no longer follows what they once asked for in it.
            Resource::Project(_) | Resource::Quota { .. } | Resource::Vm { .. } => knows(actor, on),
            Resource::Site(site) => actor.operates(*site) || *by == Some(actor.user),
            _ => *by == Some(actor.user),
        },
    };
    theirs || actor.administrator
}

/// Whether a row of the policy lets the user do it.
fn permitted(actor: &Actor, action: Action, resource: &Resource<'_>) -> Result<(), Denied> {
    let on = resource.on();
    let Some((_, needs)) = rules(action).iter().find(|(row, _)| *row == on) else {
        return Err(Denied::NoRule { action, on });
    };
    if actor.administrator {
        return Ok(());
    }
    match *needs {
        Needs::Known => Ok(()),
        Needs::Oneself => is_own(actor, resource).then_some(()).ok_or(Denied::Administrator),
        Needs::Role(needs) => {
            let has = resource.project().and_then(|project| actor.role(project.id));
            if has >= Some(needs) {
                Ok(())
            } else {
                Err(Denied::Role { needs, has })
            }
        }
        Needs::SiteOperator => runs(actor, resource).then_some(()).ok_or(Denied::SiteOperator),
        Needs::Administrator => Err(Denied::Administrator),
        Needs::Asking => match resource {
            Resource::Operation { asked, on, .. } => permitted(actor, *asked, on),
            _ => Err(Denied::NoRule { action, on }),
        },
    }
}

fn is_own(actor: &Actor, resource: &Resource<'_>) -> bool {
    matches!(resource, Resource::User(user) | Resource::Token { owner: user, .. } if *user == actor.user)
}

fn runs(actor: &Actor, resource: &Resource<'_>) -> bool {
    matches!(resource, Resource::Site(site) | Resource::Quota { site, .. } if actor.operates(*site))
}

/// Whether what it is about can be changed at all now. Reading always goes on, and so does lifting a freeze.
fn open(actor: &Actor, action: Action, resource: &Resource<'_>, now: Timestamp) -> Result<(), Denied> {
    if action.only_reads() || action == Action::Freeze {
        return Ok(());
    }
    if let Some(organization) = resource.organization() {
        Denied::if_frozen(Frozen::Organization, organization.freeze, now)?;
    }
    let Some(project) = resource.project() else {
        return Ok(());
    };
    Denied::if_frozen(Frozen::Project, project.freeze, now)?;
    Denied::if_frozen(Frozen::Vm, resource.vm_freeze(), now)?;
    match project.expires {
        Some(since) if since <= now && !actor.administrator => Err(Denied::Expired { since }),
        _ => Ok(()),
    }
}
