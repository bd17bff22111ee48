//! Who may do what in the dialect: every endpoint × every kind of caller. Its paths are in no OpenAPI document, so the table
//! names them all, and a path that the hub serves and the table does not have would be one that nobody has thought about.

use hyper::Method;
use serde_json::Value;

use super::by;
use super::lab::Lab;
use crate::hub::{Running, memory, run};

/// In the order of the columns.
const WHO: [&str; 10] = [
    "nobody", "expired", "stranger", "reader", "member", "operator", "owner", "warden", "admin", "frozen",
];

/// Method and path, `{project}` and the like filled in, and the status that each gets.
#[rustfmt::skip]
const TABLE: &[(&str, &str, [u16; 10])] = &[
    //                                              nobody      stranger  member    owner     admin
    //                                                   expired     reader    operator  warden    frozen
    ("GET",  "/api/project/assigned/",              [401, 401,  200, 200, 200, 200, 200, 200, 200, 403]),
    ("GET",  "/api/project/{project}/summary/",     [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/project/{project}/resources/",   [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/user/project/{project}/",        [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/history/project/{project}/",     [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/task/{task}/",                   [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/project/{project}/overview/resource/", [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/project/{project}/overview/resource_list/", [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/project/{project}/overview/vm/", [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/project/{project}/overview/moon/", [401, 401,  404, 404, 404, 404, 404, 404, 404, 403]),
    ("GET",  "/api/project/{project}/storage/",     [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/project/{project}/access_key/",  [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/project/{project}/point/",       [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("POST", "/api/project/{project}/resource_usage/", [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/catalog/project/{project}/",     [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/vm/project/{project}/",          [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("POST", "/api/vm/synchronize/project/{project}/", [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/vm/{vm}/",                       [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/vm/{vm}/csv/",                   [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/segment/project/{project}/all/", [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/segment/{segment}/summary",      [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/acl/segment/{segment}/",         [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/acl_v6/segment/{segment}/",      [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/dnat/project/{project}",         [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
    ("GET",  "/api/global_ip/project/{project}/assignable/", [401, 401,  404, 200, 200, 200, 200, 404, 200, 403]),
];

#[test]
fn everybody_is_answered_as_the_table_of_the_dialect_says() {
    run(memory(), |_| async {
        let mut faults = Vec::new();
        for (method, path, expected) in TABLE {
            for (who, expected) in WHO.iter().zip(expected) {
                let got = ask(method, path, who).await;
                if got != *expected {
                    faults.push(format!("{method} {path} by {who}: {got}, not {expected}"));
                }
            }
        }
        assert!(faults.is_empty(), "{faults:#?}");
    });
}

/// The status that `who` gets, each in a world of its own.
async fn ask(method: &str, path: &str, who: &str) -> u16 {
    let lab = Lab::new(Running::over(renkei_store::Store::memory()).await).await;
    let method: Method = method.parse().unwrap();
    let reply = by(&lab.world, who).ask(method, &lab.path(path), None::<Value>).await;
    lab.world.running.hub.stop();
    reply.status
}
