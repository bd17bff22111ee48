//! The driver that runs QEMU keeps the contract of all drivers, with real guests. A promise is a test: each boots guests of its own.

mod support;

use renkei_host::contract;

use self::support::Computer;

macro_rules! promises {
    ($($promise:ident),* $(,)?) => {
        $(#[test]
        fn $promise() {
            contract::one(stringify!($promise), Computer::new().unwrap());
        })*

        #[test]
        fn every_promise_is_tried() {
            let tried = [$(stringify!($promise)),*];
            let all: Vec<&str> = contract::promises::<Computer>().into_iter().map(|(name, _)| name).collect();
            assert_eq!(all, tried);
        }
    };
}

promises![
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
    what_a_machine_says_is_kept,
    a_running_machine_answers_on_its_console,
    only_a_running_machine_has_a_console,
];
