//! `renkei segment`.

use renkei_types::id::SiteId;
use renkei_types::segment::{NewSegment, Segment, SegmentPatch};

use super::client::Change;
use super::failure::Failure;
use super::names::{Mention, Names};
use super::noun::{Deed, Noun};
use super::resolve::Collection::{self, Projects, Sites};
use super::{Hub, table};
use crate::arguments::hub::segment::{self, Verb};

const HERE: Collection = Collection::Segments;

impl Noun for Segment {
    const NOUN: &'static str = "segment";
    const HEADING: &'static [&'static str] = &["NAME", "SITE", "IPV4", "IPV6", "VNI", "DEFAULT", "STATE", "ID"];

    fn called(&self, _: &Names) -> String {
        format!("`{}`", self.name)
    }

    fn mentions(&self) -> Vec<Mention> {
        let sites = self.sites.iter().map(|site| (Sites, site.0));
        [(Projects, self.project.0)].into_iter().chain(sites).collect()
    }

    fn row(&self, names: &Names) -> Vec<String> {
        vec![
            self.name.to_string(),
            sites(self, names),
            self.v4.to_string(),
            v6(self),
            self.vni.to_string(),
            yes(self.default),
            state(self),
            self.id.to_string(),
        ]
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        vec![
            ("name", self.name.to_string()),
            ("id", self.id.to_string()),
            ("project", names.get(self.project.0)),
            ("site", sites(self, names)),
            ("default", yes(self.default)),
            ("ipv4", self.v4.to_string()),
            ("ipv6", v6(self)),
            ("vni", self.vni.to_string()),
            ("mtu", self.mtu.to_string()),
            ("name servers", table::joined(self.dns.iter().map(ToString::to_string))),
            ("time servers", table::joined(self.ntp.iter().map(ToString::to_string))),
            ("issued addresses only", yes(self.strict)),
            ("generation", self.generation.to_string()),
            ("state", state(self)),
            ("created", table::time(self.created)),
        ]
    }
}

fn sites(segment: &Segment, names: &Names) -> String {
    table::joined(segment.sites.iter().map(|site| names.get(site.0)))
}

fn v6(segment: &Segment) -> String {
    segment.v6.map(|range| range.to_string()).unwrap_or_default()
}

fn yes(so: bool) -> String {
    if so { "yes" } else { "no" }.to_owned()
}

/// Whether the site has it as it is meant.
fn state(segment: &Segment) -> String {
    let so = segment.seen == segment.generation;
    match (segment.tombstone, so) {
        (true, _) => "being deleted".to_owned(),
        (false, true) => "so".to_owned(),
        (false, false) => format!("generation {} is so", segment.seen),
    }
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List(of) => {
            let project = hub.id(Projects, &of.project).await?;
            hub.list::<Segment>(&HERE.of_project(project), &[]).await
        }
        Verb::Show(segment) => hub.show::<Segment>(&path(hub, &segment).await?).await,
        Verb::Create(create) => self::create(hub, create).await,
        Verb::Change(change) => self::change(hub, change).await,
        Verb::Delete(delete) => {
            let path = path(hub, &delete.segment).await?;
            hub.destroy::<Segment>(&path, delete.destroys, "deleted").await
        }
    }
}

async fn create(hub: &Hub, create: segment::Create) -> Result<u8, Failure> {
    let project = hub.id(Projects, &create.project.project).await?;
    let site = match &create.site {
        Some(site) => Some(SiteId(hub.id(Sites, site).await?)),
        None => None,
    };
    let new = NewSegment {
        name: create.name,
        sites: site.into_iter().collect(),
        default: create.default,
        v4: create.v4,
        v6: create.v6,
        mtu: create.mtu,
        dns: create.dns,
        ntp: create.ntp,
        strict: create.strict,
    };
    let change = Change::create(HERE.of_project(project), &new).mode(create.planned.into());
    hub.carry_out::<Segment>(&Deed {
        change,
        done: "created",
    })
    .await
}

async fn change(hub: &Hub, change: segment::Change) -> Result<u8, Failure> {
    let some = |servers: Vec<_>| (!servers.is_empty()).then_some(servers);
    let patch = SegmentPatch {
        name: change.name,
        default: change.default.then_some(true),
        dns: some(change.dns),
        ntp: some(change.ntp),
        strict: change.strict,
    };
    let path = path(hub, &change.segment).await?;
    let change = Change::patch(path, &patch).mode(change.planned.into());
    hub.carry_out::<Segment>(&Deed {
        change,
        done: "changed",
    })
    .await
}

/// The path of a segment.
pub async fn path(hub: &Hub, segment: &segment::Segment) -> Result<String, Failure> {
    let id = hub.within(HERE, (&segment.segment, &segment.project.project)).await?;
    Ok(HERE.one(id))
}
