use renkei_types::network::Ports;
use uuid::Uuid;

use super::*;

fn rule_from(source: &str) -> Allowed {
    Allowed {
        protocol: Protocol::Tcp,
        source: source.parse().unwrap(),
        source_ports: Ports::ANY,
        destination: "10.15.0.9".parse().unwrap(),
        destination_ports: "22".parse().unwrap(),
    }
}

#[test]
fn equal_rules_have_equal_marks_whatever_they_are_called() {
    let rules = |all: &[(u128, &str)]| -> BTreeMap<AclId, Allowed> {
        let rule = |(id, source): &(u128, &str)| (AclId(Uuid::from_u128(*id)), rule_from(source));
        all.iter().map(rule).collect()
    };
    let one = mark(&rules(&[(1, "192.0.2.0/24")]));
    assert_eq!(one, mark(&rules(&[(7, "192.0.2.0/24")])));
    assert_ne!(one, mark(&rules(&[(1, "192.0.2.0/25")])));
    assert_ne!(one, mark(&rules(&[(1, "192.0.2.0/24"), (2, "198.51.100.0/24")])));
    assert_ne!(mark(&BTreeMap::new()), 0, "what new flows have");
}

#[test]
fn a_rule_turned_round_looks_at_the_other_ends() {
    let text = |direction| allows(&rule_from("192.0.2.0/24"), direction, 5).to_string();
    let (there, back) = (text(Direction::There), text(Direction::Back));
    assert!(there.contains(r#""field":"dport","protocol":"tcp""#), "{there}");
    assert!(back.contains(r#""field":"sport","protocol":"tcp""#), "{back}");
    for text in [there, back] {
        assert!(text.ends_with(r#"{"accept":null}]"#), "{text}");
    }
}
