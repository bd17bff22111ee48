//! Networks, addresses, rules and mappings from the command line.

use serde_json::json;

use super::support::{Hub, Person};

/// A project that may have networks and outside addresses at a site.
fn lab(admin: &Person) {
    admin.done(&["org", "create", "cs"]);
    admin.done(&["project", "create", "lab", "--org", "cs"]);
    admin.done(&["site", "create", "hakusan"]);
    let words = [
        "quota",
        "set",
        "hakusan",
        "-p",
        "lab",
        "--segments",
        "2",
        "--global-ips",
        "2",
    ];
    admin.done(&words);
    admin.done(&["global-ip", "add", "203.0.113.7", "--site", "hakusan"]);
    admin.done(&["global-ip", "add", "203.0.113.8", "--site", "hakusan"]);
}

#[test]
fn a_network_lives_and_dies() {
    let hub = Hub::start();
    let admin = hub.administrator();
    lab(&admin);
    let made = admin.done(&["segment", "create", "lan", "-p", "lab", "--v6", "fd00:15::/64"]);
    assert!(made.starts_with("created segment `lan`, id "), "{made}");
    let list = admin.done(&["segment", "list", "-p", "lab"]);
    assert!(
        list.contains("hakusan") && list.contains("10.15.0.0/21") && list.contains("yes"),
        "{list}"
    );
    admin.done(&[
        "segment", "change", "lan", "-p", "lab", "--name", "net", "--strict", "true",
    ]);
    let shown = admin.json(&["segment", "show", "net", "-p", "lab"]);
    assert_eq!(
        (&shown["strict"], &shown["generation"], &shown["mtu"]),
        (&json!(true), &json!(2), &json!(1450))
    );

    let plan = admin.done(&["segment", "create", "wan", "-p", "lab", "--plan"]);
    assert!(plan.contains("would create segment `wan`"), "{plan}");

    assert!(
        admin
            .done(&["lease", "reserve", "net", "-p", "lab"])
            .starts_with("reserved address `10.15.0.2`")
    );
    admin.done(&["lease", "reserve", "net", "10.15.0.9", "-p", "lab", "--note", "printer"]);
    let list = admin.done(&["lease", "list", "net", "-p", "lab"]);
    assert!(list.contains("10.15.0.9") && list.contains("printer"), "{list}");
    let still = admin.refused(1, &["segment", "delete", "net", "-p", "lab", "--yes"]);
    assert!(
        still.contains("reserved address") && still.contains("hint: "),
        "{still}"
    );
    for address in ["10.15.0.2", "10.15.0.9"] {
        admin.done(&["lease", "release", "net", address, "-p", "lab", "--yes"]);
    }
    admin.done(&["segment", "delete", "net", "-p", "lab", "--yes"]);
    let gone = admin.refused(1, &["segment", "show", "net", "-p", "lab"]);
    assert!(gone.contains("there is no segment `net`"), "{gone}");
}

#[test]
fn rules_and_mappings_live_and_die() {
    let hub = Hub::start();
    let admin = hub.administrator();
    lab(&admin);
    admin.done(&["segment", "create", "lan", "-p", "lab"]);
    let made = admin.json(&[
        "acl",
        "create",
        "lan",
        "-p",
        "lab",
        "--from",
        "192.0.2.0/24",
        "--to",
        "10.15.0.2",
        "--ports",
        "443",
        "--expires",
        "30d",
    ]);
    let id = made["id"].as_str().expect("an id");
    assert_eq!(
        (&made["protocol"], &made["destination_ports"]),
        (&json!("tcp"), &json!("443"))
    );
    let list = admin.done(&["acl", "list", "-p", "lab", "--segment", "lan"]);
    assert!(
        list.contains("192.0.2.0/24") && list.contains("10.15.0.2/32 ports 443"),
        "{list}"
    );
    admin.done(&["acl", "change", id, "--from", "192.0.2.7", "--no-expiry"]);
    let shown = admin.json(&["acl", "show", id]);
    assert_eq!(
        (&shown["source"], &shown["expires"]),
        (&json!("192.0.2.7/32"), &json!(null))
    );
    assert_eq!(shown["destination_ports"], "443", "what was not named stays");

    let words = ["dnat", "create", "203.0.113.7", "10.15.0.2", "-p", "lab", "-s", "lan"];
    assert!(
        admin
            .done(&words)
            .starts_with("created mapping of `203.0.113.7` to `10.15.0.2`")
    );
    admin.done(&["dnat", "change", "203.0.113.7", "-p", "lab", "--to", "10.15.0.3"]);
    let list = admin.done(&["dnat", "list", "-p", "lab"]);
    assert!(list.contains("lan") && list.contains("10.15.0.3"), "{list}");
    let audit = admin.done(&["acl", "audit", "-p", "lab"]);
    assert!(
        audit.contains(id) && audit.contains("203.0.113.7 to 10.15.0.3"),
        "{audit}"
    );

    let still = admin.refused(1, &["global-ip", "give-back", "203.0.113.7", "-p", "lab", "--yes"]);
    assert!(still.contains("leads to `10.15.0.3`"), "{still}");
    admin.done(&["dnat", "delete", "203.0.113.7", "-p", "lab", "--yes"]);
    admin.done(&["acl", "delete", id, "--yes"]);
    let audit = admin.done(&["acl", "audit", "-p", "lab"]);
    assert!(audit.contains("leads to a machine"), "{audit}");
    admin.done(&["global-ip", "take", "203.0.113.8", "-p", "lab"]);
    let list = admin.done(&["global-ip", "list", "-p", "lab"]);
    assert!(list.contains("203.0.113.7") && list.contains("203.0.113.8"), "{list}");
    for address in ["203.0.113.7", "203.0.113.8"] {
        admin.done(&["global-ip", "give-back", address, "-p", "lab", "--yes"]);
        admin.done(&["global-ip", "remove", address, "--site", "hakusan", "--yes"]);
    }
    assert_eq!(admin.json(&["global-ip", "list", "--site", "hakusan"]), json!([]));
}
