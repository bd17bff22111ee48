//! The meaning of mscp's options.
//!
//! Where mscp has a fixed number and the engine measures (`-a`, `-b`), only what was typed is passed on; what mscp's users
//! rely on (`-n`, `-u`, `-s`) has mscp's defaults. Files are cut into mscp's chunks only if `-s` or `-S` was typed.

use std::ffi::OsString;
use std::num::NonZero;
use std::time::Duration;

use clap::Parser as _;
use renkei_transfer::ssh::{Destination, Options};
use renkei_transfer::{Checkpoint, Chunks, Existing, Location, Request, Tuning};
use renkei_types::size::ByteSize;

use super::recall::Program;
use super::{Recall, RecallError, Settings, UsageError, cp, family, journals};
use crate::arguments::mscp::Mscp;
use crate::printer::{Form, Output, Verbosity};

/// mscp's default of `-s`, in bytes.
const SMALLEST_CHUNK: u64 = 16 * 1024 * 1024;

/// As long as `renkei cp` waits when nothing works; mscp has no such option.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Understands a command line. With `-R` the caller has put the checkpoint's sources and target into `typed.paths` and
/// its `recall` in place of the present one: see [`recalled_checkpoint`].
pub fn settings(typed: Mscp, recall: &Recall) -> Result<Settings, UsageError> {
    let (sources, target) = cp::ends(&typed.paths)?;
    one_side_remote(&sources, &target)?;
    let output = output(&typed);
    let tuning = tuning(&typed)?;
    let checkpoint = (typed.resume.is_some() || typed.checkpoint.is_some()).then(|| Checkpoint {
        read: typed.resume.clone(),
        write: typed.checkpoint.clone(),
    });
    let request = Request {
        sources,
        target,
        contents: false,
        follow: false,
        preserve: typed.preserve,
        existing: Existing::Replace,
        delete: false,
        filters: Vec::new(),
        files_from: None,
        dry_run: typed.dry_run,
        in_place: false,
        sparse: false,
        verify: false,
        manifest: None,
        timeout: TIMEOUT,
        journals: Some(journals::directory(None)?),
        checkpoint,
        recall: recall.to_bytes(),
        tuning,
        ssh: ssh_options(typed),
    };
    Ok(Settings::Copy {
        request: Box::new(request),
        output,
    })
}

/// Sources and target that a checkpoint remembers.
pub fn recalled_checkpoint(recall: &Recall) -> Result<Vec<OsString>, RecallError> {
    if recall.program() != Program::Mscp {
        return Err(RecallError::Program(recall.program()));
    }
    Mscp::try_parse_from(recall.command_line())
        .map(|typed| typed.paths)
        .map_err(RecallError::Words)
}

fn one_side_remote(sources: &[Location], target: &Location) -> Result<(), UsageError> {
    let hosts: Vec<&Destination> = sources.iter().filter_map(host).collect();
    let remote_target = host(target).is_some();
    let one_side = if remote_target {
        hosts.is_empty()
    } else {
        hosts.len() == sources.len()
    };
    if !one_side {
        return Err(UsageError::OneSideRemote);
    }
    match hosts.split_first() {
        Some((first, rest)) => match rest.iter().find(|host| *host != first) {
            Some(other) => Err(UsageError::SeveralHosts(first.to_string(), other.to_string())),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

fn host(location: &Location) -> Option<&Destination> {
    match location {
        Location::Local(_) => None,
        Location::Remote { host, .. } => Some(host),
    }
}

fn tuning(typed: &Mscp) -> Result<Tuning, UsageError> {
    // Zero means the default, as in mscp.
    let given = |size: Option<ByteSize>| size.map(|size| size.0).filter(|&size| size > 0);
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let connections = typed.connections.unwrap_or_else(|| connections(cores));
    let smallest = given(typed.min_chunk).unwrap_or(SMALLEST_CHUNK);
    let largest = given(typed.max_chunk);
    let chunks = Chunks::new(smallest, largest, connections).ok_or(UsageError::Chunks {
        smallest,
        largest: largest.unwrap_or(smallest),
    })?;
    let is_typed = typed.min_chunk.is_some() || typed.max_chunk.is_some();
    if typed.limit.is_some_and(|limit| limit.0 == 0) {
        return Err(UsageError::Zero("-L"));
    }
    let request_size = match typed.request_size {
        Some(ByteSize(0)) => return Err(UsageError::Zero("-b")),
        // The server's own limit is far below what does not fit.
        size => size.map(|size| u32::try_from(size.0).unwrap_or(u32::MAX)),
    };
    Ok(Tuning {
        limit: typed.limit.map(|limit| limit.0),
        connections: Some(connections),
        ahead: typed.ahead,
        request_size,
        startups: Some(typed.startups),
        interval: Duration::from_secs(typed.interval.into()),
        min_chunk: Some(smallest),
        chunks: is_typed.then_some(chunks),
        cpus: typed.cpus,
    })
}

/// mscp's default of `-n`: floor(ln(cores) × 2) + 1.
fn connections(cores: usize) -> u32 {
    // Few enough cores for the casts: 1e9 of them would make 42.
    ((cores.max(1) as f64).ln() * 2.0).floor() as u32 + 1
}

fn output(typed: &Mscp) -> Output {
    Output {
        form: if typed.quiet { Form::Silent } else { Form::Text },
        verbosity: Verbosity {
            level: typed.verbose,
            plan_from: 2,
            // Its first level already is about the connections.
            log: if typed.debug > 0 {
                typed.debug.saturating_add(1)
            } else {
                0
            },
        },
    }
}

fn ssh_options(typed: Mscp) -> Options {
    // mscp ignores options that it does not know; `ssh -G` is told to do the same.
    let ignore = "IgnoreUnknown=*".to_owned();
    Options {
        config_file: typed.config,
        options: std::iter::once(ignore).chain(typed.option).collect(),
        identities: typed.identity,
        jump: typed.jump,
        login: typed.login,
        port: typed.port,
        family: family(typed.ipv4, typed.ipv6),
        cipher: typed.cipher,
        mac: typed.mac,
        compression: typed.compression,
        congestion: typed.congestion,
        nagle: typed.nagle,
        verbose: typed.debug,
        password: std::env::var("MSCP_SSH_AUTH_PASSWORD").ok(),
        passphrase: std::env::var("MSCP_SSH_AUTH_PASSPHRASE").ok(),
        ..Options::default()
    }
}

#[cfg(test)]
mod tests;
