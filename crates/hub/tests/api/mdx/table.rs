//! Who may do what in the dialect: every endpoint × every kind of caller. Its paths are in no OpenAPI document, so the table
//! names them all, and a path that the hub serves and the table does not have would be one that nobody has thought about.

use hyper::Method;
use serde_json::{Value, json};

use super::by;
use super::lab::{CATALOG, Lab};
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
    ("POST", "/api/vm/deploy/",                     [401, 401,  404, 403, 202, 202, 202, 404, 202, 403]),
    ("POST", "/api/vm/{vm}/clone/",                 [401, 401,  404, 403, 400, 400, 400, 404, 400, 403]),
    ("POST", "/api/vm/{vm}/destroy/",               [401, 401,  404, 400, 400, 400, 400, 404, 400, 403]),
    ("POST", "/api/vm/{vm}/power_on/",              [401, 401,  404, 403, 400, 400, 400, 404, 400, 403]),
    ("POST", "/api/vm/{vm}/power_off/",             [401, 401,  404, 403, 202, 202, 202, 404, 202, 403]),
    ("POST", "/api/vm/{vm}/shutdown/",              [401, 401,  404, 403, 202, 202, 202, 404, 202, 403]),
    ("POST", "/api/vm/{vm}/reboot/",                [401, 401,  404, 403, 202, 202, 202, 404, 202, 403]),
    ("POST", "/api/vm/{vm}/reset/",                 [401, 401,  404, 403, 202, 202, 202, 404, 202, 403]),
    ("POST", "/api/vm/{vm}/reconfigure/",           [401, 401,  404, 403, 400, 400, 400, 404, 400, 403]),
    ("POST", "/api/acl/",                           [401, 401,  404, 403, 403, 201, 201, 404, 201, 403]),
    ("PUT",  "/api/acl/{acl}/",                     [401, 401,  404, 403, 403, 200, 200, 404, 200, 403]),
    ("DELETE", "/api/acl/{acl}/",                   [401, 401,  404, 403, 403, 204, 204, 404, 204, 403]),
    ("POST", "/api/acl_v6/",                        [401, 401,  404, 403, 403, 201, 201, 404, 201, 403]),
    ("PUT",  "/api/acl_v6/{acl_v6}/",               [401, 401,  404, 403, 403, 200, 200, 404, 200, 403]),
    ("DELETE", "/api/acl_v6/{acl_v6}/",             [401, 401,  404, 403, 403, 204, 204, 404, 204, 403]),
    ("DELETE", "/api/acl_v6/{acl}/",                [401, 401,  404, 404, 404, 404, 404, 404, 404, 403]),
    ("POST", "/api/dnat/",                          [401, 401,  404, 403, 403, 201, 201, 404, 201, 403]),
    ("PUT",  "/api/dnat/{dnat}/",                   [401, 401,  404, 403, 403, 200, 200, 404, 200, 403]),
    ("DELETE", "/api/dnat/{dnat}/",                 [401, 401,  404, 403, 403, 204, 204, 404, 204, 403]),
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
    let body = body((method, path), &lab);
    let method: Method = method.parse().unwrap();
    let reply = by(&lab.world, who).ask(method, &lab.path(path), body).await;
    lab.world.running.hub.stop();
    reply.status
}

/// A body with which the request can be done.
fn body(request: (&str, &str), lab: &Lab) -> Option<Value> {
    let rule = |source: &str, destination: &str| {
        json!({"protocol": "TCP", "src_address": source, "src_port": "Any", "dst_address": destination,
            "dst_port": "443",
            "segment": lab.segment})
    };
    let mapping = |outside: &str| json!({"pool_address": outside, "segment": lab.segment, "dst_address": "10.15.0.5"});
    match request {
        ("POST" | "PUT", path) if path.starts_with("/api/acl/") => Some(rule("192.0.2.7", "10.15.0.5")),
        ("POST" | "PUT", path) if path.starts_with("/api/acl_v6/") => Some(rule("2001:db8::7", "2001:db8:1::5")),
        ("POST", "/api/vm/deploy/") => Some(
            json!({"catalog": CATALOG, "vm_name": "n", "project": lab.world.project, "pack_num": 1,
            "disk_size": 40}),
        ),
        ("POST", "/api/vm/{vm}/clone/") => Some(json!({"vm_name": "copy"})),
        ("POST", "/api/vm/{vm}/reconfigure/") => Some(json!({"pack_num": 4})),
        ("POST", "/api/dnat/") => Some(mapping("203.0.113.11")),
        ("PUT", "/api/dnat/{dnat}/") => Some(mapping("203.0.113.10")),
        _ => None,
    }
}
