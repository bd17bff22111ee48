//! A plan for people: what would differ field by field, what it would take, why it would be refused.

use std::fmt::Write as _;

use renkei_types::change::{Change, ChangeKind, FieldChange, Plan, Taking};
use renkei_types::printable::{Printable, terminal_safe_json};
use renkei_types::reach::OfVm;
use serde_json::Value;
use uuid::Uuid;

use super::failure;
use super::names::{Mention, Names};
use super::resolve::Collection::{self, Hosts, Images, Organizations, Projects, Segments, Sites, Templates, Users};
use super::vm::reach;
use crate::arguments::hub::amount::{Disk, Memory};

/// What is made up for the plan, so that what is really made has another, or what only the hub counts with.
const MADE_UP: [&str; 7] = [
    "id",
    "mac",
    "created",
    "by",
    "operation",
    "generation",
    "meant.generation",
];

/// The ids in it whose names are shown.
pub fn mentions(plan: &Plan) -> Vec<Mention> {
    let mut found = Vec::new();
    for field in plan.changes.iter().flat_map(|change| &change.fields) {
        for value in field.before.iter().chain(&field.after) {
            find(last(&field.field), value, &mut found);
        }
    }
    let of_quota = |taking: &Taking| [(Projects, taking.project.0), (Sites, taking.site.0)];
    found.extend(plan.takes.iter().flat_map(of_quota));
    found
}

fn find(field: &str, value: &Value, found: &mut Vec<Mention>) {
    match value {
        Value::String(text) => found.extend(named_in(field).zip(Uuid::try_parse(text).ok())),
        Value::Array(values) => values.iter().for_each(|value| find(field, value, found)),
        Value::Object(fields) => fields.iter().for_each(|(field, value)| find(field, value, found)),
        _ => {}
    }
}

/// What the ids in a field are of.
fn named_in(field: &str) -> Option<Collection> {
    match field {
        "organization" => Some(Organizations),
        "project" => Some(Projects),
        "site" | "sites" => Some(Sites),
        "host" | "gateway" => Some(Hosts),
        "segment" => Some(Segments),
        "template" => Some(Templates),
        "image" => Some(Images),
        "user" | "operators" => Some(Users),
        _ => None,
    }
}

fn last(field: &str) -> &str {
    field.rsplit('.').next().unwrap_or(field)
}

/// Lines, each with its end.
pub fn told(plan: &Plan, names: &Names) -> String {
    let mut text = String::new();
    let mut before: Option<&Change> = None;
    for change in &plan.changes {
        changed(&mut text, change, (before, names));
        before = Some(change);
    }
    for (verb, ways) in [("close", &plan.closes), ("open", &plan.opens)] {
        for of in ways {
            let _ = writeln!(text, "would {verb} {}", way(of));
        }
    }
    for taking in &plan.takes {
        let _ = writeln!(text, "would take {}", taken(taking, names));
    }
    for problem in &plan.refused {
        let _ = writeln!(
            text,
            "would be refused: {}",
            crate::printer::message(&failure::told(problem))
        );
    }
    if text.is_empty() {
        text.push_str("nothing would change\n");
    }
    text
}

/// `tcp 22 of vm `web` by 203.0.113.7 from 0.0.0.0/0`.
fn way(of: &OfVm) -> String {
    let through = of
        .way
        .through
        .map(|through| format!(" by {through}"))
        .unwrap_or_default();
    let (what, from) = (reach::what(&of.way), reach::from(&of.way));
    let name = of.name.to_string();
    format!("{what} of vm `{}`{through} from {from}", Printable(name.as_bytes()))
}

