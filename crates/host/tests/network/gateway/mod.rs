//! The gateways of two tenants with equal addresses, with real packets, beside the model that says what must pass.

mod announce;
mod flow;
mod frame;
mod host;
mod lab;
mod packets;
mod repair;
mod service;

use std::collections::BTreeMap;

use renkei_testkit::Namespace;
use renkei_testkit::seed::Rng;
use renkei_types::reach::Packet;

use lab::Lab;

/// How many (rules, packet) pairs are tried.
fn pairs() -> u64 {
    let text = std::env::var("RENKEI_PACKETS").ok();
    text.map_or(1000, |text| text.parse().expect("`RENKEI_PACKETS` is a number"))
}

/// Packets for each set of rules.
const EACH: u64 = 50;

/// Runs on a thread in a network namespace that is the host's for this test.
fn on_a_host(test: impl FnOnce(&Namespace) + Send + 'static) {
    let host = Namespace::create("host").unwrap();
    let inside = Namespace::of(host.name().to_owned());
    host.inside(move || {
        test(&inside);
        Ok(())
    })
    .unwrap();
}

#[test]
fn real_packets_and_the_model_agree() {
    on_a_host(|host| {
        let mut lab = Lab::new(host);
        let mut rng = Rng::for_purpose("packets");
        let (mut number, mut markers, mut open) = (0, 0, 0);
        while number < pairs() {
            packets::change_rules(&mut lab, &mut rng);
            lab.make();
            let batch: BTreeMap<u64, (usize, Packet)> = (0..EACH)
                .map(|_| {
                    number += 1;
                    (number, packets::packet(&lab, &mut rng, number))
                })
                .collect();
            let come = packets::carry(&lab, &batch, &mut markers);
            let differences = packets::differences(&lab, &batch, &come);
            assert!(differences.is_empty(), "{}", differences.join("\n"));
            open += come.len();
            let again = packets::carry(&lab, &batch, &mut markers);
            assert_eq!(again, come, "the same packets once more");
        }
        // A model by which nothing passes, or everything, would agree with such rules.
        let share = open as f64 / number as f64;
        assert!((0.2..0.8).contains(&share), "{open} of {number} have passed");
    });
}

/// Sends random packets under random rules, each number once, and gives what differs from the model.
fn round(lab: &Lab, rng: &mut Rng, (number, markers): (&mut u64, &mut u64)) -> Vec<String> {
    let mut batch: BTreeMap<u64, (usize, Packet)> = BTreeMap::new();
    for _ in 0..EACH {
        *number += 1;
        batch.insert(*number, packets::packet(lab, rng, *number));
    }
    let come = packets::carry(lab, &batch, markers);
    packets::differences(lab, &batch, &come)
}

#[test]
fn a_wrong_rule_is_caught_and_mended() {
    on_a_host(|host| {
        let mut lab = Lab::new(host);
        let mut rng = Rng::for_purpose("wrong rules");
        let (mut number, mut markers) = (0, 0);
        packets::change_rules(&mut lab, &mut rng);
        lab.make();
        assert_eq!(round(&lab, &mut rng, (&mut number, &mut markers)), Vec::<String>::new());
        for wrong in [
            "insert rule inet renkei passing accept",
            "insert rule inet renkei passing tcp dport 443 drop",
            "insert rule inet renkei claimed udp sport > 32767 udp dport != 9 drop",
        ] {
            for (_, gateway) in &lab.gateways {
                assert!(gateway.command("nft").arg(wrong).status().unwrap().success());
            }
            let caught = (0..20).any(|_| !round(&lab, &mut rng, (&mut number, &mut markers)).is_empty());
            assert!(caught, "nobody has noticed `{wrong}`");
            // Nothing else is meant, but each gateway is looked at by and by.
            for _ in 0..lab.gateways.len() {
                lab.make();
            }
            assert_eq!(round(&lab, &mut rng, (&mut number, &mut markers)), Vec::<String>::new());
        }
    });
}
