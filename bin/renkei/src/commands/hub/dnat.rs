//! `renkei dnat`.

use std::net::IpAddr;

use renkei_types::dnat::{Dnat, NewDnat};
use renkei_types::id::SegmentId;
use uuid::Uuid;

use super::client::Change;
use super::failure::{Failure, Within};
use super::names::{Mention, Names};
use super::noun::{Deed, Noun};
use super::resolve::Collection::{Projects, Segments, Sites};
use super::{Hub, table};
use crate::arguments::hub::dnat::{self, Verb};

impl Noun for Dnat {
    const NOUN: &'static str = "mapping";
    const HEADING: &'static [&'static str] = &["GLOBAL IP", "SEGMENT", "LEADS TO", "EXPIRES", "NOTE", "ID"];

    fn called(&self, _: &Names) -> String {
        format!("of `{}` to `{}`", self.global_ip, self.destination)
    }

    fn mentions(&self) -> Vec<Mention> {
        vec![
            (Projects, self.project.0),
            (Sites, self.site.0),
            (Segments, self.segment.0),
        ]
    }

    fn row(&self, names: &Names) -> Vec<String> {
        vec![
            self.global_ip.to_string(),
            names.get(self.segment.0),
            self.destination.to_string(),
            table::time_or(self.expires, "never"),
            self.note.clone(),
            self.id.to_string(),
        ]
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        vec![
            ("global ip", self.global_ip.to_string()),
            ("id", self.id.to_string()),
            ("project", names.get(self.project.0)),
            ("site", names.get(self.site.0)),
            ("segment", names.get(self.segment.0)),
            ("leads to", self.destination.to_string()),
            ("expires", table::time_or(self.expires, "never")),
            ("note", self.note.clone()),
            ("generation", self.generation.to_string()),
            ("created", table::time(self.created)),
        ]
    }
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List(of) => {
            let project = hub.id(Projects, &of.project).await?;
            hub.list::<Dnat>(&dnats(project), &[]).await
        }
        Verb::Show(dnat) => hub.show::<Dnat>(&path(hub, &dnat).await?).await,
        Verb::Create(create) => self::create(hub, create).await,
        Verb::Change(change) => self::change(hub, change).await,
        Verb::Delete(delete) => {
            let path = path(hub, &delete.dnat).await?;
            hub.destroy::<Dnat>(&path, delete.destroys, "deleted").await
        }
    }
}

async fn create(hub: &Hub, create: dnat::Create) -> Result<u8, Failure> {
    let project = hub.id(Projects, &create.project.project).await?;
    let new = NewDnat {
        global_ip: create.global_ip,
        segment: SegmentId(hub.within(Segments, (&create.segment, &create.project.project)).await?),
        destination: create.destination,
        note: create.note,
        expires: create.expires.map(|expires| expires.seen_from(hub.now)),
    };
    let change = Change::create(dnats(project), &new).mode(create.planned.into());
    hub.carry_out::<Dnat>(&Deed {
        change,
        done: "created",
    })
    .await
}

/// What is not named stays, so the mapping is read first, and replaced only if nobody changed it since.
async fn change(hub: &Hub, change: dnat::Change) -> Result<u8, Failure> {
    let path = path(hub, &change.dnat).await?;
    let answer = hub.client.get(&path, &[]).await?;
    let old: Dnat = hub.client.read(answer.body)?;
    let segment = match &change.segment {
        Some(segment) => SegmentId(hub.within(Segments, (segment, &old.project.to_string())).await?),
        None => old.segment,
    };
    let expires = old.expires.filter(|_| !change.no_expiry);
    let new = NewDnat {
        global_ip: old.global_ip,
        segment,
        destination: change.to.unwrap_or(old.destination),
        note: change.note.unwrap_or(old.note),
        expires: change.expires.map(|expires| expires.seen_from(hub.now)).or(expires),
    };
    let change = Change::put(path, &new).seen(answer.version).mode(change.planned.into());
    hub.carry_out::<Dnat>(&Deed {
        change,
        done: "changed",
    })
    .await
}

fn dnats(project: Uuid) -> String {
    format!("{}/dnats", Projects.one(project))
}

/// The path of a mapping, which its outside address names as well as its id.
async fn path(hub: &Hub, dnat: &dnat::Dnat) -> Result<String, Failure> {
    if let Ok(id) = Uuid::try_parse(&dnat.global_ip) {
        return Ok(format!("/dnats/{id}"));
    }
    let project = hub.id(Projects, &dnat.project.project).await?;
    let wanted = dnat.global_ip.parse::<IpAddr>().ok();
    let all = hub.client.all(&dnats(project), &[]).await?;
    let found = all.iter().find(|one| {
        let address = one["global_ip"].as_str().and_then(|text| text.parse::<IpAddr>().ok());
        address.is_some() && address == wanted
    });
    match found.and_then(|one| one["id"].as_str()) {
        Some(id) => Ok(format!("/dnats/{id}")),
        None => Err(Failure::Missing {
            noun: Dnat::NOUN,
            name: dnat.global_ip.clone(),
            command: "dnat",
            within: Within::Project(dnat.project.project.clone()),
        }),
    }
}
