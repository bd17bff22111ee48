//! `renkei global-ip`.

use std::net::IpAddr;

use renkei_types::global_ip::{GlobalIp, NewGlobalIp, TakeGlobalIp};
use renkei_types::id::SiteId;

use super::client::Change;
use super::failure::{Failure, Within};
use super::names::{Mention, Names};
use super::noun::{Deed, Noun};
use super::resolve::Collection::{Projects, Sites};
use super::{Hub, table};
use crate::arguments::hub::global_ip::{List, Verb};

impl Noun for GlobalIp {
    const NOUN: &'static str = "outside address";
    const HEADING: &'static [&'static str] = &["ADDRESS", "SITE", "PROJECT", "SINCE", "ID"];

    fn called(&self, _: &Names) -> String {
        format!("`{}`", self.address)
    }

    fn mentions(&self) -> Vec<Mention> {
        let project = self.project.map(|project| (Projects, project.0));
        [(Sites, self.site.0)].into_iter().chain(project).collect()
    }

    fn row(&self, names: &Names) -> Vec<String> {
        vec![
            self.address.to_string(),
            names.get(self.site.0),
            self.project.map(|project| names.get(project.0)).unwrap_or_default(),
            table::time(self.created),
            self.id.to_string(),
        ]
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        let row = self.row(names);
        ["address", "site", "project", "since", "id"]
            .into_iter()
            .zip(row)
            .collect()
    }
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List(list) => {
            let (path, _) = all(hub, &list).await?;
            hub.list::<GlobalIp>(&path, &[]).await
        }
        Verb::Show(show) => {
            let (path, within) = all(hub, &show.of).await?;
            let id = found(hub, (&path, within), show.address).await?;
            hub.show::<GlobalIp>(&format!("/global-ips/{id}")).await
        }
        Verb::Take(take) => {
            let project = Projects.one(hub.id(Projects, &take.project.project).await?);
            let site = match &take.site {
                Some(site) => Some(SiteId(hub.id(Sites, site).await?)),
                None => None,
            };
            let new = TakeGlobalIp {
                site,
                address: take.address,
            };
            let change = Change::create(format!("{project}/global-ips"), &new).mode(take.planned.into());
            hub.carry_out::<GlobalIp>(&Deed { change, done: "took" }).await
        }
        Verb::GiveBack(back) => {
            let project = Projects.one(hub.id(Projects, &back.project.project).await?);
            let all = format!("{project}/global-ips");
            let within = Within::Project(back.project.project.clone());
            let id = found(hub, (&all, within), back.address).await?;
            // It is shown by itself, and given back in the project.
            let change = Change::delete(format!("{all}/{id}"));
            hub.destroy_by::<GlobalIp>((&format!("/global-ips/{id}"), change), back.destroys, "gave back")
                .await
        }
        Verb::Add(add) => {
            let site = Sites.one(hub.id(Sites, &add.site).await?);
            let new = NewGlobalIp { address: add.address };
            let change = Change::create(format!("{site}/global-ips"), &new).mode(add.planned.into());
            hub.carry_out::<GlobalIp>(&Deed { change, done: "added" }).await
        }
        Verb::Remove(remove) => {
            let site = Sites.one(hub.id(Sites, &remove.site).await?);
            let within = Within::Site(remove.site.clone());
            let id = found(hub, (&format!("{site}/global-ips"), within), remove.address).await?;
            hub.destroy::<GlobalIp>(&format!("/global-ips/{id}"), remove.destroys, "removed")
                .await
        }
    }
}

/// The path of the list that is asked for, and whose it is.
async fn all(hub: &Hub, list: &List) -> Result<(String, Within), Failure> {
    let (of, within) = match (&list.site, &list.project.project) {
        (Some(site), _) => (Sites.one(hub.id(Sites, site).await?), Within::Site(site.clone())),
        (None, project) => {
            let project = project.clone().unwrap_or_default();
            (
                Projects.one(hub.id(Projects, &project).await?),
                Within::Project(project),
            )
        }
    };
    Ok((format!("{of}/global-ips"), within))
}

/// The id of an address in a list.
async fn found(hub: &Hub, (list, within): (&str, Within), address: IpAddr) -> Result<String, Failure> {
    let all = hub.client.all(list, &[]).await?;
    let same = |text: &str| text.parse::<IpAddr>().is_ok_and(|one| one == address);
    let found = all.iter().find(|one| one["address"].as_str().is_some_and(same));
    let id = found.and_then(|one| one["id"].as_str());
    id.map(str::to_owned).ok_or_else(|| Failure::Missing {
        noun: GlobalIp::NOUN,
        name: address.to_string(),
        command: "global-ip",
        within,
    })
}
