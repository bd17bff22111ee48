//! Manifests: any name comes back, and whatever was changed or cut off is noticed.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::Path;

use proptest::prelude::*;
use renkei_testkit::fuzz;
use renkei_transfer::manifest::{Entry, Fault, ManifestError, ManifestReader, ManifestWriter};
use renkei_types::tree_hash::hash_whole;
use tempfile::TempDir;

fn file(path: &[u8], content: &[u8]) -> Entry<'static> {
    let root = hash_whole(content);
    Entry::File {
        path: path.to_vec().into(),
        size: content.len() as u64,
        root,
    }
}

fn entries() -> Vec<Entry<'static>> {
    vec![
        file(b"plain.txt", b"a"),
        Entry::Directory {
            path: Cow::Borrowed(b"sub"),
        },
        file(b"sub/ two  spaces", b""),
        file(b"sub/line\nend\\and \xff\t", b"b"),
        file(b"end  1  x", b"c"),
        Entry::Link {
            path: Cow::Borrowed(b"sub/link"),
            to: Cow::Borrowed(b"../to\nand \xfe"),
        },
    ]
}

fn write(entries: &[Entry<'_>]) -> Vec<u8> {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("manifest");
    let mut writer = ManifestWriter::create(&path).unwrap();
    entries.iter().for_each(|entry| writer.add(entry).unwrap());
    assert!(!path.exists(), "it must not be seen before it is whole");
    writer.finish().unwrap();
    fs::read(&path).unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<Entry<'static>>, ManifestError> {
    ManifestReader::new(bytes)?.collect()
}

fn fault(bytes: &[u8]) -> (u64, Fault) {
    match read(bytes).unwrap_err() {
        ManifestError::Line { line, fault } => (line, fault),
        other => panic!("{other}"),
    }
}

#[test]
fn what_is_written_is_read_back() {
    let bytes = write(&entries());
    assert_eq!(read(&bytes).unwrap(), entries());
    assert!(read(&write(&[])).unwrap().is_empty());
}

#[test]
fn it_is_text_that_can_be_read() {
    let bytes = write(&entries()[..2]);
    let text = String::from_utf8(bytes).unwrap();
    let hash = hash_whole(b"a");
    let body = format!("renkei-manifest 1\n{hash}  1  plain.txt\ndir  sub\n");
    assert_eq!(text, format!("{body}end  2  {}\n", hash_whole(body.as_bytes())));
}

#[test]
fn any_changed_byte_is_noticed() {
    let bytes = write(&entries());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            assert!(read(&changed).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn one_that_is_cut_off_anywhere_is_noticed() {
    let bytes = write(&entries());
    for len in 0..bytes.len() {
        assert!(read(&bytes[..len]).is_err(), "{len} bytes");
    }
    let last_line = bytes[..bytes.len() - 1]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .unwrap()
        + 1;
    assert_eq!(fault(&bytes[..last_line]), (8, Fault::CutOff));
    assert_eq!(fault(&bytes[..last_line + 3]), (8, Fault::CutOff));
    assert_eq!(fault(&[&bytes[..], b"x"].concat()), (9, Fault::AfterEnd));
}

#[test]
fn a_wrong_line_is_named_with_its_number() {
    let hash = hash_whole(b"").to_string();
    let fault_of = |line: &[u8]| fault(&[b"renkei-manifest 1\n", line, b"\n"].concat());
    for line in [
        "",
        "junk",
        &hash,
        &format!("{hash}  x  name"),
        &format!("{hash}  1 name"),
        &format!("{hash} 1  name"),
        &format!("{hash}  99999999999999999999  name"),
        &format!("{hash}  1  back\\slash"),
        "dir sub",
        "link  no target",
    ] {
        assert_eq!(fault_of(line.as_bytes()), (2, Fault::Form), "{line}");
    }
    for path in ["", "/etc/passwd", "../up", "a/../b", "a//b", "a/", "./a", "nul\\x00"] {
        assert_eq!(
            fault_of(format!("{hash}  1  {path}").as_bytes()),
            (2, Fault::Path),
            "{path}"
        );
        assert_eq!(fault_of(format!("dir  {path}").as_bytes()), (2, Fault::Path), "{path}");
    }
    assert_eq!(fault_of(b"end  1  x"), (2, Fault::Changed));
    assert_eq!(fault(b"renkei-manifest 2\n"), (1, Fault::NewerVersion(2)));
    assert_eq!(fault(b""), (1, Fault::NotAManifest));
    assert_eq!(fault(b"\x7fELF\n"), (1, Fault::NotAManifest));
}

#[test]
fn an_endless_line_takes_no_memory() {
    let first = io::Cursor::new(b"renkei-manifest 1\n".to_vec());
    let endless = io::BufReader::new(io::Read::chain(first, io::repeat(b'a')));
    let error = ManifestReader::new(endless).unwrap().next().unwrap().unwrap_err();
    assert!(
        matches!(
            error,
            ManifestError::Line {
                line: 2,
                fault: Fault::Form
            }
        ),
        "{error}"
    );
}

#[test]
fn one_that_is_not_finished_leaves_the_old_one() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("manifest");
    fs::write(&path, "old").unwrap();
    let mut writer = ManifestWriter::create(&path).unwrap();
    writer.add(&entries()[0]).unwrap();
    drop(writer);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// `tests/corpus/manifest`: the end of a name says how many entries can be read, and whether it is `wrong` after them.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/manifest");
    let read = |entry: io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        (
            path.file_name().unwrap().to_str().unwrap().to_owned(),
            fs::read(path).unwrap(),
        )
    };
    fs::read_dir(dir).unwrap().map(read).collect()
}

#[test]
fn the_corpus_is_read_as_far_as_it_is_right() {
    let files = corpus();
    assert!(files.len() >= 20, "the corpus is there");
    for (name, bytes) in files {
        let want: usize = name.rsplit('-').next().unwrap().parse().unwrap();
        let found: Vec<_> = ManifestReader::new(&bytes[..]).into_iter().flatten().collect();
        assert_eq!(found.iter().filter(|entry| entry.is_ok()).count(), want, "{name}");
        assert_eq!(read(&bytes).is_err(), name.contains("-wrong-"), "{name}");
    }
}

fn names() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::collection::vec(
        any::<u8>().prop_filter("not in a name", |byte| !b"/\0".contains(byte)),
        1..12,
    )
    .prop_filter("not a name", |part| part != b"." && part != b"..");
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join(&b'/'))
}

