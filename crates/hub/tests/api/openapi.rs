//! The document that is committed is the one that the hub gives.

use std::path::PathBuf;

use crate::document::Document;
use crate::hub::{memory, run};

/// With `RENKEI_WRITE` set it is written instead: `cargo xtask openapi`.
#[test]
fn the_committed_document_is_the_one_that_the_hub_gives() {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../docs/openapi.json"].iter().collect();
    let given = serde_json::to_string_pretty(&Document::shared().root).unwrap() + "\n";
    if std::env::var_os("RENKEI_WRITE").is_some() {
        std::fs::write(&path, &given).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        committed == given,
        "docs/openapi.json is another one: run `cargo xtask openapi`"
    );
}

#[test]
fn the_hub_serves_its_document_and_shows_it_to_people() {
    run(memory(), async |running| {
        let client = running.client();
        let served = client
            .open(hyper::Method::GET, "/api/v1/openapi.json", Default::default())
            .await;
        let body = http_body_util::BodyExt::collect(served.into_body())
            .await
            .unwrap()
            .to_bytes();
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&body).unwrap(),
            Document::shared().root
        );
        let page = client.get("/docs/").await;
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").starts_with("text/html"));
        let text = String::from_utf8_lossy(&page.body).into_owned();
        assert!(
            !text.contains("https://") && !text.contains("http://"),
            "it loads from elsewhere: {text}"
        );
    });
}

#[test]
fn what_watches_a_hub_is_answered_without_a_token() {
    run(memory(), async |running| {
        let client = running.client();
        for path in ["/", "/healthz", "/readyz"] {
            assert_eq!(client.get(path).await.status, 200, "{path}");
        }
        client.get("/api/v1/projects").await.is(401);
        client.get("/api/v1/nothing").await.is(404);
        client.delete("/api/v1/whoami").await.is(405);
        let metrics = client.get("/metrics").await;
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        assert!(
            text.contains(r#"renkei_requests_total{method="GET",path="/api/v1/projects",status="401"} 1"#),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"));
    });
}
