//! Writing one file.

use super::*;
use crate::local::meta::{Time, Times};
use crate::local::output::{Manner, open_stream};
use crate::local::sys;

#[test]
fn a_file_takes_its_name_only_when_it_is_whole() {
    let scratch = Scratch::new();
    scratch.file("f", "the old and longer content");
    let root = scratch.root("");
    let output = root.create(b"f", b".tmp").unwrap();
    assert_eq!(output.manner(), Manner::Temporary);
    write(&output, 3, b"new").unwrap();
    write(&output, 0, b"the").unwrap();
    assert_eq!(scratch.mode(".tmp"), 0o600);
    assert_eq!(scratch.read("f"), b"the old and longer content");
    assert_eq!(output.read(0, 100).unwrap(), b"thenew");
    let stored = finish(output, 6).unwrap();
    assert_eq!(stored.size, 6);
    assert_eq!(scratch.read("f"), b"thenew");
    assert_eq!(scratch.names(""), [b"f"]);
}

#[test]
fn modes_arrive_whatever_the_umask_says() {
    let scratch = Scratch::new();
    let root = scratch.root("");
    let old = rustix::process::umask(Mode::from_bits_retain(0o077));
    for (permissions, wanted) in [
        (Permissions::Nine(0o444), 0o444),
        (Permissions::Nine(0o777), 0o777),
        (Permissions::Nine(0o6755), 0o755),
        (Permissions::Nine(0), 0),
        (Permissions::Twelve(0o6755), 0o6755),
    ] {
        let attributes = Attributes {
            permissions,
            times: None,
        };
        let finish = Finish {
            length: 0,
            attributes,
            existing: Existing::Replace,
        };
        root.create(b"f", b".tmp").unwrap().finish(&finish).unwrap();
        assert_eq!(scratch.mode("f"), wanted, "{permissions:?}");
    }
    rustix::process::umask(old);
}

#[test]
fn times_arrive_also_from_before_1970() {
    let scratch = Scratch::new();
    let root = scratch.root("");
    for secs in [1_700_000_000, 0, -1_000] {
        let mtime = Time { secs, nanos: 0 };
        let times = Times {
            atime: Time { secs: 5, nanos: 0 },
            mtime,
        };
        let finish = Finish {
            length: 0,
            attributes: Attributes {
                times: Some(times),
                ..PLAIN
            },
            existing: Existing::Replace,
        };
        let stored = root.create(b"f", b".tmp").unwrap().finish(&finish).unwrap();
        assert_eq!(stored.mtime, mtime);
        assert_eq!(root.stat(b"f").unwrap().mtime, mtime);
    }
}

#[test]
fn a_dropped_file_can_be_gone_on_with_and_a_discarded_one_is_gone() {
    let scratch = Scratch::new();
    let root = scratch.root("");
    write(&root.create(b"f", b".tmp").unwrap(), 0, b"begun ").unwrap();
    let output = root.resume(b"f", b".tmp").unwrap();
    assert_eq!(output.meta().unwrap().size, 6);
    write(&output, 6, b"ended").unwrap();
    output.sync().unwrap();
    finish(output, 11).unwrap();
    assert_eq!(scratch.read("f"), b"begun ended");
    assert!(root.resume(b"f", b".tmp").unwrap_err().is_missing());
    root.create(b"g", b".tmp").unwrap().discard();
    assert_eq!(scratch.names(""), [b"f"]);
}

#[test]
fn what_took_the_place_of_a_temporary_file_is_not_gone_on_with() {
    let scratch = Scratch::new();
    scratch.file("victim", "v");
    scratch.link(".link", "victim");
    scratch.fifo(".pipe");
    let root = scratch.root("");
    assert!(root.resume(b"f", b".link").is_err());
    assert!(root.resume(b"f", b".pipe").is_err());
    let error = root.create(b"f", b".link").unwrap_err();
    assert_eq!(refusal(&error), ErrorKind::AlreadyExists);
}

#[test]
fn an_existing_file_is_kept_when_that_is_asked_for() {
    let scratch = Scratch::new();
    let root = scratch.root("");
    let keep = Finish {
        length: 0,
        attributes: PLAIN,
        existing: Existing::Keep,
    };
    root.create(b"f", b".tmp").unwrap().finish(&keep).unwrap();
    scratch.file("f", "old");
    let error = root.create(b"f", b".tmp").unwrap().finish(&keep).unwrap_err();
    assert_eq!(refusal(&error), ErrorKind::AlreadyExists);
    assert_eq!(scratch.read("f"), b"old");
    assert_eq!(scratch.names(""), [b"f"]);
}

#[test]
fn without_the_flag_of_the_kernel_an_existing_file_is_kept_as_well() {
    let scratch = Scratch::new();
    scratch.file("from", "new");
    scratch.file("to", "old");
    let dir = std::fs::File::open(scratch.path("")).unwrap().into();
    let link = |to: &str| sys::link_new((sys::fd(&dir), b"from"), (sys::fd(&dir), to.as_bytes()));
    assert_eq!(link("to"), Err(rustix::io::Errno::EXIST));
    link("free").unwrap();
    assert_eq!(scratch.names(""), [&b"free"[..], b"to"]);
}