fn changed(text: &mut String, change: &Change, (before, names): (Option<&Change>, &Names)) {
    // A tombstone stays until the site says that what it names is gone.
    let buries = |field: &FieldChange| last(&field.field) == "tombstone" && field.after == Some(Value::Bool(true));
    let buried = change.fields.iter().any(buries);
    let verb = match change.kind {
        ChangeKind::Create => "create",
        ChangeKind::Change if buried => "destroy",
        ChangeKind::Change => "change",
        ChangeKind::Delete => "delete",
    };
    let name = Printable(change.name.as_bytes());
    let _ = writeln!(text, "would {verb} {} `{name}`", Printable(change.noun.as_bytes()));
    let field = |field: &FieldChange| {
        let shown = |value: &Value| shown(value, names);
        let (before, after) = (field.before.as_ref().map(shown), field.after.as_ref().map(shown));
        let field = Printable(field.field.as_bytes()).to_string();
        match (before, after) {
            (None, None) => None,
            (Some(before), None) => Some((field, format!("- {before}"))),
            (None, Some(after)) => Some((field, format!("+ {after}"))),
            (Some(before), Some(after)) => Some((field, format!("{before} -> {after}"))),
        }
    };
    // Of several that are made at once, the second and later ones are told by what they have of their own.
    let like = before.filter(|before| before.kind == ChangeKind::Create && before.noun == change.noun);
    let own = |field: &&FieldChange| like.is_none_or(|like| !like.fields.contains(field));
    let counted = |field: &&FieldChange| MADE_UP.contains(&field.field.as_str());
    let called = |field: &&FieldChange| field.after.as_ref().is_some_and(|after| *after == change.name.as_str());
    let fields: Vec<_> = match change.kind {
        // Of what goes altogether its name is enough.
        ChangeKind::Delete => Vec::new(),
        ChangeKind::Change if buried => Vec::new(),
        ChangeKind::Create => change
            .fields
            .iter()
            .filter(|one| !counted(one) && !called(one) && own(one))
            .filter(|one| !one.after.as_ref().is_none_or(is_nothing))
            .filter_map(field)
            .collect(),
        ChangeKind::Change => change
            .fields
            .iter()
            .filter(|one| !counted(one))
            .filter_map(field)
            .collect(),
    };
    let width = fields.iter().map(|(field, _)| field.len()).max().unwrap_or_default();
    for (field, difference) in fields {
        let _ = writeln!(text, "  {field:width$}  {difference}");
    }
}

/// What says no more of a new thing than that nothing was said.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

fn shown(value: &Value, names: &Names) -> String {
    terminal_safe_json(&readable(value, names).to_string()).into_owned()
}

/// With names in place of ids, and without what is made up.
fn readable(value: &Value, names: &Names) -> Value {
    match value {
        Value::String(text) => match Uuid::try_parse(text) {
            Ok(id) => Value::String(names.get(id)),
            Err(_) => value.clone(),
        },
        Value::Array(values) => values.iter().map(|value| readable(value, names)).collect(),
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(field, _)| !MADE_UP.contains(&field.as_str()));
            let read = kept.map(|(field, value)| (field.clone(), readable(value, names)));
            Value::Object(read.collect())
        }
        _ => value.clone(),
    }
}

