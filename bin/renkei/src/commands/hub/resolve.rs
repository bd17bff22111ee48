//! From a name that a person typed to the id that the API wants.

use renkei_types::id::{
    HostId, ImageId, OrganizationId, PresetId, ProjectId, SegmentId, SiteId, TemplateId, TokenId, UserId, VmId,
};
use renkei_types::problem::ProblemKind;
use serde_json::Value;
use uuid::Uuid;

use super::client::{Client, encoded};
use super::failure::Failure;

/// What has names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Collection {
    /// Organizations.
    Organizations,
    /// Projects.
    Projects,
    /// Users.
    Users,
    /// Tokens.
    Tokens,
    /// Sites.
    Sites,
    /// Hosts.
    Hosts,
    /// Machines that a host has and nobody knows of; they have no list of their own.
    Unknown,
    /// Machines, whose names mean something in a project only; one that is there once is found by it.
    Vms,
    /// Templates, by their names for programs.
    Templates,
    /// Presets.
    Presets,
    /// Images.
    Images,
    /// Segments, whose names mean something in a project only: see [`within`].
    Segments,
}

impl Collection {
    /// Its path.
    pub fn path(self) -> &'static str {
        match self {
            Self::Organizations => "/organizations",
            Self::Projects => "/projects",
            Self::Users => "/users",
            Self::Tokens => "/tokens",
            Self::Sites => "/sites",
            Self::Hosts | Self::Unknown => "/hosts",
            Self::Vms => "/vms",
            Self::Templates => "/templates",
            Self::Presets => "/presets",
            Self::Images => "/images",
            Self::Segments => "/segments",
        }
    }

    /// One of it.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Organizations => OrganizationId::NOUN,
            Self::Projects => ProjectId::NOUN,
            Self::Users => UserId::NOUN,
            Self::Tokens => TokenId::NOUN,
            Self::Sites => SiteId::NOUN,
            Self::Hosts => HostId::NOUN,
            Self::Unknown => "unknown machine",
            Self::Vms => VmId::NOUN,
            Self::Templates => TemplateId::NOUN,
            Self::Presets => PresetId::NOUN,
            Self::Images => ImageId::NOUN,
            Self::Segments => SegmentId::NOUN,
        }
    }

    /// The command about it.
    pub fn command(self) -> &'static str {
        match self {
            Self::Organizations => "org",
            Self::Unknown => HostId::NOUN,
            other => other.noun(),
        }
    }

    /// What a command is about.
    pub fn of_command(command: &str) -> Option<Self> {
        let all = [
            Self::Organizations,
            Self::Projects,
            Self::Users,
            Self::Tokens,
            Self::Sites,
        ];
        all.into_iter().find(|collection| collection.command() == command)
    }

    /// The path of one of it.
    pub fn one(self, id: Uuid) -> String {
        format!("{}/{id}", self.path())
    }
}

/// The id of what `text` names; an id is taken as it is.
pub async fn id(client: &Client, collection: Collection, text: &str) -> Result<Uuid, Failure> {
    if let Ok(id) = Uuid::try_parse(text) {
        return Ok(id);
    }
    let found = match collection {
        // Also for those who may not list users, but make them members.
        Collection::Users => named_user(client, text).await?,
        // Names that are not once in a hub; it looks for none.
        Collection::Tokens | Collection::Hosts | Collection::Images | Collection::Unknown => {
            let mut found = client.all(collection.path(), &[]).await?;
            found.retain(|one| one["name"] == text);
            found
        }
        Collection::Templates => {
            let named = [("template_name", text.to_owned())];
            client.all(collection.path(), &named).await?
        }
        _ => client.all(collection.path(), &[("name", text.to_owned())]).await?,
    };
    the_one(collection, text, &found)
}

/// The id of what `text` names in the list at `path`; an id is taken as it is.
pub async fn within(client: &Client, (collection, path): (Collection, &str), text: &str) -> Result<Uuid, Failure> {
    if let Ok(id) = Uuid::try_parse(text) {
        return Ok(id);
    }
    let found = client.all(path, &[("name", text.to_owned())]).await?;
    the_one(collection, text, &found)
}

async fn named_user(client: &Client, name: &str) -> Result<Vec<Value>, Failure> {
    match client.get(&format!("/users/named/{}", encoded(name)), &[]).await {
        Ok(answer) => Ok(vec![answer.body]),
        // No such user, or no name that a user could have: the message that names it is ours.
        Err(Failure::Refused(problem)) if matches!(problem.kind, ProblemKind::NotFound | ProblemKind::Invalid) => {
            Ok(Vec::new())
        }
        Err(failure) => Err(failure),
    }
}

/// The only one of those that were found.
pub fn the_one(collection: Collection, text: &str, found: &[Value]) -> Result<Uuid, Failure> {
    let ids: Vec<&str> = found.iter().filter_map(|one| one["id"].as_str()).collect();
    match ids.as_slice() {
        [id] => Uuid::try_parse(id).map_err(|_| missing(collection, text)),
        [] => Err(missing(collection, text)),
        several => Err(Failure::Ambiguous {
            noun: collection.noun(),
            name: text.to_owned(),
            ids: several.iter().map(|&id| id.to_owned()).collect(),
        }),
    }
}

fn missing(collection: Collection, text: &str) -> Failure {
    Failure::Missing {
        noun: collection.noun(),
        name: text.to_owned(),
        command: collection.command(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_of_nothing_is_named() {
        let error = the_one(Collection::Organizations, "lab", &[]).unwrap_err().to_string();
        assert!(error.starts_with("there is no organization `lab`"), "{error}");
        assert!(error.contains("`renkei org list`"), "{error}");
    }

    #[test]
    fn a_name_of_several_lists_their_ids() {
        let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
        let found = [json!({"id": one}), json!({"id": two})];
        let error = the_one(Collection::Tokens, "ci", &found).unwrap_err().to_string();
        assert!(error.starts_with("`ci` may be any of 2 tokens"), "{error}");
        assert!(
            error.contains(&one.to_string()) && error.contains(&two.to_string()),
            "{error}"
        );
        assert_eq!(the_one(Collection::Tokens, "ci", &found[..1]).unwrap(), one);
    }
}
