//! Which processors this process runs on (mscp's `-m`): the only call here that not every system has.

use std::io;

/// Runs this thread, and those that it will start, only on the processors whose bits are set.
///
/// # Errors
/// None of them exists, or the system has no such call.
#[cfg(target_os = "linux")]
pub fn pin(mask: u128) -> io::Result<()> {
    let mut processors = rustix::thread::CpuSet::new();
    for number in (0..128).filter(|number| mask >> number & 1 == 1) {
        processors.set(number);
    }
    Ok(rustix::thread::sched_setaffinity(None, &processors)?)
}

/// Runs this thread, and those that it will start, only on the processors whose bits are set.
///
/// # Errors
/// Always: the system has no such call.
#[cfg(not(target_os = "linux"))]
pub fn pin(_mask: u128) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn threads_started_afterwards_are_pinned_too() {
        let pinned = std::thread::spawn(|| {
            let allowed = rustix::thread::sched_getaffinity(None).unwrap();
            let first = (0..128).find(|&number| allowed.is_set(number)).unwrap();
            pin(1 << first).unwrap();
            let child = std::thread::spawn(|| rustix::thread::sched_getaffinity(None).unwrap());
            child.join().unwrap().count()
        });
        assert_eq!(pinned.join().unwrap(), 1);
    }

    #[test]
    fn processors_that_do_not_exist_are_refused() {
        assert!(pin(1 << 127).is_err());
    }
}
