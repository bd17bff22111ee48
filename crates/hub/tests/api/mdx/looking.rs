//! What is shown of machines and networks.

use serde_json::{Value, json};

use super::by;
use super::lab::{CATALOG, Lab};
use crate::hub::Running;

async fn get(lab: &Lab, path: &str) -> Value {
    by(&lab.world, "reader").get(&lab.path(path)).await.is(200)
}

/// A machine in the list, in detail, and its networks alone.
pub async fn a_machine_is_shown_as_the_portal_does(running: Running) {
    let lab = Lab::new(running).await;
    let list = get(&lab, "/api/vm/project/{project}/?page=1&page_size=10000").await;
    assert_eq!((&list["count"], &list["next"]), (&json!(1), &Value::Null));
    let summary = &list["results"][0];
    assert_eq!(
        (&summary["uuid"], &summary["name"], &summary["status"]),
        (&json!(lab.vm), &json!("test-1"), &json!("PowerON"))
    );
    assert_eq!(
        (&summary["vcenter"], &summary["running_tasks"]),
        (&json!("kashiwa"), &json!([]))
    );
    let detail = get(&lab, "/api/vm/{vm}/").await;
    let network = &detail["service_networks"][0];
    assert_eq!(network["ipv4_address"], json!(["10.15.0.4"]));
    assert_eq!(
        (&network["segment"], &network["global_ip"]),
        (&json!("zone"), &json!("203.0.113.10"))
    );
    assert_eq!((&detail["memory"], &detail["pack_num"]), (&json!("4.53 GB"), &json!(3)));
    let csv = get(&lab, "/api/vm/{vm}/csv").await;
    assert_eq!(csv["service_networks"], detail["service_networks"]);
}

/// Arrays, not pages: projects, segments with the default one first, outside addresses that lead nowhere yet.
pub async fn what_clients_index_is_an_array(running: Running) {
    let lab = Lab::new(running).await;
    let segments = get(&lab, "/api/segment/project/{project}/all/").await;
    assert_eq!(
        segments[0],
        json!({"uuid": lab.segment, "name": "zone", "default": true})
    );
    assert_eq!(
        (&segments[1]["name"], &segments[1]["default"]),
        (&json!("annex"), &json!(false))
    );
    let summary = get(&lab, "/api/segment/{segment}/summary").await;
    assert_eq!(summary, json!({"vlan_id": 583, "vni": 583, "ip_range": "10.15.0.0/21"}));
    let addresses = get(&lab, "/api/global_ip/project/{project}/assignable/").await;
    assert_eq!(addresses, json!(["203.0.113.11"]));
    assert_eq!(
        get(&lab, "/api/project/assigned/").await[0]["projects"][0]["type"],
        "通常"
    );
}

/// Rules with masks as the portal writes them, each family in its list; mappings with the segment's name.
pub async fn rules_and_mappings_are_shown_as_the_portal_does(running: Running) {
    let lab = Lab::new(running).await;
    let rules = get(&lab, "/api/acl/segment/{segment}/?page=1&page_size=10000").await;
    let rule = json!({"uuid": lab.acl, "protocol": "TCP", "src_address": "192.0.2.0", "src_mask": "255.255.255.0",
        "src_port": "Any", "dst_address": "10.15.0.4", "dst_mask": "255.255.255.255", "dst_port": "22"});
    assert_eq!(rules["results"], json!([rule]));
    let six = get(&lab, "/api/acl_v6/segment/{segment}/?page=1&page_size=10000").await;
    assert_eq!(
        (&six["count"], &six["results"][0]["src_mask"]),
        (&json!(1), &json!("64"))
    );
    let mappings = get(&lab, "/api/dnat/project/{project}?page=1&page_size=100").await;
    let mapping =
        json!({"uuid": lab.dnat, "pool_address": "203.0.113.10", "segment": "zone", "dst_address": "10.15.0.4"});
    assert_eq!(mappings["results"], json!([mapping]));
}

/// The catalog, and what the portal shows of a project.
pub async fn a_project_is_shown_with_its_catalog(running: Running) {
    let lab = Lab::new(running).await;
    let catalog = get(&lab, "/api/catalog/project/{project}/?page=1&page_size=10000").await;
    let entry = catalog["results"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["uuid"] == json!(CATALOG))
        .unwrap();
    assert_eq!(entry["template_name"], "UT-20250205-1029-ubuntu-2204-server");
    assert_eq!(
        (&entry["login_username"], &entry["lower_limit_disk"]),
        (&json!("mdxuser"), &json!(40))
    );
    let summary = get(&lab, "/api/project/{project}/summary/").await;
    assert_eq!(
        (&summary["name"], &summary["applicant"]),
        (&json!("lab"), &json!("owner"))
    );
    assert_eq!(get(&lab, "/api/project/{project}/resources/").await["vm_max"], 4);
    assert_eq!(get(&lab, "/api/project/{project}/overview/spot_vm/").await["total"], 1);
    assert_eq!(
        get(&lab, "/api/project/{project}/overview/guarantee_vm/").await["total"],
        0
    );
    for list in [
        "storage",
        "access_key",
        "point",
        "overview/resource",
        "overview/resource_list",
    ] {
        get(&lab, &format!("/api/project/{{project}}/{list}/")).await;
    }
    let users = get(&lab, "/api/user/project/{project}/?auth=reader").await;
    assert_eq!(
        (&users["count"], &users["results"][0]["username"]),
        (&json!(1), &json!("reader"))
    );
}
