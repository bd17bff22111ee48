//! Answers that get lost: a connection that is cut around COMMIT, a hub that is killed, a server that crashes. Whoever was told that
//! a batch was committed finds it there, once; whoever was told that it was not does not find it.

mod cut;
mod killed;
mod ledger;
mod restored;
mod simulated;
mod thief;

/// How often something is cut or killed.
fn cuts() -> u64 {
    std::env::var("RENKEI_CUTS").map_or(60, |text| text.parse().expect("`RENKEI_CUTS` is a number"))
}