#[test]
fn a_directory_under_the_final_name_is_told_before_the_first_byte() {
    let scratch = Scratch::new();
    scratch.dir("d/sub");
    let root = scratch.root("");
    let error = root.create(b"d", b".tmp").unwrap_err();
    assert!(matches!(error, FileError::NotAFile { .. }));
    assert_eq!(scratch.names(""), [b"d"]);
}

#[test]
fn in_place_keeps_the_inode_and_cuts_the_end() {
    let scratch = Scratch::new();
    scratch.file("f", "0123456789");
    let root = scratch.root("");
    let before = root.stat(b"f").unwrap();
    let output = root.open_in_place(b"f").unwrap();
    assert_eq!(output.manner(), Manner::InPlace);
    write(&output, 0, b"abc").unwrap();
    finish(output, 3).unwrap();
    assert_eq!(scratch.read("f"), b"abc");
    assert_eq!(root.stat(b"f").unwrap().id, before.id);
    finish(root.open_in_place(b"new").unwrap(), 0).unwrap();
    assert_eq!(scratch.mode("new"), 0o644);
}

#[test]
fn where_the_directory_may_not_be_written_the_file_is_written_in_place() {
    let scratch = Scratch::new();
    scratch.dir("d");
    scratch.file("d/open", "old content");
    scratch.file("d/closed", "old");
    let chmod = |rel: &str, mode| {
        std::fs::set_permissions(scratch.path(rel), PermissionsExt::from_mode(mode)).unwrap();
    };
    chmod("d/open", 0o666);
    chmod("d/closed", 0o444);
    chmod("d", 0o555);
    as_nobody(|| {
        let root = scratch.root("d");
        let output = root.create(b"open", b".tmp").unwrap();
        assert_eq!(output.manner(), Manner::DirectoryReadOnly);
        write(&output, 0, b"new").unwrap();
        finish(output, 3).unwrap();
        for rel in [&b"closed"[..], b"missing"] {
            let error = root.create(rel, b".tmp").unwrap_err();
            assert!(error.to_string().starts_with("cannot create"), "{error}");
            assert!(!error.is_transient());
        }
    });
    assert_eq!(scratch.read("d/open"), b"new");
    assert_eq!(scratch.names("d"), [&b"closed"[..], b"open"]);
    chmod("d", 0o755);
}

#[test]
fn a_fifo_is_written_through_in_order() {
    let scratch = Scratch::new();
    scratch.fifo("pipe");
    let path = scratch.path("pipe");
    let reader = std::thread::spawn(move || std::fs::read(path).unwrap());
    let output = open_stream(&scratch.bytes("pipe")).unwrap();
    assert_eq!(output.manner(), Manner::Stream);
    write(&output, 0, b"one ").unwrap();
    let error = write(&output, 100, b"x").unwrap_err();
    assert!(matches!(error, FileError::OutOfOrder { .. }));
    write(&output, 4, b"two").unwrap();
    output.sync().unwrap();
    assert_eq!(finish(output, 7).unwrap().size, 7);
    assert_eq!(reader.join().unwrap(), b"one two");
}

#[test]
fn a_device_is_written_through_and_stays_one() {
    let output = open_stream(b"/dev/null").unwrap();
    write(&output, 0, b"gone").unwrap();
    assert_eq!(finish(output, 4).unwrap().size, 4);
    let output = open_stream(b"/dev/full").unwrap();
    let error = write(&output, 0, b"x").unwrap_err();
    assert_eq!(refusal(&error), ErrorKind::StorageFull);
    let scratch = Scratch::new();
    scratch.file("f", "kept");
    assert!(open_stream(&scratch.bytes("f")).is_err());
    assert_eq!(scratch.read("f"), b"kept");
}

#[test]
fn more_slices_than_one_call_takes_are_written() {
    let scratch = Scratch::new();
    let root = scratch.root("");
    let data: Vec<u8> = (0..3000_u32).map(|n| n as u8).collect();
    let mut parts: Vec<_> = data.chunks(1).map(IoSlice::new).collect();
    parts.insert(0, IoSlice::new(&[]));
    let output = root.create(b"f", b".tmp").unwrap();
    output.write_at(10, &mut parts).unwrap();
    finish(output, 3010).unwrap();
    assert_eq!(scratch.read("f")[10..], data);
    let output = root.create(b"empty", b".tmp").unwrap();
    output.write_at(0, &mut []).unwrap();
    output.write_at(0, &mut [IoSlice::new(&[])]).unwrap();
    finish(output, 0).unwrap();
    assert_eq!(scratch.read("empty"), b"");
}

#[test]
fn threads_write_parts_of_one_file() {
    let scratch = Scratch::new();
    let root = scratch.root("");
    let output = root.create(b"f", b".tmp").unwrap();
    std::thread::scope(|scope| {
        for n in (0..8_u8).rev() {
            let output = &output;
            scope.spawn(move || write(output, u64::from(n) * 1000, &[n; 1000]).unwrap());
        }
    });
    finish(output, 8000).unwrap();
    let wanted: Vec<u8> = (0..8).flat_map(|n| [n; 1000]).collect();
    assert_eq!(scratch.read("f"), wanted);
}
