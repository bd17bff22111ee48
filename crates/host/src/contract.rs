//! What every driver has to pass: [`all`], with a [`Subject`] around it. A promise that does not hold panics and says which.

mod console;

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use renkei_types::agent::{AdapterIntent, DiskSource, MachineIntent, Part};
use renkei_types::id::{HostId, ImageId, ProjectId, SegmentId, VmId};
use renkei_types::network::Mac;
use renkei_types::operation::Generation;
use renkei_types::vm::{Disk, Power, Stop};
use uuid::Uuid;

use crate::driver::{Driver, DriverError};
use crate::machine::{Form, Machine, Record};
use crate::step::{Act, Step};

/// A driver with an empty host under it.
pub trait Subject {
    /// The driver.
    type Driver: Driver;

    /// The driver anew, as after a new start of the agent's process. The machines are those that were there before.
    fn open(&mut self) -> Self::Driver;

    /// Lets something happen, and says what time it is then. Each call takes the driver a bit further.
    fn wait(&mut self) -> Timestamp;

    /// Writes onto the first disk of a machine.
    fn write(&mut self, machine: VmId, text: &str);

    /// What [`Subject::write`] has written onto the disk that the machine has now; anything else for another disk.
    fn read(&mut self, machine: VmId) -> Option<String>;

    /// Where a disk can come from.
    fn source(&self) -> DiskSource;

    /// An OpenSSH public key for the guest, if [`Subject::write`] needs one.
    fn key(&self) -> String {
        String::new()
    }
}

/// How often it is waited for a step; whoever passes [`Subject::wait`] a real clock waits in all for so many of its waits.
const PATIENCE: usize = 10_000;