fn taken(taking: &Taking, names: &Names) -> String {
    let amounts = &taking.amounts;
    let number = |number: u32, what: &str| (number > 0).then(|| format!("{number} {what}"));
    let parts = [
        number(amounts.vms, "vms"),
        number(amounts.vcpus, "vcpus"),
        (amounts.memory_mib > 0).then(|| format!("{} of memory", Memory(amounts.memory_mib))),
        (amounts.disk_gib > 0).then(|| format!("{} of disk", Disk(amounts.disk_gib))),
        number(amounts.global_ips, "global ips"),
        number(amounts.segments, "segments"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!(
        "{} from the quota of project `{}` at site `{}`",
        parts.join(", "),
        names.get(taking.project.0),
        names.get(taking.site.0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use renkei_types::id::{AclId, SegmentId, VmId};
    use renkei_types::network::{Ports, Protocol};
    use renkei_types::problem::{Problem, ProblemKind};
    use renkei_types::reach::{Direction, Open, Way};
    use serde_json::json;

    fn field(field: &str, before: Option<Value>, after: Option<Value>) -> FieldChange {
        FieldChange {
            field: field.to_owned(),
            before,
            after,
        }
    }

    fn plan(kind: ChangeKind, fields: Vec<FieldChange>) -> Plan {
        let change = Change {
            kind,
            noun: "project".to_owned(),
            id: Uuid::nil(),
            name: "lab".to_owned(),
            fields,
        };
        Plan {
            changes: vec![change],
            ..Plan::default()
        }
    }

    #[test]
    fn every_field_that_differs_is_told() {
        let fields = vec![
            field("limit.vcpus", Some(json!(2)), Some(json!(4))),
            field("contact", Some(json!("\u{1b}[2J")), None),
            field("expires", None, Some(json!("2027-03-31T00:00:00Z"))),
        ];
        assert_eq!(
            told(&plan(ChangeKind::Change, fields), &Names::default()),
            "would change project `lab`\n  limit.vcpus  2 -> 4\n  contact      - \"\\u001b[2J\"\n  \
             expires      + \"2027-03-31T00:00:00Z\"\n"
        );
    }

    #[test]
    fn of_what_is_made_only_that_is_told_which_was_asked_for() {
        let fields = vec![
            field("id", None, Some(json!(Uuid::nil()))),
            field("name", None, Some(json!("lab"))),
            field("contact", None, Some(json!("ada"))),
            field("description", None, Some(json!(""))),
        ];
        let told = told(&plan(ChangeKind::Create, fields), &Names::default());
        assert_eq!(told, "would create project `lab`\n  contact  + \"ada\"\n");
    }

    #[test]
    fn of_several_that_are_made_the_later_ones_are_told_by_their_own() {
        let fields = |address: &str| {
            vec![
                field("size", None, Some(json!(2))),
                field("address", None, Some(json!(address))),
            ]
        };
        let mut both = plan(ChangeKind::Create, fields("10.15.0.2"));
        both.changes
            .extend(plan(ChangeKind::Create, fields("10.15.0.3")).changes);
        let told = told(&both, &Names::default());
        assert!(
            told.ends_with("would create project `lab`\n  address  + \"10.15.0.3\"\n"),
            "{told}"
        );
    }

    #[test]
    fn what_would_close_and_open_is_told_line_by_line() {
        let way = |from: &str, through: Option<&str>| OfVm {
            vm: VmId(Uuid::nil()),
            name: "web".parse().unwrap(),
            way: Way {
                direction: Direction::In,
                segment: SegmentId(Uuid::nil()),
                protocol: Some(Protocol::Tcp),
                from: from.parse().unwrap(),
                from_ports: Ports::ANY,
                to: "10.15.0.2".parse().unwrap(),
                ports: "22".parse().unwrap(),
                through: through.map(|text| text.parse().unwrap()),
                by: Open::Rule(AclId(Uuid::nil())),
            },
        };
        let plan = Plan {
            opens: vec![way("192.0.2.0/24", Some("198.18.245.7"))],
            closes: vec![way("10.16.0.0/24", None)],
            ..Plan::default()
        };
        assert_eq!(
            told(&plan, &Names::default()),
            "would close tcp 22 of vm `web` from 10.16.0.0/24\n\
             would open tcp 22 of vm `web` by 198.18.245.7 from 192.0.2.0/24\n"
        );
    }

    #[test]
    fn ids_are_told_by_their_names() {
        let (segment, project) = (Uuid::now_v7(), Uuid::now_v7());
        let adapters = json!([{"number": 1, "segment": segment, "mac": "52:00:00:00:00:01"}]);
        let fields = vec![
            field("project", None, Some(json!(project))),
            field("meant.adapters", None, Some(adapters)),
        ];
        let plan = plan(ChangeKind::Create, fields);
        assert_eq!(mentions(&plan), [(Projects, project), (Segments, segment)]);
        let mut names = Names::default();
        names.learn(&json!({"id": segment, "name": "net"}));
        names.learn(&json!({"id": project, "name": "cs"}));
        let told = told(&plan, &names);
        assert!(told.contains("project         + \"cs\""), "{told}");
        assert!(told.contains(r#"+ [{"number":1,"segment":"net"}]"#), "{told}");
    }

    #[test]
    fn of_what_goes_the_name_is_enough() {
        let fields = vec![field("contact", Some(json!("x")), None)];
        let told = told(&plan(ChangeKind::Delete, fields), &Names::default());
        assert_eq!(told, "would delete project `lab`\n");
    }

    #[test]
    fn what_becomes_a_tombstone_would_be_destroyed() {
        let fields = vec![
            field("meant.power", Some(json!("on")), Some(json!("off"))),
            field("meant.tombstone", Some(json!(false)), Some(json!(true))),
        ];
        let told = told(&plan(ChangeKind::Change, fields), &Names::default());
        assert_eq!(told, "would destroy project `lab`\n");
    }

    #[test]
    fn what_would_be_refused_says_why_and_what_to_do() {
        let problem = Problem::new(ProblemKind::Conflict, "project `lab` has members").hint("remove them first");
        let plan = Plan {
            refused: vec![problem],
            ..Plan::default()
        };
        assert_eq!(
            told(&plan, &Names::default()),
            "would be refused: project `lab` has members\nhint: remove them first\n"
        );
        assert_eq!(told(&Plan::default(), &Names::default()), "nothing would change\n");
    }
}
