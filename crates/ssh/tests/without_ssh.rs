//! A machine without an ssh: our own reader of the configuration. Run as a process of its own, since PATH decides: this
//! test binary, started again with `RENKEI_TEST_CONFIG` set.

mod support;

use std::process::Command;

use renkei_testkit::Sshd;
use support::{Person, chain, dialer, speaks_sftp};

const CHILD: &str = "RENKEI_TEST_CONFIG";

/// In the child: connects by the configuration and prints what came of it. In the test run itself there is none.
#[tokio::test]
async fn child_connects() {
    let Some(config) = std::env::var_os(CHILD) else { return };
    let options = renkei_ssh::Options {
        config_file: Some(config.into()),
        ..renkei_ssh::Options::default()
    };
    let person = Person::absent();
    let outcome = match dialer(&options, &person).await {
        Ok(dialer) => match dialer.connect().await {
            Ok(connection) => format!("sftp={}", speaks_sftp(&connection).await),
            Err(error) => chain(&error),
        },
        Err(error) => chain(&error),
    };
    println!("outcome[{outcome}] notes{:?}", person.notes());
}

#[test]
fn a_host_is_reached_and_keywords_without_effect_are_named() {
    let sshd = Sshd::builder().start().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_connects", "--nocapture"])
        .env("PATH", sshd.folder())
        .env(CHILD, sshd.ssh_config())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("outcome[sftp=true]"), "{text}");
    assert!(text.contains("identitiesonly has no effect"), "{text}");
}
