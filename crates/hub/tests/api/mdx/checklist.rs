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
    /// 201, 200, 204; masks in any notation; names out and ids in.
    rules_and_mappings_are_made_and_taken_away "networks";
}
