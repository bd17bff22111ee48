//! A disk that is full.

use std::sync::Arc;

use bytes::Bytes;
use rustix::mount::{MountFlags, MountPropagationFlags};

use super::*;
use crate::local::batch::{SmallTarget, store_batch};

/// Runs `test` on a file system of 1 MiB. It is mounted for one thread only and goes with it, however the test ends.
fn on_a_small_disk(test: impl FnOnce(&Scratch) + Send) {
    let scratch = Scratch::new();
    std::thread::scope(|scope| {
        let run = || {
            let flags = rustix::thread::UnshareFlags::NEWNS;
            // SAFETY: only the mounts are unshared, no descriptors.
            #[allow(unsafe_code, reason = "rustix offers nothing else")]
            unsafe { rustix::thread::unshare_unsafe(flags) }.expect("mounting needs root");
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            rustix::mount::mount_change("/", private).unwrap();
            let flags = MountFlags::empty();
            rustix::mount::mount("none", scratch.path(""), "tmpfs", flags, c"size=1m").unwrap();
            test(&scratch);
        };
        scope.spawn(run).join().unwrap();
    });
}

#[test]
fn a_file_that_does_not_fit_leaves_the_old_one() {
    on_a_small_disk(|scratch| {
        let root = scratch.root("");
        put(&root, b"f", b"old").unwrap();
        let error = put(&root, b"f", &vec![1; 2 << 20]).unwrap_err();
        assert_eq!(refusal(&error), ErrorKind::StorageFull);
        assert!(!error.is_transient());
        assert_names(&error, &scratch.bytes("f"));
        assert_eq!(scratch.read("f"), b"old");
        assert_eq!(scratch.names(""), [b"f"]);
        put(&root, b"g", b"fits").unwrap();
    });
}

#[test]
fn of_a_batch_that_does_not_fit_every_final_name_is_right() {
    on_a_small_disk(|scratch| {
        let root = Arc::new(scratch.root(""));
        let files: Vec<_> = (0..50_u8)
            .map(|n| SmallTarget {
                root: Arc::clone(&root),
                rel: vec![b'a' + n % 25, b'0' + n / 25],
                temp: vec![b'.', n + 100],
                data: vec![Bytes::from(vec![n; 50_000])],
                attributes: PLAIN,
                existing: Existing::Replace,
            })
            .collect();
        let results = store_batch(&files);
        let done = results.iter().filter(|result| result.is_ok()).count();
        assert!((5..50).contains(&done), "{done} of 50 fitted");
        for (file, result) in files.iter().zip(results) {
            match result {
                Ok(_) => assert_eq!(scratch.read(&file.rel), file.data[0]),
                Err(error) => {
                    assert_eq!(refusal(&error), ErrorKind::StorageFull);
                    assert!(!scratch.exists(&file.rel));
                }
            }
        }
        assert_eq!(scratch.names("").len(), done);
    });
}
