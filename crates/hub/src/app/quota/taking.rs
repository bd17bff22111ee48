//! Taking from a quota, and what is in use of it: a sum over what exists, never counted up and down.
//!
//! A machine counts whole from its commit on until its tombstone is confirmed, also while it is off or waits for room. While two
//! shapes are possible (what is meant, what waits for room, what a failure sets back to), it counts with the larger of each amount:
//! so nothing that can still come makes a quota too small.

use renkei_store::Stored;
use renkei_store::noun::pair;
use renkei_store::noun::quota::QuotaRow;
use renkei_store::noun::vm::VmRow;
use renkei_types::change::Taking;
use renkei_types::global_ip::GlobalIp;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::project::Project;
use renkei_types::quota::Amounts;
use renkei_types::segment::Segment;
use renkei_types::site::Site;
use renkei_types::vm::Shape;

use super::Share;
use crate::app::decision::Draft;
use crate::app::queue::Bound;
use crate::app::{App, state};

impl App {
    /// What a project uses of a site.
    pub async fn in_use(&self, of: Share) -> Result<Amounts, Problem> {
        let share = pair(of.project.0, of.site.0);
        let memory = self.memory(Bound::Quota(of));
        let machines = memory
            .taking
            .of::<VmRow>(self, ("share", &share), |row| of_machine(&row.value))
            .await?;
        let machines = machines.into_iter().fold(Amounts::default(), sum);
        let project = of.project.to_string();
        let segments = self.every::<Segment>("project", &project).await?;
        let segments = segments.iter().filter(|segment| segment.value.sites.contains(&of.site));
        let addresses = self.every::<GlobalIp>("project", &project).await?;
        let addresses = addresses.iter().filter(|address| address.value.site == of.site);
        Ok(Amounts {
            segments: number(segments.count()),
            global_ips: number(addresses.count()),
            ..machines
        })
    }

    /// Takes `amounts` from a quota in the batch of `draft`, together with what that draft has taken from it before. Two decisions
    /// that take from one quota meet in its row; requests wait for one another by [`App::in_turn`], so that they rarely collide.
    ///
    /// # Errors
    ///
    /// 409 that says what is short and by how much; the same when there is no quota.
    pub async fn take(&self, draft: &mut Draft, share: Share, amounts: Amounts) -> Result<(), Problem> {
        if amounts == Amounts::default() {
            return Ok(());
        }
        // Before the sum: whoever takes after that touches the row, and then this decision is made again.
        let found = self
            .find::<QuotaRow>("pair", &pair(share.project.0, share.site.0))
            .await?;
        let Some(quota) = found else {
            let (project, site) = self.names_of(share).await?;
            let problem = format!("project `{project}` at site `{site}` has no quota");
            return Err(Problem::new(ProblemKind::Conflict, problem).hint(format!(
                "ask those who run the site for one: `renkei quota set {site} -p {project} --vms … --vcpus … --memory … --disk … --segments …`"
            )));
        };
        let used = sum(self.in_use(share).await?, draft.taken(share));
        let lacking = short(&quota, used, amounts);
        let Some((field, _)) = lacking.first() else {
            draft.touch(&quota);
            draft.take(Taking {
                project: share.project,
                site: share.site,
                amounts,
            });
            return Ok(());
        };
        let told: Vec<&str> = lacking.iter().map(|(_, told)| told.as_str()).collect();
        let (project, site) = self.names_of(share).await?;
        let problem = format!(
            "the quota of project `{project}` at site `{site}` is too small: {}",
            told.join("; ")
        );
        let option = field
            .trim_end_matches("_mib")
            .trim_end_matches("_gib")
            .replace('_', "-");
        Err(Problem::new(ProblemKind::Conflict, problem).field(*field).hint(format!(
            "free what is not needed, or ask those who run the site for more: `renkei quota set {site} -p {project} --{option} …`"
        )))
    }

    /// The names of the project and of the site.
    async fn names_of(&self, share: Share) -> Result<(String, String), Problem> {
        let reading = &self.store.state;
        let project = reading.get::<Project>(share.project.0).await;
        let site = reading.get::<Site>(share.site.0).await;
        let (project, site) = (
            project.map_err(|error| state(&error))?,
            site.map_err(|error| state(&error))?,
        );
        let name = |name: Option<String>, id: String| name.unwrap_or(id);
        Ok((
            name(
                project.map(|project| project.value.name.to_string()),
                share.project.to_string(),
            ),
            name(site.map(|site| site.value.name.to_string()), share.site.to_string()),
        ))
    }
}

/// What a machine takes of its project's quota.
pub fn of_machine(row: &VmRow) -> Amounts {
    let other = [row.placing.as_ref().map(|placing| &placing.meant), row.before.as_ref()];
    other
        .into_iter()
        .flatten()
        .fold(takes_of(&row.vm.meant.shape), |most, meant| {
            let other = takes_of(&meant.shape);
            Amounts {
                vcpus: most.vcpus.max(other.vcpus),
                memory_mib: most.memory_mib.max(other.memory_mib),
                disk_gib: most.disk_gib.max(other.disk_gib),
                ..most
            }
        })
}

/// What one machine of this shape takes of a quota.
pub fn takes_of(shape: &Shape) -> Amounts {
    Amounts {
        vms: 1,
        vcpus: shape.vcpus,
        memory_mib: shape.memory_mib,
        disk_gib: shape.disk_gib(),
        ..Amounts::default()
    }
}

/// Both together; what no number holds stays at the largest.
pub fn sum(one: Amounts, other: Amounts) -> Amounts {
    Amounts {
        vms: one.vms.saturating_add(other.vms),
        vcpus: one.vcpus.saturating_add(other.vcpus),
        memory_mib: one.memory_mib.saturating_add(other.memory_mib),
        disk_gib: one.disk_gib.saturating_add(other.disk_gib),
        global_ips: one.global_ips.saturating_add(other.global_ips),
        segments: one.segments.saturating_add(other.segments),
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// What there is too little of, with its field. What is not asked for is never short, also where more is in use than allowed.
fn short(quota: &Stored<QuotaRow>, used: Amounts, asked: Amounts) -> Vec<(&'static str, String)> {
    let of = |amounts: Amounts| {
        [
            u64::from(amounts.vms),
            u64::from(amounts.vcpus),
            amounts.memory_mib,
            amounts.disk_gib,
            u64::from(amounts.global_ips),
            u64::from(amounts.segments),
        ]
    };
    let words = [
        ("vms", "machines"),
        ("vcpus", "virtual processors"),
        ("memory_mib", "MiB of memory"),
        ("disk_gib", "GiB of disk"),
        ("global_ips", "outside addresses"),
        ("segments", "networks"),
    ];
    let amounts = of(quota.value.limit).into_iter().zip(of(used)).zip(of(asked));
    words
        .into_iter()
        .zip(amounts)
        .filter_map(|((field, what), ((limit, used), asked))| {
            let lacks = used.saturating_add(asked).saturating_sub(limit);
            (asked > 0 && lacks > 0).then(|| {
                let told = format!("{asked} {what} are asked for and {used} of {limit} are in use, {lacks} too many");
                (field, told)
            })
        })
        .collect()
}
