//! Completion of names that only a hub knows. Whatever goes wrong, there is nothing to complete: a shell is no place to complain.

use std::ffi::OsStr;
use std::time::Duration;

use clap::{Arg, Command};
use clap_complete::{ArgValueCompleter, CompletionCandidate};
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::client::Client;
use super::here;
use super::profile::Profile;
use super::resolve::Collection;
use crate::settings::hub;

/// Whoever presses a key does not wait longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The commands, with completers at everything that names something at a hub.
pub fn with_names(command: Command) -> Command {
    command.mut_subcommands(|noun| {
        let own = Collection::of_command(noun.get_name());
        noun.mut_subcommands(|verb| {
            // What is to be made has a name that nothing has.
            let own = own.filter(|_| verb.get_name() != "create");
            verb.mut_args(|arg| match named_by(&arg, own) {
                Some(collection) => arg.add(ArgValueCompleter::new(move |typed: &OsStr| names(collection, typed))),
                None => arg,
            })
        })
    })
}

/// What the values of an argument name.
fn named_by(arg: &Arg, own: Option<Collection>) -> Option<Collection> {
    match arg.get_value_names()?.first()?.as_str() {
        "ORG" => Some(Collection::Organizations),
        "PROJECT" => Some(Collection::Projects),
        "USER" => Some(Collection::Users),
        "SITE" => Some(Collection::Sites),
        "NAME" if arg.is_positional() => own,
        _ => None,
    }
}

fn names(collection: Collection, typed: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let asked = runtime.block_on(async { timeout(PATIENCE, all(collection)).await });
    let names = asked.ok().flatten().unwrap_or_default();
    let typed = typed.to_string_lossy().to_lowercase();
    let fitting = names.into_iter().filter(|name| name.to_lowercase().starts_with(&typed));
    fitting.map(CompletionCandidate::new).collect()
}

/// The first names: nobody reads a list of more.
async fn all(collection: Collection) -> Option<Vec<String>> {
    let path = hub::profile();
    let profile = Profile::load(path.as_deref()).ok()?;
    let hub = match hub::hub_of_environment() {
        Some(hub) => hub.ok()?,
        None => profile.hub(path.as_deref()).ok()?.unwrap_or_else(here),
    };
    let token = hub::token_of_environment().or_else(|| profile.token(&hub));
    let client = Client::new(hub.clone(), token, profile.ca(&hub)).ok()?;
    let limit = renkei_types::page::MAX_LIMIT.to_string();
    let page = client.get(collection.path(), &[("limit", limit)]).await.ok()?.body;
    let items = page["items"].as_array()?.iter();
    Some(
        items
            .filter_map(|item| Some(item["name"].as_str()?.to_owned()))
            .collect(),
    )
}
