//! What makes no sense in a request for a machine, whatever there is and whatever state it is in. It is told first: neither a version
//! that is over nor a freeze hides it, not in a plan either.

use renkei_types::name::VmName;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::vm::{CloneVm, LARGEST_USER_DATA, MOST_ADAPTERS, NewAdapter, NewVm, VmPatch};

use super::size;
use crate::app::text;

/// Characters in a public key.
const LONGEST_KEY: usize = 16384;

/// Refuses to ask for such machines.
pub(super) fn new(new: &NewVm) -> Result<(), Problem> {
    names(&new.name)?;
    plain_texts(new)?;
    if let Some(size) = &new.size {
        size::sound(size)?;
    }
    if let Some(gib) = new.disk_gib {
        size::disks("disk_gib", &[gib])?;
    }
    adapters(&new.adapters)
}

/// Refuses to change a machine so.
pub(super) fn patch(patch: &VmPatch) -> Result<(), Problem> {
    if *patch == VmPatch::default() {
        let problem = Problem::new(ProblemKind::Invalid, "nothing is asked to be changed");
        return Err(problem.hint("name at least one of name, size, disks_gib, adapters and service_level"));
    }
    if let Some(size) = &patch.size {
        size::sound(size)?;
    }
    if let Some(sizes) = &patch.disks_gib {
        size::disks("disks_gib", sizes)?;
    }
    if let Some(name) = &patch.name {
        vm_name(name)?;
    }
    adapters(patch.adapters.as_deref().unwrap_or_default())
}

/// Refuses such a clone.
pub(super) fn clone(new: &CloneVm) -> Result<(), Problem> {
    vm_name(&new.name)?;
    if let Some(size) = &new.size {
        size::sound(size)?;
    }
    adapters(new.adapters.as_deref().unwrap_or_default())
}

fn adapters(adapters: &[NewAdapter]) -> Result<(), Problem> {
    if adapters.len() > MOST_ADAPTERS {
        let title = format!("a machine has at most {MOST_ADAPTERS} adapters");
        return Err(Problem::new(ProblemKind::Invalid, title).field("adapters"));
    }
    Ok(())
}

/// The names of the machines, in their order.
pub(super) fn names(text: &str) -> Result<Vec<VmName>, Problem> {
    let invalid = |title: String| {
        let problem = Problem::new(ProblemKind::Invalid, title).field("name");
        problem.hint("such as `node-1`, or `node-[01-16]` for sixteen")
    };
    let names = renkei_types::name_range::expand(text).map_err(|error| invalid(format!("`{text}`: {error}")))?;
    names.iter().map(|name| vm_name(name)).collect()
}

/// The name of one machine.
pub(super) fn vm_name(text: &str) -> Result<VmName, Problem> {
    let name = text.parse::<VmName>();
    name.map_err(|error| {
        let problem = Problem::new(ProblemKind::Invalid, format!("`{text}`: {error}")).field("name");
        problem.hint("such as `node-1`")
    })
}

fn plain_texts(new: &NewVm) -> Result<(), Problem> {
    let invalid = |title: &str, field: &str| Problem::new(ProblemKind::Invalid, title).field(field);
    text("key", &new.key, LONGEST_KEY)?;
    let user_data = new.user_data.as_deref().unwrap_or_default();
    if user_data.len() > LARGEST_USER_DATA || user_data.contains('\0') {
        let title = format!("`user_data` has more than {LARGEST_USER_DATA} bytes, or holds a NUL");
        return Err(invalid(&title, "user_data").hint("let the machine fetch what is larger"));
    }
    match new.storage_network.as_deref() {
        None | Some("portgroup" | "pvrdma" | "sr-iov") => Ok(()),
        Some(_) => Err(invalid(
            "`storage_network` is none of `portgroup`, `pvrdma` and `sr-iov`",
            "storage_network",
        )),
    }
}
