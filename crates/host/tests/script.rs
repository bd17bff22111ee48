//! The fake driver misbehaves as it is told.

use std::io::{BufRead as _, BufReader, Write as _};

use jiff::{SignedDuration, Timestamp};
use renkei_host::contract::intent;
use renkei_host::fake::{Does, Fake, MACHINES, Rule, SCRIPT, Script};
use renkei_host::{Act, Driver as _, LONGEST_LOG, Lasting, Machine, Step, Verb};
use renkei_types::agent::DiskSource;
use renkei_types::id::{HostId, VmId};
use renkei_types::operation::Generation;
use renkei_types::vm::Power;
use uuid::Uuid;

const START: Timestamp = Timestamp::UNIX_EPOCH;
const ID: VmId = VmId(Uuid::from_u128(1));

fn template() -> DiskSource {
    DiskSource::Template {
        name: "t".to_owned(),
        image: None,
    }
}

fn fake(rules: Vec<Rule>) -> Fake {
    Fake::in_memory(Script {
        rules,
        ..Script::default()
    })
}

fn begin(fake: &mut Fake, act: Act, now: Timestamp) -> Result<(), renkei_host::DriverError> {
    let step = Step {
        id: ID,
        generation: Generation(1),
        act,
    };
    fake.begin(step, now)
}

fn create() -> Act {
    Act::Create(Box::new(intent(ID, template())))
}

fn look(fake: &mut Fake, now: Timestamp) -> Machine {
    fake.look(now).unwrap().pop().unwrap()
}

#[test]
fn a_slow_step_tells_how_far_it_is() {
    let mut fake = fake(vec![Rule::always(Does::Takes(10_000)).at(Verb::Create)]);
    begin(&mut fake, create(), START).unwrap();
    let half = look(&mut fake, START + SignedDuration::from_secs(5));
    assert_eq!(half.doing.map(|doing| doing.progress), Some(50));
    assert!(!half.whole);
    assert!(look(&mut fake, START + SignedDuration::from_secs(10)).whole);
}

#[test]
fn a_step_fails_so_many_times_and_says_why() {
    let mut fake = fake(vec![
        Rule::always(Does::fails("no room"))
            .on("trial")
            .at(Verb::Create)
            .times(1),
    ]);
    begin(&mut fake, create(), START).unwrap();
    let failed = look(&mut fake, START);
    let fault = failed.fault.unwrap();
    assert_eq!((fault.message.as_str(), fault.lasting), ("no room", Lasting::Transient));
    begin(&mut fake, create(), START).unwrap();
    let made = look(&mut fake, START);
    assert!(made.whole && made.fault.is_none());
}

#[test]
fn a_step_that_hangs_is_given_up_or_the_machine_is_destroyed() {
    let mut fake = fake(vec![Rule::always(Does::Hangs).at(Verb::Start)]);
    begin(&mut fake, create(), START).unwrap();
    begin(&mut fake, Act::Start, START).unwrap();
    let later = START + SignedDuration::from_hours(1000);
    assert_eq!(look(&mut fake, later).doing.map(|doing| doing.verb), Some(Verb::Start));
    let busy = begin(&mut fake, Act::Save(renkei_types::id::ImageId(Uuid::nil())), later).unwrap_err();
    assert_eq!(busy.lasting, Lasting::Transient);
    begin(&mut fake, Act::Abandon, later).unwrap();
    assert_eq!(look(&mut fake, later).doing, None);
    begin(&mut fake, Act::Start, later).unwrap();
    begin(&mut fake, Act::Destroy, later).unwrap();
    assert_eq!(fake.look(later).unwrap(), []);
}

