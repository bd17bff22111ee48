//! Finding or beginning the journal of a copy.

use std::os::unix::ffi::OsStrExt;

use renkei_plan::journal::{End, Header, Identity, Resume, UnixMillis};

use super::log::Log;
use super::trouble::chain;
use crate::journal::{OpenOptions, Opened};
use crate::request::{Existing, Location, Request};

/// A journal, and what the person is to be told about it.
pub struct Begun {
    pub log: Log,
    /// What `--resume` takes.
    pub name: Option<String>,
    pub note: Option<String>,
    /// The first number for files of this run.
    pub first_serial: u64,
}

/// Opens the journal of this request. `ends` says who the sources and, last, the target turned out to be.
///
/// # Errors
/// A second run of the same command, or a journal that cannot be made; ready to print.
pub fn open(request: &Request, ends: Vec<End>) -> Result<Begun, String> {
    let none = Begun {
        log: Log::default(),
        name: None,
        note: None,
        first_serial: 0,
    };
    if request.dry_run && request.checkpoint.is_none() {
        return Ok(none);
    }
    let header = header(request, ends)?;
    let read = request
        .checkpoint
        .as_ref()
        .and_then(|checkpoint| checkpoint.read.as_deref());
    let options = OpenOptions {
        header: &header,
        checkpoint: read,
    };
    let Some(directory) = &request.journals else {
        return Ok(none);
    };
    let opened = options.open_in(directory).map_err(|error| chain(&error))?;
    let Opened {
        journal, resume, note, ..
    } = opened;
    let first_serial = resume.as_ref().map_or(0, |resume| resume.next_seq().0);
    let aged = resume.as_ref().is_some_and(Resume::believed_by_age);
    let note = note.or_else(|| {
        aged.then(|| {
            "the server has no fsync: what it had acknowledged more than 60 s before the break is believed".to_owned()
        })
    });
    let name = Some(journal.name().to_owned());
    Ok(Begun {
        log: Log::new(Some(journal), resume),
        name,
        note,
        first_serial,
    })
}

fn header(request: &Request, ends: Vec<End>) -> Result<Header, String> {
    let cwd = std::env::current_dir().map_err(|error| format!("the working directory is gone: {error}"))?;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Ok(Header {
        identity: Identity {
            sources: request.sources.iter().map(typed).collect(),
            target: typed(&request.target),
            cwd: cwd.as_os_str().as_bytes().to_vec(),
            ends,
            options: options(request),
        },
        started: UnixMillis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX)),
        program: concat!("renkei ", env!("CARGO_PKG_VERSION")).to_owned(),
        request: request.recall.clone(),
    })
}

fn typed(location: &Location) -> Vec<u8> {
    match location {
        Location::Local(path) => path.clone(),
        Location::Remote { host, path } => [host.to_string().as_bytes(), b":", path].concat(),
    }
}

/// What changes where things arrive or which: with another of these it is another transfer.
fn options(request: &Request) -> Vec<Vec<u8>> {
    let existing = match request.existing {
        Existing::Replace => "",
        Existing::SkipSameTime => "update",
        Existing::SkipSameContent => "checksum",
        Existing::Keep => "no-clobber",
    };
    let flags = [
        (request.contents, "contents"),
        (request.follow, "follow"),
        (request.in_place, "in-place"),
        (request.delete, "delete"),
    ];
    let mut options: Vec<Vec<u8>> = flags
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| name.as_bytes().to_vec())
        .collect();
    if !existing.is_empty() {
        options.push(existing.as_bytes().to_vec());
    }
    for filter in &request.filters {
        options.push(format!("{}{}", if filter.include { '+' } else { '-' }, filter.glob).into_bytes());
    }
    options.extend(
        request
            .files_from
            .iter()
            .flatten()
            .map(|name| [b"=", name.as_slice()].concat()),
    );
    options
}
