//! Many hosts in one process: each joins by an invitation of its own, and is served by the same agent as a real one.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use renkei_host::Driver as _;
use renkei_host::fake::{Fake, Script};
use renkei_site::identity::DataFolder;
use renkei_site::join::{Joining, join};
use renkei_site::run::{Settings, run};
use renkei_types::host::Capacity;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::{Ask, Client, items, text};

/// Clients that invite at once.
const AT_ONCE: usize = 8;
/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(50);
/// What each has.
const HAS: Capacity = Capacity {
    vcpus: 64,
    memory_mib: 256 * 1024,
    disk_gib: 10_000,
    gpus: 0,
};

/// Hosts whose agents run until [`Hosts::stop`].
pub struct Hosts {
    agents: JoinSet<Result<()>>,
    stop: watch::Sender<bool>,
}

impl Hosts {
    /// Invites, joins and starts so many, and waits until the hub has heard each of them.
    pub async fn join(client: &Client, site: &str, (folder, count): (&Path, usize)) -> Result<Self> {
        let stop = watch::Sender::new(false);
        let mut agents = JoinSet::new();
        let invite = || Ask::post(format!("/api/v1/sites/{site}/invitations"), None);
        let invited = client.all(std::iter::repeat_with(invite).take(count).collect(), AT_ONCE);
        for (number, invited) in invited.await?.iter().enumerate() {
            let folder = folder.join(format!("host-{number:04}"));
            let (settings, driver) = one(invited, (&folder, number)).await?;
            let mut stopped = stop.subscribe();
            agents.spawn(async move {
                let stopped = async move {
                    // Whoever could say it is gone: then it is over as well.
                    let _ = stopped.wait_for(|stop| *stop).await;
                };
                Ok(run(settings, driver, stopped).await?)
            });
        }
        let hosts = Self { agents, stop };
        hosts.heard(client, site, count).await?;
        Ok(hosts)
    }

    /// Ends the agents, in order.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.send_replace(true);
        while let Some(agent) = self.agents.join_next().await {
            agent??;
        }
        Ok(())
    }

    async fn heard(&self, client: &Client, site: &str, count: usize) -> Result<()> {
        let mut connection = client.connect().await?;
        loop {
            let page = connection
                .ask(&Ask::get(format!("/api/v1/hosts?site={site}&limit=1000")))
                .await?;
            let heard = items(&page)?.iter().filter(|host| !host["heard"].is_null());
            if heard.count() >= count {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn one(invited: &Value, (folder, number): (&Path, usize)) -> Result<(Settings, Fake)> {
    let folder = DataFolder::new(folder)?;
    let driver = Fake::in_memory(Script::default()).having(HAS);
    let joining = Joining {
        url: text(invited, "url")?.to_owned(),
        token: text(invited, "token")?.parse()?,
        name: format!("h{number:04}").parse()?,
        address: None,
    };
    join(&folder, joining, &driver)
        .await
        .with_context(|| format!("host {number} cannot join"))?;
    let settings = Settings {
        folder,
        url: None,
        version: driver.which().name,
    };
    Ok((settings, driver))
}
