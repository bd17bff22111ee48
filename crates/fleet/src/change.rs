//! A change for every host at once, until each has reported that it is so.

use anyhow::Result;
use serde_json::json;

use crate::scene::Scene;
use crate::{Fleet, seconds, tell};

/// Reboots every machine in each round: a new generation in every manifest, which is filled, sent, kept by the agent, carried out and
/// reported.
pub async fn run(fleet: &Fleet) -> Result<()> {
    let scene = Scene::new(fleet).await?;
    let machines = scene.deploy(fleet.machines).await?.machines;
    for _ in 0..fleet.asking.rounds {
        let round = scene.order(&machines, "reboot").await?;
        tell(&json!({
            "machines": machines.len(),
            "hosts": fleet.hosts,
            "asked_seconds": seconds(round.asked),
            "seconds": seconds(round.done),
            "failed": round.failed,
        }));
    }
    scene.end().await
}