/// A promise, by its name.
pub type Promise<S> = (&'static str, fn(&mut Trial<S>));

/// All promises, each on a host of its own.
pub fn all<S: Subject>(mut fresh: impl FnMut() -> S) {
    for (_, promise) in promises() {
        promise(&mut Trial::new(fresh()));
    }
}

/// One promise alone, for subjects that take their time.
///
/// # Panics
/// If there is no promise of this name, and if it is not kept.
pub fn one<S: Subject>(name: &str, fresh: S) {
    let found = promises().into_iter().find(|(of, _)| *of == name);
    let (_, promise) = found.unwrap_or_else(|| panic!("there is no promise `{name}`"));
    promise(&mut Trial::new(fresh));
}

/// All promises.
pub fn promises<S: Subject>() -> Vec<Promise<S>> {
    macro_rules! named {
        ($($promise:path),* $(,)?) => {
            vec![$((stringify!($promise).rsplit("::").next().unwrap_or_default().trim(), $promise as fn(&mut Trial<S>))),*]
        };
    }
    named![
        a_made_machine_is_off_and_as_it_was_meant,
        a_machine_starts_shuts_down_and_starts_again,
        a_machine_is_powered_off,
        the_addresses_that_a_guest_uses_are_seen,
        a_reboot_and_a_reset_keep_the_disk,
        a_suspended_machine_goes_on,
        a_machine_is_reconfigured_only_when_off,
        a_record_is_written_anew_while_the_machine_runs,
        a_saved_disk_has_an_image_and_stays,
        a_copy_has_what_its_source_had,
        a_destroyed_machine_leaves_nothing,
        steps_repeated_do_no_harm,
        a_new_driver_sees_the_same,
        an_unknown_machine_is_named,
        console::what_a_machine_says_is_kept,
        console::a_running_machine_answers_on_its_console,
        console::only_a_running_machine_has_a_console,
    ]
}

/// A subject with its driver and one machine.
pub struct Trial<S: Subject> {
    subject: S,
    driver: S::Driver,
    intent: MachineIntent,
    now: Timestamp,
}

/// What is meant for the machine of a trial.
pub fn intent(id: VmId, source: DiskSource) -> MachineIntent {
    MachineIntent {
        id,
        generation: Generation(1),
        part: Part::Run,
        make: true,
        project: ProjectId(Uuid::from_u128(7)),
        name: "trial".to_owned(),
        power: Power::Off,
        stop: Stop::Shutdown,
        reboots: 0,
        resets: 0,
        vcpus: 1,
        memory_mib: 512,
        disks: vec![Disk { number: 1, gib: 4 }],
        adapters: vec![AdapterIntent {
            number: 1,
            segment: SegmentId(Uuid::from_u128(9)),
            mac: Mac::drawn([0, 0, 1]),
            addresses: vec![IpAddr::from([10, 15, 0, 2])],
        }],
        source,
        key: String::new(),
        user_data: None,
        save: None,
    }
}

impl<S: Subject> Trial<S> {
    fn new(mut subject: S) -> Self {
        let driver = subject.open();
        let now = subject.wait();
        let intent = MachineIntent {
            key: subject.key(),
            ..intent(VmId(Uuid::now_v7()), subject.source())
        };
        Self {
            subject,
            driver,
            intent,
            now,
        }
    }

    /// Begins a step with the machine.
    fn begin(&mut self, act: Act) -> Result<(), DriverError> {
        let step = Step {
            id: self.intent.id,
            generation: self.intent.generation,
            act,
        };
        self.driver.begin(step, self.now)
    }

    fn look(&mut self) -> Option<Machine> {
        let machines = self.driver.look(self.now).expect("the driver can look");
        machines.into_iter().find(|machine| machine.id == self.intent.id)
    }

    /// Begins a step and waits for its end.
    fn carry_out(&mut self, act: Act) -> Option<Machine> {
        let verb = act.verb();
        self.begin(act)
            .unwrap_or_else(|error| panic!("{verb} can be begun: {error}"));
        for _ in 0..PATIENCE {
            let seen = self.look();
            match &seen {
                Some(machine) if machine.doing.is_some() => self.now = self.subject.wait(),
                Some(Machine { fault: Some(fault), .. }) => panic!("{verb} came to nothing: {}", fault.message),
                _ => return seen,
            }
        }
        panic!("{verb} has not ended");
    }

    /// Makes the machine.
    fn create(&mut self) -> Machine {
        let create = Act::Create(Box::new(self.intent.clone()));
        self.carry_out(create).expect("a made machine is there")
    }

    fn power(&mut self, act: Act) -> Power {
        let verb = act.verb();
        let seen = self.carry_out(act);
        seen.unwrap_or_else(|| panic!("the machine is there after {verb}"))
            .power
    }
}

fn a_made_machine_is_off_and_as_it_was_meant<S: Subject>(trial: &mut Trial<S>) {
    let made = trial.create();
    assert!(made.whole, "a made machine is whole");
    assert_eq!(made.power, Power::Off, "a made machine is off");
    assert_eq!(made.record, Record::of(&trial.intent), "its record says whose it is");
    assert_eq!(made.form, Form::of(&trial.intent), "it has the form that was meant");
    assert_eq!(made.saved, None, "no image was made of it");
}

fn a_machine_starts_shuts_down_and_starts_again<S: Subject>(trial: &mut Trial<S>) {
    trial.create();
    assert_eq!(trial.power(Act::Start), Power::On, "a started machine runs");
    let off = trial
        .carry_out(Act::Shutdown)
        .expect("a machine that was shut down is there");
    assert_eq!(off.power, Power::Off, "a machine that was shut down is off");
    assert!(
        !off.halted,
        "a machine that was told to shut down did not end by itself"
    );
    assert_eq!(trial.power(Act::Start), Power::On, "it can be started again");
}

fn a_machine_is_powered_off<S: Subject>(trial: &mut Trial<S>) {
    trial.create();
    trial.power(Act::Start);
    let off = trial
        .carry_out(Act::PowerOff)
        .expect("a machine that was powered off is there");
    assert_eq!(off.power, Power::Off, "a machine that was powered off is off");
    assert!(!off.halted, "it did not end by itself");
    assert!(off.addresses.is_empty(), "a machine that is off uses no addresses");
}

fn the_addresses_that_a_guest_uses_are_seen<S: Subject>(trial: &mut Trial<S>) {
    trial.create();
    trial.power(Act::Start);
    let issued = |intent: &MachineIntent| {
        let adapters = intent.adapters.iter();
        adapters
            .map(|adapter| (adapter.number, adapter.addresses.clone()))
            .collect()
    };
    let meant: BTreeMap<u8, Vec<IpAddr>> = issued(&trial.intent);
    for _ in 0..PATIENCE {
        if trial.look().expect("it is there").addresses == meant {
            trial.power(Act::PowerOff);
            let off = trial.look().expect("it is there");
            assert!(off.addresses.is_empty(), "a machine that is off uses no addresses");
            return;
        }
        trial.now = trial.subject.wait();
    }
    panic!("the addresses that a guest was issued, and uses, are seen");
}

fn a_reboot_and_a_reset_keep_the_disk<S: Subject>(trial: &mut Trial<S>) {
    trial.create();
    trial.power(Act::Start);
    let id = trial.intent.id;
    trial.subject.write(id, "marked");
    assert_eq!(trial.power(Act::Reboot), Power::On, "it runs after a reboot");
    assert_eq!(
        trial.subject.read(id).as_deref(),
        Some("marked"),
        "a reboot keeps the disk"
    );
    assert_eq!(trial.power(Act::Reset), Power::On, "it runs after a reset");
    assert_eq!(
        trial.subject.read(id).as_deref(),
        Some("marked"),
        "a reset keeps the disk"
    );
}

fn a_suspended_machine_goes_on<S: Subject>(trial: &mut Trial<S>) {
    trial.create();
    trial.power(Act::Start);
    assert_eq!(
        trial.power(Act::Suspend),
        Power::Suspended,
        "a suspended machine is suspended"
    );
    assert_eq!(trial.power(Act::Resume), Power::On, "a resumed machine runs");
    trial.power(Act::Suspend);
    assert_eq!(
        trial.power(Act::PowerOff),
        Power::Off,
        "a suspended machine can be powered off"
    );
    assert_eq!(trial.power(Act::Start), Power::On, "and started");
}

fn a_machine_is_reconfigured_only_when_off<S: Subject>(trial: &mut Trial<S>) {
    let before = trial.create().form;
    let larger = Form {
        vcpus: 2,
        memory_mib: 1024,
        disks: vec![Disk { number: 1, gib: 5 }],
        ..before.clone()
    };
    let id = trial.intent.id;
    trial.subject.write(id, "marked");
    trial.power(Act::Start);
    let refused = trial.begin(Act::Reconfigure(larger.clone()));
    assert!(refused.is_err(), "a running machine is not reconfigured");
    trial.power(Act::PowerOff);
    let seen = trial.carry_out(Act::Reconfigure(larger.clone())).expect("it is there");
    assert_eq!(
        seen.form, larger,
        "a reconfigured machine has the form that was asked for"
    );
    assert_eq!(
        trial.subject.read(id).as_deref(),
        Some("marked"),
        "a larger disk has what was on it"
    );
    let refused = trial.begin(Act::Reconfigure(before));
    assert!(refused.is_err(), "no disk becomes smaller");
}

fn a_record_is_written_anew_while_the_machine_runs<S: Subject>(trial: &mut Trial<S>) {
    let mut record = trial.create().record;
    trial.power(Act::Start);
    "renamed".clone_into(&mut record.name);
    let seen = trial.carry_out(Act::Label(record.clone())).expect("it is there");
    assert_eq!(
        (seen.record, seen.power),
        (record, Power::On),
        "it has the new name and runs"
    );
}

fn a_saved_disk_has_an_image_and_stays<S: Subject>(trial: &mut Trial<S>) {
    trial.create();
    let id = trial.intent.id;
    trial.subject.write(id, "marked");
    let image = ImageId(Uuid::from_u128(5));
    let seen = trial.carry_out(Act::Save(image)).expect("it is there");
    let (saved, hash) = seen.saved.expect("it says which image was made");
    assert_eq!(saved, image, "the image is the one that was asked for");
    assert_eq!(hash.len(), 64, "the hash is one of BLAKE3, hexadecimal");
    assert_eq!(trial.subject.read(id).as_deref(), Some("marked"), "the disk stays");
}

fn a_copy_has_what_its_source_had<S: Subject>(trial: &mut Trial<S>) {
    trial.create();
    let id = trial.intent.id;
    trial.subject.write(id, "marked");
    let source = trial.intent.clone();
    trial.intent = MachineIntent {
        id: VmId(Uuid::now_v7()),
        source: DiskSource::Machine {
            vm: id,
            host: HostId(Uuid::from_u128(3)),
        },
        disks: vec![Disk { number: 1, gib: 5 }],
        ..source.clone()
    };
    let copy = trial.create();
    assert_eq!(copy.form, Form::of(&trial.intent), "a copy may have a larger disk");
    let of_copy = copy.id;
    trial.intent = source;
    trial.carry_out(Act::Destroy);
    assert_eq!(
        trial.subject.read(of_copy).as_deref(),
        Some("marked"),
        "a copy has what its source had, also when that is gone"
    );
}

fn a_destroyed_machine_leaves_nothing<S: Subject>(trial: &mut Trial<S>) {
    trial.create();
    let id = trial.intent.id;
    trial.subject.write(id, "marked");
    trial.power(Act::Start);
    assert_eq!(
        trial.carry_out(Act::Destroy),
        None,
        "a destroyed machine is not there, though it ran"
    );
    assert_eq!(trial.subject.read(id), None, "nor its disk");
    trial.create();
    assert_ne!(
        trial.subject.read(id).as_deref(),
        Some("marked"),
        "one that is made anew has a disk of its own"
    );
}

fn steps_repeated_do_no_harm<S: Subject>(trial: &mut Trial<S>) {
    trial.create();
    let id = trial.intent.id;
    trial.subject.write(id, "marked");
    let made = trial.create();
    assert!(made.whole, "a machine that is there stays whole");
    for act in [
        Act::Start,
        Act::Suspend,
        Act::Resume,
        Act::Shutdown,
        Act::PowerOff,
        Act::Abandon,
    ] {
        let once = trial.power(act.clone());
        let verb = act.verb();
        assert_eq!(trial.power(act), once, "{verb} twice is as once");
    }
    assert_eq!(
        trial.subject.read(id).as_deref(),
        Some("marked"),
        "the disk is the same"
    );
    trial.carry_out(Act::Destroy);
    assert_eq!(
        trial.carry_out(Act::Destroy),
        None,
        "what is gone can be destroyed again"
    );
}

fn a_new_driver_sees_the_same<S: Subject>(trial: &mut Trial<S>) {
    trial.create();
    trial.power(Act::Start);
    // A guest takes its addresses when it likes.
    let without_addresses = |machine: Machine| Machine {
        addresses: BTreeMap::new(),
        ..machine
    };
    let before = trial.look().map(without_addresses).expect("it is there");
    trial.driver = trial.subject.open();
    let after = trial.look().map(without_addresses).expect("a new driver sees it");
    assert_eq!(after, before, "a new driver sees the same");
    assert_eq!(trial.power(Act::PowerOff), Power::Off, "and can go on with it");
}

fn an_unknown_machine_is_named<S: Subject>(trial: &mut Trial<S>) {
    let id = trial.intent.id.to_string();
    for act in [
        Act::Start,
        Act::Shutdown,
        Act::Reboot,
        Act::Save(ImageId(Uuid::from_u128(5))),
    ] {
        let verb = act.verb();
        let error = trial.begin(act).err();
        let error = error.unwrap_or_else(|| panic!("{verb} of a machine that is not there is refused"));
        assert!(error.message.contains(&id), "the error names the machine: {error}");
    }
    trial.now += SignedDuration::from_secs(1);
    assert_eq!(trial.look(), None, "nothing was made by that");
}
