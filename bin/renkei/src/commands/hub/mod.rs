//! The commands that speak with a hub: one file a noun, on one way to ask, to resolve names and to show answers.

mod acl;
mod audit;
mod client;
mod complete;
mod console;
mod dnat;
mod failure;
mod global_ip;
mod host;
mod image;
mod lease;
mod member;
mod names;
mod noun;
mod operation;
mod organization;
mod password;
mod plan;
mod preset;
mod profile;
mod project;
mod quota;
mod recovery;
mod resolve;
mod segment;
mod session;
mod site;
mod table;
mod template;
mod token;
mod transport;
mod user;
mod vm;

use jiff::Timestamp;
use renkei_types::printable::terminal_safe_json;
use serde::Serialize;
use tokio::runtime::Builder;

pub use self::complete::with_names;

use self::client::Client;
use self::failure::Failure;
use self::profile::Profile;
use crate::exit;
use crate::printer::{Form, Output};
use crate::settings::hub::{HubSettings, HubUrl, Task};

/// Where `renkei up` listens, if nobody says otherwise.
const HERE: &str = "http://127.0.0.1:8470";

/// A hub, and how its answers are printed.
struct Hub {
    client: Client,
    output: Output,
    now: Timestamp,
}

/// Carries out a command and gives its exit code.
pub fn run(settings: HubSettings) -> u8 {
    let output = settings.output;
    let done = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(carry_out(settings)),
        Err(error) => Err(Failure::Start(error)),
    };
    done.unwrap_or_else(|failure| {
        let code = failure.exit_code();
        match output.form {
            // One value on standard output, whatever the end.
            Form::Json => {
                // Whether it could be delivered changes nothing.
                let _ = output.answer(line(&failure.json()).as_bytes());
                code
            }
            _ => output.failure(&failure, code),
        }
    })
}

async fn carry_out(settings: HubSettings) -> Result<u8, Failure> {
    let path = settings.profile.as_deref();
    let profile = Profile::load(path)?;
    let hub = match settings.hub {
        Some(hub) => hub,
        None => profile.hub(path)?.unwrap_or_else(here),
    };
    let token = match &settings.task {
        Task::Login(_) => None,
        // Not the one of the environment: that was made to last.
        Task::Logout => profile.token(&hub),
        _ => settings.token.or_else(|| profile.token(&hub)),
    };
    let ca = match &settings.task {
        Task::Login(login) => login.ca.as_deref().or(profile.ca(&hub)),
        _ => profile.ca(&hub),
    };
    let hub = Hub {
        client: Client::new(hub.clone(), token, ca)?,
        output: settings.output,
        now: Timestamp::now(),
    };
    match settings.task {
        Task::Login(login) => session::login(hub, &login, path).await,
        Task::Logout => session::logout(&hub, path).await,
        Task::Whoami => session::whoami(&hub).await,
        Task::Organization(verb) => organization::run(&hub, verb).await,
        Task::Project(verb) => project::run(&hub, verb).await,
        Task::Member(verb) => member::run(&hub, verb).await,
        Task::Quota(verb) => quota::run(&hub, verb).await,
        Task::User(verb) => user::run(&hub, verb).await,
        Task::Token(verb) => token::run(&hub, verb).await,
        Task::Site(verb) => site::run(&hub, verb).await,
        Task::Host(verb) => host::run(&hub, verb).await,
        Task::Vm(verb) => vm::run(&hub, verb).await,
        Task::Template(verb) => template::run(&hub, verb).await,
        Task::Preset(verb) => preset::run(&hub, verb).await,
        Task::Image(verb) => image::run(&hub, verb).await,
        Task::Segment(verb) => segment::run(&hub, verb).await,
        Task::Lease(verb) => lease::run(&hub, verb).await,
        Task::Acl(verb) => acl::run(&hub, verb).await,
        Task::Dnat(verb) => dnat::run(&hub, verb).await,
        Task::GlobalIp(verb) => global_ip::run(&hub, verb).await,
        Task::Operation(verb) => operation::run(&hub, verb).await,
        Task::Audit(verb) => audit::run(&hub, verb).await,
    }
}

fn here() -> HubUrl {
    HERE.parse()
        .unwrap_or_else(|_| unreachable!("a hub may be on this machine"))
}

impl Hub {
    fn is_json(&self) -> bool {
        self.output.form == Form::Json
    }

    fn print_json(&self, value: &impl Serialize) -> Result<u8, Failure> {
        self.print(&line(value))
    }

    /// A line that is not a table's: names in it are the hub's.
    fn print_line(&self, text: &str) -> Result<u8, Failure> {
        self.print(&format!("{}\n", crate::printer::message(text)))
    }

    /// Text that is safe to print, with its line ends.
    fn print_text(&self, text: &str) -> Result<u8, Failure> {
        self.print(text)
    }

    fn print(&self, text: &str) -> Result<u8, Failure> {
        self.output.answer(text.as_bytes()).map_err(Failure::Stream)?;
        Ok(exit::COMPLETE)
    }
}

/// One JSON value on a line.
fn line(value: &impl Serialize) -> String {
    // Values that came from JSON: nothing that serialising could refuse.
    let json = serde_json::to_string(value).unwrap_or_default();
    format!("{}\n", terminal_safe_json(&json))
}
