use renkei_host::contract::intent as meant;
use renkei_host::{Doing, StepFault};
use renkei_types::agent::DiskSource;
use renkei_types::id::{ImageId, VmId};
use renkei_types::operation::Generation;
use uuid::Uuid;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn intent(power: Power) -> MachineIntent {
    let source = DiskSource::Template {
        name: "t".to_owned(),
        image: None,
    };
    MachineIntent {
        power,
        ..meant(VmId(Uuid::from_u128(1)), source)
    }
}

/// As it is meant by `intent`, but for its power.
fn machine(intent: &MachineIntent, power: Power) -> Machine {
    Machine {
        id: intent.id,
        record: Record::of(intent),
        whole: true,
        power,
        halted: false,
        form: Form::of(intent),
        doing: None,
        fault: None,
        addresses: Default::default(),
        saved: None,
    }
}

fn ask(intent: &MachineIntent, marks: &Marks, machine: Option<&Machine>) -> Next {
    reconcile(&Question {
        intent,
        marks: Some(marks),
        machine,
        trouble: None,
        fruitless: None,
        powering: Powering::Allowed,
        now: NOW,
    })
}

fn then(intent: &MachineIntent, machine: Option<&Machine>) -> Then {
    ask(intent, &Marks::default(), machine).then
}

#[test]
fn power_becomes_what_is_meant() {
    use Power::{Off, On, Suspended};
    let steps = [
        (Off, On, Then::Begin(Act::Start)),
        (Suspended, On, Then::Begin(Act::Resume)),
        (On, Off, Then::Begin(Act::Shutdown)),
        (Suspended, Off, Then::Begin(Act::Resume)),
        (On, Suspended, Then::Begin(Act::Suspend)),
        (Off, Suspended, Then::Begin(Act::Start)),
        (Off, Off, Then::Nothing),
        (On, On, Then::Nothing),
        (Suspended, Suspended, Then::Nothing),
    ];
    for (is, to, expected) in steps {
        let intent = intent(to);
        assert_eq!(then(&intent, Some(&machine(&intent, is))), expected, "{is} to {to}");
    }
    let hard = MachineIntent {
        stop: Stop::PowerOff,
        ..intent(Off)
    };
    for is in [On, Suspended] {
        assert_eq!(then(&hard, Some(&machine(&hard, is))), Then::Begin(Act::PowerOff));
    }
}

#[test]
fn what_is_not_there_is_made_only_if_it_may_be_and_never_was() {
    let mut intent = intent(Power::On);
    assert!(matches!(then(&intent, None), Then::Begin(Act::Create(_))));
    let whole = Marks {
        whole: true,
        ..Marks::default()
    };
    let next = ask(&intent, &whole, None);
    assert_eq!(next.then, Then::Missing);
    assert_eq!(next.marks.fault.map(|fault| fault.generation), Some(intent.generation));
    intent.make = false;
    assert_eq!(then(&intent, None), Then::Missing);
    let so = ask(&intent, &Marks::default(), Some(&machine(&intent, Power::On))).marks;
    let lost = ask(&intent, &so, None);
    assert_eq!((lost.then, lost.marks), (Then::Missing, so), "nothing is asked of it");
}

#[test]
fn a_machine_that_is_half_made_is_made_again_and_a_whole_one_is_remembered() {
    let intent = intent(Power::Off);
    let half = Machine {
        whole: false,
        ..machine(&intent, Power::Off)
    };
    assert!(matches!(then(&intent, Some(&half)), Then::Begin(Act::Create(_))));
    assert!(
        ask(&intent, &Marks::default(), Some(&machine(&intent, Power::Off)))
            .marks
            .whole
    );
}

#[test]
fn a_reboot_is_marked_with_the_step_and_not_done_again() {
    let mut intent = intent(Power::On);
    intent.reboots = 3;
    let on = machine(&intent, Power::On);
    let next = ask(&intent, &Marks::default(), Some(&on));
    assert_eq!((next.then, next.marks.reboots), (Then::Begin(Act::Reboot), 3));
    assert_eq!(ask(&intent, &next.marks, Some(&on)).then, Then::Nothing);
    intent.resets = 1;
    let next = ask(&intent, &next.marks, Some(&on));
    assert_eq!((next.then, next.marks.resets), (Then::Begin(Act::Reset), 1));
}

#[test]
fn a_start_obeys_a_reboot_and_so_does_being_off() {
    let mut intent = intent(Power::On);
    intent.reboots = 1;
    let next = ask(&intent, &Marks::default(), Some(&machine(&intent, Power::Off)));
    assert_eq!((next.then, next.marks.reboots), (Then::Begin(Act::Start), 1));
    intent.power = Power::Off;
    let next = ask(&intent, &Marks::default(), Some(&machine(&intent, Power::Off)));
    assert_eq!((next.then, next.marks.reboots), (Then::Nothing, 1));
}

