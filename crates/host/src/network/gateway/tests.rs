use super::*;

fn link(name: &str, addresses: &[(&str, u8)]) -> LinkSeen {
    LinkSeen {
        ifname: name.to_owned(),
        ifindex: 2,
        mtu: 1500,
        address: "0e:00:00:00:00:01".to_owned(),
        flags: vec!["UP".to_owned()],
        addr_info: addresses
            .iter()
            .map(|(local, prefixlen)| AddressSeen {
                local: local.parse().unwrap(),
                prefixlen: *prefixlen,
                scope: "global".to_owned(),
            })
            .collect(),
    }
}

fn leg(addresses: &[(&str, u8)]) -> BTreeMap<String, Leg> {
    let addresses = addresses
        .iter()
        .map(|(address, prefix)| (address.parse().unwrap(), *prefix));
    let leg = Leg {
        mac: Mac([0x0e, 0, 0, 0, 0, 1]),
        mtu: 1500,
        addresses: addresses.collect(),
    };
    [("uplink".to_owned(), leg)].into()
}

#[test]
fn addresses_come_with_their_network_first_and_are_told_of() {
    let meant = leg(&[("192.0.2.9", 32), ("192.0.2.241", 24), ("2001:db8::9", 128)]);
    let lines = changes(&meant, &[link("uplink", &[("192.0.2.241", 24), ("192.0.2.8", 32)])]);
    let wanted = [
        "address del 192.0.2.8/32 dev uplink",
        "address add 192.0.2.9/32 dev uplink",
        "address add 2001:db8::9/128 dev uplink nodad",
        "link set dev uplink address 0e:00:00:00:00:01",
    ];
    assert_eq!(lines, wanted);
    let lines = changes(&meant, &[link("uplink", &[])]);
    assert_eq!(lines[0], "address add 192.0.2.241/24 dev uplink");
    let there = [("192.0.2.9", 32), ("192.0.2.241", 24), ("2001:db8::9", 128)];
    assert_eq!(changes(&meant, &[link("uplink", &there)]), Vec::<String>::new());
    assert_eq!(changes(&meant, &[]), Vec::<String>::new(), "it will come");
}

#[test]
fn routes_are_replaced_and_those_to_nowhere_go() {
    let route = |to: &str, via: &str| Route {
        to: to.parse().unwrap(),
        by: "uplink".to_owned(),
        via: via.parse().ok(),
        from: None,
    };
    let meant = [route("0.0.0.0/0", "192.0.2.1"), route("198.51.100.7", "")].into();
    let seen = [route("0.0.0.0/0", "192.0.2.2"), route("2001:db8::/64", "fd00::1")].into();
    let lines = route_changes(&meant, &seen);
    let wanted = [
        "route del 2001:db8::/64 dev uplink proto 82",
        "route replace 0.0.0.0/0 dev uplink proto 82 via 192.0.2.1 onlink",
        "route replace 198.51.100.7/32 dev uplink proto 82",
    ];
    assert_eq!(lines, wanted);
    assert_eq!(route_changes(&meant, &meant), Vec::<String>::new());
}
