//! Steps that are begun and bring nothing, and when they are tried again: a driver that takes each of them gladly would otherwise be
//! asked at every look. Kept in memory only: after a new start they are tried at once.

use jiff::{SignedDuration, Timestamp};
use renkei_host::{Doing, Machine, Verb};
use renkei_types::agent::MachineIntent;
use renkei_types::operation::Generation;

/// The first pause; each is twice as long as the one before.
const FIRST: SignedDuration = SignedDuration::from_millis(100);
/// The longest pause.
const LONGEST: SignedDuration = SignedDuration::from_secs(10);
/// After so many of them it is told.
const TOLD: u32 = 3;

/// The latest step that was begun with a machine, for as long as it has brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fruitless {
    generation: Generation,
    verb: Verb,
    /// How often in a row.
    times: u32,
    /// What there was before.
    before: Option<Machine>,
    /// Not before this is it tried again.
    until: Timestamp,
}

impl Fruitless {
    /// What is left of it after a look: nothing if something else is meant, or if the machine is no longer what it was.
    pub fn seen(old: Option<Self>, intent: &MachineIntent, machine: Option<&Machine>) -> Option<Self> {
        old.filter(|old| old.generation == intent.generation && !old.has_brought(machine))
    }

    /// What is known after a step was begun with what there was.
    pub fn begun(old: Option<Self>, step: (Generation, Verb), machine: Option<&Machine>, now: Timestamp) -> Self {
        let (generation, verb) = step;
        let again = old.filter(|old| old.generation == generation && old.verb == verb);
        let times = again.map_or(0, |old| old.times).saturating_add(1);
        Self {
            generation,
            verb,
            times,
            before: machine.map(what_counts),
            until: now.saturating_add(pause(times)).unwrap_or(Timestamp::MAX),
        }
    }

    /// Whether it is too early to try this step again. Others may be tried.
    pub fn waits(&self, verb: Verb, now: Timestamp) -> bool {
        self.verb == verb && self.left(now).is_some()
    }

    /// How long it is waited. A clock that was set back does not make it longer.
    pub fn left(&self, now: Timestamp) -> Option<SignedDuration> {
        let left = self.until.duration_since(now);
        (left.is_positive() && left <= LONGEST).then_some(left)
    }

    /// For people, once it has been tried a few times. It stays the same however often it is tried after that.
    pub fn told(&self) -> Option<String> {
        (self.times >= TOLD).then(|| format!("{} brings nothing", self.verb))
    }

    /// A step that is under way may still bring something; one that was to end what was under way has, when that has ended.
    fn has_brought(&self, machine: Option<&Machine>) -> bool {
        let now = machine.map(what_counts);
        let interrupted = self.before.as_ref().is_some_and(|before| before.doing.is_some());
        let under_way = now.as_ref().is_some_and(|now| now.doing.is_some());
        if under_way && !interrupted {
            return false;
        }
        now != self.before
    }
}

/// What steps change. How far one is, and which addresses a guest uses, changes without them; why one came to nothing is
/// [`Trouble`](crate::Trouble)'s.
fn what_counts(machine: &Machine) -> Machine {
    let same = |doing: &Doing| Doing {
        progress: 0,
        ..doing.clone()
    };
    Machine {
        doing: machine.doing.as_ref().map(same),
        fault: None,
        addresses: Default::default(),
        ..machine.clone()
    }
}

