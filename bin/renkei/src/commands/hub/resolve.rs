//! From a name that a person typed to the id that the API wants.

use renkei_types::id::{
    HostId, ImageId, OrganizationId, PresetId, ProjectId, SegmentId, SiteId, TemplateId, TokenId, UserId, VmId,
};
use renkei_types::problem::ProblemKind;
use serde_json::Value;
use uuid::Uuid;

use super::client::{Client, encoded};
use super::failure::{Failure, Within};

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
    /// Machines, whose names mean something in a project only; one that is there once in all of them is found without: see [`within`].
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
            Self::Hosts,
            Self::Vms,
            Self::Templates,
            Self::Presets,
            Self::Images,
            Self::Segments,
        ];
        all.into_iter().find(|collection| collection.command() == command)
    }

    /// The path of one of it.
    pub fn one(self, id: Uuid) -> String {
        format!("{}/{id}", self.path())
    }

    /// Whether its names mean something in a project only.
    pub fn is_of_projects(self) -> bool {
        matches!(self, Self::Vms | Self::Images | Self::Segments)
    }

    /// The path of those of a project.
    pub fn of_project(self, project: Uuid) -> String {
        format!("{}{}", Self::Projects.one(project), self.path())
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
    the_one(collection, (text, None), &found)
}

/// The same where names mean something in a project only, which has a name or an id as well.
pub async fn within(client: &Client, collection: Collection, (text, project): (&str, &str)) -> Result<Uuid, Failure> {
    if let Ok(id) = Uuid::try_parse(text) {
        return Ok(id);
    }
    let whose = id(client, Collection::Projects, project).await?;
    let named = ("name", text.to_owned());
    let found = match collection {
        Collection::Segments => client.all(&collection.of_project(whose), &[named]).await?,
        _ => {
            let of_project = ("project", whose.to_string());
            let mut found = client.all(collection.path(), &[of_project, named]).await?;
            // Not every list is cut down to a name by the hub.
            found.retain(|one| one["name"].as_str().is_some_and(|name| same(name, text)));
            found
        }
    };
    the_one(collection, (text, Some(project)), &found)
}

/// Names are looked for in upper or lower case.
fn same(name: &str, text: &str) -> bool {
    name.to_lowercase() == text.to_lowercase()
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

/// The only one of those that were found, in this project if there is one.
pub fn the_one(
    collection: Collection,
    (text, project): (&str, Option<&str>),
    found: &[Value],
) -> Result<Uuid, Failure> {
    let missing = || Failure::Missing {
        noun: collection.noun(),
        name: text.to_owned(),
        command: collection.command(),
        within: project.map_or(Within::Hub, |project| Within::Project(project.to_owned())),
    };
    let ids: Vec<&str> = found.iter().filter_map(|one| one["id"].as_str()).collect();
    match ids.as_slice() {
        [id] => Uuid::try_parse(id).map_err(|_| missing()),
        [] => Err(missing()),
        several => Err(Failure::Ambiguous {
            noun: collection.noun(),
            name: text.to_owned(),
            ids: several.iter().map(|&id| id.to_owned()).collect(),
            // One project has no two of the same name.
            or: if collection.is_of_projects() {
                ", or the project with `-p`"
            } else {
                ""
            },
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_of_nothing_is_named() {
        let error = the_one(Collection::Organizations, ("lab", None), &[])
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("there is no organization `lab`"), "{error}");
        assert!(error.contains("`renkei org list`"), "{error}");
    }

    #[test]
    fn where_a_name_was_looked_for_is_said() {
        let error = the_one(Collection::Vms, ("a", Some("lab")), &[])
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("there is no vm `a` in project `lab`"), "{error}");
        assert!(error.contains("`renkei vm list -p lab`"), "{error}");
        let found = [json!({"id": Uuid::now_v7()}), json!({"id": Uuid::now_v7()})];
        let error = the_one(Collection::Vms, ("a", None), &found).unwrap_err().to_string();
        assert!(error.contains("or the project with `-p`"), "{error}");
    }

    #[test]
    fn a_name_of_several_lists_their_ids() {
        let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
        let found = [json!({"id": one}), json!({"id": two})];
        let error = the_one(Collection::Tokens, ("ci", None), &found)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("`ci` may be any of 2 tokens"), "{error}");
        assert!(
            error.contains(&one.to_string()) && error.contains(&two.to_string()),
            "{error}"
        );
        assert_eq!(the_one(Collection::Tokens, ("ci", None), &found[..1]).unwrap(), one);
    }
}