#[test]
fn it_lies_forgets_and_shows_another_address() {
    let other = "10.15.0.99".parse().unwrap();
    let uses = Does::Uses {
        adapter: 1,
        addresses: vec![other],
    };
    let mut fake = fake(vec![Rule::always(uses)]);
    begin(&mut fake, create(), START).unwrap();
    begin(&mut fake, Act::Start, START).unwrap();
    assert_eq!(look(&mut fake, START).addresses[&1], [other]);
    let lies = Rule::always(Does::Lies(Power::Off));
    fake.behave(Script {
        rules: vec![lies],
        ..Script::default()
    });
    assert_eq!(look(&mut fake, START).power, Power::Off);
    assert_eq!(fake.truth()[&ID].power, Power::On);
    fake.behave(Script {
        rules: vec![Rule::always(Does::Forgets).on("trial").times(1)],
        ..Script::default()
    });
    assert_eq!(fake.look(START).unwrap(), []);
    begin(&mut fake, create(), START).unwrap();
    assert_eq!(fake.look(START).unwrap().len(), 1);
}

#[test]
fn a_disk_is_copied_from_the_host_beside() {
    let (here, there) = (fake(Vec::new()), fake(Vec::new()));
    let host = HostId(Uuid::from_u128(3));
    here.beside(host, &there);
    let moved = intent(ID, DiskSource::Move { host });
    let error = begin(&mut here.clone(), Act::Create(Box::new(moved.clone())), START).unwrap_err();
    assert!(error.message.contains(&host.to_string()), "{error}");
    begin(&mut there.clone(), create(), START).unwrap();
    there.clone().look(START).unwrap();
    there.write(ID, "mine");
    begin(&mut here.clone(), Act::Create(Box::new(moved)), START).unwrap();
    here.clone().look(START).unwrap();
    assert_eq!(here.disk(ID).as_deref(), Some("mine"));
}

#[test]
fn files_that_are_not_understood_are_named_and_nothing_is_taken_for_lost() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(MACHINES), "{").unwrap();
    let error = Fake::in_folder(folder.path()).unwrap_err();
    assert!(error.message.contains(MACHINES), "{error}");
    std::fs::remove_file(folder.path().join(MACHINES)).unwrap();
    let mut fake = Fake::in_folder(folder.path()).unwrap();
    begin(&mut fake, create(), START).unwrap();
    std::fs::write(folder.path().join(SCRIPT), r#"{"rulse": []}"#).unwrap();
    let error = fake.look(START).unwrap_err();
    assert!(
        error.message.contains(SCRIPT) && error.message.contains("rulse"),
        "{error}"
    );
}

#[test]
fn a_script_is_written_by_hand() {
    let text = r#"{"rules": [
        {"does": {"takes": 100}},
        {"machine": "a", "step": "power-off", "times": 2, "does": {"fails": {"message": "x", "lasting": "permanent"}}},
        {"step": "shutdown", "does": "hangs"}
    ]}"#;
    let script: Script = serde_json::from_str(text).unwrap();
    assert_eq!(
        script.rules[1],
        Rule::always(Does::fails_for_good("x"))
            .on("a")
            .at(Verb::PowerOff)
            .times(2)
    );
    assert_eq!(script.capacity, None);
}

#[test]
fn a_guest_answers_lines_and_what_it_says_is_bounded() {
    let mut fake = fake(Vec::new());
    begin(&mut fake, create(), START).unwrap();
    begin(&mut fake, Act::Start, START).unwrap();
    look(&mut fake, START);
    let opened = fake.console(ID).unwrap();
    assert_eq!(opened.log, b"trial has started\r\n");
    let mut stream = BufReader::new(opened.stream);
    let mut line = |typed: &[u8]| {
        stream.get_ref().write_all(typed).unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        line
    };
    assert_eq!(line(b"one\r\n"), "trial: one\r\n");
    assert_eq!(line(b"\r"), "trial: \r\n");
    let long = "x".repeat(4000) + "\n";
    for _ in 0..20 {
        line(long.as_bytes());
    }
    assert_eq!(fake.console_log(ID).unwrap().len(), LONGEST_LOG);
    begin(&mut fake, Act::Reboot, START).unwrap();
    look(&mut fake, START);
    assert_eq!(line(b""), "trial has started\r\n");
    fake.crash(ID);
    assert_eq!(line(b""), "");
}
