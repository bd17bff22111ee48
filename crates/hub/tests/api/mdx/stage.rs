//! A hub with a site, and the client that was written from mdx's description.

use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use renkei_policy::password::PasswordHash;
use renkei_store::noun::quota::QuotaRow;
use renkei_store::noun::user::Account;
use renkei_store::{Batch, Stored};
use renkei_types::global_ip::GlobalIp;
use renkei_types::id::GlobalIpId;
use renkei_types::quota::Amounts;
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
}

impl Stage {
    /// With what a project needs before it has machines.
    pub async fn new(running: Running) -> Self {
        let stage = Self {
            world: World::new(running).await,
        };
        stage.furnish().await;
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

    /// A quota, a network, outside addresses and a template, and a password for `owner`.
    async fn furnish(&self) {
        let world = &self.world;
        let app = &world.running.hub.app;
        let owner: Stored<Account> = app.get("user", world.user("owner").0).await.unwrap();
        let quotas = app
            .every::<QuotaRow>("project", &world.project.to_string())
            .await
            .unwrap();
        let mut batch = Batch::new();
        batch.update(
            &owner,
            &Account {
                password: Some(PasswordHash::new(PASSWORD).unwrap().to_phc()),
                ..owner.value.clone()
            },
        );
        let limit = Amounts {
            vms: 50,
            vcpus: 500,
            memory_mib: 1 << 20,
            disk_gib: 10_000,
            global_ips: 2,
            segments: 5,
        };
        batch.update(
            &quotas[0],
            &QuotaRow {
                limit,
                ..quotas[0].value.clone()
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
        lab::seed_template(app).await;
    }
}
