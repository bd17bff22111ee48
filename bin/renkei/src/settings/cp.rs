//! The meaning of `renkei cp`.

use std::ffi::OsString;
use std::path::PathBuf;

use renkei_transfer::{Existing, Location, Request, Tuning};

use super::names::{self, Separator};
use super::{Recall, Settings, StoredCopy, UsageError, journals, output, ssh_options};
use crate::arguments::cp::Cp;
use crate::location;

/// Understands a command line. Reads the list of `--files-from`, and nothing else.
pub fn settings(mut typed: Cp, recall: &Recall) -> Result<Settings, UsageError> {
    let output = output(typed.display);
    let journals = journals::directory(typed.journal_dir.take())?;
    if typed.resume_list {
        return Ok(Settings::List { journals, output });
    }
    if let Some(id) = typed.resume.take() {
        let stored = StoredCopy { journals, id };
        return Ok(Settings::Resume { stored, output });
    }
    if let Some(id) = typed.resume_drop.take() {
        let stored = StoredCopy { journals, id };
        return Ok(Settings::Drop { stored, output });
    }
    Ok(Settings::Copy {
        request: Box::new(request(typed, journals, recall)?),
        output,
    })
}

fn request(typed: Cp, journals: PathBuf, recall: &Recall) -> Result<Request, UsageError> {
    let (sources, target) = ends(&typed.paths)?;
    if typed.files_from.is_some() && sources.len() > 1 {
        return Err(UsageError::FilesFromSources(sources.len()));
    }
    let separator = if typed.from0 { Separator::Nul } else { Separator::Line };
    let files_from = match &typed.files_from {
        Some(list) => Some(names::read(list, separator)?),
        None => None,
    };
    let tuning = Tuning {
        limit: match typed.limit {
            Some(limit) if limit.0 == 0 => return Err(UsageError::Zero("--limit")),
            limit => limit.map(|limit| limit.0),
        },
        connections: typed.connections,
        ahead: typed.ahead,
        ..Tuning::default()
    };
    let existing = existing(&typed);
    let timeout = typed.connection.timeout;
    Ok(Request {
        sources,
        target,
        ssh: ssh_options(typed.connection, typed.display.verbose),
        contents: typed.contents,
        follow: typed.follow,
        preserve: typed.preserve,
        existing,
        delete: typed.delete,
        filters: typed.filters.0,
        files_from,
        dry_run: typed.dry_run,
        in_place: typed.in_place,
        sparse: typed.sparse,
        verify: typed.verify,
        manifest: typed.manifest,
        timeout,
        journals: Some(journals),
        checkpoint: None,
        recall: recall.to_bytes(),
        tuning,
    })
}

/// Sources and target: the last path is the target.
pub fn ends(paths: &[OsString]) -> Result<(Vec<Location>, Location), UsageError> {
    let Some((target, sources)) = paths.split_last() else {
        return Err(UsageError::NoTarget);
    };
    if sources.is_empty() {
        return Err(UsageError::NoTarget);
    }
    let sources = sources
        .iter()
        .map(|source| location::parse(source))
        .collect::<Result<_, _>>()?;
    Ok((sources, location::parse(target)?))
}

/// clap has made sure that at most one of them was given.
fn existing(typed: &Cp) -> Existing {
    if typed.update {
        Existing::SkipSameTime
    } else if typed.checksum {
        Existing::SkipSameContent
    } else if typed.no_clobber {
        Existing::Keep
    } else {
        Existing::Replace
    }
}

#[cfg(test)]
mod tests;