proptest! {
    #[test]
    fn any_name_comes_back(path in names(), to in names(), size: u64) {
        let root = hash_whole(&path);
        let entries = [
            Entry::File { path: path.clone().into(), size, root },
            Entry::Directory { path: path.clone().into() },
            Entry::Link { path: path.into(), to: to.into() },
        ];
        prop_assert_eq!(read(&write(&entries)).unwrap(), entries);
    }

    #[test]
    fn arbitrary_bytes_are_read_without_fault(junk in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&junk).is_err());
        prop_assert!(read(&[b"renkei-manifest 1\n", &junk[..]].concat()).is_err());
    }
}

/// `RENKEI_SEED` and `RENKEI_FUZZ_SECONDS` set where the changes begin and for how long they are tried.
#[test]
fn no_change_of_the_corpus_is_taken_for_the_whole() {
    let right: Vec<_> = corpus()
        .into_iter()
        .filter(|(name, _)| name.starts_with("whole-"))
        .collect();
    fuzz::for_a_while("manifest", |rng| {
        let (_, whole) = &right[rng.within(0..right.len() as u64) as usize];
        let mut bytes = whole.clone();
        let (at, bits) = (rng.within(0..bytes.len() as u64 + 1) as usize, rng.within(1..256) as u8);
        match bytes.get_mut(at) {
            Some(byte) if rng.unit() < 0.5 => *byte ^= bits,
            _ => bytes.insert(at, bits),
        }
        assert!(read(&bytes).is_err(), "{:?}", String::from_utf8_lossy(&bytes));
    });
}
