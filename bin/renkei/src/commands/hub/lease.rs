//! `renkei lease`.

use std::net::IpAddr;

use renkei_types::lease::{Lease, NewLease};

use super::client::Change;
use super::failure::Failure;
use super::names::{Mention, Names};
use super::noun::{Deed, Noun};
use super::resolve::Collection::{Projects, Segments};
use super::{Hub, segment, table};
use crate::arguments::hub::lease::{self, Verb};

impl Noun for Lease {
    const NOUN: &'static str = "address";
    const HEADING: &'static [&'static str] = &["ADDRESS", "MACHINE", "RESERVED", "NOTE", "SINCE"];

    fn called(&self, _: &Names) -> String {
        format!("`{}`", self.address)
    }

    fn mentions(&self) -> Vec<Mention> {
        Vec::new()
    }

    fn row(&self, _: &Names) -> Vec<String> {
        vec![
            self.address.to_string(),
            machine(self),
            reserved(self),
            self.note.clone(),
            table::time(self.created),
        ]
    }

    fn fields(&self, _: &Names) -> Vec<(&'static str, String)> {
        vec![
            ("address", self.address.to_string()),
            ("id", self.id.to_string()),
            ("segment", self.segment.to_string()),
            ("machine", machine(self)),
            ("reserved", reserved(self)),
            ("note", self.note.clone()),
            ("since", table::time(self.created)),
        ]
    }
}

fn machine(lease: &Lease) -> String {
    lease.vm.map(|vm| vm.to_string()).unwrap_or_default()
}

fn reserved(lease: &Lease) -> String {
    if lease.reserved { "yes" } else { "no" }.to_owned()
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List(segment) => {
            let path = segment::path(hub, &segment).await?;
            hub.list::<Lease>(&format!("{path}/leases"), &[]).await
        }
        Verb::Show(lease) => hub.show::<Lease>(&path(hub, &lease).await?).await,
        Verb::Reserve(reserve) => {
            let new = NewLease {
                address: reserve.address,
                note: reserve.note,
            };
            let path = segment::path(hub, &reserve.segment).await?;
            let change = Change::create(format!("{path}/leases"), &new).mode(reserve.planned.into());
            hub.carry_out::<Lease>(&Deed {
                change,
                done: "reserved",
            })
            .await
        }
        Verb::Release(release) => {
            let path = path(hub, &release.lease).await?;
            hub.destroy::<Lease>(&path, release.destroys, "released").await
        }
    }
}

/// The path of an address in a segment.
async fn path(hub: &Hub, lease: &lease::Lease) -> Result<String, Failure> {
    let project = hub.id(Projects, &lease.segment.project.project).await?;
    let segment = segment::id(hub, project, &lease.segment.segment).await?;
    let leases = hub
        .client
        .all(&format!("{}/leases", Segments.one(segment)), &[])
        .await?;
    let same = |text: &str| text.parse::<IpAddr>().is_ok_and(|address| address == lease.address);
    let found = leases.iter().find(|one| one["address"].as_str().is_some_and(same));
    match found.and_then(|one| one["id"].as_str()) {
        Some(id) => Ok(format!("/leases/{id}")),
        None => Err(Failure::Missing {
            noun: "held address",
            name: lease.address.to_string(),
            command: "lease",
        }),
    }
}
