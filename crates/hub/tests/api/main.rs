//! The native API, over HTTP, on every kind of database. Each answer is held against the OpenAPI document.

mod audit;
mod bounds;
mod changes;
mod client;
mod document;
mod hostile;
mod hosts;
mod hub;
mod life;
mod machines;
mod mdx;
mod networks;
mod openapi;
mod paging;
mod rights;
mod schemathesis;
mod sign_in;
mod stream;
mod table;
mod upgrade;
mod world;

use mdx::{checklist as mdx_checklist, looking as mdx_looking, session as mdx_session, transport as mdx_transport};
use renkei_store::DatabaseUrl;
use renkei_testkit::Postgres;

/// Each case is a test of its own in memory and on SQLite.
macro_rules! cases {
    ($($module:ident: $($case:ident)*;)*) => {
        mod on_memory {
            $($(#[test]
            fn $case() {
                crate::hub::run(crate::hub::memory(), crate::$module::$case);
            })*)*
        }

        mod on_sqlite {
            $($(#[test]
            fn $case() {
                let files = crate::hub::Files::new();
                crate::hub::run(crate::hub::sqlite(&files), crate::$module::$case);
            })*)*
        }

        /// One after the other on one server, each in a database of its own: starting a server takes longer than all of them.
        #[test]
        fn on_postgres() {
            let server = Postgres::start().unwrap();
            $($(
                println!("{}", stringify!($case));
                hub::run(hub::postgres(&server), $module::$case);
            )*)*
        }
    };
}

cases! {
    life: every_change_does_what_its_plan_has_told;
    changes: a_plan_tells_why_it_would_be_refused a_change_of_what_was_not_seen_is_refused the_same_request_is_done_once
        a_key_is_its_users_own_and_gives_no_secret_again;
    paging: what_is_there_all_the_time_is_listed_once events_are_listed_once_while_more_happen;
    stream: a_stream_goes_on_where_it_broke a_stream_ends_with_the_right_to_see_it a_hub_that_stops_ends_its_streams;
    sign_in: a_hundred_guesses_at_once_are_few a_wrong_name_looks_like_a_wrong_password a_disabled_user_does_not_come_in
        a_new_password_ends_the_sessions the_current_password_cannot_be_guessed;
    rights: a_freeze_stops_changes_and_tells_why a_frozen_token_is_not_its_user an_expired_project_can_only_be_read
        a_token_for_one_project_knows_nothing_else a_token_does_what_its_scopes_say the_last_one_stays
        a_member_may_leave;
    audit: every_change_is_one_event;
    hostile: a_body_is_bounded_and_json a_wrong_value_is_named a_wrong_parameter_is_named junk_in_headers_is_refused
        idle_connections_are_in_nobodys_way;
    mdx_session: a_login_gives_a_signed_token old_tokens_stay_valid_beside_new_ones a_token_is_renewed_however_it_is_shown
        a_wrong_password_is_a_bad_request_and_counts a_password_that_was_given_must_be_changed_first
        what_ends_a_session_ends_its_tokens a_frozen_user_is_told_why;
    mdx_checklist: a_client_renews_its_token_after_every_call rules_and_mappings_are_made_and_taken_away
        a_machine_lives_as_scripts_expect a_range_is_matched_with_one_look_each calls_and_refusals_are_exact
        a_clone_is_listed_at_once older_clients_are_understood a_deployment_that_fails_stays_readable
        a_guest_is_shown_with_the_address_that_it_uses;
    mdx_looking: a_machine_is_shown_as_the_portal_does what_clients_index_is_an_array
        rules_and_mappings_are_shown_as_the_portal_does a_project_is_shown_with_its_catalog;
    mdx_transport: both_forms_of_a_path_are_the_same a_body_is_read_whatever_it_is_said_to_be
        what_is_not_there_is_told_as_the_dialect_does pages_go_on_until_next_is_null;
}

#[test]
fn an_older_hub_on_sqlite_answers_nothing_beside_a_newer_one() {
    let files = hub::Files::new();
    let url = DatabaseUrl::Sqlite(files.database());
    hub::run(hub::open(url.clone()), |running| {
        upgrade::an_older_hub_answers_nothing_until_the_schema_is_its_own_again(running, url)
    });
}

#[test]
fn an_older_hub_on_postgres_answers_nothing_beside_a_newer_one() {
    let server = Postgres::start().unwrap();
    let url: DatabaseUrl = server.url(&server.create().unwrap()).parse().unwrap();
    hub::run(hub::open(url.clone()), |running| {
        upgrade::an_older_hub_answers_nothing_until_the_schema_is_its_own_again(running, url)
    });
}

#[test]
fn clients_who_do_not_read_are_given_up() {
    hub::run_in_virtual_time(bounds::clients_who_do_not_read_are_given_up);
}

#[test]
fn slow_senders_are_given_up() {
    hub::run_in_virtual_time(hostile::slow_senders_are_given_up);
}

#[test]
fn a_silent_stream_is_kept_alive() {
    hub::run_in_virtual_time(stream::a_silent_stream_is_kept_alive);
}
