//! `renkei quota`.

use renkei_types::problem::ProblemKind;
use renkei_types::quota::{Amounts, NewQuota, Quota};
use uuid::Uuid;

use super::Hub;
use super::client::Change;
use super::failure::Failure;
use super::names::{Mention, Names};
use super::noun::{Deed, Noun};
use super::resolve::Collection::{Projects, Sites};
use crate::arguments::hub::amount::{Disk, Memory};
use crate::arguments::hub::quota::{self, Verb};

impl Noun for Quota {
    const NOUN: &'static str = "quota";
    const HEADING: &'static [&'static str] = &["SITE", "VMS", "VCPUS", "MEMORY", "DISK", "GLOBAL IPS", "SEGMENTS"];

    fn called(&self, names: &Names) -> String {
        format!(
            "of project `{}` at site `{}`",
            names.get(self.project.0),
            names.get(self.site.0)
        )
    }

    fn called_by(&self) -> Vec<Mention> {
        self.mentions()
    }

    fn mentions(&self) -> Vec<Mention> {
        vec![(Projects, self.project.0), (Sites, self.site.0)]
    }

    fn row(&self, names: &Names) -> Vec<String> {
        let amounts = amounts(self).into_iter().map(|(_, amount)| amount);
        [names.get(self.site.0)].into_iter().chain(amounts).collect()
    }

    fn fields(&self, names: &Names) -> Vec<(&'static str, String)> {
        let place = [("project", names.get(self.project.0)), ("site", names.get(self.site.0))];
        place.into_iter().chain(amounts(self)).collect()
    }
}

/// What is in use, of what may be used.
fn amounts(quota: &Quota) -> [(&'static str, String); 6] {
    let (used, limit) = (&quota.used, &quota.limit);
    let of = |used: &dyn std::fmt::Display, limit: &dyn std::fmt::Display| format!("{used} of {limit}");
    [
        ("vms", of(&used.vms, &limit.vms)),
        ("vcpus", of(&used.vcpus, &limit.vcpus)),
        ("memory", of(&Memory(used.memory_mib), &Memory(limit.memory_mib))),
        ("disk", of(&Disk(used.disk_gib), &Disk(limit.disk_gib))),
        ("global ips", of(&used.global_ips, &limit.global_ips)),
        ("segments", of(&used.segments, &limit.segments)),
    ]
}

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List(of) => {
            let project = hub.id(Projects, &of.project).await?;
            hub.list::<Quota>(&quotas(project), &[]).await
        }
        Verb::Show(quota) => hub.show::<Quota>(&path(hub, &quota).await?).await,
        Verb::Set(set) => self::set(hub, set).await,
        Verb::Delete(delete) => {
            let path = path(hub, &delete.quota).await?;
            hub.destroy::<Quota>(&path, delete.destroys, "deleted").await
        }
    }
}

/// Limits that are not named stay, so the rest is read first, and written only if nobody changed it since.
async fn set(hub: &Hub, set: quota::Set) -> Result<u8, Failure> {
    let path = path(hub, &set.quota).await?;
    let (version, limit) = match hub.client.get(&path, &[]).await {
        Ok(answer) => (answer.version, hub.client.read::<Quota>(answer.body)?.limit),
        Err(Failure::Refused(problem)) if problem.kind == ProblemKind::NotFound => (None, Amounts::default()),
        Err(failure) => return Err(failure),
    };
    let new = NewQuota {
        limit: Amounts {
            vms: set.vms.unwrap_or(limit.vms),
            vcpus: set.vcpus.unwrap_or(limit.vcpus),
            memory_mib: set.memory.map_or(limit.memory_mib, |memory| memory.0),
            disk_gib: set.disk.map_or(limit.disk_gib, |disk| disk.0),
            global_ips: set.global_ips.unwrap_or(limit.global_ips),
            segments: set.segments.unwrap_or(limit.segments),
        },
    };
    let change = Change::put(path, &new).seen(version).mode(set.planned.into());
    hub.carry_out::<Quota>(&Deed { change, done: "set" }).await
}

fn quotas(project: Uuid) -> String {
    format!("{}/quotas", Projects.one(project))
}

async fn path(hub: &Hub, quota: &quota::Quota) -> Result<String, Failure> {
    let project = hub.id(Projects, &quota.project.project).await?;
    let site = hub.id(Sites, &quota.site).await?;
    Ok(format!("{}/{site}", quotas(project)))
}