fn pause(times: u32) -> SignedDuration {
    let doubled = 1_i32
        .checked_shl(times.saturating_sub(1))
        .filter(|times| *times > 0)
        .unwrap_or(i32::MAX);
    FIRST.checked_mul(doubled).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use renkei_host::contract::intent;
    use renkei_host::{Form, Record};
    use renkei_types::agent::DiskSource;
    use renkei_types::id::VmId;
    use renkei_types::vm::Power;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn meant() -> MachineIntent {
        let source = DiskSource::Template {
            name: "t".to_owned(),
            image: None,
        };
        intent(VmId(uuid::Uuid::nil()), source)
    }

    fn machine(power: Power) -> Machine {
        let intent = meant();
        Machine {
            id: intent.id,
            record: Record::of(&intent),
            whole: true,
            power,
            halted: false,
            form: Form::of(&intent),
            doing: None,
            fault: None,
            addresses: Default::default(),
            saved: None,
        }
    }

    fn doing(verb: Verb, progress: u8) -> Machine {
        Machine {
            doing: Some(Doing {
                verb,
                generation: Generation(1),
                since: NOW,
                progress,
            }),
            ..machine(Power::Off)
        }
    }

    /// Begun so often, with this machine.
    fn begun(times: usize, verb: Verb, machine: Option<&Machine>) -> Option<Fruitless> {
        let step = (meant().generation, verb);
        (0..times).fold(None, |old, _| Some(Fruitless::begun(old, step, machine, NOW)))
    }

    #[test]
    fn pauses_double_up_to_ten_seconds() {
        let off = machine(Power::Off);
        let left = |times| begun(times, Verb::Start, Some(&off)).unwrap().left(NOW).unwrap();
        let pauses: Vec<i128> = (1..=9).map(|times| left(times).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(pause(u32::MAX), LONGEST);
    }

    #[test]
    fn the_same_step_waits_and_no_other() {
        let off = machine(Power::Off);
        let tried = begun(1, Verb::Start, Some(&off)).unwrap();
        assert!(tried.waits(Verb::Start, NOW) && !tried.waits(Verb::Destroy, NOW));
        assert!(!tried.waits(Verb::Start, tried.until));
        assert!(!tried.waits(Verb::Start, NOW - SignedDuration::from_hours(1)));
        let other = Fruitless::begun(Some(tried), (meant().generation, Verb::Reset), Some(&off), NOW);
        assert_eq!(other.times, 1);
    }

    #[test]
    fn whatever_it_brings_ends_it_and_so_does_another_generation() {
        let (off, on) = (machine(Power::Off), machine(Power::On));
        let intent = meant();
        let tried = begun(5, Verb::Start, Some(&off));
        assert_eq!(Fruitless::seen(tried.clone(), &intent, Some(&off)), tried);
        assert_eq!(Fruitless::seen(tried.clone(), &intent, Some(&on)), None);
        assert_eq!(Fruitless::seen(tried.clone(), &intent, None), None);
        let next = MachineIntent {
            generation: intent.generation.next(),
            ..meant()
        };
        assert_eq!(Fruitless::seen(tried, &next, Some(&off)), None);
        let made = begun(5, Verb::Create, None);
        assert_eq!(Fruitless::seen(made.clone(), &intent, None), made);
        assert_eq!(Fruitless::seen(made, &intent, Some(&off)), None);
    }

    #[test]
    fn what_is_under_way_has_brought_nothing_yet() {
        let intent = meant();
        let tried = begun(2, Verb::Start, Some(&machine(Power::Off)));
        let under_way = doing(Verb::Start, 40);
        assert_eq!(Fruitless::seen(tried.clone(), &intent, Some(&under_way)), tried);
    }

    #[test]
    fn what_is_to_end_something_has_brought_nothing_while_that_goes_on() {
        let intent = meant();
        let tried = begun(2, Verb::Abandon, Some(&doing(Verb::Start, 40)));
        let goes_on = doing(Verb::Start, 50);
        assert_eq!(Fruitless::seen(tried.clone(), &intent, Some(&goes_on)), tried);
        assert_eq!(Fruitless::seen(tried, &intent, Some(&machine(Power::Off))), None);
    }

    #[test]
    fn it_is_told_in_the_same_words_from_the_third_time_on() {
        let told = |times| begun(times, Verb::PowerOff, None).unwrap().told();
        assert_eq!(told(2), None);
        assert_eq!(told(3).unwrap(), "power off brings nothing");
        assert_eq!(told(3), told(300));
    }
}
