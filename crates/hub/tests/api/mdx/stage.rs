//! A hub with a site, a host that does whatever is meant at once, and the client that was written from mdx's description.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use renkei_hub::app::App;
use renkei_policy::password::PasswordHash;
use renkei_store::noun::contact::Contact;
use renkei_store::noun::user::Account;
use renkei_store::noun::vm::VmRow;
use renkei_store::{Batch, Stored};
use renkei_types::agent::{MachineSeen, Part};
use renkei_types::global_ip::GlobalIp;
use renkei_types::id::{GlobalIpId, HostId, VmId};
use renkei_types::operation::Generation;
use renkei_types::vm::{Fault, Power};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use uuid::Uuid;

use super::lab;
use crate::hub::Running;
use crate::world::{PASSWORD, World};

/// The client.
const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/mdx/client.py");
/// How long one scenario may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

/// See the module.
pub struct Stage {
    world: World,
    guests: Arc<Mutex<Guests>>,
}

/// What the host was told about its guests.
#[derive(Debug, Default)]
struct Guests {
    /// Machines with these names cannot be made.
    failing: BTreeSet<String>,
    /// Guests that have taken another address.
    moved: BTreeMap<String, IpAddr>,
}

impl Stage {
    /// The host reports until the runtime ends.
    pub async fn new(running: Running) -> Self {
        let stage = Self {
            world: World::new(running).await,
            guests: Arc::default(),
        };
        stage.furnish().await;
        let host = lab::host(&stage.world).await;
        let (app, guests) = (stage.world.running.hub.app.clone(), stage.guests.clone());
        tokio::spawn(async move {
            loop {
                report(&app, host, &guests).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        stage
    }

    /// Runs a scenario of the client as `owner` of `lab`.
    pub async fn plays(&self, scenario: &str) {
        let mut command = Command::new("python3");
        command
            .arg("-B")
            .arg(CLIENT)
            .arg(format!("http://{}", self.world.running.address));
        command
            .arg(format!("owner:{PASSWORD}"))
            .arg(scenario)
            .kill_on_drop(true);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stderr = child.stderr.take().unwrap();
        let played = async {
            let mut last = String::new();
            while let Some(line) = lines.next_line().await.unwrap() {
                self.obey(&line);
                last = line;
            }
            let mut said = String::new();
            stderr.read_to_string(&mut said).await.unwrap();
            let status = child.wait().await.unwrap();
            assert!(status.success() && last == "done", "{scenario}: {status}\n{said}");
        };
        tokio::time::timeout(PATIENCE, played)
            .await
            .unwrap_or_else(|_| panic!("{scenario} does not end"));
    }

    fn obey(&self, line: &str) {
        let mut guests = self.guests.lock().unwrap();
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["fail", name] => drop(guests.failing.insert(name.to_owned())),
            ["address", name, address] => drop(guests.moved.insert(name.to_owned(), address.parse().unwrap())),
            _ => assert_eq!(line, "done"),
        }
    }

    /// A quota, a network, outside addresses and a template, and a password for `owner`.
    async fn furnish(&self) {
        let world = &self.world;
        let app = &world.running.hub.app;
        let owner: Stored<Account> = app.get("user", world.user("owner").0).await.unwrap();
        let mut batch = Batch::new();
        batch.update(
            &owner,
            &Account {
                password: Some(PasswordHash::new(PASSWORD).unwrap().to_phc()),
                ..owner.value.clone()
            },
        );
        batch.insert(&lab::network(world, "main"));
        for address in ["203.0.113.10", "203.0.113.11"] {
            batch.insert(&GlobalIp {
                id: GlobalIpId(Uuid::now_v7()),
                site: world.site,
                address: address.parse().unwrap(),
                project: None,
                created: Timestamp::now(),
            });
        }
        app.store.state.commit(batch).await.unwrap();
        lab::allow(world, 50).await;
        lab::seed_template(app).await;
    }
}

/// What the host sees: whatever is meant is so. What cannot be read or written now is told the next time.
async fn report(app: &App, host: HostId, guests: &Mutex<Guests>) {
    let now = Timestamp::now();
    let Ok(contact) = app.get::<Contact>("host", host.0).await else {
        return;
    };
    let mut batch = Batch::new();
    batch.update(
        &contact,
        &Contact {
            heard: now,
            ..contact.value.clone()
        },
    );
    let _ = app.store.state.commit(batch).await;
    let Ok(manifest) = app.manifest(host).await else { return };
    let mut seen = Vec::new();
    for (vm, entry) in &manifest.value.machines {
        match entry.part {
            Part::Gone => seen.push(gone(*vm, entry.generation)),
            Part::Keep => {}
            Part::Run => {
                if let Ok(row) = app.get::<VmRow>(VmId::NOUN, vm.0).await {
                    seen.push(running(&row.value, &guests.lock().unwrap()));
                }
            }
        }
    }
    let _ = app.heard(host, &seen, now).await;
}

fn running(row: &VmRow, guests: &Guests) -> MachineSeen {
    let (vm, meant) = (&row.vm, &row.vm.meant);
    let name = vm.name.to_string();
    let fault = guests.failing.contains(&name).then(|| Fault {
        generation: meant.generation,
        message: "the disk cannot be made".to_owned(),
    });
    let addresses = meant.adapters.iter().map(|adapter| {
        let moved = guests.moved.get(&name).map(|address| vec![*address]);
        (adapter.number, moved.unwrap_or_else(|| adapter.addresses.clone()))
    });
    let there = fault.is_none();
    MachineSeen {
        generation: if there { meant.generation } else { Generation(0) },
        part: Part::Run,
        there,
        power: if there { meant.power } else { Power::Off },
        addresses: addresses.filter(|_| meant.power == Power::On && there).collect(),
        fault,
        project: vm.project,
        name,
        ..gone(vm.id, meant.generation)
    }
}

fn gone(id: VmId, generation: Generation) -> MachineSeen {
    MachineSeen {
        id,
        generation,
        part: Part::Gone,
        there: false,
        project: renkei_types::id::ProjectId(Uuid::nil()),
        name: String::new(),
        power: Power::Off,
        doing: None,
        progress: 0,
        fault: None,
        addresses: BTreeMap::new(),
        saved: None,
        known: true,
        record: None,
    }
}
