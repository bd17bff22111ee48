//! What `renkei admin` is told: which hub, and what to do with it.

use std::path::PathBuf;

use renkei_hub::admin::Target;
use renkei_hub::config::HubConfig;

use super::serve::{ConfigError, data, database_in, read};
use crate::arguments::admin::{Admin, AuditVerb, Of, Verb};
use crate::printer::{Form, Output};

/// See the module.
#[derive(Debug)]
pub struct AdminSettings {
    /// The hub.
    pub hub: HubConfig,
    /// How answers are printed.
    pub output: Output,
    /// What to do.
    pub deed: Deed,
}

/// What to do.
#[derive(Debug)]
pub enum Deed {
    /// Write a backup.
    Backup(PathBuf),
    /// Restore one.
    Restore {
        /// From which file.
        file: PathBuf,
        /// Into what.
        target: Target,
    },
    /// Look whether a backup would be restored.
    PlanRestore {
        /// From which file.
        file: PathBuf,
        /// Into what.
        target: Target,
    },
    /// Look whether all is well.
    Doctor,
    /// Give up the way back.
    Finalise,
    /// Go the way back.
    RollBack,
    /// Check the chain of events.
    AuditVerify,
    /// Show where it stands.
    AuditHead,
}

/// The meaning of `renkei admin`.
pub fn settings(typed: Admin) -> Result<AdminSettings, ConfigError> {
    let deed = match typed.verb {
        Verb::Backup(backup) => Deed::Backup(backup.file),
        Verb::Restore(restore) => {
            let file = restore.file;
            let target = if restore.overwrite { Target::Any } else { Target::Empty };
            match restore.plan {
                true => Deed::PlanRestore { file, target },
                false => Deed::Restore { file, target },
            }
        }
        Verb::Doctor => Deed::Doctor,
        Verb::Migrate(migrate) if migrate.rollback => Deed::RollBack,
        Verb::Migrate(_) => Deed::Finalise,
        Verb::Audit(audit) => match audit.verb {
            AuditVerb::Verify => Deed::AuditVerify,
            AuditVerb::Head => Deed::AuditHead,
        },
    };
    Ok(AdminSettings {
        hub: hub(typed.of)?,
        output: Output {
            form: if typed.json { Form::Json } else { Form::Text },
            ..Output::PLAIN
        },
        deed,
    })
}

fn hub(of: Of) -> Result<HubConfig, ConfigError> {
    let over = |database: String| HubConfig {
        master_key: of.master_key.clone(),
        ..HubConfig::over(database)
    };
    match (of.config, of.database) {
        (Some(path), _) => read(path.clone())?.hub.ok_or(ConfigError::NoHub { path }),
        (None, Some(database)) => Ok(over(database)),
        (None, None) => Ok(over(database_in(&data(of.data)?).to_string_lossy().into_owned())),
    }
}
