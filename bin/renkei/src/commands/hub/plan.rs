//! A plan for people: what would differ field by field, what it would take, why it would be refused.

use std::fmt::Write as _;

use renkei_types::change::{Change, ChangeKind, FieldChange, Plan, Taking};
use renkei_types::printable::{Printable, terminal_safe_json};
use serde_json::Value;

use super::failure;
use crate::arguments::hub::amount::{Disk, Memory};

/// Lines, each with its end.
pub fn told(plan: &Plan) -> String {
    let mut text = String::new();
    for change in &plan.changes {
        changed(&mut text, change);
    }
    for taking in &plan.takes {
        let _ = writeln!(text, "would take {}", taken(taking));
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

fn changed(text: &mut String, change: &Change) {
    let verb = match change.kind {
        ChangeKind::Create => "create",
        ChangeKind::Change => "change",
        ChangeKind::Delete => "delete",
    };
    let name = Printable(change.name.as_bytes());
    let _ = writeln!(text, "would {verb} {} `{name}`", Printable(change.noun.as_bytes()));
    let field = |field: &FieldChange| {
        let (before, after) = (field.before.as_ref(), field.after.as_ref());
        let field = Printable(field.field.as_bytes()).to_string();
        match (before.map(value), after.map(value)) {
            (None, None) => None,
            (Some(before), None) => Some((field, format!("- {before}"))),
            (None, Some(after)) => Some((field, format!("+ {after}"))),
            (Some(before), Some(after)) => Some((field, format!("{before} -> {after}"))),
        }
    };
    let fields: Vec<_> = match change.kind {
        // Of what goes altogether its name is enough.
        ChangeKind::Delete => Vec::new(),
        // The id is made up for the plan: what is really made gets another.
        ChangeKind::Create => change
            .fields
            .iter()
            .filter(|one| one.field != "id")
            .filter_map(field)
            .collect(),
        ChangeKind::Change => change.fields.iter().filter_map(field).collect(),
    };
    let width = fields.iter().map(|(field, _)| field.len()).max().unwrap_or_default();
    for (field, difference) in fields {
        let _ = writeln!(text, "  {field:width$}  {difference}");
    }
}

fn value(value: &Value) -> String {
    terminal_safe_json(&value.to_string()).into_owned()
}

fn taken(taking: &Taking) -> String {
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
        "{} from the quota of project {} at site {}",
        parts.join(", "),
        taking.project,
        taking.site
    )
}

#[cfg(test)]
mod tests {
    use renkei_types::problem::{Problem, ProblemKind};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

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
            told(&plan(ChangeKind::Change, fields)),
            "would change project `lab`\n  limit.vcpus  2 -> 4\n  contact      - \"\\u001b[2J\"\n  \
             expires      + \"2027-03-31T00:00:00Z\"\n"
        );
    }

    #[test]
    fn of_what_is_made_the_id_is_not_told_because_it_will_be_another() {
        let fields = vec![
            field("id", None, Some(json!(Uuid::nil()))),
            field("name", None, Some(json!("lab"))),
        ];
        let told = told(&plan(ChangeKind::Create, fields));
        assert_eq!(told, "would create project `lab`\n  name  + \"lab\"\n");
    }

    #[test]
    fn of_what_goes_the_name_is_enough() {
        let fields = vec![field("contact", Some(json!("x")), None)];
        assert_eq!(told(&plan(ChangeKind::Delete, fields)), "would delete project `lab`\n");
    }

    #[test]
    fn what_would_be_refused_says_why_and_what_to_do() {
        let problem = Problem::new(ProblemKind::Conflict, "project `lab` has members").hint("remove them first");
        let plan = Plan {
            refused: vec![problem],
            ..Plan::default()
        };
        assert_eq!(
            told(&plan),
            "would be refused: project `lab` has members\nhint: remove them first\n"
        );
        assert_eq!(told(&Plan::default()), "nothing would change\n");
    }
}
