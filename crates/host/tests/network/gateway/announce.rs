//! Who has an outside address says so, in case that somebody outside remembers another.

use std::collections::BTreeSet;
use std::net::IpAddr;

use renkei_testkit::wait;
use renkei_types::id::DnatId;
use uuid::Uuid;

use super::lab::{Lab, address, project, segment_id, way_mac};
use super::on_a_host;

/// The address that a frame announces for its sender: by ARP about itself (RFC 5227, section 3), or by a neighbour advertisement that nobody
/// has asked for (RFC 4861, section 7.2.6).
fn announced(frame: &[u8]) -> Option<IpAddr> {
    match frame.get(12..14)? {
        [0x08, 0x06] => {
            let sender: [u8; 4] = frame.get(28..32)?.try_into().ok()?;
            (frame.get(38..42)? == sender).then(|| sender.into())
        }
        [0x86, 0xdd] if *frame.get(20)? == 58 && *frame.get(54)? == 136 => {
            let target: [u8; 16] = frame.get(62..78)?.try_into().ok()?;
            Some(target.into())
        }
        _ => None,
    }
}

#[test]
fn an_outside_address_is_announced_where_it_comes_to_be() {
    on_a_host(|host| {
        let mut lab = Lab::new(host);
        let outside = ["192.0.2.60", "2001:db8:ffff::60"].map(address);
        for (into, owner) in [(0x11, 1), (0x21, 2)] {
            let segment = lab.segments.get_mut(&segment_id(into)).unwrap();
            let inside = [address("10.15.0.11"), segment.v6.unwrap().hosts().nth(10).unwrap()];
            for (number, mapping) in (77..).zip(outside.into_iter().zip(inside)) {
                segment.dnats.insert(DnatId(Uuid::from_u128(number)), mapping);
            }
            lab.make();
            let mut heard = BTreeSet::new();
            wait::until("both to be announced", || {
                while let Some(frame) = lab.hears(lab.campus()) {
                    if frame.get(6..12) == Some(&way_mac(project(owner)).0) {
                        heard.extend(announced(&frame));
                    }
                }
                outside.iter().all(|one| heard.contains(one))
            })
            .unwrap();
            // It goes to the other tenant.
            let segment = lab.segments.get_mut(&segment_id(into)).unwrap();
            segment.dnats.retain(|_, (one, _)| !outside.contains(one));
        }
    });
}
