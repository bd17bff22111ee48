//! Steps that come to nothing, and when they are tried again. Kept in memory only: after a new start they are tried at once.

use jiff::{SignedDuration, Timestamp};
use renkei_host::{DriverError, Machine};
use renkei_types::agent::MachineIntent;
use renkei_types::operation::Generation;

/// The first pause; each is twice as long as the one before.
const FIRST: SignedDuration = SignedDuration::from_secs(1);
/// The longest pause.
const LONGEST: SignedDuration = SignedDuration::from_mins(1);

/// What went wrong so far with a machine, for the sake of one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Which.
    pub generation: Generation,
    /// How often in a row.
    pub failures: u32,
    /// Not before this is it tried again.
    pub until: Timestamp,
    /// The latest fault, for people.
    pub message: String,
    /// A step is under way whose end has not been seen.
    under_way: bool,
}

impl Trouble {
    /// What is known after a look at the machine.
    pub fn seen(old: Option<Self>, intent: &MachineIntent, machine: Option<&Machine>, now: Timestamp) -> Option<Self> {
        let old = old.filter(|trouble| trouble.generation == intent.generation);
        let Some(machine) = machine.filter(|machine| machine.doing.is_none()) else {
            return old;
        };
        let fault = machine
            .fault
            .as_ref()
            .filter(|fault| fault.generation == intent.generation);
        match (old, fault) {
            (Some(old), Some(fault)) if old.under_way => Some(Self::again(Some(old), intent, &fault.message, now)),
            (None, Some(fault)) => Some(Self::again(None, intent, &fault.message, now)),
            (Some(old), None) if old.under_way => None,
            (old, _) => old,
        }
    }

    /// What is known after a step was, or was not, begun.
    pub fn begun(
        old: Option<Self>,
        intent: &MachineIntent,
        begun: &Result<(), DriverError>,
        now: Timestamp,
    ) -> Option<Self> {
        match begun {
            Ok(()) => old.map(|old| Self { under_way: true, ..old }),
            Err(error) => Some(Self::again(old, intent, &error.message, now)),
        }
    }

    fn again(old: Option<Self>, intent: &MachineIntent, message: &str, now: Timestamp) -> Self {
        let failures = old.map_or(0, |old| old.failures).saturating_add(1);
        let doubled = 1_i32
            .checked_shl(failures - 1)
            .filter(|times| *times > 0)
            .unwrap_or(i32::MAX);
        let pause = FIRST.checked_mul(doubled).unwrap_or(LONGEST).min(LONGEST);
        Self {
            generation: intent.generation,
            failures,
            until: now.saturating_add(pause).unwrap_or(Timestamp::MAX),
            message: message.to_owned(),
            under_way: false,
        }
    }

    /// Whether it is too early to try again. A clock that was set back does not make the pause longer.
    pub fn waits(&self, now: Timestamp) -> bool {
        let left = self.until.duration_since(now);
        left.is_positive() && left <= LONGEST
    }
}

#[cfg(test)]
mod tests {
    use renkei_host::contract::intent;
    use renkei_types::agent::DiskSource;
    use renkei_types::id::VmId;

    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_end_with_another_generation() {
        let template = DiskSource::Template {
            name: "t".to_owned(),
            image: None,
        };
        let mut intent = intent(VmId(uuid::Uuid::nil()), template);
        let now = Timestamp::UNIX_EPOCH;
        let mut trouble = None;
        let mut pauses = Vec::new();
        for _ in 0..40 {
            trouble = Trouble::begun(trouble, &intent, &Err(DriverError::transient("no")), now);
            pauses.push(trouble.as_ref().unwrap().until.duration_since(now).as_secs());
        }
        assert_eq!(pauses[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pauses.last(), Some(&60));
        let waiting = trouble.clone().unwrap();
        assert!(waiting.waits(now) && !waiting.waits(waiting.until));
        assert!(!waiting.waits(now - SignedDuration::from_hours(1)));
        intent.generation = intent.generation.next();
        assert_eq!(Trouble::seen(trouble, &intent, None, now), None);
    }
}
