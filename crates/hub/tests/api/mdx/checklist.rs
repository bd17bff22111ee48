//! What the description of mdx's API warns of, each with the client that was written from it.

use super::stage::Stage;
use crate::hub::Running;

macro_rules! scenarios {
    ($($(#[$doc:meta])* $case:ident $scenario:literal;)*) => {$(
        $(#[$doc])*
        pub async fn $case(running: Running) {
            Stage::new(running).await.plays($scenario).await;
        }
    )*};
}

scenarios! {
    /// The word `JWT`, a new token after each call, old ones stay valid.
    a_client_renews_its_token_after_every_call "tokens";
    /// Deploy, reboot, off, on, destroy until 404; both histories.
    a_machine_lives_as_scripts_expect "life";
    /// Tasks in the order of the names, one look each; the Deploy record first.
    a_range_is_matched_with_one_look_each "ranges";
    /// 202 exactly, a list of tasks, names and words that are refused by their field.
    calls_and_refusals_are_exact "wire";
    /// In the list before the 202; off when it is done; a level that is null.
    a_clone_is_listed_at_once "clones";
    /// Fields that older clients do not send.
    older_clients_are_understood "older";
    /// By the machine's id and in both histories.
    a_deployment_that_fails_stays_readable "failing";
    /// A guest that takes another address.
    a_guest_is_shown_with_the_address_that_it_uses "moving";
    /// 201, 200, 204; masks in any notation; names out and ids in.
    rules_and_mappings_are_made_and_taken_away "networks";
}
