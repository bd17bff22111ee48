//! What clients do most: look. Each kind of request alone, at its rate.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::client::{Ask, Client, items, text};
use crate::steady::{self, Pace};
use crate::{Read, tell};

/// Machines on a page.
const PAGE: usize = 100;
/// Machines that are shown by turns: from all over the database.
const SHOWN: usize = 997;

/// Measures each kind in each round.
pub async fn run(read: &Read) -> Result<()> {
    let asking = &read.asking;
    let client = Client::new(&asking.hub, &asking.token);
    let (pages, machines) = pages(&client).await?;
    let shown = machines.iter().cycle().step_by(37.min(machines.len())).take(SHOWN);
    let shows: Vec<Ask> = shown.map(|id| Ask::get(format!("/api/v1/vms/{id}"))).collect();
    let refresh = Ask::post("/api/refresh/", Some(json!({"token": read.mdx_token})));
    let mdx = Client {
        authorization: format!("JWT {}", read.mdx_token),
        ..client.clone()
    };
    let pace = Pace {
        rate: read.rate,
        seconds: read.seconds,
    };
    for _ in 0..asking.rounds {
        tell(&json!({
            "machines": machines.len(),
            "list": steady::run(&client, pages.clone(), pace).await?,
            "show": steady::run(&client, shows.clone(), pace).await?,
            "refresh": steady::run(&mdx, vec![refresh.clone()], pace).await?,
        }));
    }
    Ok(())
}

/// What asks for each page of the list, and the ids of all machines.
async fn pages(client: &Client) -> Result<(Vec<Ask>, Vec<String>)> {
    let mut connection = client.connect().await?;
    let (mut asks, mut ids) = (Vec::new(), Vec::new());
    let mut path = format!("/api/v1/vms?limit={PAGE}");
    loop {
        let ask = Ask::get(&path);
        let page = connection.ask(&ask).await?;
        for machine in items(&page)? {
            ids.push(text(machine, "id")?.to_owned());
        }
        // The last one may have fewer.
        if items(&page)?.len() == PAGE {
            asks.push(ask);
        }
        match page.get("next").and_then(serde_json::Value::as_str) {
            Some(next) => path = format!("/api/v1/vms?limit={PAGE}&after={next}"),
            None => break,
        }
    }
    ensure!(!asks.is_empty(), "the hub has fewer than {PAGE} machines to list");
    Ok((asks, ids))
}
