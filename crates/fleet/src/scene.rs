//! A site with hosts, and one project that may use all of it: one network, one quota, which all requests meet at.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::Fleet;
use crate::client::{Ask, Client, items, text};
use crate::hosts::Hosts;

/// Clients that ask at once.
const CLIENTS: usize = 64;
/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(50);
/// The template that every hub begins with.
const TEMPLATE: &str = "32da6d82-bdca-405e-9209-62044bd92923";
/// The most entries of a list.
const PAGE: usize = 1000;

/// See the module.
pub struct Scene {
    client: Client,
    project: String,
    hosts: Hosts,
}

/// How a round went.
pub struct Round {
    /// From the first request to the last answer.
    pub asked: Duration,
    /// From the first request until the last operation had ended, as the hub tells it.
    pub done: Duration,
    /// Operations that have failed.
    pub failed: usize,
    /// Ids of the machines that were asked for, or about.
    pub machines: Vec<String>,
}

impl Scene {
    /// Makes it.
    pub async fn new(fleet: &Fleet) -> Result<Self> {
        let client = Client::new(&fleet.asking.hub, &fleet.asking.token);
        let mut connection = client.connect().await?;
        let mut made = async |path: &str, body: Value| -> Result<String> {
            let made = connection.ask(&Ask::post(path, Some(body))).await?;
            Ok(text(&made, "id")?.to_owned())
        };
        let site = made("/api/v1/sites", json!({"name": "bench"})).await?;
        let organization = made("/api/v1/organizations", json!({"name": "bench"})).await?;
        let project = json!({"organization": organization, "name": "bench", "default_site": site});
        let project = made("/api/v1/projects", project).await?;
        let much = 100_000_000;
        let limit = json!({"vms": much, "vcpus": much, "memory_mib": much, "disk_gib": much, "segments": 1});
        let quota = Ask::put(
            format!("/api/v1/projects/{project}/quotas/{site}"),
            json!({"limit": limit}),
        );
        client.connect().await?.ask(&quota).await?;
        made(&format!("/api/v1/projects/{project}/segments"), json!({"name": "net"})).await?;
        let hosts = Hosts::join(&client, &site, (&fleet.folder, fleet.hosts)).await?;
        Ok(Self { client, project, hosts })
    }

    /// Asks for so many machines, one request each, and waits until all of them run.
    pub async fn deploy(&self, count: usize) -> Result<Round> {
        let new = |number: usize| json!({"project": self.project, "name": format!("m{number}"), "template": TEMPLATE});
        let asks = (0..count).map(|number| Ask::post("/api/v1/vms", Some(new(number))));
        let round = self.round(asks.collect()).await?;
        let running = self.machines("&state=running").await?.len();
        ensure!(
            round.failed > 0 || running == count,
            "{running} of {count} machines run"
        );
        Ok(round)
    }

    /// Asks each of these for the same, and waits until it is so.
    pub async fn order(&self, machines: &[String], verb: &str) -> Result<Round> {
        let asks = machines
            .iter()
            .map(|id| Ask::post(format!("/api/v1/vms/{id}/{verb}"), None));
        self.round(asks.collect()).await
    }

    /// Destroys them all, and waits until they are gone.
    pub async fn clear(&self) -> Result<Round> {
        let machines = self.machines("").await?;
        let asks = machines.iter().map(|id| Ask::delete(format!("/api/v1/vms/{id}")));
        let round = self.round(asks.collect()).await?;
        let left = self.machines("").await?.len();
        ensure!(left == 0, "{left} machines are left");
        Ok(round)
    }

    /// Stops the hosts.
    pub async fn end(self) -> Result<()> {
        self.hosts.stop().await
    }

    async fn round(&self, asks: Vec<Ask>) -> Result<Round> {
        let before = self.count("failed").await?;
        let start = Instant::now();
        let answers = self.client.all(asks, CLIENTS).await?;
        let asked = start.elapsed();
        let mut connection = self.client.connect().await?;
        for state in ["running", "cancelling"] {
            let open = Ask::get(format!(
                "/api/v1/operations?project={}&state={state}&limit=1",
                self.project
            ));
            while !items(&connection.ask(&open).await?)?.is_empty() {
                tokio::time::sleep(PAUSE).await;
            }
        }
        let done = start.elapsed();
        let machines = answers.iter().filter_map(|answer| {
            let made = answer.pointer("/vms/0/id").or_else(|| answer.pointer("/object/id"));
            made?.as_str().map(str::to_owned)
        });
        Ok(Round {
            asked,
            done,
            failed: self.count("failed").await? - before,
            machines: machines.collect(),
        })
    }

    async fn count(&self, state: &str) -> Result<usize> {
        Ok(self.ids("operations", &format!("&state={state}")).await?.len())
    }

    async fn machines(&self, filter: &str) -> Result<Vec<String>> {
        self.ids("vms", filter).await
    }

    async fn ids(&self, noun: &str, filter: &str) -> Result<Vec<String>> {
        let mut connection = self.client.connect().await?;
        let mut ids = Vec::new();
        let path = format!("/api/v1/{noun}?project={}&limit={PAGE}{filter}", self.project);
        let mut page = connection.ask(&Ask::get(&path)).await?;
        loop {
            for item in items(&page)? {
                ids.push(text(item, "id")?.to_owned());
            }
            let Some(next) = page.get("next").and_then(Value::as_str) else {
                return Ok(ids);
            };
            page = connection.ask(&Ask::get(format!("{path}&after={next}"))).await?;
        }
    }
}
