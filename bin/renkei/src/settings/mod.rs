//! What was typed becomes what is meant. Nothing past here looks at raw flags.
//!
//! Only what can be known without looking at sources and target is decided here: whether a source is a directory is
//! the engine's to find out.

#[cfg(feature = "hub")]
mod admin;
mod cp;
#[cfg(feature = "hub")]
pub mod hub;
mod journals;
mod mscp;
mod names;
mod recall;
#[cfg(feature = "hub")]
mod serve;
#[cfg(feature = "hub")]
mod site;
mod usage;
mod verify;

use std::path::PathBuf;

use renkei_transfer::ssh::{Family, Options};
use renkei_transfer::{Request, VerifyRequest};

#[cfg(feature = "hub")]
pub use admin::{AdminSettings, Deed};
pub use mscp::recalled_checkpoint;
pub use recall::{Program, Recall, RecallError};
#[cfg(feature = "hub")]
pub use serve::{ConfigError, ServeSettings, StopWithStdin, UpSettings, database_in, pick};
#[cfg(feature = "hub")]
pub use site::{JoinSettings, NotToJoin, SITE_FOLDER, SiteConfig, SiteSettings, host_folders, own_name};
pub use usage::UsageError;

use crate::arguments;
use crate::printer::{Form, Output, Task, Verbosity};

/// One command, understood.
#[derive(Debug)]
pub enum Settings {
    /// Copy.
    Copy {
        /// What.
        request: Box<Request>,
        /// What may be printed.
        output: Output,
    },
    /// Go on with an interrupted copy.
    Resume {
        /// Which.
        stored: StoredCopy,
        /// What may be printed.
        output: Output,
    },
    /// List interrupted copies.
    List {
        /// Where they are kept.
        journals: PathBuf,
        /// What may be printed.
        output: Output,
    },
    /// Forget an interrupted copy.
    Drop {
        /// Which.
        stored: StoredCopy,
        /// What may be printed.
        output: Output,
    },
    /// Check a manifest.
    Verify {
        /// What.
        request: Box<VerifyRequest>,
        /// What may be printed.
        output: Output,
    },
    /// Serve.
    #[cfg(feature = "hub")]
    Serve(ServeSettings),
    /// Serve everything on this machine.
    #[cfg(feature = "hub")]
    Up(UpSettings),
    /// Become a host.
    #[cfg(feature = "hub")]
    Join(JoinSettings),
    /// Look after a hub.
    #[cfg(feature = "hub")]
    Admin(Box<AdminSettings>),
    /// Speak with a hub.
    #[cfg(feature = "hub")]
    Hub(Box<hub::HubSettings>),
    /// Print completions.
    Completions(clap_complete::Shell),
    /// Print or write the manual pages.
    Man(Option<PathBuf>),
}

/// An interrupted copy by its name.
#[derive(Clone, Debug)]
pub struct StoredCopy {
    /// Where journals are kept.
    pub journals: PathBuf,
    /// The journal's ID.
    pub id: String,
}

impl Settings {
    /// The meaning of a command line of `renkei`.
    pub fn of_renkei(typed: arguments::Renkei, recall: &Recall) -> Result<Self, UsageError> {
        match typed.command {
            arguments::Command::Cp(cp) => cp::settings(*cp, recall),
            arguments::Command::Verify(verify) => verify::settings(*verify),
            #[cfg(feature = "hub")]
            arguments::Command::Serve(typed) => Ok(Self::Serve(serve::serve(typed)?)),
            #[cfg(feature = "hub")]
            arguments::Command::Up(typed) => Ok(Self::Up(serve::up(typed)?)),
            #[cfg(feature = "hub")]
            arguments::Command::Join(typed) => Ok(Self::Join(site::join(typed)?)),
            #[cfg(feature = "hub")]
            arguments::Command::Admin(typed) => Ok(Self::Admin(Box::new(admin::settings(typed)?))),
            #[cfg(feature = "hub")]
            arguments::Command::Hub(command) => hub::settings(command),
            arguments::Command::Completions(completions) => Ok(Self::Completions(completions.shell)),
            arguments::Command::Man(man) => Ok(Self::Man(man.dir)),
        }
    }

    /// The meaning of a command line of `mscp`.
    pub fn of_mscp(typed: arguments::mscp::Mscp, recall: &Recall) -> Result<Self, UsageError> {
        mscp::settings(typed, recall)
    }
}

/// What is being done, for the words of the display.
pub fn task(request: &Request) -> Task {
    if request.dry_run { Task::DryRun } else { Task::Copy }
}

fn output(typed: arguments::cp::Display) -> Output {
    let form = match (typed.quiet, typed.json) {
        (true, _) => Form::Silent,
        (false, true) => Form::Json,
        (false, false) => Form::Text,
    };
    Output {
        form,
        verbosity: Verbosity {
            level: typed.verbose,
            ..Verbosity::default()
        },
    }
}

fn family(ipv4: bool, ipv6: bool) -> Family {
    match (ipv4, ipv6) {
        (true, _) => Family::V4,
        (_, true) => Family::V6,
        _ => Family::Any,
    }
}

fn ssh_options(typed: arguments::connection::Connection, verbose: u8) -> Options {
    Options {
        config_file: typed.config,
        options: typed.option,
        identities: typed.identity,
        jump: typed.jump,
        login: typed.login,
        port: typed.port,
        family: family(typed.ipv4, typed.ipv6),
        cipher: typed.cipher,
        congestion: typed.congestion,
        ssh_command: typed.ssh_command,
        verbose,
        ..Options::default()
    }
}
