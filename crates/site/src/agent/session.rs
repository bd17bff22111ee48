//! What was told to the hub over the present connection, and what it has confirmed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_types::agent::{FromAgent, HEARTBEAT, Held, LARGEST_FRAME, Listing, MachineSeen, Report};
use renkei_types::id::{SegmentId, VmId};
use renkei_types::operation::Generation;

use super::Sight;

/// How far a connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// There is none.
    #[default]
    Cut,
    /// The first word was said.
    Greeted,
    /// It was answered.
    Open,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub state: State,
    /// The number of the latest report.
    number: u64,
    /// The latest number that is confirmed.
    confirmed: u64,
    /// The number of the listing's last page.
    listed: Option<u64>,
    /// What was told last of each machine, and in which report.
    machines: BTreeMap<VmId, (u64, MachineSeen)>,
    segments: BTreeMap<SegmentId, (u64, Generation)>,
    held: Held,
    at: Option<Timestamp>,
}

/// Room in a frame for what is not machines.
const ROOM: usize = LARGEST_FRAME - 4096;

impl Session {
    /// The hub has kept everything up to a report. Says whether it now knows all that there is.
    pub fn heard(&mut self, report: u64) -> bool {
        self.confirmed = self.confirmed.max(report.min(self.number));
        self.listed.is_some_and(|listed| listed <= self.confirmed)
    }

    /// What has to be told: everything at first, then what has changed; at each heartbeat what was not confirmed once more.
    pub fn tell(&mut self, sight: &Sight, held: &Held, now: Timestamp) -> Vec<FromAgent> {
        if self.state != State::Open {
            return Vec::new();
        }
        let due = self.at.is_none_or(|at| now < at || now.duration_since(at) >= HEARTBEAT);
        if due && self.listed.is_some_and(|listed| listed > self.confirmed) {
            self.listed = None;
        }
        let listing = self.listed.is_none();
        let confirmed = self.confirmed;
        let again = move |number: u64| listing || (due && number > confirmed);
        let machine = |(id, seen): &(&VmId, &MachineSeen)| {
            let told = self.machines.get(id);
            told.is_none_or(|(number, told)| told != *seen || again(*number))
        };
        let machines: Vec<&MachineSeen> = sight.machines.iter().filter(machine).map(|(_, seen)| seen).collect();
        let told: BTreeMap<VmId, MachineSeen> = machines.iter().map(|seen| (seen.id, (*seen).clone())).collect();
        // What a machine is made of need not be told with each percent of what is done with it.
        let known_record = |seen: &MachineSeen| {
            let told = self.machines.get(&seen.id);
            !listing && told.is_some_and(|(number, told)| *number <= confirmed && told.record == seen.record)
        };
        let machines: Vec<MachineSeen> = machines
            .into_iter()
            .map(|seen| MachineSeen {
                record: seen.record.clone().filter(|_| !known_record(seen)),
                ..seen.clone()
            })
            .collect();
        let segment = |(id, generation): &(&SegmentId, &Generation)| {
            let told = self.segments.get(id);
            told.is_none_or(|(number, told)| told != *generation || again(*number))
        };
        let mut segments: BTreeMap<SegmentId, Generation> = sight
            .segments
            .iter()
            .filter(segment)
            .map(|(id, is)| (*id, *is))
            .collect();
        if !listing && !due && machines.is_empty() && segments.is_empty() && self.held == *held {
            return Vec::new();
        }
        self.machines.retain(|id, _| sight.machines.contains_key(id));
        self.segments.retain(|id, _| sight.segments.contains_key(id));
        let pages = pages(machines, segments.len());
        let last = pages.len() - 1;
        let mut reports = Vec::new();
        for (index, machines) in pages.into_iter().enumerate() {
            self.number += 1;
            let number = self.number;
            let segments = if index == last {
                std::mem::take(&mut segments)
            } else {
                BTreeMap::new()
            };
            let whole = machines.iter().filter_map(|seen| told.get(&seen.id));
            self.machines
                .extend(whole.map(|seen| (seen.id, (number, seen.clone()))));
            self.segments
                .extend(segments.iter().map(|(id, is)| (*id, (number, *is))));
            reports.push(FromAgent::Report(Report {
                number,
                held: held.clone(),
                listing: match (listing, index == last) {
                    (false, _) => Listing::No,
                    (true, false) => Listing::More,
                    (true, true) => Listing::Last,
                },
                machines,
                segments,
                free_disk_gib: sight.free_disk_gib,
                now,
            }));
        }
        if listing {
            self.listed = Some(self.number);
        }
        self.held = held.clone();
        self.at = Some(now);
        reports
    }
}

/// As many pages as the frames need, at least one. The last one also has the segments.
fn pages(machines: Vec<MachineSeen>, segments: usize) -> Vec<Vec<MachineSeen>> {
    /// An id, a number, and what stands around them.
    const SEGMENT: usize = 64;
    let mut pages = vec![Vec::new()];
    let mut size = 0;
    for machine in machines {
        let needs = serde_json::to_vec(&machine).map_or(LARGEST_FRAME, |text| text.len() + 1);
        if size + needs > ROOM {
            pages.push(Vec::new());
            size = 0;
        }
        size += needs;
        if let Some(page) = pages.last_mut() {
            page.push(machine);
        }
    }
    if size + segments * SEGMENT > ROOM {
        pages.push(Vec::new());
    }
    pages
}

#[cfg(test)]
mod tests;
