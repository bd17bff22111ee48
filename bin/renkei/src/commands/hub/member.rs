//! `renkei member`.

use renkei_types::member::{Member, NewMember};
use uuid::Uuid;

use super::client::Change;
use super::failure::{Failure, Within};
use super::names::{Mention, Names};
use super::noun::{Deed, Noun};
use super::resolve::Collection::{Projects, Users};
use super::{Hub, table};
use crate::arguments::hub::member::{self, Verb};

impl Noun for Member {
    const NOUN: &'static str = "member";
    const HEADING: &'static [&'static str] = &["USER", "ROLE", "SINCE", "USER ID"];

    fn called(&self, _: &Names) -> String {
        format!("`{}`", self.user_name)
    }

    fn mentions(&self) -> Vec<Mention> {
        vec![(Projects, self.project.0)]
    }

    fn row(&self, _: &Names) -> Vec<String> {
        let since = table::time(self.created);
        vec![
            self.user_name.to_string(),
            self.role.to_string(),
            since,
            self.user.to_string(),
        ]
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        vec![
            ("user", self.user_name.to_string()),
            ("user id", self.user.to_string()),
            ("project", names.get(self.project.0)),
            ("role", self.role.to_string()),
            ("since", table::time(self.created)),
        ]
    }
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List(of) => {
            let project = hub.id(Projects, &of.project).await?;
            hub.list::<Member>(&members(project), &[]).await
        }
        Verb::Show(member) => hub.show::<Member>(&path(hub, &member).await?).await,
        Verb::Set(set) => {
            let path = new_path(hub, &set.member).await?;
            let change = Change::put(path, &NewMember { role: set.role.into() }).mode(set.planned.into());
            hub.carry_out::<Member>(&Deed { change, done: "set" }).await
        }
        Verb::Remove(remove) => {
            let path = path(hub, &remove.member).await?;
            hub.destroy::<Member>(&path, remove.destroys, "removed").await
        }
    }
}

fn members(project: Uuid) -> String {
    format!("{}/members", Projects.one(project))
}

/// Of whoever shall be a member.
async fn new_path(hub: &Hub, member: &member::Member) -> Result<String, Failure> {
    let project = hub.id(Projects, &member.project.project).await?;
    let user = hub.id(Users, &member.user).await?;
    Ok(format!("{}/{user}", members(project)))
}

/// Of a member: by the name in the list too, which is there for those who may not ask whom a name means.
async fn path(hub: &Hub, member: &member::Member) -> Result<String, Failure> {
    let project = hub.id(Projects, &member.project.project).await?;
    let user = match Uuid::try_parse(&member.user) {
        Ok(user) => user.to_string(),
        Err(_) => {
            let all = hub.client.all(&members(project), &[]).await?;
            let found = all.iter().find(|one| one["user_name"] == member.user.as_str());
            let user = found.and_then(|one| one["user"].as_str()).map(str::to_owned);
            user.ok_or_else(|| Failure::Missing {
                noun: "member",
                name: member.user.clone(),
                command: "member",
                within: Within::Project(member.project.project.clone()),
            })?
        }
    };
    Ok(format!("{}/{user}", members(project)))
}
