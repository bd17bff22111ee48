//! What no host of a site could ever hold: refused before anybody waits for it.

use renkei_types::host::{Capacity, Host, HostState};
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::vm::Shape;

use crate::app::App;
use crate::app::queue::Bound;
use crate::app::quota::Share;

/// Why no host could hold a machine of this shape, with nothing else on it and in whatever state it is; nothing if one could. Hosts
/// that have not said yet what they have say nothing about what is possible, nor do those that are gone.
pub fn impossible(hosts: &[Host], shape: &Shape) -> Option<Problem> {
    let known = hosts
        .iter()
        .filter(|host| !matches!(host.state, HostState::Joining | HostState::Fenced))
        .map(|host| host.capacity.promised(&host.settings));
    let known: Vec<Capacity> = known.collect();
    let disk_gib = shape.disk_gib();
    let fits = |host: &Capacity| {
        shape.vcpus <= host.vcpus
            && shape.memory_mib <= host.memory_mib
            && disk_gib <= host.disk_gib
            && shape.gpus <= host.gpus
    };
    if known.is_empty() || known.iter().any(fits) {
        return None;
    }
    let most = |amount: fn(&Capacity) -> u64| known.iter().map(amount).max().unwrap_or_default();
    let amounts = [
        (
            "vcpus",
            "virtual processors",
            u64::from(shape.vcpus),
            most(|host| host.vcpus.into()),
        ),
        (
            "memory_mib",
            "MiB of memory",
            shape.memory_mib,
            most(|host| host.memory_mib),
        ),
        ("disk_gib", "GiB of disk", disk_gib, most(|host| host.disk_gib)),
        ("gpus", "GPUs", u64::from(shape.gpus), most(|host| host.gpus.into())),
    ];
    let lacking: Vec<_> = amounts.into_iter().filter(|(_, _, asked, most)| asked > most).collect();
    let told = lacking
        .iter()
        .map(|(_, what, asked, most)| format!("{asked} {what} are asked for, and no host has more than {most}"));
    let told: Vec<String> = told.collect();
    let title = match lacking.is_empty() {
        true => "no host of the site has all of this together".to_owned(),
        false => format!("no host of the site could hold it: {}", told.join("; ")),
    };
    let field = lacking.first().map_or("size", |(field, ..)| *field);
    Some(
        Problem::new(ProblemKind::Invalid, title)
            .field(field)
            .hint("ask for a smaller machine, or those who run the site for larger hosts"),
    )
}

impl App {
    /// Refuses what no host of the site could ever hold. What only finds it full waits.
    pub async fn possible(&self, share: Share, shape: &Shape) -> Result<(), Problem> {
        let memory = self.memory(Bound::Quota(share));
        let site = share.site.to_string();
        let hosts = memory
            .hosts
            .of::<Host>(self, ("site", &site), |host| host.value.clone())
            .await?;
        match impossible(&hosts, shape) {
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }
}