#[test]
fn without_memory_counters_count_as_obeyed() {
    let mut intent = intent(Power::On);
    (intent.reboots, intent.resets) = (5, 5);
    let on = machine(&intent, Power::On);
    let next = reconcile(&Question {
        intent: &intent,
        marks: None,
        machine: Some(&on),
        trouble: None,
        fruitless: None,
        powering: Powering::Allowed,
        now: NOW,
    });
    assert_eq!(
        (next.then, next.marks.reboots, next.marks.resets),
        (Then::Nothing, 5, 5)
    );
}

#[test]
fn only_a_tombstone_destroys_and_not_one_that_is_older_than_what_was_so() {
    let mut intent = intent(Power::On);
    let on = machine(&intent, Power::On);
    intent.part = Part::Gone;
    assert_eq!(then(&intent, Some(&on)), Then::Begin(Act::Destroy));
    let next = ask(&intent, &Marks::default(), None);
    let gone = Reached {
        generation: intent.generation,
        part: Part::Gone,
    };
    assert_eq!((next.then, next.marks.reached), (Then::Nothing, Some(gone)));
    let later = Marks {
        reached: Some(Reached {
            generation: intent.generation.next(),
            part: Part::Run,
        }),
        ..Marks::default()
    };
    assert_eq!(ask(&intent, &later, Some(&on)).then, Then::Older);
}

#[test]
fn a_kept_machine_is_off_and_stays() {
    let mut intent = intent(Power::On);
    intent.part = Part::Keep;
    assert_eq!(
        then(&intent, Some(&machine(&intent, Power::On))),
        Then::Begin(Act::Shutdown)
    );
    assert_eq!(then(&intent, Some(&machine(&intent, Power::Off))), Then::Nothing);
    assert_eq!(then(&intent, None), Then::Missing);
}

#[test]
fn what_it_is_made_of_changes_while_it_is_off() {
    let mut intent = intent(Power::On);
    let (on, off) = (machine(&intent, Power::On), machine(&intent, Power::Off));
    intent.vcpus += 1;
    assert_eq!(
        then(&intent, Some(&off)),
        Then::Begin(Act::Reconfigure(Form::of(&intent)))
    );
    let next = ask(&intent, &Marks::default(), Some(&on));
    assert_eq!(next.then, Then::Stuck);
    assert_eq!(next.marks.fault.map(|fault| fault.generation), Some(intent.generation));
    intent.power = Power::Off;
    assert_eq!(then(&intent, Some(&on)), Then::Begin(Act::Shutdown));
}

#[test]
fn a_guest_that_ends_by_itself_stays_off_and_one_that_crashed_does_not() {
    let mut intent = intent(Power::On);
    let marks = ask(&intent, &Marks::default(), Some(&machine(&intent, Power::On))).marks;
    let crashed = machine(&intent, Power::Off);
    let halted = Machine {
        halted: true,
        ..crashed.clone()
    };
    assert_eq!(ask(&intent, &marks, Some(&halted)).then, Then::Nothing);
    assert_eq!(ask(&intent, &marks, Some(&crashed)).then, Then::Begin(Act::Start));
    intent.generation = intent.generation.next();
    assert_eq!(ask(&intent, &marks, Some(&halted)).then, Then::Begin(Act::Start));
}

#[test]
fn an_image_is_made_once() {
    let mut intent = intent(Power::Off);
    let image = ImageId(Uuid::from_u128(4));
    intent.save = Some(image);
    let mut off = machine(&intent, Power::Off);
    assert_eq!(then(&intent, Some(&off)), Then::Begin(Act::Save(image)));
    off.saved = Some((image, "h".to_owned()));
    let next = ask(&intent, &Marks::default(), Some(&off));
    assert_eq!(next.then, Then::Nothing);
    off.saved = None;
    assert_eq!(ask(&intent, &next.marks, Some(&off)).then, Then::Nothing);
}

fn doing(machine: &mut Machine, verb: Verb, generation: u64) {
    machine.doing = Some(Doing {
        verb,
        generation: Generation(generation),
        since: NOW,
        progress: 0,
    });
}

