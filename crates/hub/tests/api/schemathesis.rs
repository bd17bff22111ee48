//! Requests that nobody has thought of, made by schemathesis from the OpenAPI document.

use std::path::Path;

use renkei_testkit::Postgres;
use renkei_testkit::python::schemathesis;
use renkei_testkit::seed::seed;
use renkei_types::vm::Power;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::document::Document;
use crate::hub::{postgres, run};
use crate::world::World;

/// What it may not ask: the first ends the token that it shows, the second does not end, the others need the agent of a host.
const LEFT_OUT: [&str; 4] = ["session_delete", "event_stream", "vm_console", "vm_console_log"];

/// What fits the document may still not go with what is there, or be a date that is over.
/// What does not fit may be refused for another reason first: another version is there, or the thing is frozen.
const SETTINGS: &str = "checks.positive_data_acceptance.expected-statuses = \
    [\"2xx\", 400, 401, 403, 404, 409, 412, 422, 423, 429]\n\
    checks.negative_data_rejection.expected-statuses = \
    [400, 401, 403, 404, 405, 406, 409, 412, 415, 422, 423, 428, 429]\n";

#[test]
fn schemathesis_finds_no_answer_outside_the_document() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let program = schemathesis(target);
    assert!(
        program.is_file(),
        "schemathesis is not installed: run `cargo xtask test` once"
    );
    let folder = tempfile::tempdir().unwrap();
    // PostgreSQL takes fewer texts and numbers than the others.
    let server = Postgres::start().unwrap();
    run(postgres(&server), async |running| {
        let world = World::with_machine(running, Power::Off).await;
        let document = serde_json::to_string(&with_examples(&world)).unwrap();
        std::fs::write(folder.path().join("openapi.json"), document).unwrap();
        std::fs::write(folder.path().join("schemathesis.toml"), SETTINGS).unwrap();
        let mut command = Command::new(&program);
        command.current_dir(folder.path()).kill_on_drop(true);
        command.args(["run", "openapi.json", "--no-color", "--workers=1", "--max-examples=15"]);
        command.args([
            "--phases=examples,coverage,fuzzing",
            "--checks=all",
            "--generation-database=none",
        ]);
        command.args(["--suppress-health-check=all", "--warnings=off", "--request-timeout=30"]);
        command.arg(format!("--url=http://{}", world.running.address));
        command.arg(format!("--seed={}", u32::try_from(seed() & 0xffff_ffff).unwrap()));
        command.arg(format!("--header=Authorization: Bearer {}", world.secret("admin")));
        command.args(LEFT_OUT.map(|operation| format!("--exclude-operation-id={operation}")));
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    });
}

/// The document with ids of what is there, so that not every answer is 404.
fn with_examples(world: &World) -> Value {
    let mut document = Document::shared().root.clone();
    for (path, item) in document["paths"].as_object_mut().unwrap() {
        for operation in item.as_object_mut().unwrap().values_mut() {
            for parameter in operation
                .get_mut("parameters")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                if parameter["in"] == "path" {
                    let name = parameter["name"].as_str().unwrap().to_owned();
                    parameter["example"] = json!(world.parameter(path, &name));
                }
            }
        }
    }
    document
}
