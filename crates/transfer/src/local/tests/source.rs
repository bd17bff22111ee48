//! Reading files and directories of the source.

use super::*;
use crate::local::expand::expand;
use crate::local::meta::{Kind, Special};
use crate::local::source::nonzero_runs;

#[test]
fn reads_end_with_the_file() {
    let scratch = Scratch::new();
    scratch.file("f", "0123456789");
    let source = scratch.root("").open_source(b"f").unwrap();
    assert_eq!(source.meta().size, 10);
    assert_eq!(source.read(8, 10).unwrap(), b"89");
    assert_eq!(source.read(10, 10).unwrap(), b"");
    let mut buffer = [0; 4];
    assert_eq!(source.read_at(3, &mut buffer).unwrap(), 4);
    assert_eq!(&buffer, b"3456");
    assert_eq!(source.read_at(9, &mut buffer).unwrap(), 1);
}

#[test]
fn what_is_no_file_is_not_read() {
    let scratch = Scratch::new();
    scratch.fifo("pipe");
    scratch.dir("dir");
    scratch.file("file", "x");
    scratch.link("link", "file");
    let root = scratch.root("");
    // Would wait for ever if it were opened as usual.
    let error = root.open_source(b"pipe").unwrap_err();
    assert!(matches!(error, FileError::NotAFile { found: "FIFO", .. }));
    assert!(root.open_source(b"dir").is_err());
    let error = root.open_source(b"link").unwrap_err();
    assert!(matches!(error, FileError::ThroughLink { .. }));
}

#[test]
fn a_root_that_follows_reads_through_links() {
    let scratch = Scratch::new();
    scratch.dir("a");
    scratch.file("a/file", "x");
    scratch.link("b", "a");
    scratch.link("c", "b/file");
    let root = Root::open(&scratch.bytes(""), Links::Follow).unwrap();
    assert_eq!(root.open_source(b"b/file").unwrap().meta().size, 1);
    assert_eq!(root.open_source(b"c").unwrap().meta().size, 1);
    assert_eq!(root.stat(b"b").unwrap().kind, Kind::Dir);
    assert_eq!(root.read_link(b"b").unwrap(), b"a");
}

#[test]
fn a_change_while_reading_is_noticed() {
    let scratch = Scratch::new();
    scratch.file("f", "before");
    let source = scratch.root("").open_source(b"f").unwrap();
    source.check_unchanged().unwrap();
    scratch.file("f", "longer than before");
    let error = source.check_unchanged().unwrap_err();
    assert!(matches!(error, FileError::Changed { .. }));
    assert!(error.is_transient());
}

#[test]
fn holes_are_found_in_a_sparse_file_of_5_gb() {
    let scratch = Scratch::new();
    let root = scratch.root("");
    let (size, middle) = (5 << 30, 4 << 30);
    let output = root.create(b"sparse", b".tmp").unwrap();
    write(&output, middle, &[1; 4096]).unwrap();
    finish(output, size).unwrap();
    let source = root.open_source(b"sparse").unwrap();
    let runs: Result<Vec<_>, _> = source.extents().collect();
    let runs = runs.unwrap();
    assert_eq!(source.meta().size, size);
    assert!(runs.iter().any(|run| run.contains(&middle)));
    let data: u64 = runs.iter().map(|run| run.end - run.start).sum();
    assert!(data < 1 << 20, "{runs:?}");
}

#[test]
fn a_file_without_holes_is_one_run_and_an_empty_one_none() {
    let scratch = Scratch::new();
    scratch.file("full", vec![1; 10_000]);
    scratch.file("empty", "");
    let root = scratch.root("");
    let runs = |name: &[u8]| -> Vec<_> {
        let source = root.open_source(name).unwrap();
        let bounds = source.extents().map(Result::unwrap);
        bounds.map(|run| (run.start, run.end)).collect()
    };
    assert_eq!(runs(b"full"), [(0, 10_000)]);
    assert!(runs(b"empty").is_empty());
}

#[test]
fn zeros_in_whole_blocks_become_holes() {
    let runs = |data: &[u8]| -> Vec<_> { nonzero_runs(data).map(|run| (run.start, run.end)).collect() };
    assert!(runs(&[]).is_empty());
    assert!(runs(&[0; 5000]).is_empty());
    assert_eq!(runs(&[1; 5000]), [(0, 5000)]);
    let mut data = vec![0; 20_000];
    data[4096] = 1;
    data[19_999] = 1;
    assert_eq!(runs(&data), [(4096, 8192), (16_384, 20_000)]);
}

#[test]
fn a_directory_is_listed_in_batches_with_kinds() {
    let scratch = Scratch::new();
    scratch.dir("d/dir");
    scratch.link("d/link", "nowhere");
    scratch.fifo("d/pipe");
    for n in 0..10 {
        scratch.file(format!("d/file{n}"), "x");
    }
    for root in scratch.roots("") {
        let mut listing = root.list(b"d").unwrap();
        let mut entries = Vec::new();
        loop {
            let batch = listing.next_batch(4).unwrap();
            assert!(batch.len() <= 4);
            if batch.is_empty() {
                break;
            }
            entries.extend(batch);
        }
        assert_eq!(entries.len(), 13);
        for entry in entries {
            let kind = listing.stat(&entry.name).unwrap().kind;
            let expected = match &entry.name[..] {
                b"dir" => Kind::Dir,
                b"link" => Kind::Link,
                b"pipe" => Kind::Other(Special::Fifo),
                _ => Kind::File,
            };
            assert_eq!(kind, expected);
            assert!(entry.kind.is_none_or(|told| told == kind));
        }
    }
}

#[test]
fn globs_are_expanded_as_by_scp() {
    let scratch = Scratch::new();
    for name in ["b.txt", "a.txt", ".c.txt", "lit*", "[x"] {
        scratch.file(name, "");
    }
    for dir in ["src1", "src2"] {
        scratch.dir(dir);
        scratch.file(format!("{dir}/in"), "");
    }
    scratch.file(b"\xff.bin", "");
    let expand = |pattern: &str| expand(&scratch.bytes(pattern));
    let paths = |names: &[&str]| names.iter().map(|n| scratch.bytes(n)).collect::<Vec<_>>();
    assert_eq!(expand("*.txt").unwrap(), paths(&["a.txt", "b.txt"]));
    assert_eq!(expand("s*[12]/in").unwrap(), paths(&["src1/in", "src2/in"]));
    assert_eq!(expand("src?").unwrap(), paths(&["src1", "src2"]));
    assert_names(&expand("a.txt*/in").unwrap_err(), &scratch.bytes("a.txt*/in"));
    // What exists is meant literally.
    assert_eq!(expand("lit*").unwrap(), paths(&["lit*"]));
    assert_eq!(expand("[x").unwrap(), paths(&["[x"]));
    assert_eq!(expand("\\a.t*").unwrap(), paths(&["a.txt"]));
    assert_eq!(expand("?.bin").unwrap(), [scratch.bytes(b"\xff.bin")]);
    assert!(matches!(expand("z*"), Err(FileError::NoMatch { .. })));
    assert!(matches!(expand("[z"), Err(FileError::Pattern { .. })));
    // Opening it says later that it is not there.
    assert_eq!(expand("missing").unwrap(), paths(&["missing"]));
}
