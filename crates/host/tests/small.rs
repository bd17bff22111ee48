//! The small guest really boots, without KVM, on a tap in a namespace of the test's own.

#[path = "small/lab.rs"]
mod lab;
#[path = "small/yaml.rs"]
mod yaml;

use lab::{Lab, MAC};
use renkei_host::small::{CANARY, CANARY_ALIVE, UP};

const ADDRESS: &str = "10.77.0.2";

fn network() -> String {
    format!(
        "version: 2\n\
         ethernets:\n  ens160:\n    match:\n      macaddress: \"{MAC}\"\n    set-name: \"ens160\"\n\
         \x20   addresses:\n      - \"{ADDRESS}/24\"\n      - \"fd00:77::2/64\"\n\
         \x20   routes:\n      - to: \"default\"\n        via: \"10.77.0.1\"\n\
         \x20   nameservers:\n      addresses:\n        - \"10.77.0.1\"\n    mtu: 1450\n"
    )
}

#[test]
fn it_is_what_its_seed_says_and_keeps_what_it_has() {
    let lab = Lab::new();
    let network = network();
    let seed = |instance: &str, name: &str| {
        lab.seed(&[
            ("meta-data", &lab.meta_data(instance, name)),
            ("user-data", "#cloud-config\n"),
            ("network-config", &network),
        ])
    };
    let mut guest = lab.boot(Some(&seed("one", "first")));
    guest.until_says(UP);
    assert_eq!(lab.ssh(&guest, ADDRESS, "hostname; id -un"), "first\nroot");
    let links = lab.ssh(&guest, ADDRESS, "ip addr show ens160; ip route; cat /etc/resolv.conf");
    for text in [
        "mtu 1450",
        "fd00:77::2/64",
        "default via 10.77.0.1 dev ens160",
        "nameserver 10.77.0.1",
    ] {
        assert!(links.contains(text), "no `{text}` in {links}");
    }
    let size = "df -k / | awk 'NR == 2 { print $2 }'";
    let small: u64 = lab.ssh(&guest, ADDRESS, size).parse().unwrap();
    lab.ssh(&guest, ADDRESS, "echo kept > marker");
    assert!(guest.console().contains("login:"), "{}", guest.console());
    guest.power_down();

    // The same instance on a larger disk: the known host key is asked for by ssh itself.
    lab.grow("3G");
    let mut guest = lab.boot(Some(&seed("one", "renamed")));
    guest.until_says(UP);
    assert_eq!(lab.ssh(&guest, ADDRESS, "cat marker; hostname"), "kept\nrenamed");
    let large: u64 = lab.ssh(&guest, ADDRESS, size).parse().unwrap();
    assert!(large > small * 2, "{small} {large}");
    // From inside it ends as well, and the root is whole afterwards.
    lab.try_ssh(ADDRESS, "poweroff");
    guest.until_ends();

    let mut guest = lab.boot(Some(&seed("two", "second")));
    guest.until_says(UP);
    let refused = lab.try_ssh(ADDRESS, "true");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("IDENTIFICATION HAS CHANGED"), "{said}");
    std::fs::remove_file(lab.folder.path().join("known_hosts")).unwrap();
    assert_eq!(lab.ssh(&guest, ADDRESS, "cat marker; hostname"), "kept\nsecond");
    // It was not even left with a journal to be replayed.
    let checked = lab.ssh(&guest, ADDRESS, "cat /run/renkei/fsck");
    assert!(
        checked.contains("clean") && !checked.contains("recovering"),
        "{checked}"
    );
    guest.power_down();
}

#[test]
fn without_addresses_it_asks_for_one_and_takes_keys_of_user_data() {
    let lab = Lab::new();
    let mut server = lab.dhcp("10.77.0.50");
    let key = lab.key.public_line().unwrap();
    let user_data = format!(
        "#cloud-config\npackages: [vim]\nwrite_files:\n  - path: /evil\n    content: |\n      ssh_authorized_keys:\n        - evil\n\
         ssh_authorized_keys:\n- {}\n",
        key.trim()
    );
    let seed = lab.seed(&[
        ("meta-data", "instance-id: one\nlocal-hostname: asks\n"),
        ("user-data", &user_data),
    ]);
    let mut guest = lab.boot(Some(&seed));
    guest.until_says(UP);
    lab.until_reached("10.77.0.50");
    let command = "hostname; ip route; cat .ssh/authorized_keys; ls /evil 2>&1; true";
    let said = lab.ssh(&guest, "10.77.0.50", command);
    assert!(
        said.starts_with("asks\n") && said.contains("default via 10.77.0.1"),
        "{said}"
    );
    assert!(
        said.contains("/evil: No such file") && !said.lines().any(|line| line == "evil"),
        "{said}"
    );
    let file = lab.folder.path().join("copied");
    std::fs::write(&file, "by sftp").unwrap();
    let copied = lab.scp(&file, "10.77.0.50", "copied");
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    assert_eq!(lab.ssh(&guest, "10.77.0.50", "cat copied"), "by sftp");
    let refused = lab.try_ssh_as("nobody", "10.77.0.50", "true");
    assert!(!refused.status.success());
    guest.power_down();
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn a_first_start_that_is_cut_short_is_made_good_by_the_next() {
    let lab = Lab::new();
    let network = network();
    let seed = lab.seed(&[
        ("meta-data", &lab.meta_data("one", "cut")),
        ("network-config", &network),
    ]);
    for said in ["making a file system", "putting the system", "making keys"] {
        lab.boot(Some(&seed)).until_says(said);
    }
    let mut guest = lab.boot(Some(&seed));
    guest.until_says(UP);
    let said = lab.ssh(
        &guest,
        ADDRESS,
        "hostname; ls /var/lib/renkei /lib/renkei/stamp; df -k / | tail -n 1",
    );
    assert!(said.starts_with("cut\n") && said.contains("instance-id"), "{said}");
    guest.power_down();
}

#[test]
fn a_disk_that_it_does_not_understand_is_left_alone() {
    let lab = Lab::new();
    lab.scribble("somebody's data");
    let console = lab.boot(None).until_ends();
    assert!(
        console.contains("/dev/vda has neither nothing nor ext4 on it"),
        "{console}"
    );
    assert!(!console.contains(UP), "{console}");
}

#[test]
fn a_canary_says_that_it_lives_and_ends() {
    let lab = Lab::new();
    let mut guest = lab.boot_with(None, CANARY);
    let console = guest.until_ends();
    assert!(console.contains(CANARY_ALIVE) && !console.contains(UP), "{console}");
}
