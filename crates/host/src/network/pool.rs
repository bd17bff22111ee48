//! The addresses from which projects are seen outside: a pure function.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use renkei_types::id::ProjectId;

use super::uplink::Uplink;

/// Gives each project an address of the pool. Those that have one keep it, if the pool has it; projects for which none is left get none.
pub(super) fn allot(
    uplink: &Uplink,
    had: &BTreeMap<ProjectId, IpAddr>,
    projects: &BTreeSet<ProjectId>,
) -> BTreeMap<ProjectId, IpAddr> {
    let fits = |address: &IpAddr| uplink.snat_pool.has(*address) && *address != uplink.router;
    let mut given: BTreeMap<ProjectId, IpAddr> = had.clone();
    given.retain(|_, address| fits(address));
    let mut taken: BTreeSet<IpAddr> = given.values().copied().collect();
    let mut free = uplink.snat_pool.hosts().filter(fits);
    for project in projects {
        if given.contains_key(project) {
            continue;
        }
        let Some(address) = free.find(|address| !taken.contains(address)) else {
            break;
        };
        taken.insert(address);
        given.insert(*project, address);
    }
    given
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use uuid::Uuid;

    use super::*;

    fn project(number: u128) -> ProjectId {
        ProjectId(Uuid::from_u128(number))
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn who_has_an_address_keeps_it_and_the_router_is_nobodys() {
        let uplink = Uplink {
            snat_pool: "192.0.2.0/29".parse().unwrap(),
            router: address(1),
            ..Uplink::transit("test", None, Path::new("/nowhere"))
        };
        let had = [(project(9), address(3)), (project(8), address(99))].into();
        let all = (1..=9).map(project).collect();
        let given = allot(&uplink, &had, &all);
        assert_eq!(given[&project(9)], address(3));
        assert_eq!(given[&project(1)], address(2));
        assert_eq!(given[&project(2)], address(4));
        let addresses: BTreeSet<IpAddr> = given.values().copied().collect();
        assert_eq!(addresses, [2, 3, 4, 5, 6].map(address).into());
        assert_eq!(given.len(), 5, "the others get none");
    }
}
