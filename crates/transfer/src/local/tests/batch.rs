//! Small files, many at a time.

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::local::batch::{LARGEST, SmallSource, SmallTarget, load_batch, store_batch, store_batch_in_place};
use crate::local::output::Manner;

fn target(root: &Arc<Root>, rel: &str, data: Vec<Bytes>) -> SmallTarget {
    SmallTarget {
        root: Arc::clone(root),
        rel: rel.into(),
        temp: [b".", rel.replace('/', "-").as_bytes()].concat(),
        data,
        attributes: PLAIN,
        existing: Existing::Replace,
    }
}

#[test]
fn what_is_stored_is_what_is_loaded() {
    let scratch = Scratch::new();
    scratch.dir("a/b");
    let root = Arc::new(scratch.root(""));
    let contents = [vec![], vec![1; 1], vec![2; 70_000], vec![3; 1 << 20]];
    let files: Vec<_> = contents
        .iter()
        .enumerate()
        .map(|(n, content)| {
            let parts = content.chunks(32_768).map(Bytes::copy_from_slice).collect();
            target(&root, &format!("a/b/{n}"), parts)
        })
        .collect();
    for (result, content) in store_batch(&files).into_iter().zip(&contents) {
        assert_eq!(result.unwrap().stored.size, content.len() as u64);
    }
    let sources: Vec<_> = files
        .iter()
        .map(|file| SmallSource {
            root: Arc::clone(&root),
            rel: file.rel.clone(),
        })
        .collect();
    for (result, content) in load_batch(&sources).into_iter().zip(&contents) {
        let loaded = result.unwrap();
        assert_eq!(&loaded.data, content);
        assert_eq!(loaded.meta.size, content.len() as u64);
    }
    assert_eq!(scratch.names("a/b").len(), 4);
}

#[test]
fn one_that_fails_does_not_harm_the_others() {
    let scratch = Scratch::new();
    scratch.dir("dir");
    scratch.file("file", "");
    let root = Arc::new(scratch.root(""));
    let one = |rel| target(&root, rel, vec![Bytes::from_static(b"x")]);
    let files = [one("a"), one("dir"), one("file/x"), one("../x"), one("b")];
    let results = store_batch(&files);
    let ok: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(ok, [true, false, false, false, true]);
    assert_eq!(scratch.names(""), [&b"a"[..], b"b", b"dir", b"file"]);

    scratch.fifo("pipe");
    let file = std::fs::File::create(scratch.path("large")).unwrap();
    file.set_len(LARGEST + 1).unwrap();
    let source = |rel: &str| SmallSource {
        root: Arc::clone(&root),
        rel: rel.into(),
    };
    let sources = [
        source("a"),
        source("pipe"),
        source("none"),
        source("large"),
        source("b"),
    ];
    let results = load_batch(&sources);
    let ok: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(ok, [true, false, false, false, true]);
}

#[test]
fn in_place_no_temporary_file_is_made() {
    let scratch = Scratch::new();
    scratch.file("old", "long content");
    let root = Arc::new(scratch.root(""));
    let before = root.stat(b"old").unwrap();
    let files = ["old", "new"].map(|rel| target(&root, rel, vec![Bytes::from_static(b"new")]));
    for result in store_batch_in_place(&files) {
        assert_eq!(result.unwrap().manner, Manner::InPlace);
    }
    assert_eq!(root.stat(b"old").unwrap().id, before.id);
    assert_eq!(
        (scratch.read("old"), scratch.read("new")),
        (b"new".to_vec(), b"new".to_vec())
    );
    assert_eq!(scratch.names(""), [b"new", b"old"]);
}

#[test]
fn a_file_that_changes_all_the_time_is_never_loaded_half() {
    let scratch = Scratch::new();
    let root = Arc::new(scratch.root(""));
    scratch.file("f", vec![0; 100_000]);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0_usize;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                n += 1;
                // By rename, as careful programs do, so that each content is whole at any time.
                scratch.file("next", vec![n as u8; 100_000 + n % 7]);
                std::fs::rename(scratch.path("next"), scratch.path("f")).unwrap();
            }
        });
        let source = SmallSource {
            root: Arc::clone(&root),
            rel: b"f".to_vec(),
        };
        for result in load_batch(&vec![source; 300]) {
            let loaded = result.unwrap();
            assert!(loaded.data.iter().all(|byte| *byte == loaded.data[0]));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_file_that_does_not_tell_its_size_is_loaded_whole() {
    let root = Arc::new(Root::open(b"/proc", Links::Refuse).unwrap());
    let source = SmallSource {
        root,
        rel: b"version".to_vec(),
    };
    let loaded = load_batch(&[source]).remove(0).unwrap();
    assert_eq!(loaded.data, std::fs::read("/proc/version").unwrap());
    assert_eq!(loaded.meta.size, loaded.data.len() as u64);
}
