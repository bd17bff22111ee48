//! Processes that end with the test, and whole families of them.
//!
//! Only processes started here, and their descendants, are signalled.

use std::collections::HashMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

type Order = (Command, Sender<io::Result<Child>>);

/// Starts `command` such that the kernel ends it when this process ends in any way, SIGKILL included.
///
/// The kernel ties that to the *thread* that started the child, and test threads come and go; so one thread that lives as
/// long as the process starts them all.
pub fn spawn_tied(mut command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    // SAFETY: only prctl(2) is called between fork and exec, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            Ok(())
        });
    }
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox): (Sender<Order>, Receiver<Order>) = channel();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                // Who asked may have gone; then the child is dropped unwaited, and still ends with this process.
                drop(answer.send(command.spawn()));
            }
        });
        Mutex::new(orders)
    });
    let (answer, outcome) = channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    spawner
        .lock()
        .map_err(|_| gone())?
        .send((command, answer))
        .map_err(|_| gone())?;
    outcome.recv().map_err(|_| gone())?
}

/// Runs `command` without input and fails with its error output if it fails.
pub fn run(command: &mut Command) -> Result<Output> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(output)
}

/// Sends `signal` to the process `id`; that it has ended already is fine.
pub fn signal(id: u32, signal: Signal) {
    if let Some(pid) = pid(id) {
        // The only failure is that it is gone, since these are our own.
        let _ = kill_process(pid, signal);
    }
}

/// Whether a process `id` exists and has not ended (a zombie has).
pub fn is_alive(id: u32) -> bool {
    stat(id).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// Direct children of `id`.
pub fn children(id: u32) -> Vec<u32> {
    family_table().remove(&id).unwrap_or_default()
}

/// All descendants of `id`, parents before their children.
pub fn descendants(id: u32) -> Vec<u32> {
    let table = family_table();
    let mut found = vec![];
    let mut open = vec![id];
    while let Some(next) = open.pop() {
        if let Some(children) = table.get(&next) {
            found.extend(children);
            open.extend(children);
        }
    }
    found
}

/// Kills `id` and all its descendants, also those that were born meanwhile.
pub fn kill_family(id: u32) {
    // Stopped, it can have no more children while the list is made.
    signal(id, Signal::STOP);
    let all_gone = || {
        let living: Vec<u32> = descendants(id).into_iter().filter(|id| is_alive(*id)).collect();
        living.iter().for_each(|id| signal(*id, Signal::KILL));
        living.is_empty()
    };
    // One that hangs in the kernel ends when the kernel lets it; there is nothing else to be done about it.
    let _ = wait::until("a family to end", all_gone);
    signal(id, Signal::KILL);
}

/// Processor time that `id` and its descendants have used, those that have ended and were waited for included.
pub fn cpu_time(id: u32) -> Duration {
    let ticks: u64 = descendants(id).into_iter().chain([id]).filter_map(ticks).sum();
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}

/// State letter and parent.
fn stat(id: u32) -> Option<(char, u32)> {
    let fields = stat_fields(id)?;
    Some((fields.first()?.chars().next()?, fields.get(1)?.parse().ok()?))
}

/// User and system time, own and that of children waited for.
fn ticks(id: u32) -> Option<u64> {
    let fields = stat_fields(id)?;
    fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum()
}

/// Fields of `/proc/ID/stat` (proc(5)) from the third, the state; the name before it may contain spaces and parentheses.
fn stat_fields(id: u32) -> Option<Vec<String>> {
    let text = std::fs::read(format!("/proc/{id}/stat")).ok()?;
    let end_of_name = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(end_of_name + 1..)?).ok()?;
    Some(rest.split_ascii_whitespace().map(str::to_owned).collect())
}

fn family_table() -> HashMap<u32, Vec<u32>> {
    let mut table: HashMap<u32, Vec<u32>> = HashMap::new();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return table;
    };
    for id in entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
    {
        if let Some((_, parent)) = stat(id) {
            table.entry(parent).or_default().push(id);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_killed_whole() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 600 & sh -c 'sleep 600; true' & wait"]);
        let mut child = spawn_tied(shell).unwrap();
        wait::until("three descendants", || descendants(child.id()).len() == 3).unwrap();
        let family = descendants(child.id());
        kill_family(child.id());
        child.wait().unwrap();
        wait::until("all to be gone", || family.iter().all(|id| !is_alive(*id))).unwrap();
    }
}
