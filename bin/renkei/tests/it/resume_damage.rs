//! What happens to an unfinished target, or to the journal, between a kill and the next run: the result is right all the
//! same.

use std::fs;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;
use std::process::Command;

use renkei_testkit::FaultServer;
use renkei_testkit::fault::{Fault, Plan};
use renkei_testkit::process;
use renkei_testkit::seed::Rng;

use crate::resume::{FAST, SLOW, assert_whole, journals, killed_at, number, temporaries};
use crate::support::{Lab, WAYS, Way, is_temporary, summary, walk, well};

const SIZE: u64 = (8 << 20) + 777;

/// A copy of one large file that was killed in the middle; gives its temporary file.
fn killed(lab: &Lab, way: Way) -> std::path::PathBuf {
    lab.tree("tree").file("large", SIZE).unwrap();
    killed_at(lab, &lab.words(way, SLOW, &["tree", "target"]), 3 << 20);
    let mut left = temporaries(&lab.path("target"));
    assert_eq!(left.len(), 1);
    left.remove(0)
}

fn survives(damage: impl Fn(&Path)) {
    for way in WAYS {
        let lab = Lab::new();
        damage(&killed(&lab, way));
        well(lab.cp(lab.words(way, FAST, &["tree", "target"])));
        assert_whole(&lab, "tree", "target");
    }
}

fn set_len(path: &Path, size: u64) {
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(size)
        .unwrap();
}

/// Writes over a part of the file.
fn spoil(path: &Path, offset: u64, length: usize, byte: u8) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&vec![byte; length], offset).unwrap();
}

/// The table of OpenSSH's sftp-resume tests, and what it leaves out.
#[test]
fn resume_from_a_file_of_any_length() {
    for length in [0, 1, 1 << 10, 1 << 20, SIZE - 1, SIZE, SIZE + 1, SIZE + (3 << 20)] {
        let lab = Lab::new();
        let way = WAYS[(length % 2) as usize];
        set_len(&killed(&lab, way), length);
        well(lab.cp(lab.words(way, FAST, &["tree", "target"])));
        assert_whole(&lab, "tree", "target");
    }
}

#[test]
fn resume_when_it_was_deleted() {
    survives(|path| fs::remove_file(path).unwrap());
}

#[test]
fn resume_when_it_became_a_directory() {
    for way in WAYS {
        let lab = Lab::new();
        let left = killed(&lab, way);
        fs::remove_file(&left).unwrap();
        fs::create_dir(&left).unwrap();
        well(lab.cp(lab.words(way, FAST, &["tree", "target"])));
        // It is not the copy's, and stays.
        fs::remove_dir(&left).unwrap();
        assert_whole(&lab, "tree", "target");
    }
}

#[test]
fn resume_when_it_became_a_link() {
    for way in WAYS {
        let lab = Lab::new();
        let left = killed(&lab, way);
        let victim = lab.file("victim", "stays");
        fs::remove_file(&left).unwrap();
        symlink(&victim, &left).unwrap();
        well(lab.cp(lab.words(way, FAST, &["tree", "target"])));
        assert_eq!(lab.read("victim"), "stays");
        assert_whole(&lab, "tree", "target");
    }
}

#[test]
fn resume_when_bytes_in_it_were_changed() {
    let mut rng = Rng::for_purpose("spoil");
    let places: Vec<u64> = (0..5).map(|_| rng.within(0..SIZE - 1)).collect();
    survives(|path| places.iter().for_each(|place| spoil(path, *place, 1, b'!')));
}

#[test]
fn resume_when_it_was_filled_with_zeros() {
    survives(|path| {
        set_len(path, 0);
        set_len(path, SIZE);
    });
}

#[test]
fn resume_a_sparse_copy_whose_holes_were_filled() {
    for way in WAYS {
        let lab = Lab::new();
        lab.tree("tree")
            .sparse("large", 40 << 20, &[(1 << 20, 8 << 20), (39 << 20, 99)])
            .unwrap();
        let mut slow = SLOW.to_vec();
        slow.push("--sparse");
        killed_at(&lab, &lab.words(way, &slow, &["tree", "target"]), 3 << 20);
        for left in temporaries(&lab.path("target")) {
            spoil(&left, 0, 30 << 20, b'x');
        }
        well(lab.cp(lab.words(way, &["--json", "--sparse"], &["tree", "target"])));
        assert_whole(&lab, "tree", "target");
    }
}

#[test]
fn resume_when_finished_files_were_changed_or_deleted() {
    for way in WAYS {
        let lab = Lab::new();
        lab.tree("tree").small_files(600, 40_000).unwrap();
        killed_at(&lab, &lab.words(way, SLOW, &["tree", "target"]), 4 << 20);
        let finished: Vec<_> = walk(&lab.path("target"))
            .into_iter()
            .filter(|path| path.is_file() && !is_temporary(path))
            .collect();
        assert!(finished.len() > 3);
        fs::remove_file(&finished[0]).unwrap();
        set_len(&finished[1], 100);
        // The same size and perhaps the same second: only reading it tells.
        spoil(&finished[2], 1000, 10, b'!');
        let again = summary(&well(lab.cp(lab.words(way, FAST, &["tree", "target"]))));
        assert!(number(&again, "resumed_bytes") > 0, "{again}");
        assert_whole(&lab, "tree", "target");
    }
}

#[test]
fn resume_after_a_crash_of_the_far_host_that_lost_what_was_not_synced() {
    let lab = Lab::faulty(&Plan::new().with(Fault::LoseUnsynced));
    let mut tree = lab.tree("tree");
    tree.small_files(100, 30_000).unwrap();
    tree.file("large", 10 << 20).unwrap();
    let words = lab.words(Way::Up, SLOW, &["tree", "target"]);
    killed_at(&lab, &words, 6 << 20);
    assert!(lose(lab.faults()) > 0);
    well(lab.cp(&words));
    assert_whole(&lab, "tree", "target");
}

pub fn lose(server: &FaultServer) -> u64 {
    server.crash().unwrap()
}

#[test]
fn resume_with_a_damaged_journal_never_gives_wrong_data() {
    let mut rng = Rng::for_purpose("journal");
    let lab = Lab::new();
    let mut tree = lab.tree("tree");
    tree.small_files(40, 10_000).unwrap();
    tree.file("large", 4 << 20).unwrap();
    let slow = lab.words(Way::Up, &["--json", "--limit", "8M", "-T"], &["tree", "target"]);
    killed_at(&lab, &slow, 2 << 20);
    let journal = journals(&lab).remove(0);
    let written = fs::read(&journal).unwrap();
    let copy = |from: &str, to: &str| {
        if lab.exists(to) {
            fs::remove_dir_all(lab.path(to)).unwrap();
        }
        process::run(Command::new("cp").arg("-a").args([lab.path(from), lab.path(to)])).unwrap();
    };
    copy("target", "saved");
    let fast = lab.words(Way::Up, &["--json", "-T"], &["tree", "target"]);
    for _ in 0..20 {
        copy("saved", "target");
        let mut flipped = written.clone();
        let at = rng.within(0..flipped.len() as u64) as usize;
        flipped[at] ^= 1 << rng.within(0..8);
        fs::write(&journal, flipped).unwrap();
        let outcome = well(lab.cp(&fast));
        assert!(outcome.text().contains("damaged"), "{}", outcome.text());
        // A journal that is not trusted does not say what was left.
        temporaries(&lab.path("target"))
            .iter()
            .for_each(|path| fs::remove_file(path).unwrap());
        assert_whole(&lab, "tree", "target");
    }
}
