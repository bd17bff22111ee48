//! What differs between a hub whose database was set back and the hosts of a site.

use std::fmt::Write as _;

use renkei_types::recovery::{Difference, DifferenceKind, HostListing, MachineDifference, Side};
use renkei_types::site::Site;

use super::failure::Failure;
use super::{Hub, table};

const HEADING: &[&str] = &["MACHINE", "HOST", "THE HUB MEANS", "THE HOST HAS", "WHAT BECOMES OF IT"];

/// Of a site, in a line.
pub fn state(site: &Site) -> String {
    match &site.recovery {
        Some(recovery) => format!("since {}: {}", table::time(recovery.since), recovery.reason),
        None => "-".to_owned(),
    }
}

/// Prints it.
pub async fn show(hub: &Hub, site: &str) -> Result<u8, Failure> {
    let answer = hub.client.get(&format!("{site}/recovery"), &[]).await?;
    if hub.is_json() {
        return hub.print_json(&answer.body);
    }
    let difference: Difference = hub.client.read(answer.body)?;
    hub.print_text(&told(&difference))
}

fn told(difference: &Difference) -> String {
    let called = |host: &HostListing| host.name.to_string();
    let name = |id| {
        let known = difference.hosts.iter().find(|host| Some(host.host) == id);
        known.map(called).unwrap_or_default()
    };
    let row = |machine: &MachineDifference| {
        vec![
            machine.name.clone(),
            name(machine.host),
            side(machine.meant),
            side(machine.seen),
            becomes(machine.kind).to_owned(),
        ]
    };
    let mut text = crate::printer::message(&format!(
        "in recovery since {}: {}",
        table::time(difference.recovery.since),
        difference.recovery.reason
    ));
    text.push('\n');
    let waits = |host: &&HostListing| !host.listed && !host.fenced;
    let waited: Vec<String> = difference.hosts.iter().filter(waits).map(called).collect();
    if !waited.is_empty() {
        let waited = table::joined(waited);
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{}", crate::printer::message(&format!("not heard yet: {waited}")));
    }
    match difference.machines.is_empty() {
        true => text.push_str("no machine differs\n"),
        false => text.push_str(&table::list(HEADING, difference.machines.iter().map(row))),
    }
    text
}

fn side(side: Option<Side>) -> String {
    side.map(|side| format!("{}, generation {}", side.power, side.generation))
        .unwrap_or_default()
}

fn becomes(kind: DifferenceKind) -> &'static str {
    match kind {
        DifferenceKind::Missing => "lost, or made if it was never whole",
        DifferenceKind::Unknown => "kept, to be adopted or destroyed",
        DifferenceKind::Later | DifferenceKind::Power | DifferenceKind::Size => "stays as it is",
        DifferenceKind::Tombstone => "destroyed, as was asked",
    }
}
