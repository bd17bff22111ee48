//! How a machine comes to run: its seed, its taps, QEMU's arguments, and the process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use renkei_types::id::VmId;

use super::accel::{self, Accel, Found};
use super::command::{CHIPSET, CONSOLE, Call, Kernel, MONITOR, SEED, Wakes};
use super::disk::Stop;
use super::kept::{Asleep, Kept, failed};
use super::machines::{FIRST_USER, Machines, lock};
use super::process::{Process, SAID};
use super::seed::{Guest, NotTold};
use crate::chain::chain;
use crate::driver::DriverError;
use crate::images::{Boot, Images};
use crate::small;
use crate::whole::write_whole;

/// Starts QEMU with all that it needs.
pub(super) fn launch(
    machines: &Machines,
    id: VmId,
    asleep: Option<&Asleep>,
    stop: &Stop,
) -> Result<Process, DriverError> {
    let kept = machines.kept(id)?;
    let folder = machines.folder(id);
    write_seed(machines, &kept, &folder)?;
    let mut taps = Vec::new();
    for adapter in &kept.form.adapters {
        let plugged = lock(&machines.network).plug(id, adapter, kept.user);
        taps.push(plugged.map_err(|error| DriverError::transient(chain(&error)))?);
    }
    let kernel = kept.boot.as_ref().map(|boot| kernel(&machines.images, boot));
    let accel = match asleep {
        Some(asleep) => asleep.accel,
        None => found(machines).accel,
    };
    let call = Call {
        id,
        form: &kept.form,
        user: has_users().then_some(kept.user),
        accel,
        chipset: asleep.map_or(CHIPSET, |asleep| &asleep.chipset),
        base: kept.base.map(|digest| machines.images.path(&digest)),
        kernel,
        taps: &taps,
        wakes: if asleep.is_some() { Wakes::Up } else { Wakes::No },
    };
    // What a QEMU that was killed has left.
    for socket in [MONITOR, CONSOLE] {
        let _ = fs::remove_file(folder.join(socket));
    }
    if stop.load(Ordering::Relaxed) {
        return Err(DriverError::transient("it was given up"));
    }
    let namespace = lock(&machines.network).namespace().to_owned();
    let started = Process::start(id, &folder, &namespace, &call.arguments());
    let started = started.map_err(|error| DriverError::transient(format!("cannot start QEMU: {error}")))?;
    started.ok_or_else(|| said(&folder))
}

/// Why QEMU has ended, in its own words.
pub(super) fn said(folder: &Path) -> DriverError {
    let text = fs::read_to_string(folder.join(SAID)).unwrap_or_default();
    let text = match text.trim() {
        "" => "it said nothing",
        text => text,
    };
    DriverError::transient(format!("QEMU ended at once: {text}"))
}

/// What carries processors out. It is found out once in each start of the computer, with the small template, which alone says what a
/// canary has to say.
pub(super) fn found(machines: &Machines) -> Found {
    let mut known = lock(&machines.accel);
    if let Some(found) = known.as_ref() {
        return found.clone();
    }
    if let Some(accel) = machines.settings.accel {
        let found = Found {
            accel,
            reason: "as the configuration says".to_owned(),
        };
        return known.insert(found).clone();
    }
    let small = machines.images.template(small::NAME);
    let Some(boot) = small.ok().flatten().and_then(|bundle| bundle.boot) else {
        // Not remembered: it may come.
        return Found {
            accel: Accel::Tcg,
            reason: "without KVM: `renkei template build small`, typed here, makes what it is tried with".to_owned(),
        };
    };
    let note = accel::note(&boot.kernel.to_string());
    let noted = fs::read(&note).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let found = noted.unwrap_or_else(|| {
        let log = machines.settings.folder.join("canary.log");
        let found = accel::find(&kernel(&machines.images, &boot), &log);
        if let Ok(text) = serde_json::to_vec(&found) {
            // Otherwise it is found out again next time.
            let _ = write_whole(&note, &text);
        }
        found
    });
    known.insert(found).clone()
}

/// Whether the computer lets us have users for machines: in a container that maps few of them it does not (user_namespaces(7)).
fn has_users() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.lines().any(|line| {
        let mut words = line.split_whitespace().map(str::parse::<u64>);
        let (first, _, length) = (words.next(), words.next(), words.next());
        matches!((first, length), (Some(Ok(first)), Some(Ok(length)))
            if first <= FIRST_USER.into() && first + length > u64::from(FIRST_USER) + 1_000_000)
    })
}

/// What carries processors out by now.
pub(super) fn accel_of(machines: &Machines) -> Accel {
    lock(&machines.accel).as_ref().map_or(Accel::Tcg, |found| found.accel)
}

fn kernel<'a>(images: &Images, boot: &'a Boot) -> Kernel<'a> {
    Kernel {
        kernel: images.path(&boot.kernel),
        initrd: boot.initrd.as_ref().map(|digest| images.path(digest)),
        command_line: &boot.command_line,
    }
}

fn write_seed(machines: &Machines, kept: &Kept, folder: &Path) -> Result<(), DriverError> {
    let guest = Guest {
        id: kept.id,
        name: &kept.record.name,
        key: &kept.key,
        user_data: kept.user_data.as_deref(),
        adapters: &kept.form.adapters,
    };
    let seed = guest.seed(&lock(&machines.segments)).map_err(|NotTold(segment)| {
        DriverError::transient(format!("the hub has not told this host of segment {segment} yet"))
    })?;
    let files: PathBuf = folder.join("seed");
    fs::create_dir_all(&files).map_err(failed("make", &files))?;
    for (name, text) in [
        ("meta-data", &seed.meta),
        ("user-data", &seed.user),
        ("network-config", &seed.network),
    ] {
        let path = files.join(name);
        fs::write(&path, text).map_err(failed("write", &path))?;
    }
    let made = Command::new("xorrisofs")
        .args([
            "-quiet", "-volid", "cidata", "-joliet", "-rock", "-output", SEED, "seed",
        ])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            DriverError::permanent(format!(
                "cannot start xorrisofs: {error}; Debian's package is `xorriso`"
            ))
        })?;
    if !made.status.success() {
        let why = String::from_utf8_lossy(&made.stderr);
        return Err(DriverError::transient(format!("cannot make the seed: {}", why.trim())));
    }
    Ok(())
}
