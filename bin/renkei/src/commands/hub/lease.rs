//! `renkei lease`.

use std::net::IpAddr;

use renkei_types::lease::{Lease, NewLease};

use super::client::Change;
use super::failure::{Failure, Within};
use super::names::{Mention, Names};
use super::noun::{Deed, Noun};
use super::resolve::Collection::{Segments, Vms};
use super::{Hub, segment, table};
use crate::arguments::hub::lease::{self, Verb};

impl Noun for Lease {
    const NOUN: &'static str = "address";
    const HEADING: &'static [&'static str] = &["ADDRESS", "MACHINE", "RESERVED", "NOTE", "SINCE"];

    fn called(&self, _: &Names) -> String {
        format!("`{}`", self.address)
    }

    fn mentions(&self) -> Vec<Mention> {
        let machine = self.vm.map(|vm| (Vms, vm.0));
        machine.into_iter().chain([(Segments, self.segment.0)]).collect()
    }

    fn row(&self, names: &Names) -> Vec<String> {
        vec![
            self.address.to_string(),
            machine(self, names),
            reserved(self),
            self.note.clone(),
            table::time(self.created),
        ]
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        vec![
            ("address", self.address.to_string()),
            ("id", self.id.to_string()),
            ("segment", names.get(self.segment.0)),
            ("machine", machine(self, names)),
            ("reserved", reserved(self)),
            ("note", self.note.clone()),
            ("since", table::time(self.created)),
        ]
    }
}

fn machine(lease: &Lease, names: &Names) -> String {
    lease.vm.map(|vm| names.get(vm.0)).unwrap_or_default()
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
    let segment = segment::path(hub, &lease.segment).await?;
    let leases = hub.client.all(&format!("{segment}/leases"), &[]).await?;
    let same = |text: &str| text.parse::<IpAddr>().is_ok_and(|address| address == lease.address);
    let found = leases.iter().find(|one| one["address"].as_str().is_some_and(same));
    match found.and_then(|one| one["id"].as_str()) {
        Some(id) => Ok(format!("/leases/{id}")),
        None => Err(Failure::Missing {
            noun: "held address",
            name: lease.address.to_string(),
            command: "lease",
            within: Within::Segment {
                segment: lease.segment.segment.clone(),
                project: lease.segment.project.project.clone(),
            },
        }),
    }
}
