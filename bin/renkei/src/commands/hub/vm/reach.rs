//! `renkei vm reach`: what is open to a machine and from it, or whether one packet comes in.

use renkei_types::network::Protocol;
use renkei_types::printable::Printable;
use renkei_types::reach::{Direction, Open, Reach, Way};
use serde_json::Value;

use super::HERE;
use crate::arguments::hub::vm;
use crate::commands::hub::failure::Failure;
use crate::commands::hub::{Hub, table};
use crate::exit;

const HEADING: [&str; 6] = ["DIRECTION", "WHAT", "FROM", "TO", "BY ADDRESS", "BY"];

/// Lists it, or answers for one packet: 1 if it does not come in.
pub async fn reach(hub: &Hub, asked: &vm::Reach) -> Result<u8, Failure> {
    let path = HERE.one(hub.one(HERE, &asked.one).await?);
    let body = hub.client.get(&format!("{path}/reach"), &[]).await?.body;
    let Some(from) = asked.from else {
        return match hub.is_json() {
            true => hub.print_json(&body),
            false => {
                let Reach { ways, .. } = hub.client.read(body)?;
                hub.print_text(&table::list(&HEADING, ways.iter().map(row)))
            }
        };
    };
    let reach: Reach = hub.client.read(body)?;
    // Ports are those of TCP, if nothing else is said.
    let protocol = asked.protocol.map(Protocol::from);
    let protocol = protocol.or(asked.port.map(|_| Protocol::Tcp));
    let fits = |way: &&Way| way.lets_in(from, protocol, asked.port);
    let open: Vec<&Way> = reach.ways.iter().filter(fits).collect();
    match hub.is_json() {
        true => hub.print_json(&serde_json::to_value(&open).unwrap_or(Value::Null))?,
        false if open.is_empty() => hub.print_line(&closed(&reach, from))?,
        false => hub.print_text(&open.iter().map(|way| opened(way)).collect::<String>())?,
    };
    Ok(if open.is_empty() { exit::FAILED } else { exit::COMPLETE })
}

fn row(way: &Way) -> Vec<String> {
    let direction = match way.direction {
        Direction::In => "in",
        Direction::Out => "out",
    };
    vec![
        direction.to_owned(),
        what(way),
        from(way),
        way.to.to_string(),
        way.through.map(|through| through.to_string()).unwrap_or_default(),
        by(way),
    ]
}

/// `tcp 22`.
pub fn what(way: &Way) -> String {
    match (way.protocol, way.ports.span()) {
        (None, _) => "all".to_owned(),
        (Some(protocol), None) => protocol.to_string(),
        (Some(protocol), Some(_)) => format!("{protocol} {}", way.ports),
    }
}

/// `0.0.0.0/0`, with the ports if not all.
pub fn from(way: &Way) -> String {
    match way.from_ports.span() {
        None => way.from.to_string(),
        Some(_) => format!("{} ports {}", way.from, way.from_ports),
    }
}

fn by(way: &Way) -> String {
    match way.by {
        Open::SameSegment => "same segment".to_owned(),
        Open::Outgoing => "leaves the project".to_owned(),
        Open::Rule(id) => format!("rule {id}"),
        Open::Gateway => "gateway".to_owned(),
    }
}

fn opened(way: &Way) -> String {
    let called = match way.through {
        Some(through) => format!("{through}, which leads to {}", way.to.address()),
        None => way.to.address().to_string(),
    };
    let line = format!("open: {} from {} to {called}, by {}", what(way), from(way), by(way));
    format!("{}\n", Printable(line.as_bytes()))
}

/// Why nothing comes in, as far as that can be told: rules are not enough where nothing leads inside.
fn closed(reach: &Reach, from: std::net::IpAddr) -> String {
    let alike = reach
        .addresses
        .iter()
        .filter(|inside| inside.address.is_ipv4() == from.is_ipv4());
    let mut alike = alike.peekable();
    let family = if from.is_ipv4() { "IPv4" } else { "IPv6" };
    if alike.peek().is_none() {
        return format!("closed: it has no address of {family}");
    }
    match from.is_ipv4() && alike.all(|inside| inside.outside.is_empty()) {
        true => "closed: no outside address leads to it, and from inside its project no rule lets it in".to_owned(),
        false => "closed: no rule lets it in".to_owned(),
    }
}
