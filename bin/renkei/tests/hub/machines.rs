//! Real machines from the command line: guests that boot, are logged in to, survive what happens to those who look after them, and
//! are gone when they are destroyed.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use renkei_host::images::Images;
use renkei_host::small;
use renkei_site::pick::{IMAGES, namespace};
use renkei_testkit::keys::{KeyKind, KeyPair};
use renkei_testkit::process::{is_alive, signal};
use renkei_testkit::visitor::qemu_of;
use renkei_testkit::{Visitor, networks, wait};
use rustix::process::Signal;

use super::console::Seat;
use super::host::wait_for_agents;
use super::support::{Hub, Person};
use super::vm::state;

/// The address that the first machine of a segment is issued.
const FIRST: &str = "10.15.0.2";
/// The address of a client in that segment.
const VISITOR: &str = "10.15.7.9/21";

/// A hub with a host that runs real machines, and its administrator with a project that may have some.
struct Room {
    hub: Hub,
    admin: Person,
    key: KeyPair,
    transit: Transit,
}

impl Room {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        bring_template(&data.path().join("site"));
        let transit = Transit::take();
        let hub = Hub::with_machines(&["--driver", "qemu", "--transit", &transit.range()], data);
        let admin = hub.administrator();
        wait_for_agents(&hub.url, 1);
        admin.done(&["org", "create", "cs"]);
        admin.done(&["project", "create", "lab", "--org", "cs"]);
        let most = ["--vms", "5", "--vcpus", "10", "--memory", "4G", "--disk", "20G"];
        let words = [
            "quota",
            "set",
            "local",
            "-p",
            "lab",
            "--segments",
            "1",
            "--global-ips",
            "1",
        ];
        admin.done(&[&words[..], &most].concat());
        admin.done(&["segment", "create", "net", "-p", "lab"]);
        admin.done(&["template", "create", small::NAME, "--public", "--min-disk", "1G"]);
        let key = KeyPair::generate(&hub.data().join("key"), KeyKind::Ed25519).unwrap();
        Self {
            hub,
            admin,
            key,
            transit,
        }
    }

    /// Deploys a machine, waits until it runs, and gives its id.
    fn deploy(&self, name: &str) -> String {
        let key = self.key.public();
        let key = key.to_str().unwrap();
        let size = ["--vcpus", "1", "--memory", "256M", "--key", key, "--wait"];
        let words = ["vm", "deploy", name, "-p", "lab", "-t", small::NAME];
        self.admin.done(&[&words[..], &size].concat());
        let id = self.show(name)["id"].as_str().unwrap().to_owned();
        assert!(qemu_of(&id).is_some(), "a machine that runs has a process");
        id
    }

    fn show(&self, name: &str) -> serde_json::Value {
        self.admin.json(&["vm", "show", name])
    }

    fn state(&self, name: &str) -> String {
        state(&self.admin, name)
    }

    fn namespace(&self) -> String {
        namespace(&self.hub.data().join("site"))
    }

    fn visitor(&self) -> Visitor {
        Visitor::join(&Path::new("/run/netns").join(self.namespace()), VISITOR).unwrap()
    }

    /// What the guest says to a command, as soon as it answers.
    fn guest(&self, visitor: &Visitor, words: &str) -> String {
        let answer = visitor.ssh(self.key.private(), FIRST, words).unwrap();
        answer.trim().to_owned()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Machines outlive whoever has started them.
        let machines = std::fs::read_dir(self.hub.data().join("site/qemu/machines"));
        for id in machines.into_iter().flatten().flatten() {
            if let Some(qemu) = id.file_name().to_str().and_then(qemu_of) {
                signal(qemu, Signal::KILL);
            }
        }
        self.hub.leave();
        networks::remove(&self.namespace());
    }
}

/// Addresses between a host and its machines' networks that no other test has: all of them share this computer's routes.
struct Transit {
    number: u8,
    _lock: File,
}

impl Transit {
    fn take() -> Self {
        let lock = |number: u8| {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("transit-{number}"));
            let file = File::create(path).unwrap();
            file.try_lock().ok().map(|()| file)
        };
        let mut free = (0..200).filter_map(|number| Some((number, lock(number)?)));
        let (number, file) = free.next().expect("so many tests do not run at once");
        Self { number, _lock: file }
    }

    fn range(&self) -> String {
        format!("198.18.{}.0/24", self.number)
    }

    fn address(&self) -> String {
        format!("198.18.{}.77", self.number)
    }
}

/// Puts the small template where a host's agent looks for it. It is made once for all tests.
fn bring_template(site: &Path) {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().mode(0o700).create(site).unwrap();
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("small");
    let (made, bundle) = small::cached(&made).unwrap();
    let images = Images::open(&site.join(IMAGES)).unwrap();
    for digest in bundle.files() {
        images.add(&made.path(&digest)).unwrap();
    }
    images.put_template(small::NAME, &bundle).unwrap();
}

