//! The commands that speak with a hub: one file a noun, the same verbs everywhere.
//!
//! Values are parsed here into the types that the API speaks, so that what a noun's command gets cannot be misspelled;
//! which object a name means only the hub can say.

pub mod acl;
pub mod amount;
pub mod audit;
pub mod dnat;
pub mod global_ip;
pub mod host;
pub mod image;
pub mod lease;
pub mod member;
pub mod moment;
pub mod operation;
pub mod organization;
pub mod preset;
pub mod project;
pub mod quota;
pub mod segment;
pub mod session;
pub mod site;
pub mod template;
pub mod token;
pub mod user;
pub mod vm;

use clap::{Args, Subcommand};

use self::moment::Moment;

/// The exit codes, as `--help` and the man pages show them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    done; with --plan: it would be done
  1    refused or failed; with --plan: it would be refused
  2    the command was not understood
  3    not connected, or not signed in";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum HubCommand {
    /// Sign in at a hub
    Login(session::Login),
    /// Sign out
    Logout(session::Logout),
    /// Show who is signed in, and where
    Whoami(session::Whoami),
    /// Organizations: what projects belong to
    Org(Noun<organization::Verb>),
    /// Projects
    Project(Noun<project::Verb>),
    /// Members of a project and their roles
    Member(Noun<member::Verb>),
    /// How much of a site a project may use
    Quota(Noun<quota::Verb>),
    /// Users of the hub
    User(Noun<user::Verb>),
    /// Tokens: what programs show in place of a password
    Token(Noun<token::Verb>),
    /// Sites
    Site(Noun<site::Verb>),
    /// Hosts: computers of a site that run machines
    Host(Noun<host::Verb>),
    /// Machines
    Vm(Noun<vm::Verb>),
    /// Templates: what machines can be made from
    Template(Noun<template::Verb>),
    /// Presets: sizes of machines
    Preset(Noun<preset::Verb>),
    /// Images: the disks of templates
    Image(Noun<image::Verb>),
    /// Segments: the networks of a project
    Segment(Noun<segment::Verb>),
    /// Addresses of a segment that are held
    Lease(Noun<lease::Verb>),
    /// Rules: what may enter a segment
    Acl(Noun<acl::Verb>),
    /// Mappings: where outside addresses lead
    Dnat(Noun<dnat::Verb>),
    /// Outside addresses
    GlobalIp(Noun<global_ip::Verb>),
    /// Operations: changes that take time
    Operation(Noun<operation::Verb>),
    /// What happened, by whom
    Audit(Noun<audit::Verb>),
}

/// A noun: where its hub is, and what to do.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct Noun<V: Subcommand> {
    /// Which hub, and in which form it answers.
    #[command(flatten)]
    pub at: At,
    /// What to do.
    #[command(subcommand)]
    pub verb: V,
}

/// Which hub, and in which form its answers are printed.
#[derive(Clone, Debug, Args)]
pub struct At {
    /// The hub [default: the one that was signed in at last]
    #[arg(long, value_name = "URL", env = "RENKEI_HUB", hide_env_values = true, global = true)]
    pub hub: Option<String>,
    /// Print what the hub answers, as one JSON value
    #[arg(long, global = true)]
    pub json: bool,
}

/// A change that can be looked at first.
#[derive(Clone, Copy, Debug, Args)]
pub struct Planned {
    /// Show what would be changed, and whether it would be refused; change nothing
    #[arg(long)]
    pub plan: bool,
    /// Return when the change is so, not only asked for; says meanwhile what is waited for
    #[arg(long, conflicts_with = "plan")]
    pub wait: bool,
}

/// A change that destroys.
#[derive(Clone, Copy, Debug, Args)]
pub struct Destroys {
    /// What it would do.
    #[command(flatten)]
    pub planned: Planned,
    /// Do not ask
    #[arg(long, short = 'y', conflicts_with = "plan")]
    pub yes: bool,
}

/// One that is there.
#[derive(Clone, Debug, Args)]
pub struct One {
    /// Which, by name or id
    #[arg(value_name = "NAME")]
    pub which: String,
}

/// One whose name means something in a project only.
#[derive(Clone, Debug, Args)]
pub struct OneOfProject {
    /// Which, by name or id
    #[arg(value_name = "NAME")]
    pub which: String,
    /// Whose.
    #[command(flatten)]
    pub of: OfProject,
}

/// What a person has typed to name one thing.
pub trait Which {
    /// Its name or id.
    fn which(&self) -> &str;

    /// The project in which the name means something, if it was said.
    fn project(&self) -> Option<&str>;
}

impl Which for One {
    fn which(&self) -> &str {
        &self.which
    }

    fn project(&self) -> Option<&str> {
        None
    }
}

impl Which for OneOfProject {
    fn which(&self) -> &str {
        &self.which
    }

    fn project(&self) -> Option<&str> {
        self.of.project.as_deref().filter(|project| !project.is_empty())
    }
}

/// Deletes.
#[derive(Clone, Debug, Args)]
pub struct Delete<O: Args = One> {
    /// Which.
    #[command(flatten)]
    pub one: O,
    /// Whether to ask, and to do it.
    #[command(flatten)]
    pub destroys: Destroys,
}

/// Freezes.
#[derive(Clone, Debug, Args)]
pub struct Freeze<O: Args = One> {
    /// Which.
    #[command(flatten)]
    pub one: O,
    /// Why, for those who meet it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// When it ends by itself: in 12h, 30d or 2w, on 2027-03-31, or at a time (RFC 3339) [default: never]
    #[arg(long, value_name = "WHEN")]
    pub until: Option<Moment>,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// Lifts a freeze.
#[derive(Clone, Debug, Args)]
pub struct Thaw<O: Args = One> {
    /// Which.
    #[command(flatten)]
    pub one: O,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// The project that something belongs to.
#[derive(Clone, Debug, Args)]
pub struct InProject {
    /// The project, by name or id
    #[arg(
        long,
        short = 'p',
        value_name = "PROJECT",
        env = "RENKEI_PROJECT",
        hide_env_values = true
    )]
    pub project: String,
}

/// The project that a list is about.
#[derive(Clone, Debug, Args)]
pub struct OfProject {
    /// Only what belongs to this project, by name or id
    #[arg(
        long,
        short = 'p',
        value_name = "PROJECT",
        env = "RENKEI_PROJECT",
        hide_env_values = true
    )]
    pub project: Option<String>,
}

#[cfg(test)]
mod tests;
