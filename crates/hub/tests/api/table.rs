//! Who may do what, for every operation of the OpenAPI document.

use std::collections::BTreeSet;

use renkei_types::vm::Power;
use serde_json::{Value, json};

use crate::document::Document;
use crate::hub::{Running, memory, run};
use crate::world::{PASSWORD, World};

/// Who asks, in the order of the table's columns. `expired` and `revoked` are tokens of `owner`.
const WHO: [&str; 11] = [
    "nobody", "expired", "revoked", "stranger", "reader", "member", "operator", "owner", "warden", "admin", "frozen",
];

/// What each is answered. Whatever stands in a path is `lab`, its quota at `kashiwa`, or `member` and a token of `member`.
#[rustfmt::skip]
const TABLE: &[(&str, [u16; 11])] = &[
    //                       nobody expired revoked stranger reader member operator owner warden admin frozen
    ("session_create",      [201, 201, 201,  201, 201, 201, 201, 201,  201, 201,  201]),
    ("session_delete",      [401, 401, 401,  204, 204, 204, 204, 204,  204, 204,  423]),
    ("whoami",              [401, 401, 401,  200, 200, 200, 200, 200,  200, 200,  423]),

    ("organization_list",   [401, 401, 401,  200, 200, 200, 200, 200,  200, 200,  423]),
    ("organization_create", [401, 401, 401,  403, 403, 403, 403, 403,  403, 201,  423]),
    ("organization_show",   [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("organization_change", [401, 401, 401,  404, 403, 403, 403, 403,  404, 200,  423]),
    ("organization_delete", [401, 401, 401,  404, 403, 403, 403, 403,  404, 409,  423]),
    ("organization_freeze", [401, 401, 401,  404, 403, 403, 403, 403,  404, 200,  423]),
    ("organization_thaw",   [401, 401, 401,  404, 403, 403, 403, 403,  404, 200,  423]),

    ("project_list",        [401, 401, 401,  200, 200, 200, 200, 200,  200, 200,  423]),
    ("project_create",      [401, 401, 401,  404, 403, 403, 403, 403,  404, 201,  423]),
    ("project_show",        [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("project_change",      [401, 401, 401,  404, 403, 403, 403, 200,  404, 200,  423]),
    ("project_delete",      [401, 401, 401,  404, 403, 403, 403, 409,  404, 409,  423]),
    ("project_freeze",      [401, 401, 401,  404, 403, 403, 403, 403,  404, 200,  423]),
    ("project_thaw",        [401, 401, 401,  404, 403, 403, 403, 403,  404, 200,  423]),

    ("member_list",         [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("member_show",         [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("member_set",          [401, 401, 401,  404, 403, 403, 403, 200,  404, 200,  423]),
    ("member_delete",       [401, 401, 401,  404, 403, 204, 403, 204,  404, 204,  423]),

    ("quota_list",          [401, 401, 401,  404, 200, 200, 200, 200,  200, 200,  423]),
    ("quota_show",          [401, 401, 401,  404, 200, 200, 200, 200,  200, 200,  423]),
    ("quota_set",           [401, 401, 401,  404, 403, 403, 403, 403,  200, 200,  423]),
    ("quota_delete",        [401, 401, 401,  404, 403, 403, 403, 403,  204, 204,  423]),

    // `stranger` and `owner` own projects, and may know who there is.
    ("user_list",           [401, 401, 401,  200, 200, 200, 200, 200,  200, 200,  423]),
    ("user_create",         [401, 401, 401,  403, 403, 403, 403, 403,  403, 201,  423]),
    ("user_named",          [401, 401, 401,  200, 404, 200, 404, 200,  404, 200,  423]),
    ("user_show",           [401, 401, 401,  403, 404, 200, 404, 403,  404, 200,  423]),
    ("user_change",         [401, 401, 401,  403, 404, 200, 404, 403,  404, 200,  423]),
    ("user_delete",         [401, 401, 401,  403, 404, 403, 404, 403,  404, 409,  423]),
    ("user_password",       [401, 401, 401,  403, 404, 200, 404, 403,  404, 200,  423]),
    ("user_freeze",         [401, 401, 401,  403, 404, 403, 404, 403,  404, 200,  423]),
    ("user_thaw",           [401, 401, 401,  403, 404, 403, 404, 403,  404, 200,  423]),

    ("token_list",          [401, 401, 401,  200, 200, 200, 200, 200,  200, 200,  423]),
    ("token_create",        [401, 401, 401,  201, 201, 201, 201, 201,  201, 201,  423]),
    ("token_show",          [401, 401, 401,  404, 404, 200, 404, 404,  404, 200,  423]),
    ("token_delete",        [401, 401, 401,  404, 404, 204, 404, 404,  404, 204,  423]),
    ("token_freeze",        [401, 401, 401,  404, 404, 403, 404, 404,  404, 200,  423]),
    ("token_thaw",          [401, 401, 401,  404, 404, 403, 404, 404,  404, 200,  423]),

    ("site_list",           [401, 401, 401,  200, 200, 200, 200, 200,  200, 200,  423]),
    ("site_create",         [401, 401, 401,  403, 403, 403, 403, 403,  403, 201,  423]),
    ("site_show",           [401, 401, 401,  200, 200, 200, 200, 200,  200, 200,  423]),
    ("site_change",         [401, 401, 401,  403, 403, 403, 403, 403,  200, 200,  423]),
    ("site_delete",         [401, 401, 401,  403, 403, 403, 403, 403,  403, 409,  423]),
    ("site_invite",         [401, 401, 401,  403, 403, 403, 403, 403,  201, 201,  423]),
    // The site is not in recovery.
    ("site_recovery",       [401, 401, 401,  403, 403, 403, 403, 403,  409, 409,  423]),
    ("site_recovered",      [401, 401, 401,  403, 403, 403, 403, 403,  403, 409,  423]),

    // A host of `kashiwa` that has a machine of `lab` that nobody knows of.
    ("host_list",           [401, 401, 401,  200, 200, 200, 200, 200,  200, 200,  423]),
    ("host_show",           [401, 401, 401,  404, 404, 404, 404, 404,  200, 200,  423]),
    ("host_change",         [401, 401, 401,  404, 404, 404, 404, 404,  200, 200,  423]),
    ("host_delete",         [401, 401, 401,  404, 404, 404, 404, 404,  409, 409,  423]),
    ("host_unknown",        [401, 401, 401,  404, 404, 404, 404, 404,  200, 200,  423]),
    ("host_adopt",          [401, 401, 401,  404, 404, 404, 404, 404,  201, 201,  423]),
    ("host_destroy",        [401, 401, 401,  404, 404, 404, 404, 404,  204, 204,  423]),

    // `lab`'s own template, without an image, and an image that no template needs.
    ("template_list",       [401, 401, 401,  200, 200, 200, 200, 200,  200, 200,  423]),
    ("template_create",     [401, 401, 401,  404, 403, 201, 201, 201,  404, 201,  423]),
    ("template_show",       [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("template_change",     [401, 401, 401,  404, 403, 200, 200, 200,  404, 200,  423]),
    ("template_delete",     [401, 401, 401,  404, 403, 204, 204, 204,  404, 204,  423]),
    ("template_publish",    [401, 401, 401,  404, 403, 403, 403, 403,  404, 200,  423]),
    ("template_unpublish",  [401, 401, 401,  404, 403, 403, 403, 403,  404, 200,  423]),
    ("preset_list",         [401, 401, 401,  200, 200, 200, 200, 200,  200, 200,  423]),
    ("preset_create",       [401, 401, 401,  403, 403, 403, 403, 403,  403, 201,  423]),
    ("preset_show",         [401, 401, 401,  200, 200, 200, 200, 200,  200, 200,  423]),
    ("preset_change",       [401, 401, 401,  403, 403, 403, 403, 403,  403, 200,  423]),
    ("preset_delete",       [401, 401, 401,  403, 403, 403, 403, 403,  403, 204,  423]),
    ("image_list",          [401, 401, 401,  200, 200, 200, 200, 200,  200, 200,  423]),
    ("image_show",          [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("image_delete",        [401, 401, 401,  404, 403, 204, 204, 204,  404, 204,  423]),

    // Those of networks, which are there for them only.
    ("segment_list",        [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("segment_create",      [401, 401, 401,  404, 403, 403, 201, 201,  404, 201,  423]),
    ("segment_show",        [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("segment_change",      [401, 401, 401,  404, 403, 403, 200, 200,  404, 200,  423]),
    ("segment_delete",      [401, 401, 401,  404, 403, 403, 409, 409,  404, 409,  423]),
    ("lease_list",          [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("lease_create",        [401, 401, 401,  404, 403, 403, 201, 201,  404, 201,  423]),
    ("lease_show",          [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("lease_delete",        [401, 401, 401,  404, 403, 403, 204, 204,  404, 204,  423]),
    ("acl_list",            [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("acl_list_of_project",  [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("acl_audit",           [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("acl_create",          [401, 401, 401,  404, 403, 403, 201, 201,  404, 201,  423]),
    ("acl_show",            [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("acl_replace",         [401, 401, 401,  404, 403, 403, 200, 200,  404, 200,  423]),
    ("acl_delete",          [401, 401, 401,  404, 403, 403, 204, 204,  404, 204,  423]),
    ("dnat_list",           [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("dnat_create",         [401, 401, 401,  404, 403, 403, 201, 201,  404, 201,  423]),
    ("dnat_show",           [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("dnat_replace",        [401, 401, 401,  404, 403, 403, 200, 200,  404, 200,  423]),
    ("dnat_delete",         [401, 401, 401,  404, 403, 403, 204, 204,  404, 204,  423]),
    ("global_ip_list_of_site",  [401, 401, 401,  403, 403, 403, 403, 403,  200, 200,  423]),
    ("global_ip_add",       [401, 401, 401,  403, 403, 403, 403, 403,  201, 201,  423]),
    ("global_ip_show",      [401, 401, 401,  404, 404, 404, 404, 404,  200, 200,  423]),
    ("global_ip_remove",    [401, 401, 401,  404, 404, 404, 404, 404,  204, 204,  423]),
    ("global_ip_list",      [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("global_ip_take",      [401, 401, 401,  404, 403, 403, 201, 201,  404, 201,  423]),
    ("global_ip_give_back",  [401, 401, 401,  404, 403, 403, 204, 204,  404, 204,  423]),

    // A machine of `lab`, in the state that is needed.
    ("vm_list",              [401, 401, 401,  200, 200, 200, 200, 200,  200, 200,  423]),
    ("vm_deploy",            [401, 401, 401,  404, 403, 202, 202, 202,  404, 202,  423]),
    ("vm_show",              [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("vm_change",            [401, 401, 401,  404, 403, 202, 202, 202,  404, 202,  423]),
    ("vm_destroy",           [401, 401, 401,  404, 403, 202, 202, 202,  404, 202,  423]),
    ("vm_clone",             [401, 401, 401,  404, 403, 202, 202, 202,  404, 202,  423]),
    ("vm_save",              [401, 401, 401,  404, 403, 202, 202, 202,  404, 202,  423]),
    ("vm_power_on",          [401, 401, 401,  404, 403, 202, 202, 202,  404, 202,  423]),
    ("vm_shutdown",          [401, 401, 401,  404, 403, 202, 202, 202,  404, 202,  423]),
    ("vm_power_off",         [401, 401, 401,  404, 403, 202, 202, 202,  404, 202,  423]),
    ("vm_reboot",            [401, 401, 401,  404, 403, 202, 202, 202,  404, 202,  423]),
    ("vm_reset",             [401, 401, 401,  404, 403, 202, 202, 202,  404, 202,  423]),
    ("vm_suspend",           [401, 401, 401,  404, 403, 202, 202, 202,  404, 202,  423]),
    ("vm_resume",            [401, 401, 401,  404, 403, 202, 202, 202,  404, 202,  423]),
    // It is off, and its host's agent is not there.
    ("vm_reach",             [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("vm_console",           [401, 401, 401,  404, 403, 409, 409, 409,  404, 409,  423]),
    ("vm_console_log",       [401, 401, 401,  404, 403, 503, 503, 503,  404, 503,  423]),
    ("vm_freeze",            [401, 401, 401,  404, 403, 403, 403, 403,  404, 200,  423]),
    ("vm_thaw",              [401, 401, 401,  404, 403, 403, 403, 403,  404, 200,  423]),

    ("operation_list",      [401, 401, 401,  200, 200, 200, 200, 200,  200, 200,  423]),
    ("operation_show",      [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    // It has ended.
    ("operation_cancel",     [401, 401, 401,  404, 403, 409, 409, 409,  404, 409,  423]),
    ("event_list",          [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("event_stream",        [401, 401, 401,  404, 200, 200, 200, 200,  404, 200,  423]),
    ("audit_head",          [401, 401, 401,  403, 403, 403, 403, 403,  403, 200,  423]),
    ("audit_verify",        [401, 401, 401,  403, 403, 403, 403, 403,  403, 200,  423]),
];

#[test]
fn the_table_has_every_operation_of_the_document_once_and_no_other() {
    let table: Vec<String> = TABLE.iter().map(|(id, _)| (*id).to_owned()).collect();
    let once: BTreeSet<String> = table.iter().cloned().collect();
    assert_eq!(table.len(), once.len(), "an operation is in the table twice");
    assert_eq!(once, Document::shared().ids());
}

#[test]
fn everybody_is_answered_as_the_table_says() {
    run(memory(), |_| async {
        let mut faults = Vec::new();
        for (id, expected) in TABLE {
            for (who, expected) in WHO.iter().zip(expected) {
                let got = ask(id, who).await;
                if got != *expected {
                    faults.push(format!("{id} by {who}: {got}, not {expected}"));
                }
            }
        }
        assert!(faults.is_empty(), "{faults:#?}");
    });
}

/// The status that `who` gets. Each asks in a world of its own, as many of these requests change it.
async fn ask(id: &str, who: &str) -> u16 {
    let running = Running::over(renkei_store::Store::memory()).await;
    let world = match id.split('_').next() {
        Some("segment" | "lease" | "acl" | "dnat" | "global") => World::with_networks(running).await,
        Some("vm") => World::with_machine(running, power(id)).await,
        _ => World::new(running).await,
    };
    let operation = Document::shared().operation(id);
    let path = world.path(&operation.path) + &query(id, &world);
    let status = if id == "event_stream" {
        let answer = world
            .by(who)
            .open(operation.method.clone(), &path, Default::default())
            .await;
        answer.status().as_u16()
    } else {
        let reply = world
            .by(who)
            .ask(operation.method.clone(), &path, body(id, &world))
            .await;
        reply.status
    };
    world.running.hub.stop();
    status
}

/// Whether the machine runs of which something is asked.
fn power(id: &str) -> Power {
    match id {
        "vm_shutdown" | "vm_power_off" | "vm_reboot" | "vm_reset" | "vm_suspend" => Power::On,
        "vm_resume" => Power::Suspended,
        _ => Power::Off,
    }
}

fn query(id: &str, world: &World) -> String {
    match id {
        "event_list" | "event_stream" => format!("?project={}", world.project),
        _ => String::new(),
    }
}

/// A body with which the request can be done.
fn body(id: &str, world: &World) -> Option<Value> {
    let body = match id {
        "session_create" => json!({"name": "member", "password": PASSWORD}),
        "organization_create" => json!({"name": "academy"}),
        "organization_change" => json!({"description": "founded 1877"}),
        "project_create" => json!({"organization": world.organization, "name": "survey"}),
        "project_change" => json!({"contact": "lab@example.org"}),
        "member_set" => json!({"role": "operator"}),
        "quota_set" => json!({"limit": {"vms": 9}}),
        "user_create" => json!({"name": "newcomer"}),
        "user_change" => json!({"full_name": "Member of the Lab"}),
        "user_password" => json!({"current": PASSWORD, "new": "eleven boats of straw"}),
        "token_create" => json!({"name": "nightly", "scopes": ["*:read"]}),
        "site_create" => json!({"name": "osaka"}),
        "site_change" => json!({"description": "by the lake"}),
        "segment_create" => json!({"name": "wan", "v4": "10.16.0.0/24"}),
        "segment_change" => json!({"strict": true}),
        "lease_create" => json!({"address": "10.15.0.10"}),
        "acl_create" | "acl_replace" => json!({
            "protocol": "tcp", "source": "192.0.2.0/24", "destination": "10.15.0.9", "destination_ports": "22",
        }),
        "dnat_create" => json!({
            "global_ip": "203.0.113.3", "segment": world.networks.segment, "destination": "10.15.0.9",
        }),
        "dnat_replace" => json!({
            "global_ip": "203.0.113.1", "segment": world.networks.segment, "destination": "10.15.0.10",
        }),
        "global_ip_add" => json!({"address": "203.0.113.4"}),
        "global_ip_take" => json!({"address": "203.0.113.3"}),
        "host_change" => json!({"state": "draining"}),
        "host_adopt" => json!({}),
        "template_create" => json!({"name": "Own", "template_name": "own-1", "project": world.project}),
        "template_change" => json!({"name": "Our own"}),
        "preset_create" => json!({"name": "tiny", "vcpus": 1, "memory_mib": 512}),
        "preset_change" => json!({"memory_mib": 1024}),
        "vm_deploy" => json!({
            "project": world.project, "name": "node-[1-2]", "template": world.template,
            "adapters": [{"segment": world.networks.segment}],
        }),
        "vm_change" => json!({"size": {"custom": {"vcpus": 1, "memory_mib": 1024}}}),
        "vm_clone" => json!({"name": "copy"}),
        "vm_save" => json!({"name": "golden"}),
        "vm_power_on" => json!({"service_level": "guarantee"}),
        "vm_freeze" | "organization_freeze" | "project_freeze" | "user_freeze" | "token_freeze" => {
            json!({"reason": "an incident"})
        }
        _ => return None,
    };
    Some(body)
}
