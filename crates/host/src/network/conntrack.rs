//! Flows through mappings that are no longer there: the kernel is made to forget them.
//!
//! Their packets are dropped already (`filter`); but as long as somebody goes on sending, the kernel remembers where the
//! address led when the flow began, and would not look where it leads now.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::error::NetworkError;
use super::program::{Space, job};

/// Forgets mapped flows of which (outside address, inside address) is none of these.
pub(super) fn forget(space: &Space, mappings: &BTreeSet<(IpAddr, IpAddr)>) -> Result<(), NetworkError> {
    for family in ["ipv4", "ipv6"] {
        let doing = format!("look at the flows of network namespace `{}`", space.name());
        let listed = space.run(job(&doing, &["conntrack", "-L", "-f", family, "--dst-nat"]))?;
        let listed = String::from_utf8_lossy(&listed);
        let mapped: BTreeSet<(IpAddr, IpAddr)> = listed.lines().filter_map(mapping).collect();
        for (outside, inside) in mapped.difference(mappings) {
            let doing = format!("forget the flows to `{outside}` that led to `{inside}`");
            let (outside, inside) = (outside.to_string(), inside.to_string());
            let from_to = ["--orig-dst", outside.as_str(), "--reply-src", inside.as_str()];
            let words = [&["conntrack", "-D", "-f", family], &from_to[..]].concat();
            match space.run(job(&doing, &words)) {
                // They have ended by themselves meanwhile.
                Err(NetworkError::Refused { said, .. }) if said.contains("0 flow entries") => {}
                other => {
                    other?;
                }
            }
        }
    }
    Ok(())
}

/// The outside and the inside address of a flow as `conntrack` writes it: the first destination, and from where it is answered.
fn mapping(line: &str) -> Option<(IpAddr, IpAddr)> {
    let mut words = line.split_whitespace();
    let outside = words.find_map(|word| word.strip_prefix("dst="))?;
    let inside = words.find_map(|word| word.strip_prefix("src="))?;
    Some((outside.parse().ok()?, inside.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_tells_its_mapping() {
        let line = "udp      17 29 src=198.51.100.7 dst=192.0.2.60 sport=40000 dport=53 [UNREPLIED] src=10.15.0.11 \
                    dst=198.51.100.7 sport=53 dport=40000 mark=0 use=1";
        let mapped = ["192.0.2.60", "10.15.0.11"].map(|address| address.parse().unwrap());
        assert_eq!(mapping(line), Some((mapped[0], mapped[1])));
        assert_eq!(mapping("conntrack v1.4.7"), None);
    }
}
