//! Gateways that somebody has broken, and agents that start anew.

use renkei_host::network::{Network, NetworkError, Settings};
use renkei_testkit::Namespace;
use renkei_testkit::seed::Rng;
use renkei_types::agent::SegmentIntent;

use super::lab::{Lab, project, segment, segment_id, uplink};
use super::{on_a_host, packets, round};

/// What `ip` and `nft` show of a namespace, without what changes by itself.
fn shown(space: &Namespace) -> String {
    let run = |words: &[&str]| {
        let output = space.command(words[0]).args(&words[1..]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let addresses = run(&["ip", "-o", "address"]);
    let routes = run(&["ip", "route"]) + &run(&["ip", "-6", "route", "show", "proto", "82"]);
    addresses + &routes + &run(&["nft", "list", "ruleset"])
}

#[test]
fn what_somebody_broke_is_made_again() {
    on_a_host(|host| {
        let mut lab = Lab::new(host);
        let mut rng = Rng::for_purpose("repair");
        let (mut number, mut markers) = (0, 0);
        packets::change_rules(&mut lab, &mut rng);
        lab.make();
        let gateway = lab.gateways[0].1.clone();
        let switch = lab.switch.clone();
        let breaks: [(&Namespace, &[&str]); 6] = [
            (&gateway, &["ip", "link", "del", "s000000000011"]),
            (&gateway, &["ip", "route", "flush", "proto", "82"]),
            (&gateway, &["ip", "address", "flush", "dev", "uplink"]),
            (&gateway, &["nft", "delete", "table", "inet", "renkei"]),
            (&switch, &["ip", "link", "del", "uplink"]),
            (&switch, &["ip", "netns", "del", gateway.name()]),
        ];
        for (space, words) in breaks {
            let broken = space.command(words[0]).args(&words[1..]).status().unwrap();
            assert!(broken.success(), "{words:?}");
            for _ in 0..lab.gateways.len() {
                lab.make();
            }
            lab.prime();
            lab.prime_outside();
            let differences = round(&lab, &mut rng, (&mut number, &mut markers));
            assert!(differences.is_empty(), "{words:?}: {}", differences.join("\n"));
        }
    });
}

#[test]
fn a_gateway_that_cannot_be_made_keeps_no_other_from_being_made() {
    on_a_host(|host| {
        let mut lab = Lab::new(host);
        let (gone, path) = (lab.gateways[0].1.clone(), lab.gateways[0].1.path());
        host.ip(&["netns", "del", gone.name()]).unwrap();
        // In the place where the namespace's file would be.
        std::fs::create_dir(&path).unwrap();
        for segment in lab.segments.values_mut() {
            segment.acls.clear();
            segment.generation = segment.generation.next();
        }
        // What is not made anew is looked at by turns.
        let mut so = lab.network.segments(&lab.segments);
        for _ in 0..lab.gateways.len() {
            so = lab.network.segments(&lab.segments);
        }
        assert_eq!(so.into_keys().collect::<Vec<_>>(), [0x21, 0x22].map(segment_id));
        let troubles = lab.network.troubles();
        assert!(troubles[0].to_string().contains(gone.name()), "{troubles:?}");
        std::fs::remove_dir(&path).unwrap();
        let so = lab.network.segments(&lab.segments);
        assert_eq!(so.len(), 4, "{:?}", lab.network.troubles());
    });
}

#[test]
fn an_agent_that_starts_anew_changes_nothing() {
    on_a_host(|host| {
        let mut lab = Lab::new(host);
        let before: Vec<String> = lab.gateways.iter().map(|(_, gateway)| shown(gateway)).collect();
        lab.network = Network::open(&Settings {
            namespace: lab.switch.name().to_owned(),
            uplink: Some(uplink(lab.folder.path())),
        })
        .unwrap();
        lab.make();
        let after: Vec<String> = lab.gateways.iter().map(|(_, gateway)| shown(gateway)).collect();
        assert_eq!(after, before);
        assert_eq!(lab.network.own_addresses().unwrap(), lab.own);
    });
}

#[test]
fn a_project_without_segments_has_no_gateway_and_others_keep_theirs() {
    on_a_host(|host| {
        let mut lab = Lab::new(host);
        let there = |project: usize, lab: &Lab| lab.gateways[project].1.path().exists();
        for machine in 0..2 {
            lab.network
                .unplug(renkei_types::id::VmId(uuid::Uuid::from_u128(machine)))
                .unwrap();
        }
        let gone = |lab: &mut Lab, id: u128| {
            let segment = lab.segments.get_mut(&segment_id(id)).unwrap();
            *segment = SegmentIntent {
                tombstone: true,
                generation: segment.generation.next(),
                ..segment.clone()
            };
            let so = lab.network.segments(&lab.segments);
            so.get(&segment_id(id)) == Some(&lab.segments[&segment_id(id)].generation)
        };
        assert!(gone(&mut lab, 0x11));
        assert!(there(0, &lab), "it has another segment");
        assert!(!gone(&mut lab, 0x12), "machines are in it");
        assert!(!there(0, &lab));
        assert!(there(1, &lab));
    });
}

#[test]
fn segments_of_a_project_that_overlap_are_told_of() {
    on_a_host(|host| {
        let mut lab = Lab::new(host);
        let second = segment((1, 0x13), "10.15.0.128/25", None);
        lab.segments.insert(second.id, second.clone());
        let so = lab.network.segments(&lab.segments);
        assert_eq!(so.len(), lab.segments.len() - 1);
        assert!(!so.contains_key(&second.id));
        let troubles = lab.network.troubles();
        assert!(
            matches!(troubles, [NetworkError::NoGateway(id)] if *id == second.id),
            "{troubles:?}"
        );
        assert_eq!(lab.own.len(), 2);
        assert!(lab.own.contains_key(&project(1)));
    });
}
