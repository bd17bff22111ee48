//! The seed of a guest: cloud-init's NoCloud data source (docs of cloud-init 22.4, "NoCloud", "Networking config Version 2").

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use renkei_types::agent::{AdapterIntent, SegmentIntent};
use renkei_types::id::{SegmentId, VmId};
use renkei_types::segment::Segment;

/// What guests call their adapters, as the notebooks of mdx expect it: the first is for services, the second for storage.
const NAMES: [&str; 2] = ["ens160", "ens192"];

/// The three files of a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seed {
    /// `meta-data`.
    pub meta: String,
    /// `user-data`.
    pub user: String,
    /// `network-config`.
    pub network: String,
}

/// Who a guest is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guest<'a> {
    pub id: VmId,
    pub name: &'a str,
    pub key: &'a str,
    pub user_data: Option<&'a str>,
    pub adapters: &'a [AdapterIntent],
}

/// A network that the host has not been told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotTold(pub SegmentId);

impl Guest<'_> {
    /// The seed, with what is known of the networks.
    pub fn seed(&self, segments: &BTreeMap<SegmentId, SegmentIntent>) -> Result<Seed, NotTold> {
        let mut meta = format!("instance-id: {}\nlocal-hostname: {}\n", self.id, self.name);
        let keys: Vec<&str> = self.key.lines().map(str::trim).filter(|key| !key.is_empty()).collect();
        if !keys.is_empty() {
            meta.push_str("public-keys:\n");
        }
        for key in keys {
            let _ = writeln!(meta, "  - {}", quoted(key));
        }
        let mut network = String::from("version: 2\nethernets:\n");
        for (index, adapter) in self.adapters.iter().enumerate() {
            let segment = segments.get(&adapter.segment).ok_or(NotTold(adapter.segment))?;
            network.push_str(&interface(index, adapter, segment));
        }
        Ok(Seed {
            meta,
            user: self.user_data.unwrap_or("#cloud-config\n").to_owned(),
            network,
        })
    }
}

fn interface(index: usize, adapter: &AdapterIntent, segment: &SegmentIntent) -> String {
    let name = NAMES
        .get(index)
        .map_or_else(|| format!("ens{}", 192 + 32 * (index - 1)), |name| (*name).to_owned());
    let mut text = format!("  {name}:\n    match:\n");
    let _ = writeln!(text, "      macaddress: {}", quoted(&adapter.mac.to_string()));
    let _ = writeln!(text, "    set-name: {}", quoted(&name));
    let _ = writeln!(text, "    mtu: {}", segment.mtu);
    if adapter.addresses.is_empty() {
        text.push_str("    dhcp4: true\n");
        return text;
    }
    let ranges = [Some(segment.v4), segment.v6];
    let range = |address: IpAddr| ranges.iter().flatten().find(|range| range.has(address));
    text.push_str("    addresses:\n");
    for address in &adapter.addresses {
        let prefix = range(*address).map_or(if address.is_ipv4() { 32 } else { 128 }, |range| range.prefix());
        let _ = writeln!(text, "      - {}", quoted(&format!("{address}/{prefix}")));
    }
    // The first network leads outside.
    if index == 0 {
        let used = |range: &&renkei_types::network::Range| adapter.addresses.iter().any(|address| range.has(*address));
        let ways: Vec<IpAddr> = ranges
            .iter()
            .flatten()
            .filter(used)
            .filter_map(Segment::gateway)
            .collect();
        if !ways.is_empty() {
            text.push_str("    routes:\n");
        }
        for way in ways {
            let to = if way.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
            let _ = writeln!(
                text,
                "      - to: {}\n        via: {}",
                quoted(to),
                quoted(&way.to_string())
            );
        }
    }
    if !segment.dns.is_empty() {
        text.push_str("    nameservers:\n      addresses:\n");
    }
    for server in &segment.dns {
        let _ = writeln!(text, "        - {}", quoted(&server.to_string()));
    }
    text
}

/// A string as YAML and JSON both write it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use renkei_types::agent::DiskSource;
    use renkei_types::network::Range;
    use renkei_types::operation::Generation;
    use uuid::Uuid;

    use super::*;

    fn segment(id: SegmentId) -> SegmentIntent {
        let range = |text: &str, prefix| Range::new(text.parse().unwrap(), prefix).unwrap();
        SegmentIntent {
            id,
            generation: Generation(1),
            tombstone: false,
            project: renkei_types::id::ProjectId(Uuid::from_u128(7)),
            vni: 5000,
            v4: range("10.15.0.0", 21),
            v6: Some(range("fd00:1::", 64)),
            mtu: 1450,
            dns: vec!["10.15.0.1".parse().unwrap()],
            ntp: Vec::new(),
            strict: false,
            acls: BTreeMap::new(),
            dnats: BTreeMap::new(),
        }
    }

    #[test]
    fn a_guest_is_told_who_and_where_it_is() {
        let source = DiskSource::Template {
            name: "t".to_owned(),
            image: None,
        };
        let intent = crate::contract::intent(VmId(Uuid::from_u128(1)), source);
        let mut adapters = intent.adapters;
        adapters[0].addresses.push("fd00:1::2".parse().unwrap());
        let net = segment(adapters[0].segment);
        let guest = Guest {
            id: intent.id,
            name: "trial",
            key: "ssh-ed25519 AAAA \"me\"\n",
            user_data: None,
            adapters: &adapters,
        };
        assert_eq!(guest.seed(&BTreeMap::new()), Err(NotTold(net.id)));
        let seed = guest.seed(&BTreeMap::from([(net.id, net)])).unwrap();
        assert_eq!(
            seed.meta,
            "instance-id: 00000000-0000-0000-0000-000000000001\nlocal-hostname: trial\npublic-keys:\n  - \"ssh-ed25519 AAAA \\\"me\\\"\"\n"
        );
        assert_eq!(seed.user, "#cloud-config\n");
        let mac = adapters[0].mac;
        let expected = format!(
            "version: 2\nethernets:\n  ens160:\n    match:\n      macaddress: \"{mac}\"\n    set-name: \"ens160\"\n    mtu: 1450\n    \
             addresses:\n      - \"10.15.0.2/21\"\n      - \"fd00:1::2/64\"\n    routes:\n      - to: \"0.0.0.0/0\"\n        \
             via: \"10.15.0.1\"\n      - to: \"::/0\"\n        via: \"fd00:1::1\"\n    nameservers:\n      addresses:\n        - \"10.15.0.1\"\n"
        );
        assert_eq!(seed.network, expected);
    }
}
