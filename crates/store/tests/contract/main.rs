//! The contract of the store: every case on every implementation.

mod audit;
mod bench;
mod commits;
mod epoch;
mod reading;

use bench::{Bench, Files, run};
use renkei_testkit::Postgres;

/// Each case is a test of its own on memory and on SQLite.
macro_rules! cases {
    ($($module:ident: $($case:ident)*;)*) => {
        mod on_memory {
            $($(#[test]
            fn $case() {
                super::run(super::Bench::memory(), super::$module::$case);
            })*)*
        }

        mod on_sqlite {
            $($(#[test]
            fn $case() {
                let files = super::Files::new();
                super::run(super::Bench::sqlite(&files), super::$module::$case);
            })*)*
        }

        /// One after the other on one server, each in a database of its own: starting a server takes longer than all of them.
        #[test]
        fn on_postgres() {
            let server = Postgres::start().unwrap();
            $($(
                println!("{}", stringify!($case));
                run(Bench::postgres(&server), $module::$case);
            )*)*
        }
    };
}

cases! {
    commits: a_row_is_kept_as_it_was_given versions_grow_by_one what_is_gone_is_gone a_stale_row_stops_the_whole_batch
        a_key_is_there_once a_key_can_go_from_one_row_to_the_next an_expectation_is_proved a_touch_changes_the_version_only
        a_row_named_twice_is_changed_once two_versions_of_a_row_are_stale what_no_database_can_keep_is_refused_by_name
        any_text_comes_back_as_it_was no_update_is_lost_between_two_hubs two_hubs_never_put_out_the_last_light whoever_waits_is_woken;
    reading: versions_tell_which_rows_have_changed a_scan_gives_all_in_the_order_of_ids only_declared_indexes_can_be_asked_for lists_are_cut_by_key
        a_list_is_filtered events_are_numbered_without_gaps events_are_filtered;
    audit: the_chain_grows_and_holds two_hubs_lengthen_one_chain;
    epoch: a_new_epoch_begins_a_new_run_and_keeps_the_rows hubs_that_see_the_same_raise_it_once
        an_epoch_is_greater_than_all_that_was_heard the_clock_is_that_of_today;
}
