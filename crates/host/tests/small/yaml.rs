//! What the guest reads out of the files of a seed, by the awk that is here.

use std::io::Write as _;
use std::process::{Command, Stdio};

fn flat(text: &str) -> Vec<String> {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/src/small/guest/yaml.awk");
    let mut awk = Command::new("awk")
        .args(["-f", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    awk.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = awk.wait_with_output().unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| line.replace('\t', " = ")).collect()
}

#[test]
fn maps_and_lists_have_paths() {
    let text = "version: 2\nethernets:\n  \"ens160\":\n    routes:\n      - to: \"default\"\n        via: \"fd00::1\"\n      - to: x\n    mtu: 1450\n";
    assert_eq!(
        flat(text),
        [
            "version = 2",
            "ethernets/ens160/routes/0/to = default",
            "ethernets/ens160/routes/0/via = fd00::1",
            "ethernets/ens160/routes/1/to = x",
            "ethernets/ens160/mtu = 1450",
        ]
    );
}

#[test]
fn a_list_may_stand_in_the_column_of_its_key() {
    let text = "keys:\n- a # remark\n- \"b \\\"c\\\" #\"\n- 'it''s'\nlast: 1\n";
    assert_eq!(
        flat(text),
        ["keys/0 = a", "keys/1 = b \"c\" #", "keys/2 = it's", "last = 1"]
    );
}

#[test]
fn lists_in_lists_of_maps_count_anew() {
    let text =
        "users:\n  - default\n  - name: me\n    keys:\n      - a\n      - b\n  - name: you\n    keys: [c, \"d\"]\n";
    assert_eq!(
        flat(text),
        [
            "users/0 = default",
            "users/1/name = me",
            "users/1/keys/0 = a",
            "users/1/keys/1 = b",
            "users/2/name = you",
            "users/2/keys/0 = c",
            "users/2/keys/1 = d",
        ]
    );
}

#[test]
fn texts_of_many_lines_are_not_taken_for_keys() {
    let text = "files:\n  - content: |\n      ssh_authorized_keys:\n        - evil\n\n      more\n    owner: root\nrun: >-\n  a: b\nend: 1\n";
    assert_eq!(flat(text), ["files/0/owner = root", "end = 1"]);
}

#[test]
fn what_is_missing_is_missing() {
    assert_eq!(flat("#cloud-config\n{}\n"), Vec::<String>::new());
    assert_eq!(flat("a:\nb: \n  c: \"\"\n"), ["b/c = "]);
    assert_eq!(flat(""), Vec::<String>::new());
}
