//! `renkei admin`: looks after a hub on its machine, without its API.

use jiff::Timestamp;
use renkei_hub::admin::doctor::{self, Finding, Health};
use renkei_hub::admin::{AdminError, Database, Summary};
use renkei_types::event::{ChainHead, Verification};
use renkei_types::size::ByteSize;
use serde::Serialize;
use serde_json::json;

use crate::exit;
use crate::printer::{Form, Output, count, message};
use crate::settings::{AdminSettings, Deed};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("cannot start")]
    Start(#[source] std::io::Error),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("cannot write to standard output")]
    Stream(#[source] std::io::Error),
}

/// Does it and gives the exit code.
pub fn run(settings: AdminSettings) -> u8 {
    let output = settings.output;
    let done = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(carry_out(settings)),
        Err(error) => Err(Failed::Start(error)),
    };
    done.unwrap_or_else(|error| output.failure(&error, exit::FAILED))
}

async fn carry_out(settings: AdminSettings) -> Result<u8, Failed> {
    let AdminSettings { hub, output, deed } = settings;
    let now = Timestamp::now();
    let told = Told(output);
    if let Deed::Doctor = deed {
        return told.findings(&doctor::examine(&hub, now).await);
    }
    let database = Database::new(&hub.database)?;
    match deed {
        Deed::Doctor => Ok(exit::COMPLETE),
        Deed::Backup(file) => {
            let summary = database.backup(&file, now).await?;
            let text = format!(
                "backed up {} to `{}`: {}",
                database.name(),
                file.display(),
                of(&summary)
            );
            told.done(&text, &summary_json(&summary))
        }
        Deed::Restore { file, target } => {
            let restored = database.restore(&file, target, now).await?;
            let identity = restored.identity;
            let keys = doctor::master_key(&hub).await;
            let mut text = format!(
                "restored {} from `{}`: {}\nepoch {} begins, run {}\n{}",
                database.name(),
                file.display(),
                of(&restored.from),
                identity.epoch,
                identity.run,
                chain(&restored.audit)
            );
            for finding in keys.iter().filter(|finding| finding.health != Health::Ok) {
                text.push('\n');
                text.push_str(&line(finding));
            }
            let value = json!({
                "from": summary_json(&restored.from),
                "schema": identity.schema,
                "epoch": identity.epoch,
                "run": identity.run,
                "audit": restored.audit,
                "master_key": keys,
            });
            told.done(&text, &value)?;
            Ok(whole(&restored.audit))
        }
        Deed::PlanRestore { file, target } => {
            let summary = Database::check(&file)?;
            let refused = database.refuses(target).await?;
            let text = format!(
                "`{}` is whole: {}\n{}",
                file.display(),
                of(&summary),
                would(&database, refused.as_deref())
            );
            told.done(&text, &json!({"from": summary_json(&summary), "refused": refused}))?;
            Ok(if refused.is_none() {
                exit::COMPLETE
            } else {
                exit::FAILED
            })
        }
        Deed::Finalise => {
            let schema = database.finalise().await?;
            told.done(
                &format!("schema {schema} of {} is final", database.name()),
                &json!({"schema": schema}),
            )
        }
        Deed::RollBack => {
            let schema = database.roll_back().await?;
            let text = format!(
                "{} is back at schema {schema}\nhint: start the version that it is for; this one would migrate it again",
                database.name()
            );
            told.done(&text, &json!({"schema": schema}))
        }
        Deed::AuditVerify => {
            let verification = database.audit_verify().await?;
            told.done(&chain(&verification), &verification)?;
            Ok(whole(&verification))
        }
        Deed::AuditHead => {
            let head = database.audit_head().await?;
            told.done(&stands(&head), &head)
        }
    }
}

/// Prints what was done.
struct Told(Output);

impl Told {
    fn done(&self, text: &str, value: &impl Serialize) -> Result<u8, Failed> {
        let line = match self.0.form {
            // Structs of numbers and texts: nothing that serialising could refuse.
            Form::Json => serde_json::to_string(value).unwrap_or_default(),
            _ => message(text),
        };
        self.0.answer(format!("{line}\n").as_bytes()).map_err(Failed::Stream)?;
        Ok(exit::COMPLETE)
    }

    fn findings(&self, findings: &[Finding]) -> Result<u8, Failed> {
        let lines: Vec<String> = findings.iter().map(line).collect();
        self.done(&lines.join("\n"), &findings)?;
        Ok(match doctor::worst(findings) {
            Health::Problem => exit::FAILED,
            Health::Ok | Health::Warning => exit::COMPLETE,
        })
    }
}

fn line(finding: &Finding) -> String {
    let health = match finding.health {
        Health::Ok => "ok",
        Health::Warning => "warning",
        Health::Problem => "problem",
    };
    let next = finding.next.as_ref().map(|next| format!("\n{:26}next: {next}", ""));
    format!(
        "{health:<9} {:<15} {}{}",
        finding.what,
        finding.told,
        next.unwrap_or_default()
    )
}

fn of(summary: &Summary) -> String {
    let header = &summary.header;
    format!(
        "{}, {}, {}, schema {}, epoch {}, of {}",
        count(summary.rows, "row"),
        count(header.events, "event"),
        ByteSize(summary.bytes),
        header.schema,
        header.epoch,
        header.made.strftime("%Y-%m-%dT%H:%M:%SZ")
    )
}

fn summary_json(summary: &Summary) -> serde_json::Value {
    let Summary { header, rows, bytes } = summary;
    json!({
        "rows": rows,
        "bytes": bytes,
        "schema": header.schema,
        "epoch": header.epoch,
        "run": header.run,
        "events": header.events,
        "made": header.made,
    })
}

fn would(database: &Database, refused: Option<&str>) -> String {
    match refused {
        None => format!("would restore it into {}", database.name()),
        Some(why) => format!("would be refused: {why}"),
    }
}

fn chain(verification: &Verification) -> String {
    match (verification.broken_at, &verification.fault) {
        (Some(event), Some(fault)) => format!("the chain of events is broken at event {event}: {fault}"),
        _ => format!("the chain of {} holds", count(verification.length, "event")),
    }
}

fn stands(head: &ChainHead) -> String {
    let at = head.at.map(|at| format!(", at {}", at.strftime("%Y-%m-%dT%H:%M:%SZ")));
    let length = count(head.length, "event");
    format!("{length}, hash {}{}", head.hash, at.unwrap_or_default())
}

fn whole(verification: &Verification) -> u8 {
    if verification.whole {
        exit::COMPLETE
    } else {
        exit::FAILED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_and_what_to_do_another() {
        let finding = Finding {
            what: "disk",
            health: Health::Warning,
            told: "little is free".to_owned(),
            next: Some("free space".to_owned()),
        };
        let told = "warning   disk            little is free\n                          next: free space";
        assert_eq!(line(&finding), told);
    }
}
