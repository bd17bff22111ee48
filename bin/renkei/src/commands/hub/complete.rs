//! Completion of names that only a hub knows. Whatever goes wrong, there is nothing to complete: a shell is no place to complain.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::{Arg, Command};
use clap_complete::{ArgValueCompleter, CompletionCandidate};
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::client::Client;
use super::here;
use super::profile::Profile;
use super::resolve::{self, Collection};
use crate::settings::hub;

/// Whoever presses a key does not wait longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Verbs after which a name is a new one.
const MAKING: [&str; 2] = ["create", "deploy"];

/// The commands, with completers at everything that names something at a hub.
pub fn with_names(command: Command) -> Command {
    command.mut_subcommands(|noun| {
        let own = Collection::of_command(noun.get_name());
        noun.mut_subcommands(|verb| {
            // What is to be made has a name that nothing has.
            let own = own.filter(|_| !MAKING.contains(&verb.get_name()));
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
        "HOST" => Some(Collection::Hosts),
        "SEGMENT" => Some(Collection::Segments),
        "TEMPLATE" => Some(Collection::Templates),
        "PRESET" => Some(Collection::Presets),
        "IMAGE" => Some(Collection::Images),
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
    let mut query = vec![("limit", renkei_types::page::MAX_LIMIT.to_string())];
    let project = match project(std::env::args_os().skip(1)) {
        Some(project) if collection.is_of_projects() => {
            Some(resolve::id(&client, Collection::Projects, &project).await.ok()?)
        }
        _ => None,
    };
    let path = match (collection, project) {
        (Collection::Segments, project) => collection.of_project(project?),
        (_, Some(project)) => {
            query.push(("project", project.to_string()));
            collection.path().to_owned()
        }
        _ => collection.path().to_owned(),
    };
    let name = match collection {
        Collection::Templates => "template_name",
        _ => "name",
    };
    let page = client.get(&path, &query).await.ok()?.body;
    let items = page["items"].as_array()?.iter();
    Some(items.filter_map(|item| Some(item[name].as_str()?.to_owned())).collect())
}

/// The project that was typed already, or that of the environment.
fn project(typed: impl Iterator<Item = OsString>) -> Option<String> {
    let words: Vec<String> = typed.map(|word| word.to_string_lossy().into_owned()).collect();
    let apart = words.windows(2).rev().find_map(|two| match two {
        [option, project] if option == "-p" || option == "--project" => Some(project.clone()),
        _ => None,
    });
    let joined = || {
        let mut words = words.iter().rev();
        words.find_map(|word| Some(word.strip_prefix("--project=").or(word.strip_prefix("-p"))?.to_owned()))
    };
    let named = apart.or_else(joined).or_else(|| std::env::var("RENKEI_PROJECT").ok());
    named.filter(|project| !project.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_is_read_from_what_was_typed_already() {
        for words in [
            "-- renkei segment show -p lab",
            "-- renkei segment --project lab show",
            "-- renkei segment show --project=lab l",
            "-- renkei segment show -plab l",
        ] {
            let typed = words.split(' ').map(OsString::from);
            assert_eq!(project(typed).as_deref(), Some("lab"), "{words}");
        }
    }
}
