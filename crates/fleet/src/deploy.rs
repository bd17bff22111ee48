//! Many machines asked for at once, until all run.

use anyhow::Result;
use serde_json::json;

use crate::scene::Scene;
use crate::{Fleet, seconds, tell};

/// Deploys them all in each round, and destroys them after it.
pub async fn run(fleet: &Fleet) -> Result<()> {
    let scene = Scene::new(fleet).await?;
    for _ in 0..fleet.asking.rounds {
        let round = scene.deploy(fleet.machines).await?;
        let gone = scene.clear().await?;
        tell(&json!({
            "machines": fleet.machines,
            "hosts": fleet.hosts,
            "asked_seconds": seconds(round.asked),
            "seconds": seconds(round.done),
            "failed": round.failed,
            "destroyed_seconds": seconds(gone.done),
        }));
    }
    scene.end().await
}
