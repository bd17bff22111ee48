//! The meaning of the commands that speak with a hub: where the hub is, what is shown to it, how answers are printed.
//!
//! The profile is not read here: a command that cannot be understood touches no file.

mod url;

use std::env;
use std::path::PathBuf;

use clap::Subcommand;

pub use url::{HubUrl, NotAHub};

use super::{Settings, UsageError};
use crate::arguments::hub::{
    At, HubCommand, Noun, acl, audit, dnat, global_ip, host, image, lease, member, operation, organization,
};
use crate::arguments::hub::{preset, project, quota, segment, session, site, template, token, user, vm};
use crate::printer::{Form, Output};

/// A command, and the hub that it is about.
#[derive(Debug)]
pub struct HubSettings {
    /// The hub that was named; else it is the profile's.
    pub hub: Option<HubUrl>,
    /// RENKEI_TOKEN; else the profile's for this hub.
    pub token: Option<Secret>,
    /// The file that remembers sessions; none without a home.
    pub profile: Option<PathBuf>,
    /// How answers are printed.
    pub output: Output,
    /// What to do.
    pub task: Task,
}

/// What to do.
#[derive(Debug)]
pub enum Task {
    /// Sign in.
    Login(session::Login),
    /// Sign out.
    Logout,
    /// Who is signed in.
    Whoami,
    /// With organizations.
    Organization(organization::Verb),
    /// With projects.
    Project(project::Verb),
    /// With members.
    Member(member::Verb),
    /// With quotas.
    Quota(quota::Verb),
    /// With users.
    User(user::Verb),
    /// With tokens.
    Token(token::Verb),
    /// With sites.
    Site(site::Verb),
    /// With hosts.
    Host(host::Verb),
    /// With machines.
    Vm(vm::Verb),
    /// With templates.
    Template(template::Verb),
    /// With presets.
    Preset(preset::Verb),
    /// With images.
    Image(image::Verb),
    /// With segments.
    Segment(segment::Verb),
    /// With leases.
    Lease(lease::Verb),
    /// With rules.
    Acl(acl::Verb),
    /// With mappings.
    Dnat(dnat::Verb),
    /// With outside addresses.
    GlobalIp(global_ip::Verb),
    /// With operations.
    Operation(operation::Verb),
    /// With the audit.
    Audit(audit::Verb),
}

/// What must not be seen: a token, a password. Its text appears in no message.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` out of messages.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// To be sent to the hub, or kept in the profile.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Understands a command.
pub fn settings(command: HubCommand) -> Result<Settings, UsageError> {
    let (at, task) = match command {
        HubCommand::Login(login) => (login.at.clone(), Task::Login(login)),
        HubCommand::Logout(logout) => (logout.at, Task::Logout),
        HubCommand::Whoami(whoami) => (whoami.at, Task::Whoami),
        HubCommand::Org(noun) => split(noun, Task::Organization),
        HubCommand::Project(noun) => split(noun, Task::Project),
        HubCommand::Member(noun) => split(noun, Task::Member),
        HubCommand::Quota(noun) => split(noun, Task::Quota),
        HubCommand::User(noun) => split(noun, Task::User),
        HubCommand::Token(noun) => split(noun, Task::Token),
        HubCommand::Site(noun) => split(noun, Task::Site),
        HubCommand::Host(noun) => split(noun, Task::Host),
        HubCommand::Vm(noun) => split(noun, Task::Vm),
        HubCommand::Template(noun) => split(noun, Task::Template),
        HubCommand::Preset(noun) => split(noun, Task::Preset),
        HubCommand::Image(noun) => split(noun, Task::Image),
        HubCommand::Segment(noun) => split(noun, Task::Segment),
        HubCommand::Lease(noun) => split(noun, Task::Lease),
        HubCommand::Acl(noun) => split(noun, Task::Acl),
        HubCommand::Dnat(noun) => split(noun, Task::Dnat),
        HubCommand::GlobalIp(noun) => split(noun, Task::GlobalIp),
        HubCommand::Operation(noun) => split(noun, Task::Operation),
        HubCommand::Audit(noun) => split(noun, Task::Audit),
    };
    // An empty variable is what scripts write for none.
    let hub = at.hub.filter(|hub| !hub.is_empty());
    Ok(Settings::Hub(Box::new(HubSettings {
        hub: hub.map(|hub| hub.parse()).transpose()?,
        token: token_of_environment(),
        profile: profile(),
        output: Output {
            form: if at.json { Form::Json } else { Form::Text },
            ..Output::PLAIN
        },
        task,
    })))
}

fn split<V: Subcommand>(noun: Noun<V>, task: impl FnOnce(V) -> Task) -> (At, Task) {
    (noun.at, task(noun.verb))
}

/// RENKEI_TOKEN.
pub fn token_of_environment() -> Option<Secret> {
    let token = env::var("RENKEI_TOKEN").ok().filter(|token| !token.is_empty());
    token.map(Secret::new)
}

/// RENKEI_HUB, for whoever knows no `--hub`.
pub fn hub_of_environment() -> Option<Result<HubUrl, NotAHub>> {
    let hub = env::var("RENKEI_HUB").ok().filter(|hub| !hub.is_empty())?;
    Some(hub.parse())
}

/// `$XDG_CONFIG_HOME/renkei/hub.json`, `~/.config` without it.
pub fn profile() -> Option<PathBuf> {
    let directory = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = directory("XDG_CONFIG_HOME").or_else(|| Some(directory("HOME")?.join(".config")))?;
    Some(config.join("renkei/hub.json"))
}
