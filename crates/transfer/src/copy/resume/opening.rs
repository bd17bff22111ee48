//! Finding or beginning the journal of a copy.

use std::os::unix::ffi::OsStrExt;

use renkei_plan::journal::{End, Header, Identity, Resume, SourceIndex, UnixMillis};

use super::log::Log;
use crate::copy::endpoint::landing::{Arriving, Landed, Landing, Standing, Target, join, last_name, trimmed};
use crate::copy::trouble::chain;
use crate::journal::{OpenOptions, Opened};
use crate::request::{Existing, Location, Request};

/// A journal, and what the person is to be told about it.
pub struct Begun {
    pub log: Log,
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
        note: None,
        first_serial: 0,
    };
    let checkpoint = request.checkpoint.as_ref();
    let write = checkpoint.and_then(|checkpoint| checkpoint.write.as_deref());
    if request.dry_run && write.is_none() {
        return Ok(none);
    }
    let header = header(request, ends)?;
    let read = checkpoint.and_then(|checkpoint| checkpoint.read.as_deref());
    let options = OpenOptions {
        header: &header,
        checkpoint: read,
    };
    let opened = match (&request.journals, write, read) {
        (Some(directory), ..) => options.open_in(directory),
        // The checkpoint itself is the journal.
        (None, Some(write), _) => options.open_at(write),
        (None, None, Some(_)) => {
            return Err("there is no place for the journal, so no checkpoint can be gone on from".into());
        }
        (None, None, None) => return Ok(none),
    };
    let opened = opened.map_err(|error| chain(&error))?;
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
    Ok(Begun {
        log: Log::new(Some(journal), resume),
        note,
        first_serial,
    })
}

/// Where an unfinished run of the same command had landed.
pub struct LandedBefore {
    /// Where it goes on, although the target exists by now; none: as the rules say.
    pub landing: Option<Landing>,
    /// The number of the first source in the journal.
    pub first: u32,
    /// Whether the journal knows these places already.
    pub is_written: bool,
}

/// Looks where an unfinished run had landed. When its globs matched other sources than now, the places of these are
/// taken from how it had landed, but nothing of what it had done is taken for theirs.
pub fn landed_before(log: &Log, target: &Target<'_>, sources: &[Arriving]) -> LandedBefore {
    let landed = |resume: &Resume| {
        let places = (0..).map_while(|index| resume.landed(SourceIndex(index)));
        places.map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let before = log.with_resume(landed).unwrap_or_default();
    let itself = |path: &[u8]| path == target.path || path == trimmed(target.path);
    let fits = |(path, source): (&Vec<u8>, &Arriving)| itself(path) || last_name(path) == Some(&source.name);
    let is_written = before.len() == sources.len() && before.iter().zip(sources).all(fits);
    let first = if is_written { 0 } else { before.len() as u32 };
    // The contents of directories land in the same place each time.
    if before.is_empty() || (target.contents && !is_written) {
        return LandedBefore {
            landing: None,
            first,
            is_written,
        };
    }
    let hung = !before.iter().all(|path| itself(path));
    let places = sources.iter().enumerate().map(|(index, source)| {
        let path = match before.get(index) {
            Some(path) if is_written => path.clone(),
            _ if hung => join(target.path, &source.name),
            _ => target.path.to_vec(),
        };
        Landed {
            named_by_source: !itself(&path),
            path,
        }
    });
    let places: Vec<_> = places.collect();
    let wanted = hung && target.standing != Standing::Directory;
    LandedBefore {
        landing: Some(Landing {
            make_dir: wanted.then(|| trimmed(target.path)),
            places,
        }),
        first,
        is_written,
    }
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
