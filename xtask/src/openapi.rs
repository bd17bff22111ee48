//! `cargo xtask openapi`: writes `docs/openapi.json` as the hub gives it. The test that compares the two does the work.

use anyhow::Result;

use crate::tool;

/// Runs that test with `RENKEI_WRITE` set.
pub fn run() -> Result<()> {
    let test = "the_committed_document_is_the_one_that_the_hub_gives";
    let mut command = tool::cargo()?;
    command.args([
        "test",
        "--quiet",
        "--package",
        "renkei-hub",
        "--test",
        "api",
        "--",
        test,
    ]);
    tool::run(command.env("RENKEI_WRITE", "1"))?;
    println!("wrote docs/openapi.json");
    Ok(())
}