#[test]
fn a_real_machine_lives_through_everything_but_its_destruction() {
    let mut room = Room::new();
    let id = room.deploy("web");
    let visitor = room.visitor();
    assert_eq!(room.guest(&visitor, "hostname; id -un"), "web\nroot");
    wait::until("the address to be seen", || {
        room.admin.done(&["vm", "list", "-p", "lab"]).contains(FIRST)
    })
    .unwrap();
    room.guest(&visitor, "echo kept > marker && sync");

    // All that look after it are killed, and it does not notice.
    let qemu = qemu_of(&id).unwrap();
    let boot = room.guest(&visitor, "cat /proc/sys/kernel/random/boot_id");
    room.hub.kill();
    assert!(is_alive(qemu));
    room.hub.start_again_here();
    wait_for_agents(&room.hub.url, 1);
    wait::until("it to be seen again", || room.state("web") == "running").unwrap();
    assert_eq!(qemu_of(&id), Some(qemu));
    assert_eq!(room.guest(&visitor, "cat /proc/sys/kernel/random/boot_id"), boot);

    // It is killed itself, and started again.
    signal(qemu, Signal::KILL);
    wait::until("another process", || qemu_of(&id).is_some_and(|other| other != qemu)).unwrap();
    assert_eq!(room.guest(&visitor, "cat marker"), "kept");

    let boot = room.guest(&visitor, "cat /proc/sys/kernel/random/boot_id");
    room.admin.done(&["vm", "reboot", "web", "--wait"]);
    assert_ne!(room.guest(&visitor, "cat /proc/sys/kernel/random/boot_id"), boot);

    // A guest that ends by itself stays off.
    room.guest(&visitor, "poweroff");
    wait::until("it to be off", || room.state("web") == "stopped").unwrap();
    room.admin.done(&["vm", "power-on", "web", "--wait"]);
    assert_eq!(room.guest(&visitor, "cat marker"), "kept");

    room.admin.done(&["vm", "destroy", "web", "--yes", "--wait"]);
    assert_eq!(qemu_of(&id), None);
    assert!(!room.hub.data().join("site/qemu/machines").join(&id).exists());
}

#[test]
fn people_share_the_console_of_a_real_machine_until_it_is_off() {
    let room = Room::new();
    room.deploy("web");
    let mut seats = [Seat::at(&room.admin, "web"), Seat::at(&room.admin, "web")];
    // From its first start on, also for those who come later.
    for seat in &seats {
        seat.sees("making keys for instance");
        seat.sees("web login: ");
    }
    // One types a name, the other what is asked for then; both see what the guest thinks of it.
    for (number, (keys, answer)) in [("ada\r", "Password: "), ("secret\r", "Login incorrect")]
        .into_iter()
        .enumerate()
    {
        seats[number].type_in(keys);
        for seat in &seats {
            seat.sees(answer);
        }
    }
    room.admin.done(&["vm", "power-off", "web", "--wait"]);
    for seat in seats {
        let outcome = seat.ends();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.text());
        assert!(
            outcome.stderr.contains("the machine does not run any more"),
            "{}",
            outcome.text()
        );
    }
    let log = room.admin.done(&["vm", "console", "web", "--log"]);
    // What the guest says at its start may stand in between.
    assert!(log.contains("web login: ") && log.contains("Login incorrect"), "{log}");
    assert!(log.contains("ada") && !log.contains("secret"), "{log}");
}

#[test]
fn a_machine_is_reached_by_its_outside_address_as_long_as_a_rule_lets_it() {
    let room = Room::new();
    room.deploy("web");
    let outside = room.transit.address();
    let admin = &room.admin;
    admin.done(&["global-ip", "add", &outside, "--site", "local"]);
    admin.done(&["dnat", "create", &outside, FIRST, "-p", "lab", "-s", "net", "--wait"]);
    // Somebody inside says when the guest listens, so that closed does not merely mean early.
    let visitor = room.visitor();
    assert_eq!(room.guest(&visitor, "hostname"), "web");
    let key = room.key.private().to_str().unwrap().to_owned();
    let options = "-F none -o BatchMode=yes -o ConnectTimeout=2 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
                   -o ServerAliveInterval=1 -o ServerAliveCountMax=2 -l root";
    let into = |words: &str| {
        let mut command = Command::new("ssh");
        command.args(["-i", &key]).args(options.split_whitespace());
        command.args([&outside, words]).stdin(Stdio::null());
        command
    };
    assert!(!into("true").output().unwrap().status.success(), "nothing lets it in");

    let rule = format!("acl create net -p lab --from 0.0.0.0/0 --to {FIRST} --ports 22 --wait");
    let made = admin.json(&rule.split(' ').collect::<Vec<_>>());
    let answer = into("hostname").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "web\n");
    let asked = format!("vm ssh web -i {key} -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -- id -un");
    assert_eq!(admin.done(&asked.split(' ').collect::<Vec<_>>()), "root\n");
    // Out it comes as well: to this computer, which is outside.
    let router = outside.replace(".77", ".1");
    assert!(
        room.guest(&visitor, &format!("ping -c 1 -W 5 {router}"))
            .contains(" 0% packet loss")
    );

    let mut session = into("cat /dev/zero > /dev/null & while :; do echo on; sleep 0.1; done");
    let mut session = session.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut first = [0; 3];
    std::io::Read::read_exact(session.stdout.as_mut().unwrap(), &mut first).unwrap();
    let id = made["id"].as_str().unwrap();
    admin.done(&["acl", "delete", id, "--yes", "--wait"]);
    drop(session.stdout.take());
    wait::until("the open session to end", || session.try_wait().unwrap().is_some()).unwrap();
    assert!(
        !into("true").output().unwrap().status.success(),
        "nothing lets it in any more"
    );
}

#[test]
fn a_template_that_a_host_does_not_have_is_named_and_leaves_nothing() {
    let room = Room::new();
    room.admin
        .done(&["template", "create", "absent", "--public", "--min-disk", "1G"]);
    let words = [
        "vm", "deploy", "a", "-p", "lab", "-t", "absent", "--vcpus", "1", "--memory", "256M", "--wait",
    ];
    let refused = room.admin.run(&words);
    assert_ne!(refused.code(), Some(0));
    assert!(
        refused.stderr.contains("this host has no template `absent`"),
        "{}",
        refused.text()
    );
    wait::until("nothing to be left", || {
        room.admin.json(&["vm", "list", "-p", "lab"]) == serde_json::json!([])
    })
    .unwrap();
}
