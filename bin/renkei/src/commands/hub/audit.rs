//! `renkei audit`.

mod follow;

use renkei_types::event::{ChainHead, Event, Verification};
use serde_json::Value;

use super::failure::Failure;
use super::resolve::Collection::{Projects, Users};
use super::{Hub, table};
use crate::arguments::hub::audit::{List, Verb};
use crate::exit;

const HEADING: &[&str] = &["ID", "TIME", "WHO", "FROM", "WHAT", "OBJECT", "OBJECT ID"];

/// Carries out a verb.
pub async fn run(hub: &Hub, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List(list) => self::list(hub, &list).await,
        Verb::Follow(from) => follow::follow(hub, &from).await,
        Verb::Verify => verify(hub).await,
        Verb::Head => head(hub).await,
    }
}

async fn list(hub: &Hub, list: &List) -> Result<u8, Failure> {
    let mut query = vec![("limit", list.limit.to_string())];
    if let Some(project) = &list.of.project {
        query.push(("project", hub.id(Projects, project).await?.to_string()));
    }
    if let Some(user) = &list.user {
        query.push(("user", hub.id(Users, user).await?.to_string()));
    }
    query.extend(list.noun.clone().map(|noun| ("noun", noun)));
    query.extend(list.object.map(|object| ("object", object.to_string())));
    query.extend(list.before.map(|before| ("before", before.to_string())));
    let mut page = hub.client.get("/events", &query).await?.body;
    let items = page.get_mut("items").map(Value::take).unwrap_or_default();
    if hub.is_json() {
        return hub.print_json(&items);
    }
    let events: Vec<Event> = hub.client.read(items)?;
    hub.print_text(&table::list(HEADING, events.iter().map(row)))
}

fn row(event: &Event) -> Vec<String> {
    let who = Some(event.by.name.as_str()).filter(|name| !name.is_empty());
    vec![
        event.id.to_string(),
        table::time(event.at),
        who.unwrap_or("the hub").to_owned(),
        event.by.address.clone(),
        event.action.clone(),
        event.object_name.clone(),
        event.object.to_string(),
    ]
}

async fn head(hub: &Hub) -> Result<u8, Failure> {
    let body = hub.client.get("/audit/head", &[]).await?.body;
    if hub.is_json() {
        return hub.print_json(&body);
    }
    let head: ChainHead = hub.client.read(body)?;
    hub.print_text(&table::fields([
        ("events", head.length.to_string()),
        ("hash", head.hash),
        ("chained", table::time_or(head.at, "")),
    ]))
}

async fn verify(hub: &Hub) -> Result<u8, Failure> {
    let body = hub.client.get("/audit/verification", &[]).await?.body;
    let verification: Verification = hub.client.read(body.clone())?;
    if hub.is_json() {
        hub.print_json(&body)?;
    } else {
        hub.print_line(&told(&verification))?;
    }
    Ok(if verification.whole {
        exit::COMPLETE
    } else {
        exit::FAILED
    })
}

fn told(verification: &Verification) -> String {
    let Verification {
        whole,
        length,
        hash,
        broken_at,
        fault,
    } = verification;
    let hash = hash.as_deref().unwrap_or("none");
    if *whole {
        return format!("the chain is whole\nevents: {length}\nhash: {hash}");
    }
    let at = broken_at.map(|at| format!(" {at}")).unwrap_or_default();
    let fault = fault.as_deref().unwrap_or("it is not as it was chained");
    format!("event{at} is not as it was: {fault}\nthe {length} before it are; their hash: {hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_chain_says_where_and_why() {
        let whole = Verification {
            whole: true,
            length: 7,
            hash: Some("ab".to_owned()),
            broken_at: None,
            fault: None,
        };
        assert_eq!(told(&whole), "the chain is whole\nevents: 7\nhash: ab");
        let fault = Some("its row is gone".to_owned());
        let broken = Verification {
            whole: false,
            length: 3,
            broken_at: Some(4),
            fault,
            ..whole
        };
        assert!(told(&broken).starts_with("event 4 is not as it was: its row is gone\n"));
    }
}