#[test]
fn one_step_at_a_time_and_what_is_no_longer_meant_is_given_up() {
    let mut intent = intent(Power::Off);
    intent.generation = Generation(2);
    let mut on = machine(&intent, Power::On);
    doing(&mut on, Verb::Shutdown, 2);
    assert_eq!(then(&intent, Some(&on)), Then::Wait);
    doing(&mut on, Verb::Shutdown, 1);
    assert_eq!(
        then(&intent, Some(&on)),
        Then::Wait,
        "an older generation meant the same"
    );
    doing(&mut on, Verb::Reboot, 1);
    assert_eq!(then(&intent, Some(&on)), Then::Begin(Act::Abandon));
    intent.stop = Stop::PowerOff;
    doing(&mut on, Verb::Shutdown, 1);
    assert_eq!(then(&intent, Some(&on)), Then::Begin(Act::PowerOff));
    intent.part = Part::Gone;
    assert_eq!(then(&intent, Some(&on)), Then::Begin(Act::Destroy));
    doing(&mut on, Verb::Destroy, 1);
    assert_eq!(then(&intent, Some(&on)), Then::Wait);
}

#[test]
fn a_removal_that_hangs_is_begun_again() {
    let mut intent = intent(Power::Off);
    intent.part = Part::Gone;
    let mut on = machine(&intent, Power::On);
    doing(&mut on, Verb::Destroy, 1);
    let next = reconcile(&Question {
        intent: &intent,
        marks: None,
        machine: Some(&on),
        trouble: None,
        fruitless: None,
        powering: Powering::Allowed,
        now: NOW + REMOVAL_PATIENCE,
    });
    assert_eq!(next.then, Then::Begin(Act::Destroy));
}

#[test]
fn a_step_that_never_ends_is_given_up_and_told_to_whoever_waits_for_it() {
    let mut wanted = intent(Power::On);
    let mut off = machine(&wanted, Power::Off);
    doing(&mut off, Verb::Start, 1);
    let after = |intent: &MachineIntent, minutes| {
        reconcile(&Question {
            intent,
            marks: Some(&Marks::default()),
            machine: Some(&off),
            trouble: None,
            fruitless: None,
            powering: Powering::Allowed,
            now: NOW + SignedDuration::from_mins(minutes),
        })
    };
    assert_eq!(after(&wanted, 9).then, Then::Wait);
    let given_up = after(&wanted, 10);
    assert_eq!(given_up.then, Then::Begin(Act::Abandon));
    let fault = given_up.marks.fault.clone().unwrap();
    assert!(fault.generation == wanted.generation && fault.message.contains("cannot start"));
    let still = machine(&wanted, Power::Off);
    assert_eq!(ask(&wanted, &given_up.marks, Some(&still)).then, Then::Stuck);
    // For what is meant by now nothing is known to be wrong.
    wanted.generation = wanted.generation.next();
    let given_up = after(&wanted, 10);
    assert_eq!((given_up.then, given_up.marks.fault), (Then::Begin(Act::Abandon), None));
}

#[test]
fn a_fault_for_good_is_told_until_another_generation_is_meant_but_removal_goes_on() {
    let mut intent = intent(Power::On);
    let mut off = machine(&intent, Power::Off);
    off.fault = Some(StepFault {
        verb: Verb::Start,
        generation: intent.generation,
        message: "no such device".to_owned(),
        lasting: Lasting::Permanent,
    });
    let next = ask(&intent, &Marks::default(), Some(&off));
    assert_eq!(next.then, Then::Stuck);
    let fault = next.marks.fault.clone().unwrap();
    assert_eq!(fault.message, "cannot start: no such device");
    off.fault = None;
    assert_eq!(
        ask(&intent, &next.marks, Some(&off)).then,
        Then::Stuck,
        "also after a new start"
    );
    let mut gone = intent.clone();
    gone.part = Part::Gone;
    assert_eq!(ask(&gone, &next.marks, Some(&off)).then, Then::Begin(Act::Destroy));
    intent.generation = intent.generation.next();
    let next = ask(&intent, &next.marks, Some(&off));
    assert_eq!((next.then, next.marks.fault), (Then::Begin(Act::Start), None));
}

#[test]
fn nothing_is_made_or_started_before_the_hub_was_heard_but_what_takes_away_is_done() {
    let mut intent = intent(Power::On);
    let (on, off) = (machine(&intent, Power::On), machine(&intent, Power::Off));
    let held = |intent: &MachineIntent, machine: Option<&Machine>| {
        reconcile(&Question {
            intent,
            marks: Some(&Marks::default()),
            machine,
            trouble: None,
            fruitless: None,
            powering: Powering::Held,
            now: NOW,
        })
        .then
    };
    assert_eq!(held(&intent, None), Then::Wait);
    assert_eq!(held(&intent, Some(&off)), Then::Wait);
    intent.power = Power::Off;
    assert_eq!(held(&intent, Some(&on)), Then::Begin(Act::Shutdown));
    intent.part = Part::Gone;
    assert_eq!(held(&intent, Some(&off)), Then::Begin(Act::Destroy));
}
