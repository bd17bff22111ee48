//! `renkei acl`.

use renkei_types::acl::{Acl, AclAudit, Allowed, NewAcl};
use renkei_types::dnat::Dnat;
use renkei_types::network::Protocol;
use uuid::Uuid;

use super::client::Change;
use super::failure::Failure;
use super::names::{Mention, Names};
use super::noun::{Deed, Noun};
use super::resolve::Collection::{Projects, Segments};
use super::{Hub, segment, table};
use crate::arguments::hub::acl::{self, Verb};

impl Noun for Acl {
    const NOUN: &'static str = "rule";
    const HEADING: &'static [&'static str] = &["SEGMENT", "PROTOCOL", "FROM", "TO", "EXPIRES", "NOTE", "ID"];

    fn called(&self, _: &Names) -> String {
        let Allowed { protocol, .. } = self.allowed;
        format!("{protocol} from {} to {}", from(self), to(self))
    }

    fn mentions(&self) -> Vec<Mention> {
        vec![(Projects, self.project.0), (Segments, self.segment.0)]
    }

    fn row(&self, names: &Names) -> Vec<String> {
        vec![
            names.get(self.segment.0),
            self.allowed.protocol.to_string(),
            from(self),
            to(self),
            table::time_or(self.expires, "never"),
            self.note.clone(),
            self.id.to_string(),
        ]
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        let Allowed {
            protocol,
            source,
            source_ports,
            destination,
            destination_ports,
        } = self.allowed;
        vec![
            ("id", self.id.to_string()),
            ("project", names.get(self.project.0)),
            ("segment", names.get(self.segment.0)),
            ("protocol", protocol.to_string()),
            ("from", source.to_string()),
            ("from ports", source_ports.to_string()),
            ("to", destination.to_string()),
            ("ports", destination_ports.to_string()),
            ("expires", table::time_or(self.expires, "never")),
            ("note", self.note.clone()),
            ("generation", self.generation.to_string()),
            ("created", table::time(self.created)),
        ]
    }
}

fn from(acl: &Acl) -> String {
    with_ports(&acl.allowed.source, (acl.allowed.protocol, acl.allowed.source_ports))
}

fn to(acl: &Acl) -> String {
    with_ports(
        &acl.allowed.destination,
        (acl.allowed.protocol, acl.allowed.destination_ports),
    )
}

fn with_ports(
    range: &renkei_types::network::Range,
    (protocol, ports): (Protocol, renkei_types::network::Ports),
) -> String {
    match (protocol, ports.span()) {
        (Protocol::Icmp, _) | (_, None) => range.to_string(),
        (Protocol::Tcp | Protocol::Udp, Some(_)) => format!("{range} ports {ports}"),
    }
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List(list) => {
            let project = hub.id(Projects, &list.project.project).await?;
            let of = match &list.segment {
                Some(segment) => Segments.one(hub.within(Segments, (segment, &list.project.project)).await?),
                None => Projects.one(project),
            };
            hub.list::<Acl>(&format!("{of}/acls"), &[]).await
        }
        Verb::Show(one) => hub.show::<Acl>(&path(one.id)).await,
        Verb::Create(create) => self::create(hub, create).await,
        Verb::Change(change) => self::change(hub, change).await,
        Verb::Delete(delete) => {
            hub.destroy::<Acl>(&path(delete.one.id), delete.destroys, "deleted")
                .await
        }
        Verb::Audit(of) => {
            let project = hub.id(Projects, &of.project).await?;
            audit(hub, project).await
        }
    }
}

async fn create(hub: &Hub, create: acl::Create) -> Result<u8, Failure> {
    let new = NewAcl {
        allowed: Allowed {
            protocol: create.protocol.into(),
            source: create.from,
            source_ports: create.from_ports,
            destination: create.to,
            destination_ports: create.ports,
        },
        note: create.note,
        expires: create.expires.map(|expires| expires.seen_from(hub.now)),
    };
    let path = segment::path(hub, &create.segment).await?;
    let change = Change::create(format!("{path}/acls"), &new).mode(create.planned.into());
    hub.carry_out::<Acl>(&Deed {
        change,
        done: "created",
    })
    .await
}

/// What is not named stays, so the rule is read first, and replaced only if nobody changed it since.
async fn change(hub: &Hub, change: acl::Change) -> Result<u8, Failure> {
    let path = path(change.one.id);
    let answer = hub.client.get(&path, &[]).await?;
    let Acl {
        allowed, note, expires, ..
    } = hub.client.read(answer.body)?;
    let expires = expires.filter(|_| !change.no_expiry);
    let new = NewAcl {
        allowed: Allowed {
            protocol: change.protocol.map_or(allowed.protocol, Into::into),
            source: change.from.unwrap_or(allowed.source),
            source_ports: change.from_ports.unwrap_or(allowed.source_ports),
            destination: change.to.unwrap_or(allowed.destination),
            destination_ports: change.ports.unwrap_or(allowed.destination_ports),
        },
        note: change.note.unwrap_or(note),
        expires: change.expires.map(|expires| expires.seen_from(hub.now)).or(expires),
    };
    let change = Change::put(path, &new).seen(answer.version).mode(change.planned.into());
    hub.carry_out::<Acl>(&Deed {
        change,
        done: "changed",
    })
    .await
}

/// What outlives its machine.
async fn audit(hub: &Hub, project: Uuid) -> Result<u8, Failure> {
    let body = hub
        .client
        .get(&format!("{}/acls/audit", Projects.one(project)), &[])
        .await?
        .body;
    if hub.is_json() {
        return hub.print_json(&body);
    }
    let AclAudit { acls, dnats } = hub.client.read(body)?;
    if acls.is_empty() && dnats.is_empty() {
        return hub.print_line("every rule and every mapping leads to a machine");
    }
    let rule = |acl: &Acl| acl.mentions();
    let mapping = |dnat: &Dnat| (Segments, dnat.segment.0);
    let mentions = acls
        .iter()
        .flat_map(|stale| rule(&stale.acl))
        .chain(dnats.iter().map(mapping));
    let names = Names::of(&hub.client, mentions).await;
    let rules = acls.iter().map(|stale| {
        let acl = &stale.acl;
        vec![
            "acl".to_owned(),
            names.get(acl.segment.0),
            acl.called(&names),
            stale.why.to_string(),
            acl.id.to_string(),
        ]
    });
    let mappings = dnats.iter().map(|dnat| {
        vec![
            "dnat".to_owned(),
            names.get(dnat.segment.0),
            format!("{} to {}", dnat.global_ip, dnat.destination),
            "no machine has that address".to_owned(),
            dnat.id.to_string(),
        ]
    });
    let heading = ["WHAT", "SEGMENT", "LETS IN", "WHY IT IS NAMED", "ID"];
    hub.print_text(&table::list(&heading, rules.chain(mappings)))
}

fn path(id: Uuid) -> String {
    format!("/acls/{id}")
}
